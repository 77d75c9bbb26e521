/** What is known of the whole log, and which of its groups are folded, for the parts around and within the lines. */
import { createContext, use, useSyncExternalStore } from "react";
import type { Folds } from "../../../log/groups";
import type { LineStore } from "../../../log/line-store";
import type { Outline } from "../../../log/outline";

export interface LogOutline {
  readonly log: LineStore;
  readonly outline: Outline;
  /** Whether more lines may come. */
  readonly running: boolean;
  readonly folds: Folds;
  /** Whether it was decided which groups are folded at first. */
  readonly begun: boolean;
  /** Folds some groups, or unfolds them; named by their heads. */
  readonly fold: (heads: readonly number[], fold: boolean) => void;
  /** Unfolds whatever hides the entry. */
  readonly reveal: (offset: number) => void;
}

export const LogOutlineContext = createContext<LogOutline | null>(null);

/** Null where a log is shown without what is around it. Drawn again when the outline changes. */
export function useLogOutline(): LogOutline | null {
  const known = use(LogOutlineContext);
  useSyncExternalStore(known?.outline.subscribe ?? never, () => known?.outline.version ?? 0);
  return known;
}

function never(): () => void {
  return () => {};
}
