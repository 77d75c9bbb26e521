/** What the search bar, the filters, the ticks and the keys share. */
import { createContext, use } from "react";
import type { SearchSession, SearchState } from "../../../log/search-session";
import type { Hits } from "./useHits";

export type FilterKind = "all" | "stderr" | "errors" | "matches";

export interface Filter {
  readonly kind: FilterKind;
  /** Lines shown on either side of each that counts. */
  readonly context: number;
}

export interface LogFindState extends Hits {
  readonly session: SearchSession;
  readonly search: SearchState;
  /** What a step, or a key, has to say. */
  readonly notice: string;
  readonly filter: Filter;
  /** Why not all that counts is displayed, or null. */
  readonly filterTrouble: string | null;
  /** The error stepped to: its offset. */
  readonly error: number | null;
  readonly stepError: (direction: 1 | -1) => void;
  /** Goes to the head of the next group, which can then be folded; false where there is none. */
  readonly stepGroup: (direction: 1 | -1) => boolean;
  /** Marks no error any more. */
  readonly leave: () => void;
  readonly setFilter: (filter: Filter) => void;
  /** Goes to a line, and displays it if it is hidden. */
  readonly goTo: (offset: number) => void;
}

export const LogFindContext = createContext<LogFindState | null>(null);

export function useLogFind(): LogFindState {
  const find = use(LogFindContext);
  if (!find) throw new Error("there is no search around this component");
  return find;
}
