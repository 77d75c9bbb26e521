/**
 * How many columns a text takes in a terminal: two for East Asian wide characters and emoji, none for combining marks,
 * one for the rest.
 *
 * The wide ones are a table (Unicode 14, East_Asian_Width W and F, joined over what is not assigned), as no engine knows
 * them by a name; the marks are asked of the engine, which does.
 */
/** Columns between two tab stops; `tab-size` in log.css. */
export const TAB_COLUMNS = 8;

/** The columns of a text without control characters; a tab goes to the next stop. */
export function columnsOf(plain: string): number {
  if (PRINTABLE_ASCII.test(plain)) return plain.length;
  let columns = 0;
  for (const character of plain)
    columns += character === "\t" ? TAB_COLUMNS - (columns % TAB_COLUMNS) : widthOf(character);
  return columns;
}

/** The columns of one character (a code point): 0, 1 or 2. */
export function widthOf(character: string): 0 | 1 | 2 {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x300) return code === 0xad ? 0 : 1;
  if (isPicture(code)) return 2;
  if (code >= 0x1160 && code <= 0x11ff) return 0; // the later parts of a Hangul syllable
  if (code < 0x1100 || !isWide(code)) return ZERO_WIDTH.test(character) ? 0 : 1;
  return ZERO_WIDTH.test(character) ? 0 : 2;
}

/** Whether the code point is the picture of a control character. */
export function isPicture(code: number): boolean {
  return code >= 0x2400 && code <= 0x2421;
}

const PRINTABLE_ASCII = /^[ -~]*$/;
const ZERO_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}]/u;

/** Whether a range holds the code point, by binary search. */
function isWide(code: number): boolean {
  let low = 0;
  let high = WIDE.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((WIDE[middle]?.[0] ?? 0) <= code) low = middle;
    else high = middle - 1;
  }
  const [first, last] = WIDE[low] ?? [1, 0];
  return first <= code && code <= last;
}

const WIDE: readonly (readonly [first: number, last: number])[] = (
  "1100-115f 231a-231b 2329-232a 23e9-23ec 23f0-23f0 23f3-23f3 25fd-25fe 2614-2615 2648-2653 267f-267f 2693-2693 " +
  "26a1-26a1 26aa-26ab 26bd-26be 26c4-26c5 26ce-26ce 26d4-26d4 26ea-26ea 26f2-26f3 26f5-26f5 26fa-26fa 26fd-26fd " +
  "2705-2705 270a-270b 2728-2728 274c-274c 274e-274e 2753-2755 2757-2757 2795-2797 27b0-27b0 27bf-27bf 2b1b-2b1c " +
  "2b50-2b50 2b55-2b55 2e80-303e 3041-3247 3250-4dbf 4e00-a4c6 a960-a97c ac00-d7a3 f900-fad9 fe10-fe6b ff01-ff60 " +
  "ffe0-ffe6 16fe0-1b2fb 1f004-1f004 1f0cf-1f0cf 1f18e-1f18e 1f191-1f19a 1f200-1f320 1f32d-1f335 1f337-1f37c " +
  "1f37e-1f393 1f3a0-1f3ca 1f3cf-1f3d3 1f3e0-1f3f0 1f3f4-1f3f4 1f3f8-1f43e 1f440-1f440 1f442-1f4fc 1f4ff-1f53d " +
  "1f54b-1f54e 1f550-1f567 1f57a-1f57a 1f595-1f596 1f5a4-1f5a4 1f5fb-1f64f 1f680-1f6c5 1f6cc-1f6cc 1f6d0-1f6d2 " +
  "1f6d5-1f6df 1f6eb-1f6ec 1f6f4-1f6fc 1f7e0-1f7f0 1f90c-1f93a 1f93c-1f945 1f947-1f9ff 1fa70-1faf6 20000-3fffd"
)
  .split(" ")
  .map((range) => range.split("-").map((end) => Number.parseInt(end, 16)) as [number, number]);
