/**
 * Characters that cannot be seen and change what is read: they reorder what stands around them (CVE-2021-42574, "Trojan
 * Source"), or make two texts look alike. They are shown as boxes with their code, as code forges and editors do.
 *
 * Taken are the controls of direction and format (general category Cf), fillers that are letters without a shape, line
 * and paragraph separators, control characters but tabs, and variation selectors. Joiners, selectors and tags are left
 * alone where they are of use: within emoji, and behind letters of scripts that join.
 *
 * Where two neighbours of a text are concerned, `invisibleParts` decides; `widthOf` in char-width.ts is what a terminal
 * says, and knows nothing of boxes.
 */

/** How wide a box is drawn: `.invisible` in base.css. */
export const INVISIBLE_COLUMNS = 7;

/** The first look, which nearly every text ends with. */
const SUSPECT = new RegExp(
  "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e" +
    "\\u2060-\\u206f\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff9-\\ufffb\\u{e0000}-\\u{e0fff}]",
  "u",
);

const INVISIBLE = new RegExp(
  [
    // A line feed can be seen, and a carriage return at the end of a line is a part of its ending.
    "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]|\\r(?!\\n|$)",
    "[\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u3164\\ufeff\\uffa0\\ufff9-\\ufffb]",
    // Joiners: behind letters of other scripts, emoji and their selectors they are of use.
    "(?<![\\u0250-\\u1fff\\u2100-\\ufe0f\\u{10000}-\\u{dffff}])[\\u200c\\u200d]",
    // Variation selectors: one behind a letter, sign or digit that has variants.
    "(?<![\\u00a9\\u00ae\\u203c\\u2049\\u2100-\\ud7ff\\u{10000}-\\u{dffff}#*0-9])[\\ufe00-\\ufe0f]",
    "(?<![\\u1820-\\u18aa])[\\u180b-\\u180d\\u180f]",
    // Tags spell the flags of regions behind a black flag, six at most, and nothing elsewhere.
    "(?<!\\u{1f3f4}[\\u{e0020}-\\u{e007f}]{0,6})[\\u{e0000}-\\u{e0fff}]",
  ].join("|"),
  "gu",
);

const BIDI = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;

export interface Part {
  readonly text: string;
  /** Whether it is one invisible character. */
  readonly isInvisible: boolean;
}

/** The text cut at its invisible characters, none of the parts empty; `null`, which is nearly always: it has none. */
export function invisibleParts(text: string): readonly Part[] | null {
  if (!SUSPECT.test(text)) return null;
  const parts: Part[] = [];
  let at = 0;
  for (const { 0: character, index } of text.matchAll(INVISIBLE)) {
    if (index > at) parts.push({ text: text.slice(at, index), isInvisible: false });
    parts.push({ text: character, isInvisible: true });
    at = index + character.length;
  }
  if (parts.length === 0) return null;
  if (at < text.length) parts.push({ text: text.slice(at), isInvisible: false });
  return parts;
}

/** How many invisible characters a text has. */
export const invisibleCount = (text: string): number =>
  invisibleParts(text)?.filter((part) => part.isInvisible).length ?? 0;

/** The columns that the boxes of a text take, beside its other characters. */
export const boxColumns = (text: string): number => invisibleCount(text) * INVISIBLE_COLUMNS;

/** Whether a text has characters that reorder what is read. */
export const hasBidi = (text: string): boolean => BIDI.test(text);

/** As people write it: `U+202E`. */
export const codeOf = (character: string): string =>
  `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;

/** What is said of one where it is pointed at. */
export const describe = (character: string): string =>
  `${codeOf(character)}, ${BIDI.test(character) ? "changes the direction of text" : "an invisible character"}`;

/** The text with codes in place of invisible characters, for titles, which can hold no boxes. */
export const withCodes = (text: string): string =>
  invisibleParts(text)
    ?.map((part) => (part.isInvisible ? `[${codeOf(part.text)}]` : part.text))
    .join("") ?? text;
