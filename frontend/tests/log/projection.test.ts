/** What of a log is displayed, against a plain list of what is. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Projection,
  around,
  isDisplayed,
  placesOf,
  sameProjection,
  withRanges,
  without,
} from "../../src/log/projection";

const displayed = (projection: Projection, end: number): number[] =>
  Array.from({ length: end }, (_, offset) => offset).filter((offset) => isDisplayed(projection, offset));

const wellFormed = (projection: Projection): boolean =>
  projection.kind === "all" ||
  projection.ranges.every(
    ({ from, to }, at, all) => from < to && (at === 0 || (all[at - 1]?.to ?? 0) < from),
  );

describe("a projection", () => {
  const ranges = fc.array(
    fc.tuple(fc.nat(60), fc.nat(20)).map(([from, length]) => ({ from, to: from + length })),
    { maxLength: 12 },
  );

  it("without some ranges displays the others, in ranges that do not touch", () => {
    fc.assert(
      fc.property(ranges, (hidden) => {
        const projection = without(hidden);
        const isHidden = (offset: number): boolean =>
          hidden.some(({ from, to }) => offset >= from && offset < to);
        expect(wellFormed(projection)).toBe(true);
        expect(displayed(projection, 100)).toEqual(
          Array.from({ length: 100 }, (_, offset) => offset).filter((offset) => !isHidden(offset)),
        );
        expect(isDisplayed(projection, 1e9)).toBe(true);
      }),
    );
  });

  it("around some entries displays each with its context, and nothing beyond the end", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.nat(99), { maxLength: 30 }),
        fc.constantFrom(0, 3, 10),
        (found, context) => {
          const offsets = found.toSorted((one, other) => one - other);
          const projection = around(offsets, context, 100);
          expect(wellFormed(projection)).toBe(true);
          expect(displayed(projection, 120)).toEqual(
            Array.from({ length: 100 }, (_, offset) => offset).filter((offset) =>
              offsets.some((one) => Math.abs(one - offset) <= context),
            ),
          );
        },
      ),
    );
  });

  it("knows the place of each entry among those displayed, and which entry is at a place", () => {
    fc.assert(
      fc.property(ranges, fc.nat(70), (hidden, end) => {
        const projection = without(hidden);
        const shown = displayed(projection, end);
        const places = placesOf(projection, end);
        expect(places.count).toBe(shown.length);
        for (let offset = 0; offset < end; offset += 1) {
          expect(places.before(offset)).toBe(shown.filter((one) => one < offset).length);
        }
        for (const [place, offset] of shown.entries()) expect(places.at(place)).toBe(offset);
        expect(places.at(1e6)).toBe(shown.at(-1) ?? 0);
      }),
    );
  });

  it("with more ranges displays those too", () => {
    const projection = withRanges(around([5, 20], 1, 50), [
      { from: 7, to: 9 },
      { from: 30, to: 31 },
    ]);
    expect(wellFormed(projection)).toBe(true);
    expect(displayed(projection, 50)).toEqual([4, 5, 6, 7, 8, 19, 20, 21, 30]);
  });

  it("is the same where it displays the same", () => {
    expect(sameProjection(without([]), { kind: "all" })).toBe(true);
    expect(sameProjection(around([1, 5], 0, 9), around([1, 5], 0, 10))).toBe(true);
    expect(sameProjection(around([1, 5], 0, 9), around([1, 6], 0, 9))).toBe(false);
    expect(sameProjection(without([{ from: 1, to: 2 }]), without([]))).toBe(false);
  });
});
