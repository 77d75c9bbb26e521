/**
 * What a log looks like: its rows, of several kinds, each with an id that never means another row.
 *
 * A row is a line of an entry (an entry may hold newlines), or says what is not there: lines that are lost for good,
 * not loaded yet, could not be loaded, or are hidden. A row is named by its entry's offset and its part; the id has the
 * log's generation in front, for a log that was written anew has other rows under the same names.
 */
import type { Style } from "./terminal/ansi";
import type { OutputStream } from "../api/job";

/** A row of the log's content. */
export type LogRow = LineRow | GapRow | ResetRow;

/** A row as it is displayed. */
export type ViewRow = LogRow | UnloadedRow | FailedRow | FoldRow;

export interface LineRow {
  readonly kind: "line";
  readonly id: string;
  /** The entry's place in the job's list, from 0. */
  readonly offset: number;
  /** Which of the entry's rows it is, from 0. */
  readonly part: number;
  /** Whether this row goes on with the entry of the row before it. */
  readonly continued: boolean;
  /** Milliseconds since the epoch. */
  readonly timestamp: number;
  readonly text: string;
  readonly stream: OutputStream;
  readonly source?: string;
  /** The entry whose text it shows: a later one than its own, where that one wrote it anew. */
  readonly by: number;
  /** The style in which the row begins. */
  readonly style: Style;
}

/** Lines that no one can have any more: `from` to `to`, offsets, both inclusive. */
export interface GapRow {
  readonly kind: "gap";
  readonly id: string;
  readonly from: number;
  readonly to: number;
}

/** The list was written anew; what follows does not continue what was there. */
export interface ResetRow {
  readonly kind: "reset";
  readonly id: string;
  readonly reason: string;
}

/** An entry that is on its way, or will be asked for when it is looked at. */
export interface UnloadedRow {
  readonly kind: "unloaded";
  readonly id: string;
  readonly offset: number;
}

/** Entries that could not be had: `from` to `to`, offsets, both inclusive. */
export interface FailedRow {
  readonly kind: "failed";
  readonly id: string;
  readonly from: number;
  readonly to: number;
  readonly reason: string;
}

/** Entries that are not displayed: `from` to `to`, offsets, both inclusive. */
export interface FoldRow {
  readonly kind: "fold";
  readonly id: string;
  readonly from: number;
  readonly to: number;
}

/** The first entry that a row stands for; -1 for one that stands in front of all. */
export function offsetOf(row: ViewRow): number {
  if (row.kind === "reset") return -1;
  return "offset" in row ? row.offset : row.from;
}

/** The last entry that a row stands for. */
export function lastOffsetOf(row: ViewRow): number {
  return "to" in row ? row.to : offsetOf(row);
}
