/**
 * Terminal text to spans of text with a style. No markup is ever made of it: a span's text stays text.
 *
 * Understood: SGR (ECMA-48 8.3.117) with 16, 256 and true colours, in the `;` and the `:` form, carried from line
 * to line; a carriage return, which starts the line over, so that a progress bar shows its last state. Every other
 * escape sequence is left out of the text, and a control character without a meaning here is shown as its picture
 * (U+2400 and on), so that nothing in a log is invisible.
 *
 * Decided against: a terminal emulator. It keeps a cell per character and a screen per log, where a reader wants
 * lines, any of a million of them at once, and a row costs nothing until it is looked at.
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
}

export const PLAIN: Style = { fg: DEFAULT_COLOUR, bg: DEFAULT_COLOUR, flags: 0 };

export interface Span {
  readonly text: string;
  readonly style: Style;
}

export function sameStyle(one: Style, other: Style): boolean {
  return one === other || (one.fg === other.fg && one.bg === other.bg && one.flags === other.flags);
}

/** The style behind the last character of `text`, begun in `style`. */
export function styleAfter(text: string, style: Style): Style {
  if (!text.includes("\x1b")) return style;
  let current = style;
  for (const match of text.matchAll(ESCAPE)) {
    if (match[2] === "m") current = applySgr(match[1] ?? "", current);
  }
  return current;
}

/** The spans of one line, begun in `style`. Neighbouring spans differ in style; none is empty. */
export function spansOf(text: string, style: Style): readonly Span[] {
  if (!hasControls(text)) return text === "" ? [] : [{ text, style }];
  const line = new OverwritableLine();
  let current = style;
  let from = 0;
  for (const match of text.matchAll(ESCAPE)) {
    line.write(text.slice(from, match.index), current);
    if (match[2] === "m") current = applySgr(match[1] ?? "", current);
    from = match.index + match[0].length;
  }
  line.write(text.slice(from), current);
  return line.spans;
}

/** The text as it is shown, without styles. */
export function plainText(text: string): string {
  if (!hasControls(text)) return text;
  return spansOf(text, PLAIN)
    .map((span) => span.text)
    .join("");
}

/**
 * One escape sequence: a CSI (its parameters in group 1, its final byte in group 2); a string (OSC, DCS, SOS, PM,
 * APC) up to its end; another; or a lone ESC. A string that does not end on this line is not taken for one, or
 * the rest of the line would vanish. Each part excludes what ends it, so that the time is linear.
 */
const ESCAPE =
  /\x1b(?:\[([0-?]*)[ -/]*([@-~])|[\]PX^_][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)|[ -/]+[0-~]|[0-OQ-WYZ\\`-~])?/g;

// oxlint-disable-next-line no-control-regex
const CONTROLS = /[\x00-\x08\x0a-\x1f\x7f-\x9f]/;
// oxlint-disable-next-line no-control-regex
const UNPRINTABLE = /[\x00-\x08\x0a-\x1f\x7f-\x9f]/g;

function hasControls(text: string): boolean {
  return CONTROLS.test(text);
}

/** A line that a carriage return starts over, once text follows it: a return at the end leaves what it stands behind. */
class OverwritableLine {
  spans: Span[] = [];
  #returned = false;

  write(raw: string, style: Style): void {
    for (const [at, part] of raw.split("\r").entries()) {
      this.#returned ||= at > 0;
      if (part !== "") this.#add(part.replace(UNPRINTABLE, picture), style);
    }
  }

  #add(text: string, style: Style): void {
    if (this.#returned) this.spans = [];
    this.#returned = false;
    const last = this.spans.at(-1);
    if (last && sameStyle(last.style, style))
      this.spans[this.spans.length - 1] = { text: last.text + text, style };
    else this.spans.push({ text, style });
  }
}

function picture(control: string): string {
  const code = control.charCodeAt(0);
  if (code === 0x7f) return "\u2421";
  return code < 0x20 ? String.fromCharCode(0x2400 + code) : "\ufffd";
}

function applySgr(parameters: string, style: Style): Style {
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
  if (code === 0) return PLAIN;
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
