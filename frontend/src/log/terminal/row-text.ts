/**
 * The text of a row as pieces to draw: cut where the style changes, where a link begins or ends, and at the pictures of
 * control characters.
 *
 * What a reader sees of a row is one string (`plainOf`); search, marks and copying are about that string, and the pieces
 * joined are that string.
 */
import { PLAIN, type Span, type Style, plainText, rawText, spansOf } from "./ansi";
import { isPicture } from "./char-width";
import { invisibleParts } from "./invisible";
import { linksIn } from "./links";

/** What of a row the text depends on. */
export interface RowText {
  readonly text: string;
  readonly style: Style;
}

export interface Piece {
  readonly text: string;
  readonly style: Style;
  /** Where it leads: an address that the text itself shows, or one that a program put behind it. */
  readonly link: { readonly href: string; readonly isHidden: boolean } | null;
  /** Whether it is the picture of a control character. */
  readonly isPicture: boolean;
  /** Whether it is one invisible character, for which a box is drawn. */
  readonly isInvisible: boolean;
}

/** Characters of a row drawn at once: many screens wide. One line of a megabyte would freeze the page's layout. */
export const LENGTH_SHOWN = 4_000;

/** Characters of a text that are looked at for those: most of them may be colours. */
const LENGTH_READ = 4 * LENGTH_SHOWN;

/** The text as it is read: what search looks through, and what is copied. */
export function plainOf({ text }: RowText, raw: boolean): string {
  return raw ? rawText(text) : plainText(text);
}

/** What is drawn of a row, as one string: what its height and its width are reckoned by. */
export function shownOf(row: RowText, raw: boolean, length: number = LENGTH_SHOWN): string {
  return shownSpans(row, raw, length)
    .map((span) => span.text)
    .join("");
}

/** The pieces of a row, up to `length` characters. Neighbours differ; none is empty. */
export function piecesOf(row: RowText, raw: boolean, length: number = LENGTH_SHOWN): readonly Piece[] {
  const spans = raw
    ? rawSpans(row.text, length)
    : firstOf(spansOf(head(row.text, length), row.style), length);
  const found = linksIn(spans.map((span) => span.text).join(""));
  const pieces: Piece[] = [];
  let at = 0;
  let next = 0;
  for (const { text, style } of spans) {
    const end = at + text.length;
    while (at < end) {
      while ((found[next]?.end ?? Number.POSITIVE_INFINITY) <= at) next += 1;
      const link = found[next];
      const inside = link !== undefined && link.start <= at;
      const until = Math.min(end, link ? (inside ? link.end : link.start) : end);
      const shown = inside ? { href: link.link, isHidden: false } : null;
      const hidden = style.link === undefined ? null : { href: style.link, isHidden: true };
      addPieces(
        pieces,
        text.slice(at - end + text.length, until - end + text.length),
        style,
        hidden ?? shown,
      );
      at = until;
    }
  }
  return pieces;
}

/** Pictures of control characters and invisible ones are pieces of their own: each has a place of its own width. */
function addPieces(pieces: Piece[], text: string, style: Style, link: Piece["link"]): void {
  for (const part of text.split(PICTURE))
    for (const { text, isInvisible } of invisibleParts(part) ?? [{ text: part, isInvisible: false }])
      if (text !== "")
        pieces.push({ text, style, link, isPicture: isPicture(text.charCodeAt(0)), isInvisible });
}

const PICTURE = /([\u2400-\u2421])/;

function shownSpans(row: RowText, raw: boolean, length: number): readonly Span[] {
  return raw ? rawSpans(row.text, length) : firstOf(spansOf(head(row.text, length), row.style), length);
}

function rawSpans(text: string, length: number): readonly Span[] {
  const shown = rawText(text.slice(0, length));
  return shown === "" ? [] : [{ text: shown, style: PLAIN }];
}

/** So much of a text as is needed for `length` characters of it; not cut within a control sequence. */
function head(text: string, length: number): string {
  if (length !== LENGTH_SHOWN || text.length <= LENGTH_READ) return text;
  const start = text.slice(0, LENGTH_READ);
  const escape = start.lastIndexOf("\x1b");
  return escape > LENGTH_SHOWN ? start.slice(0, escape) : start;
}

function firstOf(spans: readonly Span[], length: number): readonly Span[] {
  const first: Span[] = [];
  let left = length;
  for (const span of spans) {
    if (left <= 0) break;
    first.push(span.text.length > left ? { ...span, text: span.text.slice(0, left) } : span);
    left -= span.text.length;
  }
  return first;
}
