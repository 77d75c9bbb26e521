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

/** What a projection displays, and some ranges more. */
export function withRanges(projection: Projection, more: readonly OffsetRange[]): Projection {
  if (projection.kind === "all" || more.length === 0) return projection;
  return { ...projection, ranges: merged([...projection.ranges, ...more]) };
}

/** The places of entries among those displayed. */
export interface Places {
  /** How many displayed entries are before an offset. */
  before(offset: number): number;
  /** The displayed entry that has so many before it; the last one at most, 0 where there is none. */
  at(place: number): number;
  /** How many are displayed. */
  readonly count: number;
}

/** Places in a log of `end` entries. Each answer takes a binary search at most. */
export function placesOf(projection: Projection, end: number): Places {
  if (projection.kind === "all") {
    return { before: (offset) => offset, at: (place) => Math.max(0, Math.min(place, end - 1)), count: end };
  }
  const ranges = projection.ranges.filter(({ from }) => from < end);
  const sums = [0];
  for (const { from, to } of ranges) sums.push((sums.at(-1) ?? 0) + Math.min(to, end) - from);
  const count = sums.at(-1) ?? 0;
  return {
    count,
    before(offset) {
      const index = rangesUpTo(ranges, offset) - 1;
      const range = ranges[index];
      return range ? Math.min(sums[index + 1] ?? 0, (sums[index] ?? 0) + offset - range.from) : 0;
    },
    at(place) {
      if (count === 0) return 0;
      const wanted = Math.max(0, Math.min(place, count - 1));
      const index = countUpTo(sums, wanted) - 1;
      return (ranges[index]?.from ?? 0) + wanted - (sums[index] ?? 0);
    },
  };
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
  return partition(ranges.length, (at) => (ranges[at]?.from ?? 0) <= offset);
}

/** How many of some sorted numbers are `limit` or below. */
function countUpTo(numbers: readonly number[], limit: number): number {
  return partition(numbers.length, (at) => (numbers[at] ?? 0) <= limit);
}

/** The first of `count` places for which `holds` no longer does, where it does so for all before. */
function partition(count: number, holds: (at: number) => boolean): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) low = middle + 1;
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
