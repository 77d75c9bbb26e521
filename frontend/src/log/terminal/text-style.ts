/**
 * How terminal text looks: colours, weight, a link; and the control sequences that set it.
 *
 * Understood: SGR (ECMA-48 8.3.117) with 16, 256 and true colours, in the `;` and the `:` form. A link (OSC 8) is a part
 * of the style, since it lasts as a colour does, over the end of a line; a reset of the colours does not end it.
 */

/** A colour: -1 the default, 0–255 of the palette, or `TRUE_COLOUR | 0xRRGGBB`. */
export type Colour = number;
export const DEFAULT_COLOUR: Colour = -1;
export const TRUE_COLOUR = 0x1000000;

export const BOLD = 1;
export const DIM = 2;
export const ITALIC = 4;
export const UNDERLINE = 8;
export const INVERSE = 16;
export const STRIKE = 32;

/** How text looks. Immutable; compare with `sameStyle`. `flags` is a sum of the constants above. */
export interface Style {
  readonly fg: Colour;
  readonly bg: Colour;
  readonly flags: number;
  /** Where the text leads: an address that `safeLink` let through. */
  readonly link?: string;
}

export const PLAIN: Style = { fg: DEFAULT_COLOUR, bg: DEFAULT_COLOUR, flags: 0 };

export function sameStyle(one: Style, other: Style): boolean {
  if (one === other) return true;
  return one.fg === other.fg && one.bg === other.bg && one.flags === other.flags && one.link === other.link;
}

/** The style with a link, or without one. */
export function withLink(style: Style, link: string | null): Style {
  if (link !== null) return { ...style, link };
  if (style.link === undefined) return style;
  const { fg, bg, flags } = style;
  return { fg, bg, flags };
}

/** The style after `CSI parameters m`. */
export function applySgr(parameters: string, style: Style): Style {
  // A private sequence such as CSI > 4 ; 2 m sets a keyboard's mode, not a colour.
  if (/[<=>?]/.test(parameters)) return style;
  const parts = parameters.split(";");
  let next = style;
  for (let at = 0; at < parts.length; at += 1) {
    const part = parts[at] ?? "";
    const [code, ...rest] = part.split(":").map(Number);
    if (code === 38 || code === 48 || code === 58) {
      const colon = part.includes(":");
      const colour = colon ? colourOf(withoutSpace(rest)) : colourOf(parts.slice(at + 1, at + 5).map(Number));
      if (!colon) at += colour.taken;
      if (colour.value !== null && code !== 58)
        next = withColour(next, code === 38 ? "fg" : "bg", colour.value);
    } else next = code === 4 && rest[0] === 0 ? withFlags(next, 0, UNDERLINE) : applyCode(code ?? 0, next);
  }
  return next;
}

/** The control sequences that turn one style into another; for a text whose styles were computed. */
export function sequenceTo(style: Style, from: Style): string {
  const link = style.link === from.link ? "" : `\x1b]8;;${style.link ?? ""}\x1b\\`;
  if (style.fg === from.fg && style.bg === from.bg && style.flags === from.flags) return link;
  const flags = SGR_OF_FLAGS.filter(([flag]) => style.flags & flag).map(([, code]) => `;${code}`);
  return `${link}\x1b[0${flags.join("")}${colourCode(style.fg, 30)}${colourCode(style.bg, 40)}m`;
}

const SGR_OF_FLAGS = [
  [BOLD, 1],
  [DIM, 2],
  [ITALIC, 3],
  [UNDERLINE, 4],
  [INVERSE, 7],
  [STRIKE, 9],
] as const;

/** `base` is 30 for text, 40 for what is behind it. */
function colourCode(colour: Colour, base: 30 | 40): string {
  if (colour === DEFAULT_COLOUR) return "";
  if (colour < 8) return `;${base + colour}`;
  if (colour < 256) return `;${base + 8};5;${colour}`;
  return `;${base + 8};2;${(colour >> 16) & 255};${(colour >> 8) & 255};${colour & 255}`;
}

/** `38:2::r:g:b` names a colour space between; `38:2:r:g:b` does not. */
function withoutSpace(rest: readonly number[]): readonly number[] {
  return rest[0] === 2 && rest.length > 4 ? [2, ...rest.slice(2)] : rest;
}

function colourOf(args: readonly number[]): { value: Colour | null; taken: number } {
  const [kind, one = 0, two = 0, three = 0] = args;
  if (kind === 5) return { value: isByte(one) ? one : null, taken: 2 };
  if (kind !== 2) return { value: null, taken: 0 };
  const sound = isByte(one) && isByte(two) && isByte(three);
  return { value: sound ? TRUE_COLOUR | (one << 16) | (two << 8) | three : null, taken: 4 };
}

function isByte(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 255;
}

function applyCode(code: number, style: Style): Style {
  if (code === 0) return style.link === undefined ? PLAIN : { ...PLAIN, link: style.link };
  if (code >= 30 && code <= 37) return withColour(style, "fg", code - 30);
  if (code >= 90 && code <= 97) return withColour(style, "fg", code - 90 + 8);
  if (code >= 40 && code <= 47) return withColour(style, "bg", code - 40);
  if (code >= 100 && code <= 107) return withColour(style, "bg", code - 100 + 8);
  if (code === 39) return withColour(style, "fg", DEFAULT_COLOUR);
  if (code === 49) return withColour(style, "bg", DEFAULT_COLOUR);
  const [on, off] = FLAG_CODES[code] ?? [0, 0];
  return on === 0 && off === 0 ? style : withFlags(style, on, off);
}

/** SGR code to the flags that it sets and clears. */
const FLAG_CODES: Readonly<Record<number, readonly [number, number]>> = {
  1: [BOLD, 0],
  2: [DIM, 0],
  3: [ITALIC, 0],
  4: [UNDERLINE, 0],
  7: [INVERSE, 0],
  9: [STRIKE, 0],
  21: [UNDERLINE, 0],
  22: [0, BOLD | DIM],
  23: [0, ITALIC],
  24: [0, UNDERLINE],
  27: [0, INVERSE],
  29: [0, STRIKE],
};

function withColour(style: Style, ground: "fg" | "bg", colour: Colour): Style {
  return { ...style, [ground]: colour };
}

function withFlags(style: Style, on: number, off: number): Style {
  return { ...style, flags: (style.flags | on) & ~off };
}
