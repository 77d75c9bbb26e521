import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  BOLD,
  DIM,
  INVERSE,
  PLAIN,
  type Style,
  TRUE_COLOUR,
  UNDERLINE,
  plainText,
  sameStyle,
  spansOf,
  styleAfter,
} from "../../../src/log/terminal/ansi";

const E = "\x1b";

function check(text: string, ...spans: readonly (readonly [text: string, style?: Partial<Style>])[]): void {
  expect(spansOf(text, PLAIN)).toEqual(
    spans.map(([text, style]) => ({ text, style: { ...PLAIN, ...style } })),
  );
}

describe("colours", () => {
  it("of the sixteen", () => {
    check(`${E}[31mred${E}[0m plain`, ["red", { fg: 1 }], [" plain"]);
    check(`${E}[1;92;44mx`, ["x", { fg: 10, bg: 4, flags: BOLD }]);
    check(`${E}[107mx${E}[49my`, ["x", { bg: 15 }], ["y"]);
    check(`${E}[33mx${E}[my`, ["x", { fg: 3 }], ["y"]);
  });

  it("of the palette and true ones, in both forms", () => {
    check(`${E}[38;5;208mx`, ["x", { fg: 208 }]);
    check(`${E}[38:5:208mx`, ["x", { fg: 208 }]);
    check(`${E}[48;2;1;2;3;1mx`, ["x", { bg: TRUE_COLOUR | 0x010203, flags: BOLD }]);
    check(`${E}[38:2::255:0:16mx`, ["x", { fg: TRUE_COLOUR | 0xff0010 }]);
    check(`${E}[38:2:255:0:16mx`, ["x", { fg: TRUE_COLOUR | 0xff0010 }]);
    check(`${E}[58;5;9;31mx`, ["x", { fg: 1 }]);
    check(`${E}[38;5;999mx`, ["x"]);
  });

  it("attributes are set and cleared apart", () => {
    check(
      `${E}[1;2;4;7mx${E}[22my${E}[24mz${E}[4:3mw${E}[4:0mv`,
      ["x", { flags: BOLD | DIM | UNDERLINE | INVERSE }],
      ["y", { flags: UNDERLINE | INVERSE }],
      ["z", { flags: INVERSE }],
      ["w", { flags: INVERSE | UNDERLINE }],
      ["v", { flags: INVERSE }],
    );
  });

  it("carry from one line to the next", () => {
    const first = styleAfter(`${E}[32mbegun`, PLAIN);
    expect(spansOf("goes on", first)).toEqual([{ text: "goes on", style: { ...PLAIN, fg: 2 } }]);
    expect(styleAfter(`ends${E}[0m`, first)).toEqual(PLAIN);
  });
});

describe("everything else", () => {
  it("is left out of the text where it is an escape sequence", () => {
    check(`a${E}[2Jb${E}[1;5Hc${E}(Bd${E}7e${E}]0;title\x07f${E}P+q${E}\\g`, ["abcdefg"]);
    check(`${E}[>4;2m${E}[?25lx`, ["x"]);
  });

  it("never swallows the rest of a line", () => {
    check(`a${E}]0;a title without an end`, ["a]0;a title without an end"]);
    check(`a${E}[`, ["a["]);
    check(`a${E}`, ["a"]);
  });

  it("is shown as a picture where it is another control character", () => {
    check("a\0b\x07c\x7fd\x9be", ["a␀b␇c␡d\ufffde"]);
    check("tab\tstays", ["tab\tstays"]);
  });

  it("stays text, whatever it looks like", () => {
    check("<img src=x onerror=alert(1)>", ["<img src=x onerror=alert(1)>"]);
  });
});

describe("a carriage return", () => {
  it("starts the line over", () => {
    check("10%\r50%\r100%", ["100%"]);
    check("done\r", ["done"]);
    check(`10%\r100%\r${E}[0m\r`, ["100%"]);
    check(`${E}[32m10%\r100%`, ["100%", { fg: 2 }]);
  });
});

const piece = fc.oneof(
  fc.string({ maxLength: 5 }),
  fc.constantFrom(
    `${E}[31m`,
    `${E}[0m`,
    `${E}[1;48;5;20m`,
    `${E}[38;2;1;2;3m`,
    `${E}[K`,
    `${E}]0;t\x07`,
    E,
    "[",
    "\r",
    "m",
    "😀",
  ),
);
const line = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(""));

describe("for any text", () => {
  it("no escape and no control character is left, neighbouring spans differ, none is empty", () => {
    fc.assert(
      fc.property(line, (text) => {
        const spans = spansOf(text, PLAIN);
        // oxlint-disable-next-line no-control-regex
        for (const span of spans) expect(span.text).toMatch(/^[^\x00-\x08\x0a-\x1f\x7f-\x9f]+$/u);
        for (const [at, span] of spans.slice(1).entries())
          expect(sameStyle(span.style, spans[at]?.style ?? PLAIN)).toBe(false);
        expect(plainText(text)).toBe(spans.map((span) => span.text).join(""));
      }),
      { numRuns: 500 },
    );
  });

  it("the style behind a line is where the next one begins: cutting a text at a newline changes no colour", () => {
    fc.assert(
      fc.property(line, line, (one, other) => {
        const [a, b] = [one, other].map((text) => text.replaceAll("\r", "").replaceAll(E, "\x1b"));
        if (a === undefined || b === undefined || a.endsWith(E) || /\x1b[^m\x07]*$/.test(a)) return;
        expect(styleAfter(b, styleAfter(a, PLAIN))).toEqual(styleAfter(`${a}\n${b}`, PLAIN));
      }),
      { numRuns: 500 },
    );
  });

  it("takes time in proportion to its length", () => {
    for (const unit of [`${E}]`, `${E}[`, `${E}[3`, "\r", `${E}P1`, `\r${E}[0m`]) {
      const began = performance.now();
      spansOf(unit.repeat(20_000), PLAIN);
      expect(performance.now() - began).toBeLessThan(1500);
    }
  });
});
