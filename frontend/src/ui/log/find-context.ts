/** What the search bar, the filters, the ticks and the keys share. */
import { createContext, use } from "react";
import type { SearchQuestion } from "../../stream/log-api";
import type { SearchSession, SearchState } from "../../stream/search-session";

export type FilterKind = "all" | "stderr" | "errors" | "matches";

export interface Filter {
  readonly kind: FilterKind;
  /** Lines shown on either side of each that counts. */
  readonly context: number;
}

export interface LogFindState {
  readonly session: SearchSession;
  readonly search: SearchState;
  /** What is in the search bar. */
  readonly question: SearchQuestion;
  readonly open: boolean;
  /** The hit stepped to: its offset. */
  readonly current: number | null;
  /** What a step, or a key, has to say. */
  readonly notice: string;
  readonly filter: Filter;
  /** Why not all that counts is displayed, or null. */
  readonly filterTrouble: string | null;
  readonly look: (question: SearchQuestion) => void;
  readonly step: (direction: 1 | -1) => void;
  readonly stepError: (direction: 1 | -1) => void;
  readonly show: () => void;
  readonly close: () => void;
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
