/** How times, spans of time and counts are written. Pure: the present is an argument. */

const COUNT = new Intl.NumberFormat("en");
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
const ABSOLUTE = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium" });

/** `12345` as `12,345`. */
export function formatCount(count: number): string {
  return COUNT.format(count);
}

/** A span of time with two figures at most: `0.8 s`, `42 s`, `3 min 07 s`, `2 h 05 min`, `3 d 4 h`. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${pad(whole % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${pad(minutes % 60)} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** As `formatDuration`, of what still grows: whole seconds, since tenths would jump with a clock that ticks once a second. */
export function formatElapsed(ms: number): string {
  return ms < 10_000 ? `${Math.max(0, Math.floor(ms / 1000))} s` : formatDuration(ms);
}

/** As far from 1970 as any calendar goes, in milliseconds (ECMA-262, 21.4.1.1). */
export const CALENDAR_MS = 8.64e15;

const STEPS = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
] as const;

/** How long ago, in words: `now`, `3 min. ago`, `yesterday`. */
export function formatAgo(atMs: number, nowMs: number): string {
  const agoMs = nowMs - atMs;
  for (const [unit, lengthMs] of STEPS) {
    if (Math.abs(agoMs) >= lengthMs) return RELATIVE.format(-Math.floor(agoMs / lengthMs), unit);
  }
  return agoMs < 10_000 ? "just now" : `${Math.floor(agoMs / 10_000) * 10} sec. ago`;
}

/** Date and time in full, in the reader's time zone. */
export function formatMoment(atMs: number): string {
  return ABSOLUTE.format(atMs);
}

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** A number of bytes with three figures at most: `512 B`, `1.5 KiB`, `64 MiB`. */
export function formatBytes(bytes: number): string {
  let value = Math.max(0, bytes);
  let unit = 0;
  while (value >= 999.5 && unit < BYTE_UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const figures = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${Number(value.toFixed(figures))} ${BYTE_UNITS[unit]}`;
}

/** `1 line`, `2 lines`. */
export function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

function pad(value: number): string {
  return String(value).padStart(2, "0");
}
