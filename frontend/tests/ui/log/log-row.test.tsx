/** One row of the log: number, time, text, links, marks, and what of it is copied. */
import { cleanup, render } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, describe, expect, it } from "vitest";
import { PLAIN } from "../../../src/log/terminal/ansi";
import type { LineRow } from "../../../src/log/log-rows";
import { LogRow, copyTextOf } from "../../../src/ui/log/row/LogRow";
import { type LogAppearance, LogAppearanceContext } from "../../../src/ui/log/row/log-appearance-context";
import { LogSearchContext, type Matcher } from "../../../src/ui/log/find/log-search-context";
import { LENGTH_SHOWN, piecesOf } from "../../../src/log/terminal/row-text";
import {
  STAMP_COLUMNS,
  type TimestampMode,
  formatStamp,
  isPause,
  isoMoment,
} from "../../../src/ui/log/row/timestamps";

const E = "\x1b";
const AT = Date.UTC(2026, 10, 20, 9, 8, 7, 65);

afterEach(cleanup);

function lineRow(text: string, more: Partial<LineRow> = {}): LineRow {
  return {
    kind: "line",
    id: "0.120.0",
    part: 0,
    offset: 120,
    by: 120,
    continued: false,
    timestamp: AT,
    text,
    stream: "stdout",
    style: PLAIN,
    ...more,
  };
}

function show(
  row: LineRow,
  look: Partial<LogAppearance> = {},
  matcher: Matcher | null = null,
  current?: number,
): Element {
  const within = (children: ReactNode): ReactNode => (
    <LogAppearanceContext value={{ timestamps: "off", raw: false, ...look }}>
      <LogSearchContext value={{ matcher, current }}>{children}</LogSearchContext>
    </LogAppearanceContext>
  );
  return render(within(<LogRow row={row} before={AT - 1_500} />)).container;
}

describe("a row", () => {
  it("that only closes a group steps back, unless the text is shown raw", () => {
    const classes = (text: string, look: Partial<LogAppearance> = {}) =>
      show(lineRow(text), look).querySelector(".row")?.className;
    expect(classes("::endgroup::")).toBe("row stdout closing");
    expect(classes(`${E}[32m##[endgroup]${E}[0m`)).toBe("row stdout closing");
    expect(classes("::endgroup::", { raw: true })).toBe("row stdout");
    expect(classes("echo ::endgroup::")).toBe("row stdout");
  });

  it("has its number as a link, that Tab passes over", () => {
    const number = show(lineRow("x")).querySelector(".gutter a");
    expect(number?.getAttribute("href")).toBe("#L121");
    expect(number?.getAttribute("tabindex")).toBe("-1");
    expect(show(lineRow("x", { continued: true })).querySelector(".gutter a")).toBeNull();
  });

  it("says of standard error what it is, in the gutter and not in the text", () => {
    const row = show(lineRow("oh no", { stream: "stderr" }));
    expect(row.querySelector(".gutter")?.getAttribute("title")).toBe("standard error");
    expect(row.querySelector(".gutter a")?.getAttribute("aria-label")).toBe("121, standard error");
    expect(row.querySelector(".text")?.textContent).toBe("oh no");
  });

  it("links to the web only, and tells where a hidden address leads", () => {
    const text = `see https://a.example/x. ${E}]8;;https://b.example/${E}\\here${E}]8;;${E}\\ ${E}]8;;javascript:alert(1)${E}\\no${E}]8;;${E}\\`;
    const links = [...show(lineRow(text)).querySelectorAll(".text a")];
    expect(
      links.map((link) => [link.textContent, link.getAttribute("href"), link.getAttribute("title")]),
    ).toEqual([
      ["https://a.example/x", "https://a.example/x", null],
      ["here", "https://b.example/", "https://b.example/"],
    ]);
    for (const link of links) expect(link.getAttribute("rel")).toBe("noopener noreferrer");
  });

  it("shows a link in two colours as a link in both", () => {
    const links = [...show(lineRow(`https://a.exa${E}[31mmple/x y`)).querySelectorAll(".text a")];
    expect(links.map((link) => [link.textContent, link.getAttribute("href")])).toEqual([
      ["https://a.exa", "https://a.example/x"],
      ["mple/x", "https://a.example/x"],
    ]);
  });

  it("raw: everything as it came, without colour or link", () => {
    const text = show(lineRow(`1%\r${E}[31mred`), { raw: true }).querySelector(".text");
    expect(text?.textContent).toBe("1%␍␛[31mred");
    expect(text?.querySelector(".fg-1")).toBeNull();
    expect([...(text?.querySelectorAll(".control") ?? [])].map((picture) => picture.textContent)).toEqual([
      "␍",
      "␛",
    ]);
  });

  it("of great length is cut, and says by how much", () => {
    const row = show(lineRow(`${E}[32m${"x".repeat(LENGTH_SHOWN + 1234)}`));
    expect(row.querySelector(".fg-2")?.textContent?.length).toBe(LENGTH_SHOWN);
    expect(row.querySelector("button")?.textContent).toBe("+1,234 characters");
    const coloured = `${E}[38;2;1;2;3mx`.repeat(LENGTH_SHOWN + 10);
    const pieces = piecesOf({ text: coloured, style: PLAIN }, false);
    expect(pieces.map((piece) => piece.text).join("")).toMatch(/^x+$/);
  });

  it("is copied as it is read", () => {
    expect(copyTextOf(lineRow(`10%\r${E}[32m100%`, { stream: "stderr" }))).toBe("100%");
    expect(copyTextOf(lineRow(`${E}[32mx`), true)).toBe("␛[32mx");
    expect(copyTextOf({ kind: "gap", id: "0.1.gap", from: 1, to: 2 })).toBeNull();
  });
});

describe("marks without the highlights of a browser", () => {
  const matcher: Matcher = (plain) =>
    [...plain.matchAll(/needle/g)].map((m) => [m.index, m.index + m[0].length]);

  it("are elements, over colours and links, and the text stays", () => {
    const text = `a nee${E}[31mdle${E}[0m and https://needle.example/ x`;
    const row = show(lineRow(text), {}, matcher);
    expect([...row.querySelectorAll("mark")].map((mark) => mark.textContent)).toEqual([
      "nee",
      "dle",
      "needle",
    ]);
    expect(row.querySelector(".text")?.textContent).toBe("a needle and https://needle.example/ x");
    expect(row.querySelector("mark.current")).toBeNull();
    expect(show(lineRow(text), {}, matcher, 120).querySelector("mark.current")).not.toBeNull();
  });
});

describe("the time of a line", () => {
  const stamp = (mode: TimestampMode, ms: number, base = {}): string => formatStamp(mode, ms, base);

  it("since the start", () => {
    const startedAt = AT;
    const since = (ms: number): string => stamp("relative", AT + ms, { startedAt });
    expect([0, 3_250, 743_400, 3_723_400, 360_000_000, -1_500].map(since)).toEqual([
      "0:00.0",
      "0:03.2",
      "12:23.4",
      "1:02:03.4",
      "100:00:00.0",
      "-0:01.5",
    ]);
    expect(stamp("relative", AT)).toBe("");
  });

  it("by the clock", () => {
    const local = new Date(AT);
    const hours = String(local.getHours()).padStart(2, "0");
    const minutes = String(local.getMinutes()).padStart(2, "0");
    expect(stamp("absolute", AT)).toBe(`${hours}:${minutes}:07.065`);
  });

  it("since the line before", () => {
    const after = (ms: number): string => stamp("delta", AT + ms, { before: AT });
    expect([0, 1, 999, 1_000, 59_999, 60_000, 3_723_400, -5].map(after)).toEqual([
      "",
      "+1 ms",
      "+999 ms",
      "+1.0 s",
      "+59.9 s",
      "+1:00.0",
      "+1:02:03",
      "-5 ms",
    ]);
    expect(stamp("delta", AT)).toBe("");
    expect(isPause("delta", AT, AT - 1_000)).toBe(true);
    expect(isPause("delta", AT, AT - 999)).toBe(false);
  });

  it("that is not known, or none, is empty", () => {
    for (const ms of [0, -1, Number.NaN, 1e300, Number.POSITIVE_INFINITY]) {
      for (const mode of ["relative", "absolute", "delta"] as const)
        expect(stamp(mode, ms, { startedAt: AT, before: AT })).toBe("");
      expect(isoMoment(ms)).toBe("");
    }
  });

  it("has room in its column", () => {
    for (const ms of [0, 99 * 3_600_000 - 1])
      for (const mode of ["relative", "absolute", "delta"] as const)
        expect(stamp(mode, AT + ms, { startedAt: AT, before: AT }).length).toBeLessThanOrEqual(
          STAMP_COLUMNS[mode] - 2,
        );
  });

  it("stands beside the line, with the moment on hover, and is not part of the text", () => {
    const row = show(lineRow("x"), { timestamps: "delta" });
    const stamp = row.querySelector(".stamp");
    expect(stamp?.textContent).toBe("+1.5 s");
    expect(stamp?.className).toContain("pause");
    expect(stamp?.getAttribute("title")).toBe("2026-11-20T09:08:07.065Z");
    expect(row.querySelector(".text")?.textContent).toBe("x");
  });
});
