/** The tree of a diff's files, lines that are wrapped, and code that is copied: all without a page. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { FileDiff } from "../../../src/stream/diff-store";
import { textBetween } from "../../../src/ui/diff/copy";
import {
  HEADER_HEIGHT,
  anchorAt,
  heightOf,
  layOut,
  rowAt,
  rowTop,
  rowsBetween,
  scrollTopOf,
} from "../../../src/ui/diff/layout";
import { filesInOrder, isNamed, rowsOf, treeOf, treeStep } from "../../../src/ui/diff/tree";
import { linesOf } from "../../../src/ui/diff/wrap";
import { ROW_HEIGHT, SCROLL_HEIGHT_MAX } from "../../../src/ui/log/geometry";

const HEAD = "diff --git a/a.ts b/a.ts\nindex 1..2 100644\n--- a/a.ts\n+++ b/a.ts\n";

function fileOf(name: string, diff = "", more: Partial<FileDiff> = {}): FileDiff {
  return { file: name, change: "modified", diff, additions: 2, deletions: 1, ...more };
}

const open = (): boolean => true;
const NAMES = ["z.ts", "src/a/b/one.ts", "src/a/b/two.ts", "docs/x.md", "src/c/three.ts", "a.ts"];

describe("a tree", () => {
  const tree = treeOf(NAMES.map((name) => fileOf(name)));
  const shown = (folded: readonly string[] = []): string[] =>
    rowsOf(tree, new Set(folded)).map(
      (row) => `${"  ".repeat(row.depth)}${row.kind === "folder" ? `${row.folder.name}/` : row.name}`,
    );

  it("has folders first, files by name, and one row for folders that hold one folder alone", () => {
    expect(shown()).toEqual([
      "docs/",
      "  x.md",
      "src/",
      "  a/b/",
      "    one.ts",
      "    two.ts",
      "  c/",
      "    three.ts",
      "a.ts",
      "z.ts",
    ]);
    expect(filesInOrder(tree).map(({ file }) => file)).toEqual([
      "docs/x.md",
      "src/a/b/one.ts",
      "src/a/b/two.ts",
      "src/c/three.ts",
      "a.ts",
      "z.ts",
    ]);
  });

  it("hides what is folded, and sums it up", () => {
    expect(shown(["src/"])).toEqual(["docs/", "  x.md", "src/", "a.ts", "z.ts"]);
    const src = rowsOf(tree, new Set()).find(({ key }) => key === "src/");
    expect(src?.kind === "folder" && src.folder).toMatchObject({ count: 3, additions: 6, deletions: 3 });
  });

  it("says each row's place among its own", () => {
    for (const row of rowsOf(tree, new Set())) {
      const beside = rowsOf(tree, new Set()).filter(({ parent }) => parent === row.parent);
      expect(row.of).toBe(beside.length);
      expect(beside[row.at - 1]?.key).toBe(row.key);
    }
  });

  it("holds every file once, whatever the names", () => {
    const name = fc.array(fc.constantFrom("a", "b", "", "__proto__", "c d"), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.array(name), (all) => {
        const names = [...new Set(all.map((parts) => parts.join("/")))];
        const some = treeOf(names.map((one) => fileOf(one)));
        expect(
          filesInOrder(some)
            .map(({ file }) => file)
            .toSorted(),
        ).toEqual(names.toSorted());
        expect(rowsOf(some, new Set()).filter(({ kind }) => kind === "file").length).toBe(names.length);
      }),
    );
  });

  it("is walked by keys", () => {
    const rows = rowsOf(tree, new Set(["docs/"]));
    const step = (at: string | null, key: string) => treeStep(rows, at, key);
    expect(step(null, "ArrowDown")).toEqual({ goTo: "docs/" });
    expect(step("docs/", "ArrowRight")).toEqual({ toggle: "docs/" });
    expect(step("docs/", "ArrowDown")).toEqual({ goTo: "src/" });
    expect(step("src/", "ArrowRight")).toEqual({ goTo: "src/a/b/" });
    expect(step("src/a/b/one.ts", "ArrowLeft")).toEqual({ goTo: "src/a/b/" });
    expect(step("src/a/b/", "ArrowLeft")).toEqual({ toggle: "src/a/b/" });
    expect(step("z.ts", "ArrowDown")).toBeNull();
    expect(step("z.ts", "Home")).toEqual({ goTo: "docs/" });
    expect(step("docs/", "End")).toEqual({ goTo: "z.ts" });
    expect(step("z.ts", "x")).toBeNull();
  });

  it("is narrowed by words of a name, the old one too", () => {
    const file = fileOf("src/New Name.ts", "", { oldPath: "lib/old.ts" });
    expect(isNamed(file, "")).toBe(true);
    expect(isNamed(file, "name src")).toBe(true);
    expect(isNamed(file, "OLD")).toBe(true);
    expect(isNamed(file, "name py")).toBe(false);
  });
});

describe("long lines", () => {
  const text = (length: number): string => "x".repeat(length);
  const patch = `${HEAD}@@ -1,2 +1,3 @@\n ${text(10)}\n-${text(95)}\n+${text(250)}\n+y\n`;

  it("take as many lines as they have columns for", () => {
    expect(linesOf("", 80)).toBe(1);
    expect(linesOf(text(80), 80)).toBe(1);
    expect(linesOf(text(81), 80)).toBe(2);
    expect(linesOf("\tx", 4)).toBe(2);
    expect(linesOf("ab\tx", 5)).toBe(1);
    expect(linesOf("漢".repeat(40), 80)).toBe(1);
    expect(linesOf("漢".repeat(41), 80)).toBe(2);
  });

  it("move what comes after them, on one side and on two", () => {
    const [one] = layOut([fileOf("f", patch)], open, "unified", 100);
    expect(one && [0, 1, 2, 3, 4, 5].map((row) => rowTop(one, row) / ROW_HEIGHT)).toEqual([0, 1, 2, 3, 6, 7]);
    expect(one?.height).toBe(HEADER_HEIGHT + 7 * ROW_HEIGHT);
    const [two] = layOut([fileOf("f", patch)], open, "split", 50);
    expect(two && [0, 1, 2, 3, 4].map((row) => rowTop(two, row) / ROW_HEIGHT)).toEqual([0, 1, 2, 7, 8]);
    const [plain] = layOut([fileOf("f", patch)], open, "unified");
    expect(plain?.height).toBe(HEADER_HEIGHT + 5 * ROW_HEIGHT);
  });

  it("find the row at a height, as the rows are drawn", () => {
    const [section] = layOut([fileOf("f", patch)], open, "unified", 100);
    if (!section) throw new Error("no section");
    for (let row = 0; row < section.rows; row += 1) {
      expect(rowAt(section, rowTop(section, row))).toBe(row);
      expect(rowAt(section, rowTop(section, row + 1) - 1)).toBe(row);
    }
    expect(rowsBetween(section, 0, section.height)).toEqual([0, section.rows]);
  });

  it("leave the line at the upper edge there when they are wrapped, and when they are not any more", () => {
    const long = Array.from({ length: 300 }, (_, at) => `+${at % 7 ? "short" : text(300)}\n`).join("");
    const file = fileOf("f", `${HEAD}@@ -0,0 +1,300 @@\n${long}`);
    const plain = layOut([file], open, "unified");
    const wrapped = layOut([file], open, "unified", 80);
    const anchor = anchorAt(plain, HEADER_HEIGHT + 200 * ROW_HEIGHT + 5);
    const top = anchor ? (scrollTopOf(wrapped, anchor) ?? 0) : 0;
    expect(anchorAt(wrapped, top)?.line).toBe(anchor?.line);
    const back = anchorAt(wrapped, top);
    expect(back && scrollTopOf(plain, back)).toBe(HEADER_HEIGHT + 200 * ROW_HEIGHT + 5);
  });
});

describe("room", () => {
  it("ends where a browser's does, and what is left out is told (trap 33)", () => {
    const lines = 190_000;
    const huge = `${HEAD}@@ -0,0 +1,${lines} @@\n${"+x\n".repeat(lines)}`;
    const sections = layOut(
      Array.from({ length: 6 }, (_, at) => fileOf(`f${at}`, huge)),
      open,
      "unified",
    );
    expect(heightOf(sections)).toBeLessThan(SCROLL_HEIGHT_MAX + 10_000);
    const rows = sections.reduce((sum, section) => sum + section.rows, 0);
    const told = sections.map(({ note }) =>
      Number(/^[\d,]+/.exec(note?.text ?? "0")?.[0].replaceAll(",", "")),
    );
    expect(rows + told.reduce((sum, one) => sum + one, 0)).toBe(6 * (lines + 1));
  });

  it("has the command for what is left out, and the name as a shell reads it", () => {
    const note = (file: string, omitted: string) =>
      layOut([fileOf(file, "", { omitted })], open, "unified")[0]?.note?.command;
    expect(note("a b.txt", "size")).toBe("git diff --merge-base BASE -- 'a b.txt'");
    expect(note("it's", "binary")).toBe("git diff --binary --merge-base BASE -- 'it'\\''s'");
    expect(note('"latin-\\351"', "encoding")).toBe("git diff --text --merge-base BASE -- $'latin-\\351'");
  });
});

describe("copied code", () => {
  const end = "\\ No newline at end of file\n";
  const one = fileOf("one", `${HEAD}@@ -1,2 +1,2 @@ f()\n same\n-old one\n+new one\n${end}`);
  const two = fileOf("two", `${HEAD}@@ -9 +9 @@\n-before\n+after\n`);

  it("is the lines alone, from the first to the last character that is meant", () => {
    const sections = layOut([one, two], open, "unified");
    const from = { file: "one", at: 1, offset: 2 };
    expect(textBetween(sections, from, { file: "one", at: 1, offset: 4 }, "left")).toBe("me");
    expect(textBetween(sections, from, { file: "two", at: 2, offset: 3 }, "left")).toBe(
      "me\nold one\nnew one\nbefore\naft",
    );
  });

  it("is of one side where there are two", () => {
    const sections = layOut([one, two], open, "split");
    const from = { file: "one", at: 1, offset: 0 };
    const whole = Number.POSITIVE_INFINITY;
    expect(textBetween(sections, from, { file: "two", at: 1, offset: whole }, "left")).toBe(
      "same\nold one\nbefore",
    );
    expect(textBetween(sections, from, { file: "two", at: 2, offset: whole }, "right")).toBe(
      "same\nnew one\nafter",
    );
  });

  it("leaves out what is folded", () => {
    const folded = layOut([one, fileOf("mid", two.diff), two], (file) => file.file !== "mid", "unified");
    const text = textBetween(
      folded,
      { file: "one", at: 3, offset: 4 },
      { file: "two", at: 1, offset: 6 },
      "left",
    );
    expect(text).toBe("one\nbefore");
  });
});
