/** Columns, links in a text and behind it, raw text. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PLAIN, columnsOf, plainText, rawText, spansOf, styleAfter } from "../../../src/log/terminal/ansi";
import { LINKS_MAX, LINK_CHARS_MAX, linksIn, safeLink } from "../../../src/log/terminal/links";
import { sameStyle, sequenceTo } from "../../../src/log/terminal/text-style";

const E = "\x1b";

describe("columns", () => {
  it.each([
    ["", 0],
    ["plain text", 10],
    ["漢字かな", 8],
    ["한국어", 6],
    ["ｆｕｌｌ", 8],
    ["e\u0301t\u00e9", 3],
    ["😀✅", 4],
    ["→ █▌ ␛", 7],
    ["a\tb", 9],
    ["1234567\t8", 9],
    ["12345678\t9", 17],
    ["漢\t字", 10],
    ["a\u200db\ufeff", 2],
    ["\ud800", 1],
  ])("of %j are %i", (text, columns) => {
    expect(columnsOf(text)).toBe(columns);
  });
});

describe("addresses that may be links", () => {
  it.each([
    "https://example.org/a?b=c#d",
    "http://127.0.0.1:8765/jobs/1",
    "HTTPS://EXAMPLE.ORG/",
    "https://[::1]:8080/x",
    "https://münchen.example/ü",
  ])("%s", (address) => {
    expect(safeLink(address)).toBe(new URL(address).href);
  });

  it.each([
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "ftp://example.org/",
    "blob:https://example.org/1",
    "//example.org/",
    "/jobs/1",
    "https:example.org",
    "https://",
    "https://user:password@example.org/",
    "https://bank.example@evil.example/",
    "https://example.org\\@evil.example/",
    "https://exa\u0000mple.org/",
    "https://example.org/\u0007",
    "https://example.org/\u009b",
    "https://example.org/a b",
    "java\nscript:alert(1)",
    " https://example.org/",
    `https://example.org/${"x".repeat(LINK_CHARS_MAX)}`,
  ])("not %j", (address) => {
    expect(safeLink(address)).toBeNull();
  });

  it("are never any but http and https, whatever the text", () => {
    const any = fc.oneof(
      fc.webUrl(),
      fc.string(),
      fc.string().map((text) => `https://${text}`),
      fc.string().map((text) => `javascript:${text}`),
    );
    fc.assert(
      fc.property(any, (address) => {
        const link = safeLink(address);
        if (link === null) return;
        const { protocol, username, password } = new URL(link);
        expect(["http:", "https:"]).toContain(protocol);
        expect(username + password).toBe("");
      }),
    );
  });
});

describe("addresses within a text", () => {
  const found = (text: string): readonly string[] =>
    linksIn(text).map(({ start, end }) => text.slice(start, end));

  it("end where the sentence goes on", () => {
    expect(found("see https://example.org/a.")).toEqual(["https://example.org/a"]);
    expect(found("(https://example.org/a), then")).toEqual(["https://example.org/a"]);
    expect(found("https://example.org/wiki/A_(b)?")).toEqual(["https://example.org/wiki/A_(b)"]);
    expect(found('"https://example.org/a","b"')).toEqual(["https://example.org/a"]);
    expect(found("<http://a.example>; <http://b.example>")).toEqual(["http://a.example", "http://b.example"]);
  });

  it("are none where they are not safe, and no text has too many", () => {
    expect(found("javascript://example.org/%0aalert(1) https://me:secret@example.org/x")).toEqual([]);
    expect(linksIn("http://a.example ".repeat(10_000)).length).toBe(LINKS_MAX);
  });

  it("take time in proportion to the text", () => {
    for (const unit of [
      "http://",
      "https://a)",
      "https://a.example/((((",
      "://",
      "https://x.example/.....",
    ]) {
      const began = performance.now();
      linksIn(unit.repeat(50_000));
      expect(performance.now() - began).toBeLessThan(1_500);
    }
  });
});

describe("links behind a text (OSC 8)", () => {
  const open = (address: string, parameters = ""): string => `${E}]8;${parameters};${address}${E}\\`;
  const links = (text: string): readonly (readonly [string, string | undefined])[] =>
    spansOf(text, PLAIN).map((span) => [span.text, span.style.link]);

  it("lead where they say, until they end", () => {
    expect(links(`a ${open("https://example.org/x")}link${open("")} b`)).toEqual([
      ["a ", undefined],
      ["link", "https://example.org/x"],
      [" b", undefined],
    ]);
    expect(links(`${E}]8;id=1;http://example.org/\x07bell${E}]8;;\x07.`)).toEqual([
      ["bell", "http://example.org/"],
      [".", undefined],
    ]);
    expect(links(`${open("https://example.org/?a;b")}x`)).toEqual([["x", "https://example.org/?a;b"]]);
  });

  it("outlast a change of colour, and the end of a line", () => {
    const style = styleAfter(`${open("https://example.org/")}${E}[31mone${E}[0m`, PLAIN);
    expect(style.link).toBe("https://example.org/");
    expect(sameStyle(styleAfter(open(""), style), PLAIN)).toBe(true);
  });

  it("that are not safe are text", () => {
    for (const address of [
      "javascript:alert(1)",
      "data:text/html,x",
      "https://a:b@example.org/",
      "file:///etc/passwd",
    ])
      expect(links(`${open(address)}text`)).toEqual([["text", undefined]]);
    expect(links(`${open("https://example.org/")}one${open("javascript:x")}two`)).toEqual([
      ["one", "https://example.org/"],
      ["two", undefined],
    ]);
  });
});

describe("text", () => {
  it("raw shows every control character", () => {
    expect(rawText(`10%\r${E}[31mred\b\x07\tx`)).toBe("10%␍␛[31mred␈␇\tx");
  });

  it("plain is what is seen in the end", () => {
    expect(plainText(`10%\r${E}[31m100%${E}[0m\r`)).toBe("100%");
  });

  it("a style written as a sequence reads as the same style", () => {
    const sgr = fc.stringMatching(/^(\d{1,3}(;|:)?){0,8}$/).map((parameters) => `${E}[${parameters}m`);
    const link = fc.constantFrom(`${E}]8;;https://x.example/${E}\\`, `${E}]8;;${E}\\`);
    const text = fc.array(fc.oneof(sgr, link), { maxLength: 6 }).map((parts) => parts.join(""));
    fc.assert(
      fc.property(text, text, (one, other) => {
        const [a, b] = [styleAfter(one, PLAIN), styleAfter(other, PLAIN)];
        expect(sameStyle(styleAfter(sequenceTo(b, a), a), b)).toBe(true);
      }),
    );
  });
});
