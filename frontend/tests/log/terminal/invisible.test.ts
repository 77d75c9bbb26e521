import { describe, expect, it } from "vitest";
import { columnsOf, widthOf } from "../../../src/log/terminal/char-width";
import {
  INVISIBLE_COLUMNS,
  codeOf,
  hasBidi,
  invisibleParts,
  withCodes,
} from "../../../src/log/terminal/invisible";
import { PLAIN } from "../../../src/log/terminal/ansi";
import { unitsOf } from "../../../src/log/page-rows";
import { piecesOf } from "../../../src/log/terminal/row-text";

const shown = (text: string): string => withCodes(text);

describe("what cannot be seen", () => {
  it.for([
    ["\u202eabc.txt", "[U+202E]abc.txt"],
    ["if (admin\u2066)\u2069 {", "if (admin[U+2066])[U+2069] {"],
    ["a\u200bb", "a[U+200B]b"],
    ["\u200e\u200f\u061c", "[U+200E][U+200F][U+061C]"],
    ["\u202a\u202b\u202c\u202d\u2067\u2068", "[U+202A][U+202B][U+202C][U+202D][U+2067][U+2068]"],
    ["a\u200cb\u200dc", "a[U+200C]b[U+200D]c"],
    ["soft\u00adhyphen", "soft[U+00AD]hyphen"],
    ["\ufeffconst a", "[U+FEFF]const a"],
    ["a\u2060b\u2063c\u206fd", "a[U+2060]b[U+2063]c[U+206F]d"],
    ["x\u3164y\uffa0z\u115f", "x[U+3164]y[U+FFA0]z[U+115F]"],
    ["a\u2028b\u2029c", "a[U+2028]b[U+2029]c"],
    ["ignore\u{e0041}\u{e0042}", "ignore[U+E0041][U+E0042]"],
    ["a\ufe0eb", "a[U+FE0E]b"],
    ["☺\ufe0f\ufe0e\ufe01", "☺\ufe0f[U+FE0E][U+FE01]"],
    ["a\u{e0100}", "a[U+E0100]"],
    ["a\rb\r", "a[U+000D]b\r"],
    ["a\x1b[31mb\x00\x7f", "a[U+001B][31mb[U+0000][U+007F]"],
  ])("%j is shown as %s", ([text = "", expected]) => expect(shown(text)).toBe(expected));

  it.for([
    "plain text",
    "a\tb",
    "a line that ends with CR\r",
    "a command\nof\r\nlines",
    "naïve café, 漢字, עברית, العربية, हिन्दी",
    "می\u200cخواهم", // the joiner is a part of the word
    "क्\u200dष",
    "👨\u200d👩\u200d👧 👍🏽 ❤\ufe0f\u200d🔥 1\ufe0f\u20e3 ©\ufe0f",
    "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
    "e\u0301",
    "no\u00a0break",
  ])("%j is as it was", (text) => {
    expect(invisibleParts(text)).toBeNull();
  });

  it("the parts joined are the text", () => {
    const text = "a\u202eb\u{e0041}\u200b👨\u200d👩";
    const parts = invisibleParts(text) ?? [];
    expect(parts.map((part) => part.text).join("")).toBe(text);
    expect(parts.every((part) => part.text !== "")).toBe(true);
  });

  it("long texts of many take linear time", () => {
    for (const character of ["\u200b", "\u{e0041}", "\u200d", "\ufe0f"])
      expect(invisibleParts(character.repeat(200_000))?.length).toBeGreaterThan(100_000);
  });

  it("codes are written as people write them", () => {
    expect([codeOf("\u202e"), codeOf("\0"), codeOf("\u{e0041}")]).toEqual(["U+202E", "U+0000", "U+E0041"]);
    expect([hasBidi("a\u2066"), hasBidi("a\u200b")]).toEqual([true, false]);
  });
});

describe("in a line of a log", () => {
  it("an invisible character is a piece of its own, and the pieces joined are the text", () => {
    const pieces = piecesOf({ text: "\u202eabc \x1b[31mred\u2066\x1b[0m.", style: PLAIN }, false);
    expect(pieces.map((piece) => piece.text).join("")).toBe("\u202eabc red\u2066.");
    expect(pieces.filter((piece) => piece.isInvisible).map((piece) => piece.text)).toEqual([
      "\u202e",
      "\u2066",
    ]);
  });

  it("its box makes a wrapped line higher, and a terminal's cursor does not move by it", () => {
    expect(unitsOf("ab".repeat(5), 10)).toBe(1);
    expect(unitsOf(`${"ab".repeat(5)}\u202e`, 10)).toBe(1 + Math.ceil(INVISIBLE_COLUMNS / 10));
    expect(columnsOf("a\u202eb")).toBe(2);
    expect(widthOf("\u202e")).toBe(0);
  });
});
