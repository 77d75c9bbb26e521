// @vitest-environment node
/** Text in a log can be read on every ground that a row has, in light and in dark (WCAG 2.2, 1.4.3: 4.5). */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const CONTRAST_MIN = 4.5;

const css = readFileSync(new URL("../../src/ui/styles/tokens.css", import.meta.url), "utf8");

/** The token in light and in dark, as 0xRRGGBB. */
function token(name: string): readonly [light: number, dark: number] {
  const value = new RegExp(`--${name}: ([^;]*);`).exec(css)?.[1] ?? "";
  const colours = [...value.matchAll(/#([0-9a-f]{6})/g)].map(([, hex]) => Number.parseInt(hex ?? "", 16));
  expect(colours.length, name).toBeGreaterThan(0);
  return [colours[0] ?? 0, colours.at(-1) ?? 0];
}

const GROUNDS = ["log-ground", "log-stderr-ground", "raised"].map(token);
const THEMES = [0, 1] as const;

function linearOf(rgb: number): readonly [number, number, number] {
  const [red, green, blue] = [rgb >> 16, (rgb >> 8) & 255, rgb & 255].map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return [red ?? 0, green ?? 0, blue ?? 0];
}

const luminance = ([red, green, blue]: readonly [number, number, number]): number =>
  0.2126 * red + 0.7152 * green + 0.0722 * blue;

function contrast(one: number, other: number): number {
  return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
}

function worst(colour: readonly [number, number, number], theme: 0 | 1): number {
  return Math.min(
    ...GROUNDS.map((ground) => contrast(luminance(colour), luminance(linearOf(ground[theme])))),
  );
}

/** Oklab (Björn Ottosson, 2020), with the lightness and the chroma held where the style sheet holds them. */
function held(rgb: number, theme: 0 | 1): readonly [number, number, number] {
  const [r, g, b] = linearOf(rgb);
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  const lightness = 0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s;
  const a = 1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s;
  const bb = 0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s;
  const chroma = Math.hypot(a, bb);
  const [bound, chromaMax] = bounds()[theme];
  const scale = chroma > chromaMax ? chromaMax / chroma : 1;
  return rgbOfOklab(
    theme === 0 ? Math.min(lightness, bound) : Math.max(lightness, bound),
    a * scale,
    bb * scale,
  );
}

function bounds(): readonly [readonly [number, number], readonly [number, number]] {
  const found = [...css.matchAll(/--readable-\w+: m\w+\(l, ([\d.]+)\) min\(c, ([\d.]+)\) h/g)];
  const [light, dark] = found.map(([, l, c]) => [Number(l), Number(c)] as const);
  return [light ?? [0, 0], dark ?? [0, 0]];
}

function rgbOfOklab(lightness: number, a: number, b: number): readonly [number, number, number] {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const channels = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((value) => Math.min(1, Math.max(0, value)));
  return [channels[0] ?? 0, channels[1] ?? 0, channels[2] ?? 0];
}

describe("contrast in the log, on every ground, in light and in dark", () => {
  const names = [
    ...Array.from({ length: 16 }, (_, at) => `ansi-${at}`),
    "log-text",
    "log-number",
    "log-stderr",
    "muted",
    "warn",
    "accent",
  ];
  it.each(names)("%s", (name) => {
    for (const theme of THEMES)
      expect(worst(linearOf(token(name)[theme]), theme)).toBeGreaterThanOrEqual(CONTRAST_MIN);
  });

  it("marks of a search", () => {
    for (const theme of THEMES)
      for (const ground of ["hit-ground", "hit-current-ground"]) {
        const [text, behind] = [token("hit-text")[theme], token(ground)[theme]].map((rgb) =>
          luminance(linearOf(rgb)),
        );
        expect(contrast(text ?? 0, behind ?? 0)).toBeGreaterThanOrEqual(CONTRAST_MIN);
      }
  });

  it("any colour of a terminal's palette, and true ones, held by the style sheet", () => {
    for (const theme of THEMES)
      for (let step = 0; step < 4096; step += 1) {
        const rgb = (((step >> 8) * 0x11) << 16) | ((((step >> 4) & 15) * 0x11) << 8) | ((step & 15) * 0x11);
        expect(worst(held(rgb, theme), theme), `#${rgb.toString(16)}`).toBeGreaterThanOrEqual(CONTRAST_MIN);
      }
  });
});
