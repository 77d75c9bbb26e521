/**
 * Terminal text to spans of text with a style. No markup is ever made of it: a span's text stays text.
 *
 * Colours (`text-style`) and links (`links`) are understood; a line that is drawn over itself shows its last state
 * (`terminal-row`); every other escape sequence is left out of the text, and a control character without a meaning here is
 * shown as its picture, so that nothing in a log is invisible. What moves over several lines is `terminal-lines`.
 *
 * Decided against: a terminal emulator. It keeps a cell per character and a screen per log, where a reader wants
 * lines, any of a million of them at once, and a row costs nothing until it is looked at.
 */
import { hasControls, readText, withPictures } from "./escapes";
import { drawn, isDrawnOver, withoutReturns } from "./terminal-row";
import { PLAIN, type Style, sameStyle } from "./text-style";

export { columnsOf } from "./char-width";
export { styleAfter } from "./escapes";
export {
  BOLD,
  type Colour,
  DEFAULT_COLOUR,
  DIM,
  INVERSE,
  ITALIC,
  PLAIN,
  STRIKE,
  type Style,
  TRUE_COLOUR,
  UNDERLINE,
  sameStyle,
} from "./text-style";

export interface Span {
  readonly text: string;
  readonly style: Style;
}

/** The spans of one line, begun in `style`. Neighbouring spans differ in style; none is empty. */
export function spansOf(text: string, style: Style): readonly Span[] {
  if (!hasControls(text)) return text === "" ? [] : [{ text, style }];
  const line = withoutReturns(text);
  const flat = isDrawnOver(line) ? drawn(line, style) : { text: line, style };
  const spans: Span[] = [];
  readText(flat.text, flat.style, { onText: (part, style) => add(spans, withPictures(part), style) });
  return spans;
}

function add(spans: Span[], text: string, style: Style): void {
  const last = spans.at(-1);
  if (last && sameStyle(last.style, style)) spans[spans.length - 1] = { text: last.text + text, style };
  else spans.push({ text, style });
}

/** The text as it is shown, without styles. */
export function plainText(text: string): string {
  if (!hasControls(text)) return text;
  return spansOf(text, PLAIN)
    .map((span) => span.text)
    .join("");
}

/** The text as it came, with every control character but the tab as a picture. */
export function rawText(text: string): string {
  return hasControls(text) ? withPictures(text) : text;
}
