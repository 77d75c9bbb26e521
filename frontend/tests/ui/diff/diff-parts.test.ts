/** What the diff viewer is made of, without a page: patches, rows, places, colours. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { FileDiff } from "../../../src/stream/diff-store";
import { ROW_HEIGHT } from "../../../src/ui/log/geometry";
import {
  HEADER_HEIGHT,
  anchorAt,
  heightOf,
  isFoldedAtFirst,
  layOut,
  neighbour,
  rowsBetween,
  scrollTopOf,
  sectionAt,
} from "../../../src/ui/diff/layout";
import {
  ADDED,
  HUNK,
  REMARK,
  REMOVED,
  SAME,
  changedPart,
  measurePatch,
  parsePatch,
  splitRows,
} from "../../../src/ui/diff/patch";
import { COMMENT, NAME, NUMBER, STRING, WORD, colour, languageOf } from "../../../src/ui/diff/syntax";

const HEAD = "diff --git a/a.ts b/a.ts\nindex 1..2 100644\n--- a/a.ts\n+++ b/a.ts\n";

function fileOf(name: string, diff: string, more: Partial<FileDiff> = {}): FileDiff {
  return { file: name, change: "modified", diff, additions: 1, deletions: 1, ...more };
}

/** A patch of one hunk: so many lines the same, then one changed, then the same number again. */
function hunkOf(same: number, text = "new", first = 1): string {
  const around = " same\n".repeat(same);
  const length = 2 * same + 1;
  return `${HEAD}@@ -${first},${length} +${first},${length} @@\n${around}-old\n+${text}\n${around}`;
}

describe("a patch", () => {
  it("is rows with numbers, its header left out", () => {
    const patch = parsePatch(`${HEAD}@@ -3,3 +3,3 @@ part\n a\n-b\n+c\n d\n`);
    expect([...patch.kinds]).toEqual([HUNK, SAME, REMOVED, ADDED, SAME]);
    expect(patch.lines).toEqual(["@@ -3,3 +3,3 @@ part", "a", "b", "c", "d"]);
    expect([...patch.before]).toEqual([0, 3, 4, 0, 5]);
    expect([...patch.after]).toEqual([0, 3, 0, 4, 5]);
    expect([...patch.partners]).toEqual([-1, -1, 3, 2, -1]);
  });

  it("takes lines for what the hunk's header says they are", () => {
    const patch = parsePatch(`${HEAD}@@ -1,2 +1,2 @@\n--- a/b\n-@@ -1 +1 @@\n+++ b/b\n+diff --git a/x b/x\n`);
    expect([...patch.kinds]).toEqual([HUNK, REMOVED, REMOVED, ADDED, ADDED]);
    expect(patch.lines.slice(1)).toEqual(["-- a/b", "@@ -1 +1 @@", "++ b/b", "diff --git a/x b/x"]);
  });

  it("keeps git's remarks, and changes of mode", () => {
    const end = "\\ No newline at end of file\n";
    const patch = parsePatch(`${HEAD}@@ -1 +1 @@\n-a\n${end}+b\n${end}`);
    expect([...patch.kinds]).toEqual([HUNK, REMOVED, REMARK, ADDED, REMARK]);
    expect([...patch.partners]).toEqual([-1, 3, -1, 1, -1]);
    const mode = parsePatch("diff --git a/a b/a\nold mode 100644\nnew mode 100755\n");
    expect(mode.modes).toEqual(["100644", "100755"]);
    expect(mode.lines).toEqual([]);
  });

  it("is rows whatever the text, and as many as were counted before", () => {
    const pieces = fc.constantFrom(
      "@@ -1,3 +2,2 @@\n",
      "@@ -7 +9 @@ f\n",
      "+a\n",
      "-b\n",
      " c\n",
      "\\ x\n",
      "\n",
      "@",
      "old",
    );
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.array(pieces).map((all) => all.join("")),
    );
    fc.assert(
      fc.property(text, (diff) => {
        const patch = parsePatch(diff);
        const { lines, lastLine } = measurePatch(diff);
        expect(lines).toBe(patch.lines.length);
        expect(lastLine).toBeGreaterThanOrEqual(Math.max(0, ...patch.before, ...patch.after));
        expect(patch.kinds.length).toBe(patch.lines.length);
        const { left, right } = splitRows(patch);
        expect(left.length).toBe(right.length);
      }),
    );
  });

  it("stands side by side, each line once", () => {
    const patch = parsePatch(`${HEAD}@@ -1,3 +1,2 @@\n a\n-b\n-c\n+d\n`);
    const { left, right } = splitRows(patch);
    expect([...left]).toEqual([0, 1, 2, 3]);
    expect([...right]).toEqual([0, 1, 4, -1]);
  });

  it("marks the part of a line that changed, and none where it is another line", () => {
    expect(changedPart("const a = old(1);", "const a = fresh(1);")).toEqual([10, 13]);
    expect(changedPart("  const a = 1;", "  let a = 1;")).toEqual([2, 7]);
    expect(changedPart("  let a = 1;", "  const a = 1;")).toEqual([2, 5]);
    expect(changedPart("call(oldName, 1)", "call(newName, 1)")).toEqual([5, 12]);
    expect(changedPart("the colour of it", "the color of it")).toEqual([8, 9]);
    expect(changedPart("abc", "abc")).toBeNull();
    expect(changedPart("one thing", "quite another")).toBeNull();
    expect(changedPart("ab", "aXb")).toBeNull();
  });
});

describe("places", () => {
  const files = Array.from({ length: 50 }, (_, number) => fileOf(`f${number}`, hunkOf(10)));
  const open = (): boolean => true;

  it("follow each other without a hole", () => {
    const sections = layOut(files, open, "unified");
    for (const [number, section] of sections.entries()) {
      expect(section.height).toBe(HEADER_HEIGHT + 23 * ROW_HEIGHT);
      expect(sectionAt(sections, section.top)).toBe(number);
      expect(sectionAt(sections, section.top - 1)).toBe(Math.max(0, number - 1));
    }
    expect(heightOf([])).toBe(0);
  });

  it("draw few rows of a long file", () => {
    const [section] = layOut([fileOf("long", hunkOf(10_000))], open, "unified");
    const [from, to] = section ? rowsBetween(section, 100_000, 100_800) : [0, 0];
    expect(to - from).toBeLessThan(80);
    expect(HEADER_HEIGHT + from * ROW_HEIGHT).toBeLessThan(100_000);
    expect(HEADER_HEIGHT + to * ROW_HEIGHT).toBeGreaterThan(100_800);
  });

  it("keep what is at the upper edge where it is while files above it change", () => {
    const before = layOut(files, open, "unified");
    const at = (before[20]?.top ?? 0) + 333;
    const anchor = anchorAt(before, at);
    const grown = files.map((file, number) => (number === 3 ? fileOf(file.file, hunkOf(40)) : file));
    const after = layOut(grown, open, "unified");
    const moved = (after[20]?.top ?? 0) - (before[20]?.top ?? 0);
    expect(moved).toBeGreaterThan(0);
    expect(anchor && scrollTopOf(after, anchor)).toBe(at + moved);
  });

  it("keep the line at the upper edge while its own file changes", () => {
    const before = layOut([fileOf("f", hunkOf(100, "new", 50))], open, "unified");
    const anchor = anchorAt(before, HEADER_HEIGHT + 120 * ROW_HEIGHT + 7);
    const more = `${HEAD}@@ -1,3 +1,3 @@\n a\n-b\n+c\n d\n${hunkOf(100, "new", 50).slice(HEAD.length)}`;
    const after = layOut([fileOf("f", more)], open, "unified");
    const top = anchor ? scrollTopOf(after, anchor) : null;
    expect(top).toBe(HEADER_HEIGHT + 125 * ROW_HEIGHT + 7);
    expect(anchorAt(after, top ?? 0)?.line).toBe(anchor?.line);
  });

  it("say when the file at the upper edge is gone", () => {
    const sections = layOut(files, open, "unified");
    const anchor = anchorAt(sections, 5_000);
    expect(anchor && scrollTopOf(layOut([], open, "unified"), anchor)).toBeNull();
  });

  it("lead from file to file", () => {
    const sections = layOut(files, open, "unified");
    const top = sections[4]?.top ?? 0;
    expect(neighbour(sections, top, 1)?.file.file).toBe("f5");
    expect(neighbour(sections, top, -1)?.file.file).toBe("f3");
    expect(neighbour(sections, top + 50, -1)?.file.file).toBe("f4");
    expect(neighbour(sections, 0, -1)).toBeNull();
  });

  it("have a reason where there are no rows (trap 33)", () => {
    const left = ["size", "binary", "encoding", "other"].map((omitted) => fileOf(omitted, "", { omitted }));
    const notes = layOut(left, open, "unified").map(({ note, rows }) => [note !== null, rows]);
    expect(notes).toEqual(left.map(() => [true, 0]));
    const [mode, none] = layOut(
      [fileOf("m", "diff --git a/m b/m\nold mode 100644\nnew mode 100755\n"), fileOf("n", HEAD)],
      open,
      "split",
    );
    expect(mode?.note?.text).toContain("100755");
    expect(none?.note?.text).toBe("No line differs.");
  });

  it("fold lock files, and nothing else", () => {
    const names = ["package-lock.json", "a/Cargo.lock", "uv.lock", "dist/x.min.js", "go.sum"];
    expect(names.every((name) => isFoldedAtFirst(fileOf(name, "")))).toBe(true);
    expect(
      ["lock.ts", "my-package-lock.json.md", "sum.go"].some((name) => isFoldedAtFirst(fileOf(name, ""))),
    ).toBe(false);
  });
});

describe("colours", () => {
  function kindsOf(file: string, ...added: string[]): [string, number][] {
    const patch = parsePatch(
      `${HEAD}@@ -0,0 +1,${added.length} @@\n${added.map((line) => `+${line}\n`).join("")}`,
    );
    const made = languageOf(file);
    if (!made) return [];
    const { starts, spans } = colour(patch, made);
    return patch.lines.flatMap((line, at) => {
      const found: [string, number][] = [];
      for (let next = starts[at] ?? 0; next < (starts[at + 1] ?? 0); next += 3)
        found.push([line.slice(spans[next], spans[next + 1]), spans[next + 2] ?? 0]);
      return found;
    });
  }

  it("tell words, strings, numbers, names and comments apart", () => {
    expect(kindsOf("a.ts", 'const a = new Map("x\\"y", 12); // end')).toEqual([
      ["const", WORD],
      ["new", WORD],
      ["Map", NAME],
      ['"x\\"y"', STRING],
      ["12", NUMBER],
      ["// end", COMMENT],
    ]);
  });

  it("go on over lines", () => {
    expect(kindsOf("a.ts", "/* one", "two */ if")).toEqual([
      ["/* one", COMMENT],
      ["two */", COMMENT],
      ["if", WORD],
    ]);
    expect(kindsOf("a.py", 'x = """', "if", '""" # c')).toEqual([
      ['"""', STRING],
      ["if", STRING],
      ['"""', STRING],
      ["# c", COMMENT],
    ]);
  });

  it("leave a language nobody knows as it is", () => {
    expect(languageOf("a.unknown")).toBeNull();
    expect(languageOf("src/constructor")).toBeNull();
    expect(languageOf("a.__proto__")).toBeNull();
    expect(languageOf("Makefile")).not.toBeNull();
  });

  it("end, and stay within the line, whatever the text", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary" }),
        fc.constantFrom("a.ts", "a.py", "a.html", "a.lua"),
        (text, file) => {
          const line = text.replaceAll("\n", " ");
          let at = 0;
          const patch = parsePatch(`@@ -0,0 +1 @@\n+${line}\n`);
          const made = languageOf(file);
          if (!made) return;
          const { spans } = colour(patch, made);
          for (let next = 0; next < spans.length; next += 3) {
            expect(spans[next]).toBeGreaterThanOrEqual(at);
            at = spans[next + 1] ?? 0;
          }
          expect(at).toBeLessThanOrEqual(Math.max(line.length, HEAD.length));
        },
      ),
    );
  });
});
