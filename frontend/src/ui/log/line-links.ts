/** Links to lines: `#L120`, `#L120-L140`. People count from 1, and include both ends. */
import type { OffsetRange } from "../../log/projection";

/** The lines that a hash names, or `null`. Either order is understood. */
export function readHash(hash: string): OffsetRange | null {
  const match = /^#L(\d{1,15})(?:-L?(\d{1,15}))?$/.exec(hash);
  if (!match) return null;
  const one = Number(match[1]);
  const other = match[2] === undefined ? one : Number(match[2]);
  const first = Math.min(one, other);
  return first < 1 ? null : { from: first - 1, to: Math.max(one, other) };
}

export function hashOf({ from, to }: OffsetRange): string {
  return to - from > 1 ? `#L${from + 1}-L${to}` : `#L${from + 1}`;
}

/** What is linked once a line's number was pressed; with shift the link is extended to it. */
export function extended(linked: OffsetRange | null, offset: number): OffsetRange {
  if (!linked) return { from: offset, to: offset + 1 };
  return { from: Math.min(linked.from, offset), to: Math.max(linked.to, offset + 1) };
}
