/**
 * What the rows of a log mark as found. Whoever searches provides it; each row asks it about its own text.
 */
import { createContext, useContext } from "react";

/** Where a text matches: `[start, end)` in UTF-16 code units, in order, not overlapping. */
export type Matcher = (plain: string) => readonly (readonly [start: number, end: number])[];

export interface LogSearch {
  /** The same function until what is searched for changes: rows look again when it is another. `null`: nothing is. */
  readonly matcher: Matcher | null;
  /** The entry that the reader stepped to; its marks stand out. */
  readonly current?: number;
}

const NOTHING: LogSearch = { matcher: null };

export const LogSearchContext = createContext<LogSearch>(NOTHING);

export function useLogSearch(): LogSearch {
  return useContext(LogSearchContext);
}
