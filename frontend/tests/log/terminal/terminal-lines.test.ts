// @vitest-environment node
/** The fold of entries into rows: named cases, recordings of real programs, and input that means harm. */
import { readFileSync, readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { PLAIN, type Style, plainText, spansOf } from "../../../src/log/terminal/ansi";
import type { OutputStream } from "../../../src/api/job";
import {
  REACH_ROWS,
  START,
  foldEntries,
  sameCarry,
  unfolded,
} from "../../../src/log/terminal/terminal-lines";
import { DRAWN_CHARS_MAX } from "../../../src/log/terminal/terminal-row";
import { FoldedLog } from "../../support/folded-log";
import { seenIn } from "../../support/seen";
import { terminalLines, withoutBlankEnd } from "../../support/xterm-screen";

const E = "\x1b";

function logOf(...lines: readonly string[]): FoldedLog {
  const log = new FoldedLog();
  for (const line of lines) log.add([line]);
  return log;
}

const shownBy = (log: FoldedLog): readonly string[] => log.rows.map(({ text }) => plainText(text));

/** One entry after another, and what is seen in the end. */
function check(lines: readonly string[], ...rows: readonly string[]): void {
  expect(shownBy(logOf(...lines))).toEqual(rows);
  const atOnce = new FoldedLog();
  atOnce.add(lines);
  expect(shownBy(atOnce)).toEqual(rows);
}

describe("one line", () => {
  it("without controls is the very string that came", () => {
    const line = `${E}[32mgreen${E}[0m and plain\ttabbed`;
    expect(logOf(line).rows).toEqual([{ offset: 0, part: 0, text: line, style: PLAIN, stream: "stdout" }]);
  });

  it("is begun again by a carriage return, and what is longer below shows", () => {
    check(["10%\r55%\r100%"], "100%");
    check(["downloading\rdone"], "doneloading");
    check([`downloading\r${E}[Kdone`], "done");
    check([`downloading\r${E}[2Kdone`], "done");
    check(["a line of Windows\r"], "a line of Windows");
  });

  it("is corrected by backspaces, and by movements within it", () => {
    check(["typo\b\bed"], "tyed");
    check([`abc${E}[2D-${E}[1CX${E}[1G>`], ">-cX");
    check([`abc${E}[1K`], "");
    check([`${E}[5Gat five`], "    at five");
    check(["漢字\b\bx"], "漢x");
  });

  it("keeps the colours of what stays", () => {
    const [row] = logOf(`${E}[31mred and more${E}[0m\r${E}[32mGRE`).rows;
    const style = (fg: number): Style => ({ ...PLAIN, fg });
    expect(spansOf(row?.text ?? "", row?.style ?? PLAIN)).toEqual([
      { text: "GRE", style: style(2) },
      { text: " and more", style: style(1) },
    ]);
  });
});

describe("several lines", () => {
  it("a display that moves up is its last picture, where it began", () => {
    check(["start", "a 10%", "b 10%", `${E}[2Aa 90%`, "b 90%", "end"], "start", "a 90%", "b 90%", "end");
    check(["a", "b", `${E}[2F${E}[0Jc`, "d"], "c", "d");
    check(["one", "two", `${E}[2A${E}[2B${E}[1Athree`], "one", "three");
  });

  it("docker pull: up, one line anew, down again", () => {
    const line = (up: number, text: string): string => `${E}[${up}A${E}[2K\r${text}\r${E}[${up}B`;
    const log = logOf("a: Waiting", "b: Waiting", "c: Waiting");
    log.add([`${line(3, "a: Done")}${line(1, "c: 50%")}${line(2, "b: Done")}${line(1, "c: Done")}`]);
    expect(shownBy(log)).toEqual(["a: Done", "b: Done", "c: Done", ""]);
  });

  it("buildkit: frames that grow and shrink", () => {
    const frame = (lines: readonly string[], up: number, blank = 0): string =>
      `${up > 0 ? `${E}[${up}A` : ""}${E}[0m${E}[?25l${[...lines, ...Array.from({ length: blank }, () => `${E}[K`)].join("\n")}\n${blank > 0 ? `${E}[${blank}A` : ""}${E}[?25h`;
    const text =
      frame(["[+] Building 0.1s (0/2)", " => load       0.1s"], 0) +
      frame(
        ["[+] Building 0.9s (1/3)", " => load       0.2s", " => RUN make   0.7s", "      cc -c a.c   "],
        2,
      ) +
      frame(["[+] Building 2.0s (3/3) FINISHED", " => load       0.2s", " => RUN make   1.8s"], 4, 1) +
      "done";
    check(
      text.split("\n"),
      "[+] Building 2.0s (3/3) FINISHED",
      " => load       0.2s",
      " => RUN make   1.8s",
      "done",
    );
  });

  it("an entry that only rewrites has no row, and says whose row shows it", () => {
    const log = logOf("a", "b", "c", `${E}[3AA`, "B");
    expect(log.rows.map(({ offset, part }) => [offset, part])).toEqual([
      [0, 0],
      [1, 0],
      [2, 0],
    ]);
    expect([...log.shownAt]).toEqual([
      [3, 0],
      [4, 1],
    ]);
    expect(log.rows.map(({ by }) => by)).toEqual([3, 4, undefined]);
    log.add(["C", "d"]);
    expect(shownBy(log)).toEqual(["A", "B", "C", "d"]);
    expect(log.rows.at(-1)?.offset).toBe(6);
  });

  it("an entry with newlines has a row for each; a rewritten one is of its part", () => {
    const log = logOf("head\none\ntwo\n", `${E}[2AONE`);
    expect(log.rows.map(({ offset, part, text }) => [offset, part, plainText(text)])).toEqual([
      [0, 0, "head"],
      [0, 1, "ONE"],
      [0, 2, "two"],
    ]);
  });

  it("each stream has its own cursor", () => {
    const log = new FoldedLog();
    const add = (stream: OutputStream, line: string): void => log.addMixed([[stream, line]]);
    add("stderr", "bar 1%");
    add("stdout", "output");
    add("stderr", `${E}[1A${E}[2Kbar 100%`);
    add("stdout", "more output");
    expect(shownBy(log)).toEqual(["bar 100%", "output", "more output"]);
  });

  it("colours go on into the next entry, and over what is erased", () => {
    const log = logOf(`${E}[31mred`, "still red", `${E}[0mplain`);
    expect(log.rows.map(({ style }) => style.fg)).toEqual([-1, 1, 1]);
  });

  it("a cursor that was left above the end is carried, and whether it was ever below it", () => {
    check(["aaa", "bbb", `${E}[2A`, "x", "y"], "aaa", "xbb", "y");
    check([`foo${E}[1A`, `${E}[3Bx`], "foo", "x");
    check(["above", `foo${E}[1A`, `${E}[3Bx`], "above", "xoo");
  });
});

describe("what is no part of a log", () => {
  it("clearing the screen, going to a place on it, scrolling regions, alternate screens: without effect", () => {
    check(["kept", `${E}[2J${E}[H${E}[3J${E}cnext`], "kept", "next");
    check(
      ["kept", `${E}[?1049h${E}[1;1Hnext${E}[?1049l`, `${E}[1J${E}7${E}[2;5r${E}8last`],
      "kept",
      "next",
      "last",
    );
  });

  it("what ends nowhere is shown", () => {
    check([`${E}]8;;https://x.example/ no end`, `next`], "]8;;https://x.example/ no end", "next");
  });
});

describe("reach", () => {
  it("is bounded: as a screen is", () => {
    const log = new FoldedLog();
    log.add(Array.from({ length: 300 }, (_, at) => `line ${at}`));
    log.add([`${E}[1000000000A${E}[2K!`]);
    expect(shownBy(log).indexOf("!")).toBe(300 - REACH_ROWS + 1);
    expect(log.rows.length).toBe(300);
  });

  it("ends where rows are missing: the entry then has rows of its own, and the fold says so", () => {
    const entries = [`${E}[2Aa`, "b", `${E}[2AA`, "B"].map((line, offset) => ({
      offset: offset + 10,
      output: { line, stream: "stdout" as const },
    }));
    const fold = foldEntries(entries, START, () => [
      { offset: 9, part: 0, text: "near", style: PLAIN },
      "missing",
    ]);
    expect(fold.rows.map(({ text }) => plainText(text))).toEqual(["A", "B"]);
    expect(fold.rewrites).toEqual([]);
    expect(fold.missed).toBe(true);
  });

  it("rows above are not asked for where nothing moves up", () => {
    const asked = (): never => {
      throw new Error("asked");
    };
    const above = { [Symbol.iterator]: () => ({ next: asked }) };
    const entries = [{ offset: 5, output: { line: `${E}[31mx\ry`, stream: "stdout" as const } }];
    expect(foldEntries(entries, START, () => above).rows.length).toBe(1);
  });
});

describe("a carry", () => {
  it("is equal to another that means the same", () => {
    const carry = foldEntries(
      [{ offset: 0, output: { line: "x", stream: "stderr" } }],
      START,
      () => [],
    ).carry;
    expect(sameCarry(carry, START)).toBe(true);
    expect(sameCarry({ stdout: { style: PLAIN, up: 1, held: 0 } }, START)).toBe(false);
  });
});

describe("raw", () => {
  it("is every line as it came", () => {
    const entries = [{ offset: 3, output: { line: `10%\r${E}[Kdone\n${E}[1A`, stream: "stdout" as const } }];
    expect(unfolded(entries).map(({ offset, part, text }) => [offset, part, text])).toEqual([
      [3, 0, `10%\r${E}[Kdone`],
      [3, 1, `${E}[1A`],
    ]);
  });
});

const RECORDINGS = new URL("../../recordings/", import.meta.url);

describe("recordings of real programs give the picture of a terminal", () => {
  for (const name of readdirSync(RECORDINGS)) {
    it(name, async () => {
      const text = readFileSync(new URL(name, RECORDINGS), "utf8");
      const log = new FoldedLog();
      for (const line of text.split("\n")) log.add([line]);
      const seen = withoutBlankEnd(log.rows.map(seenIn));
      const theirs = await terminalLines(text, REACH_ROWS);
      expect(seen).toEqual(theirs.slice(theirs.length - seen.length));
      expect(theirs.slice(0, theirs.length - seen.length).flat()).toEqual([]);
      expect(shownBy(log).join("\n").trimEnd()).toMatchSnapshot();
    });
  }
});

describe("input that means harm costs little", () => {
  const long = (unit: string, characters: number): string => unit.repeat(Math.ceil(characters / unit.length));
  const cases: Readonly<Record<string, readonly string[]>> = {
    "a megabyte of carriage returns": [long("\r", 1e6), `${long("\r", 1e6)}x`],
    "a megabyte of a bar": [long("\r[####      ] 40%", 1e6)],
    "a megabyte without an end, drawn over at its start": [`a\rb${long("x", 1e6)}`],
    "up a thousand million lines, often": Array.from({ length: 2_000 }, () => `${E}[1000000000A${E}[Jx`),
    "up and erase, in one line": [long(`${E}[999A${E}[J`, 1e6)],
    "to a far column, and written": [long(`${E}[999999999Gx`, 1e5), `${E}[99999999999999999999999Cx`],
    "ten thousand links": [long(`${E}]8;;https://x.example/${E}\\x${E}]8;;${E}\\`, 300_000)],
    "strings without an end": [long(`${E}]8;;https://`, 300_000), long(`${E}P`, 300_000)],
    "a megabyte of tabs and backspaces": [long("\t\b", 1e6)],
    "marks upon marks": [`\r${long("e\u0301\u0301\u0301\u0301", 60_000)}`],
    "rows too long to draw in": [long("y", 1e5), `${E}[1Anew`],
  };
  for (const [name, lines] of Object.entries(cases)) {
    it(name, () => {
      const log = new FoldedLog();
      log.add(Array.from({ length: 50 }, (_, at) => `before ${at}`));
      const began = performance.now();
      log.add(lines);
      const tookMs = performance.now() - began;
      for (const { text, style } of log.rows) {
        spansOf(text, style);
        expect(text.length).toBeLessThan(40 * DRAWN_CHARS_MAX);
      }
      expect(log.rows.length).toBeLessThanOrEqual(50 + lines.length);
      expect(tookMs).toBeLessThan(2_000);
    });
  }
});
