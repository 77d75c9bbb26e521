/**
 * How the parts around the lines (search, ticks, keys, palette) drive the log, and what they tell it.
 *
 * `LogControls` is one object for the life of a log's view. What changes is read from its properties, and heard of by
 * `subscribe` (`useLogControls` draws a component again for it), so that scrolling draws only what asked for it. In the
 * other direction there is `LogKnowledge`: which lines are errors, and where the first one is.
 *
 * Lines are named by the offset of their entry, from 0, here and everywhere; only what is shown to people, and the hash
 * of a link, counts from 1.
 */
import { createContext, use, useSyncExternalStore } from "react";
import type { JobOutput } from "../../api/job";
import type { LineStore } from "../../log/line-store";
import type { OffsetRange, Projection } from "../../log/projection";

export interface LogControls {
  readonly jobId: string;
  readonly log: LineStore;
  /** The entries on the screen, both inclusive; -1 to -1 where there is none. */
  readonly visible: { readonly first: number; readonly last: number };
  /** Whether the end is followed. */
  readonly following: boolean;
  /** What came since following was left. */
  readonly unseen: { readonly lines: number; readonly errors: number };
  readonly projection: Projection;
  /** The lines that the address names (`#L120-L140`), `to` not included. */
  readonly linked: OffsetRange | null;
  /** What went wrong or is under way with a copy, for people; `null` where nothing is to be said. */
  readonly notice: string | null;

  /** Shows an entry, in the middle unless it is on the screen already; leaves following. `select` links to it. */
  jumpTo(offset: number, options?: { readonly select?: boolean }): void;
  /** Scrolls by rows; below zero: up. */
  scrollBy(rows: number): void;
  toStart(): void;
  follow(): void;
  pause(): void;
  /** Leaves an entry where it is on the screen, whatever now changes around it; leaves following. */
  keep(offset: number): void;
  /** What is displayed. The row at the upper edge stays there, or the one that takes its place. */
  setProjection(projection: Projection): void;
  /** Writes the link into the address, and marks the lines; `null` takes it away. */
  link(range: OffsetRange | null): void;
  /** The address of some lines: the linked ones, else those from the first on the screen. */
  linkAddress(range?: OffsetRange): string;
  /** Copies that address. */
  copyLink(): Promise<boolean>;
  /** Copies whole lines, also those that are not loaded, without numbers and timestamps. */
  copyLines(range: OffsetRange): Promise<boolean>;
  /** Hears of every change of a property, at most once per frame. */
  readonly subscribe: (listener: () => void) => () => void;
  /** Grows with every change. */
  readonly version: number;
}

/** What is known of the lines elsewhere. */
export interface LogKnowledge {
  readonly isError: (output: JobOutput) => boolean;
  /** The first error's offset; `null`: none; `undefined`: not known yet. A finished log opens there. */
  readonly firstError: number | null | undefined;
  /** Someone asks for hidden entries (the row that stands for them was pressed). */
  readonly onUnfold?: (hidden: OffsetRange) => void;
}

export const BY_STREAM: LogKnowledge = {
  isError: ({ stream }) => stream === "error",
  firstError: null,
};

export const LogControlsContext = createContext<LogControls | null>(null);

export const LogKnowledgeContext = createContext<LogKnowledge>(BY_STREAM);

/** The controls of the log around this component, which is drawn again when they change. */
export function useLogControls(): LogControls {
  const controls = useSteadyLogControls();
  useSyncExternalStore(controls.subscribe, () => controls.version);
  return controls;
}

/** The same without being drawn again: for handlers. */
export function useSteadyLogControls(): LogControls {
  const controls = use(LogControlsContext);
  if (!controls) throw new Error("there is no log around this component");
  return controls;
}
