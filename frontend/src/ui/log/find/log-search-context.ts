/**
 * What the rows of a log mark as found, and where the reader's steps led. Whoever searches provides it; each row asks it
 * about its own text.
 */
import { createContext, useContext } from "react";

/** Where a text matches: `[start, end)` in UTF-16 code units, in order, not overlapping. */
export type Matcher = (plain: string) => readonly (readonly [start: number, end: number])[];

export interface LogSearch {
  /** The same function until what is searched for changes: rows look again when it is another. `null`: nothing is. */
  readonly matcher: Matcher | null;
  /** The entry that the reader stepped to; its marks stand out. */
  readonly current?: number | null;
  /** The error that the reader stepped to: its line is marked. */
  readonly error?: number | null;
  /** The group that the reader stepped to: its head has the focus. */
  readonly group?: number | null;
}

const NOTHING: LogSearch = { matcher: null };

export const LogSearchContext = createContext<LogSearch>(NOTHING);

export function useLogSearch(): LogSearch {
  return useContext(LogSearchContext);
}
