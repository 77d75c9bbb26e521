/**
 * The time of a line, in the column before it: figures of one width, so that they can be compared down the column.
 *
 * Pure: the reader's time zone is the browser's. Seconds and their parts are written as far as they tell lines apart;
 * the exact moment is what a pointer is shown (`isoMoment`).
 */
import type { Preference } from "../../preferences";

export type TimestampMode = Preference<"timestamps">;

/** What a line's time is told against, in milliseconds since the epoch. */
export interface TimeBase {
  /** When the job started. */
  readonly startedAt?: number | undefined;
  /** The time of the line before. */
  readonly before?: number | undefined;
}

/** The width of the column in characters, the space behind it included; as in log.css. */
export const STAMP_COLUMNS: Readonly<Record<TimestampMode, number>> = {
  off: 0,
  relative: 12,
  absolute: 14,
  delta: 11,
};

/** Milliseconds from which a pause before a line stands out. */
export const PAUSE_MS = 1_000;

/** The time as it is written; empty where there is none to tell. */
export function formatStamp(mode: TimestampMode, timestamp: number, { startedAt, before }: TimeBase): string {
  if (mode === "off" || !isMoment(timestamp)) return "";
  if (mode === "absolute") return clock(new Date(timestamp));
  if (mode === "relative") return startedAt === undefined ? "" : span(timestamp - startedAt, "");
  // Lines of the same moment, as most are that come together, have no time between them to tell.
  return before === undefined || !isMoment(before) || timestamp === before
    ? ""
    : difference(timestamp - before);
}

/** Whether there was a pause before the line that a reader should see. */
export function isPause(mode: TimestampMode, timestamp: number, before: number | undefined): boolean {
  return mode === "delta" && before !== undefined && before > 0 && timestamp - before >= PAUSE_MS;
}

/** The exact moment, in UTC (ISO 8601); empty where the number is none. */
export function isoMoment(timestamp: number): string {
  return isMoment(timestamp) ? new Date(timestamp).toISOString() : "";
}

/** 0 stands for a time that is not known; the upper end is that of calendars (ECMA-262, 21.4.1.1). */
function isMoment(timestamp: number): boolean {
  return timestamp > 0 && timestamp <= 8.64e15;
}

/** `12:03:59.120`. */
function clock(date: Date): string {
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}.${pad(date.getMilliseconds(), 3)}`;
}

/** `0:03.2`, `12:03.4`, `1:02:03.4`; tenths of a second are cut off, not rounded. */
function span(ms: number, plus: string): string {
  const tenths = Math.floor(Math.abs(ms) / 100);
  const [hours, minutes, seconds] = [
    Math.floor(tenths / 36_000),
    Math.floor(tenths / 600) % 60,
    Math.floor(tenths / 10) % 60,
  ];
  const sign = ms < 0 && tenths > 0 ? "-" : plus;
  const head = hours > 0 ? `${hours}:${pad(minutes)}` : String(minutes);
  return `${sign}${head}:${pad(seconds)}.${tenths % 10}`;
}

/** `+1 ms`, `+999 ms`, `+12.3 s`, `+2:03.4`, `+1:02:03`. */
function difference(ms: number): string {
  const sign = ms < 0 ? "-" : "+";
  const size = Math.abs(ms);
  if (size < 1_000) return `${sign}${Math.floor(size)} ms`;
  if (size < 60_000) return `${sign}${(Math.floor(size / 100) / 10).toFixed(1)} s`;
  return size < 3_600_000 ? span(ms, "+") : span(ms, "+").slice(0, -2);
}

function pad(value: number, figures = 2): string {
  return String(value).padStart(figures, "0");
}
