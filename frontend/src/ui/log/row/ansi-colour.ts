/**
 * How a terminal style looks on the page.
 *
 * The sixteen colours are tokens of the theme, each with enough contrast in light and in dark. A colour of the palette
 * or a true one keeps its hue, and its lightness is held where it can be read, by the style sheet, so that it follows
 * the theme without being computed again. Where a background is set, text that could not be read on it turns black or
 * white. Nothing here becomes markup: the result is a class and a style.
 */
import type { CSSProperties } from "react";
import {
  BOLD,
  type Colour,
  DEFAULT_COLOUR,
  DIM,
  INVERSE,
  ITALIC,
  STRIKE,
  type Style,
  TRUE_COLOUR,
  UNDERLINE,
} from "../../../log/terminal/ansi";

export interface Appearance {
  readonly className: string | undefined;
  readonly style: CSSProperties | undefined;
}

/** The least contrast of text on a background that it was given (WCAG 2.2, 1.4.3). */
const CONTRAST_MIN = 4.5;

/** The sixteen as backgrounds, where they mean the same in light and in dark. */
const SIXTEEN = [
  0x000000, 0xa31515, 0x116329, 0x7a5b00, 0x1a4fb4, 0x84348f, 0x0b6b75, 0xc8c8c8, 0x5c6166, 0xd93025,
  0x2da44e, 0xd4a72c, 0x4c8dff, 0xc264d0, 0x2bb3c0, 0xffffff,
];

const looks = new WeakMap<Style, Appearance>();

/** The look of a style; the same object for the same style. */
export function appearanceOf(style: Style): Appearance {
  const known = looks.get(style);
  if (known) return known;
  const look = compute(style);
  looks.set(style, look);
  return look;
}

function compute(style: Style): Appearance {
  const classes = flagClasses(style);
  const inverse = (style.flags & INVERSE) !== 0;
  const [fg, bg] = inverse ? [style.bg, style.fg] : [style.fg, style.bg];
  if (bg !== DEFAULT_COLOUR) return look(classes, onBackground(fg, bg));
  if (inverse) return look([...classes, "inverse"], undefined);
  if (fg === DEFAULT_COLOUR) return look(classes, undefined);
  if (fg < SIXTEEN.length) return look([...classes, `fg-${fg}`], undefined);
  const own = hex(rgbOf(fg));
  return look(classes, {
    color: `light-dark(oklch(from ${own} var(--readable-light)), oklch(from ${own} var(--readable-dark)))`,
  });
}

function look(classes: readonly string[], style: CSSProperties | undefined): Appearance {
  return { className: classes.length > 0 ? classes.join(" ") : undefined, style };
}

function flagClasses({ fg, bg, flags }: Style): string[] {
  const plain = fg === DEFAULT_COLOUR && bg === DEFAULT_COLOUR && (flags & INVERSE) === 0;
  const classes: string[] = [];
  if (flags & BOLD) classes.push("bold");
  // Dim text of a colour of its own stays as bright as that colour: dimmed, it could not be read.
  if (flags & DIM && plain) classes.push("dim");
  if (flags & ITALIC) classes.push("italic");
  if (flags & UNDERLINE) classes.push("underline");
  if (flags & STRIKE) classes.push("strike");
  return classes;
}

function onBackground(fg: Colour, bg: Colour): CSSProperties {
  const ground = rgbOf(bg);
  const wished = fg === DEFAULT_COLOUR ? null : rgbOf(fg);
  const readable =
    wished !== null && contrast(wished, ground) >= CONTRAST_MIN ? wished : blackOrWhite(ground);
  return { backgroundColor: hex(ground), color: hex(readable) };
}

function blackOrWhite(ground: number): number {
  return contrast(0xffffff, ground) >= contrast(0x000000, ground) ? 0xffffff : 0x000000;
}

/** 0xRRGGBB of any colour but the default. */
function rgbOf(colour: Colour): number {
  if (colour & TRUE_COLOUR) return colour & 0xffffff;
  if (colour < SIXTEEN.length) return SIXTEEN[colour] ?? 0;
  if (colour >= 232) return (8 + (colour - 232) * 10) * 0x010101;
  const cube = colour - 16;
  const [red, green, blue] = [Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6];
  return (level(red) << 16) | (level(green) << 8) | level(blue);
}

/** A step of the palette's colour cube. */
function level(step: number): number {
  return step === 0 ? 0 : 55 + step * 40;
}

function hex(rgb: number): string {
  return `#${rgb.toString(16).padStart(6, "0")}`;
}

/** WCAG 2.2, contrast ratio. */
function contrast(one: number, other: number): number {
  const [light, dark] = [luminance(one), luminance(other)].toSorted((a, b) => b - a) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

function luminance(rgb: number): number {
  const [red, green, blue] = [rgb >> 16, (rgb >> 8) & 255, rgb & 255].map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
