/**
 * Which entries of a log are displayed: one mechanism for folded groups and for filters.
 *
 * Invariants:
 *  - Ranges are sorted, disjoint, never empty and never touching: between two of them at least one entry is hidden.
 *  - The last range of a projection that goes on with a running job ends at infinity: what arrives is displayed
 *    without the projection being made anew.
 *  - A projection says nothing of what is loaded. It is a value; the same content may be another object.
 *
 * Ranges, and not a set of offsets: a million lines of which one group is folded are two ranges, and the place of an
 * entry among the displayed ones is found by binary search.
 */

/** Entries by offset: `from` included, `to` not. */
export interface OffsetRange {
  readonly from: number;
  readonly to: number;
}

export type Projection =
  | { readonly kind: "all" }
  | {
      readonly kind: "ranges";
      readonly ranges: readonly OffsetRange[];
      /**
       * What stands where entries are hidden: a row that says how many (`said`), or nothing (`silent`), where the
       * row above says so already, as the head of a folded group does.
       */
      readonly between: "said" | "silent";
    };

export const EVERYTHING: Projection = { kind: "all" };

/** Everything but what is inside folded groups. `hidden` is in any order, and may overlap. */
export function without(hidden: readonly OffsetRange[]): Projection {
  const folded = merged(hidden);
  if (folded.length === 0) return EVERYTHING;
  const ranges: OffsetRange[] = [];
  let from = 0;
  for (const range of folded) {
    if (range.from > from) ranges.push({ from, to: range.from });
    from = range.to;
  }
  if (from !== Number.POSITIVE_INFINITY) ranges.push({ from, to: Number.POSITIVE_INFINITY });
  return { kind: "ranges", ranges, between: "silent" };
}

/**
 * Some entries, and `context` more on either side of each.
 *
 * @param offsets sorted, each once.
 * @param end the offset behind the last entry of the log: context does not reach beyond it.
 */
export function around(offsets: ArrayLike<number>, context: number, end: number): Projection {
  const ranges: { from: number; to: number }[] = [];
  let last: { from: number; to: number } | undefined;
  for (let at = 0; at < offsets.length; at += 1) {
    const offset = offsets[at] ?? 0;
    const from = Math.max(0, offset - context);
    const to = Math.max(offset + 1, Math.min(end, offset + context + 1));
    if (last && from <= last.to) last.to = Math.max(last.to, to);
    else ranges.push((last = { from, to }));
  }
  return { kind: "ranges", ranges, between: "said" };
}

/** Whether an entry is displayed. */
export function isDisplayed(projection: Projection, offset: number): boolean {
  if (projection.kind === "all") return true;
  const range = projection.ranges[rangesUpTo(projection.ranges, offset) - 1];
  return range !== undefined && offset < range.to;
}

/** Whether two projections display the same. */
export function sameProjection(one: Projection, other: Projection): boolean {
  if (one === other) return true;
  if (one.kind === "all" || other.kind === "all") return one.kind === other.kind;
  return (
    one.between === other.between &&
    one.ranges.length === other.ranges.length &&
    one.ranges.every(({ from, to }, at) => from === other.ranges[at]?.from && to === other.ranges[at]?.to)
  );
}

/** How many ranges begin at `offset` or before. */
function rangesUpTo(ranges: readonly OffsetRange[], offset: number): number {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ranges[middle]?.from ?? 0) <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The same entries as sorted ranges that do not touch. */
function merged(ranges: readonly OffsetRange[]): readonly OffsetRange[] {
  const result: { from: number; to: number }[] = [];
  for (const { from, to } of ranges.toSorted((one, other) => one.from - other.from)) {
    const last = result.at(-1);
    if (to <= from) continue;
    if (last && from <= last.to) last.to = Math.max(last.to, to);
    else result.push({ from, to });
  }
  return result;
}
