/** The pure parts of the log viewer: where rows are, and how colours look. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { INVERSE, PLAIN, type Style, TRUE_COLOUR } from "../../../src/log/terminal/ansi";
import { appearanceOf } from "../../../src/ui/log/row/ansi-colour";
import {
  OVERSCAN_UNITS,
  ROW_HEIGHT,
  SCROLL_HEIGHT_MAX,
  type Space,
  bottom,
  isScaled,
  unitAt,
  scrollHeight,
  scrollTopOf,
  windowAt,
} from "../../../src/ui/log/geometry";

const space = fc.record({
  units: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 50_000_000 })),
  viewHeight: fc.integer({ min: 1, max: 3000 }),
});

describe("geometry", () => {
  it("covers the whole view with rows, and draws few more", () => {
    fc.assert(
      fc.property(space, fc.double({ min: 0, max: 1, noNaN: true }), (space, share) => {
        const top = share * bottom(space);
        const { from, to, offset } = windowAt(space, top);
        expect(offset).toBeLessThanOrEqual(top + 0.01);
        const lower = offset + (to - from) * ROW_HEIGHT;
        expect(lower).toBeGreaterThanOrEqual(Math.min(top + space.viewHeight, scrollHeight(space)) - 0.01);
        expect(to - from).toBeLessThanOrEqual(
          Math.ceil(space.viewHeight / ROW_HEIGHT) + 2 * OVERSCAN_UNITS + 1,
        );
        expect(from).toBeGreaterThanOrEqual(0);
        expect(to).toBeLessThanOrEqual(space.units);
      }),
    );
  });

  it("begins at the first unit and ends at the last, however long the log", () => {
    fc.assert(
      fc.property(space, (space) => {
        expect(windowAt(space, 0)).toMatchObject({ from: 0, offset: 0 });
        const end = windowAt(space, bottom(space));
        expect(end.to).toBe(space.units);
        const lower = end.offset + (end.to - end.from) * ROW_HEIGHT;
        expect(Math.abs(lower - Math.max(scrollHeight(space), 0))).toBeLessThan(0.01);
      }),
    );
  });

  it("never asks for a taller scroll space than a browser has", () => {
    const million: Space = { units: 1_000_000, viewHeight: 800 };
    expect(scrollHeight(million)).toBe(SCROLL_HEIGHT_MAX);
    expect(isScaled(million)).toBe(true);
    expect(isScaled({ units: 100_000, viewHeight: 800 })).toBe(false);
  });

  it("finds the scrollTop of a unit, and the unit of a scrollTop", () => {
    fc.assert(
      fc.property(space, fc.double({ min: 0, max: 1, noNaN: true }), (space, share) => {
        const top = share * bottom(space);
        expect(Math.abs(scrollTopOf(space, unitAt(space, top)) - top)).toBeLessThan(0.01);
      }),
    );
  });
});

function luminance(hex: string): number {
  const channels = [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255);
  const linear = channels.map((value) =>
    value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4,
  );
  return 0.2126 * (linear[0] ?? 0) + 0.7152 * (linear[1] ?? 0) + 0.0722 * (linear[2] ?? 0);
}

describe("colours", () => {
  const colour = fc.oneof(
    fc.integer({ min: -1, max: 255 }),
    fc.integer({ min: 0, max: 0xffffff }).map((rgb) => TRUE_COLOUR | rgb),
  );

  it("on any background can be read", () => {
    fc.assert(
      fc.property(colour, colour, fc.constantFrom(0, INVERSE), (fg, bg, flags) => {
        const { style } = appearanceOf({ fg, bg, flags });
        if (style?.backgroundColor === undefined) return;
        const [light, dark] = [style.backgroundColor, style.color ?? ""]
          .map(luminance)
          .toSorted((a, b) => b - a);
        expect(((light ?? 0) + 0.05) / ((dark ?? 0) + 0.05)).toBeGreaterThanOrEqual(4.5);
      }),
    );
  });

  it("of the sixteen are the theme's; others keep their hue and take its lightness", () => {
    expect(appearanceOf({ ...PLAIN, fg: 2 })).toEqual({ className: "fg-2", style: undefined });
    expect(appearanceOf({ ...PLAIN, fg: 196 }).style).toEqual({
      color:
        "light-dark(oklch(from #ff0000 var(--readable-light)), oklch(from #ff0000 var(--readable-dark)))",
    });
    expect(appearanceOf({ ...PLAIN, fg: 244 }).style?.color).toContain("#808080");
    expect(appearanceOf({ ...PLAIN, flags: INVERSE }).className).toBe("inverse");
  });

  it("are computed once per style", () => {
    const style: Style = { ...PLAIN, fg: 99 };
    expect(appearanceOf(style)).toBe(appearanceOf(style));
  });
});
