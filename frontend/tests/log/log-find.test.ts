/** What is known of a whole log: its groups, its errors, and the marks of what is found. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Folds, GroupTree, type LogMark } from "../../src/log/groups";
import type { JobOutput } from "../../src/api/job";
import type { OutlinePage } from "../../src/log/log-api";
import { matcherOf } from "../../src/log/log-matcher";
import { type LinesReader, Outline, countBelow, nearest } from "../../src/log/outline";
import { type Projection, isDisplayed, without } from "../../src/log/projection";
import type { Fetched } from "../../src/api/questions";
import { SimulatedPlatform, settle } from "../support/simulated-platform";

const displayed = (projection: Projection, end: number): number[] =>
  Array.from({ length: end }, (_, offset) => offset).filter((offset) => isDisplayed(projection, offset));

const open = (offset: number, title: string, timestamp?: number): LogMark => ({
  offset,
  kind: "open",
  title,
  ...(timestamp === undefined ? {} : { timestamp }),
});
const close = (offset: number, timestamp?: number): LogMark => ({
  offset,
  kind: "close",
  ...(timestamp === undefined ? {} : { timestamp }),
});
const header = (offset: number, title: string): LogMark => ({ offset, kind: "open", title, header: true });
const ended = (offset: number): LogMark => ({ offset, kind: "close", header: true });
const error = (offset: number): LogMark => ({ offset, kind: "error" });

function treeOf(...marks: readonly LogMark[]): GroupTree {
  const tree = new GroupTree();
  for (const mark of marks) tree.take(mark);
  return tree;
}

describe("groups", () => {
  it("nest, with their ends, times and errors", () => {
    const tree = treeOf(
      open(2, "outer", 1000),
      open(4, "inner", 2000),
      error(5),
      close(6, 2500),
      error(8),
      close(9, 4000),
      error(12),
    );
    const [outer, inner] = tree.groups;
    expect(outer).toMatchObject({
      title: "outer",
      depth: 0,
      end: 10,
      startedAt: 1000,
      endedAt: 4000,
      errors: 2,
    });
    expect(inner).toMatchObject({
      title: "inner",
      depth: 1,
      end: 7,
      startedAt: 2000,
      endedAt: 2500,
      errors: 1,
    });
    expect(tree.around(5).map(({ title }) => title)).toEqual(["inner", "outer"]);
    expect(tree.around(4).map(({ title }) => title)).toEqual(["outer"]);
    expect(tree.around(8).map(({ title }) => title)).toEqual(["outer"]);
    expect(tree.around(2)).toEqual([]);
    expect(tree.around(10)).toEqual([]);
  });

  it("of headers end before the next header; a close without an open is nothing", () => {
    const tree = treeOf(
      close(0),
      header(1, "one"),
      open(2, "in one"),
      ended(5),
      ended(5),
      header(5, "two"),
      error(8),
    );
    expect(tree.groups.map(({ title, depth, end, errors }) => [title, depth, end, errors])).toEqual([
      ["one", 0, 5, 0],
      ["in one", 1, 5, 0],
      ["two", 0, null, 1],
    ]);
    expect(tree.around(1_000_000).map(({ title }) => title)).toEqual(["two"]);
  });

  it("are stepped through in both directions", () => {
    const tree = treeOf(open(2, "a"), close(4), open(6, "b"), open(7, "c"), close(8), close(9));
    const any = (): boolean => true;
    expect(tree.nearestHead(0, 1, any)?.title).toBe("a");
    expect(tree.nearestHead(2, 1, any)?.title).toBe("b");
    expect(tree.nearestHead(7, 1, any)).toBe(null);
    expect(tree.nearestHead(6, -1, any)?.title).toBe("a");
    expect(tree.nearestHead(2, -1, any)).toBe(null);
    expect(tree.nearestHead(2, 1, ({ depth }) => depth > 0)?.title).toBe("c");
  });

  it("that are finished and without errors are folded at first; a hit inside unfolds all around it", () => {
    const tree = treeOf(
      open(0, "fine"),
      open(1, "inner"),
      close(3),
      close(4),
      open(5, "bad"),
      error(6),
      close(7),
      open(8, "still open"),
    );
    const folds = new Folds().atFirst(tree.groups);
    expect(displayed(without(folds.hidden(tree)), 10)).toEqual([0, 5, 6, 7, 8, 9]);
    const shown = folds.reveal(tree, 2);
    expect(displayed(without(shown.hidden(tree)), 10)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(shown.reveal(tree, 2)).toBe(shown);
    expect(shown.atFirst(tree.groups).isFolded(0)).toBe(false);
  });
});

/** Lines of which some are loaded; those that begin with "E" are errors. */
class Lines {
  readonly lines: string[];
  readonly loaded: Set<number>;
  generation = 0;

  constructor(lines: readonly string[], loaded: readonly number[]) {
    this.lines = [...lines];
    this.loaded = new Set(loaded);
  }

  get end(): number {
    return this.lines.length;
  }

  entry(offset: number): JobOutput | undefined {
    const line = this.loaded.has(offset) ? this.lines[offset] : undefined;
    return line === undefined ? undefined : { line, timestamp: offset, stream: "stdout" };
  }
}

const reader = (): LinesReader => ({
  push: ({ line, offset }) => (line.startsWith("E") ? [{ offset, kind: "error" }] : []),
  flush: () => [],
});

function outlineOf(lines: Lines) {
  const platform = new SimulatedPlatform();
  const asked: number[] = [];
  let answer: (from: number) => Fetched<OutlinePage> = (from) => {
    const next = Math.min(lines.end, from + 4);
    const marks = lines.lines
      .slice(from, next)
      .flatMap((line, at): LogMark[] => (line.startsWith("E") ? [{ offset: from + at, kind: "error" }] : []));
    return {
      ok: true,
      value: { from, next, total: lines.end, complete: next === lines.end, full: false, marks },
    };
  };
  const outline = new Outline({
    lines,
    ask: (from) => {
      asked.push(from);
      return Promise.resolve(answer(from));
    },
    reader,
    platform,
    schedule: (run) => {
      run();
      return () => {};
    },
  });
  return {
    outline,
    platform,
    asked,
    answerWith: (next: typeof answer) => {
      const before = answer;
      answer = next;
      return () => {
        answer = before;
      };
    },
  };
}

describe("an outline", () => {
  const lines = ["a", "E1", "b", "c", "E4", "d", "e", "f", "E8", "g"];

  it("asks for what is not loaded, classifies what is, and knows each error once", async () => {
    const { outline, asked } = outlineOf(new Lines(lines, [8, 9]));
    outline.start();
    await settle();
    expect(asked).toEqual([0, 4]);
    expect(outline.errors).toEqual([1, 4, 8]);
    expect(outline.isCurrent).toBe(true);
    expect(outline.isError(4)).toBe(true);
    expect(outline.isError(5)).toBe(false);
  });

  it("does not ask while everything that arrives is here", async () => {
    const here = new Lines(["a", "E1"], [0, 1]);
    const { outline, asked } = outlineOf(here);
    outline.start();
    here.lines.push("E2", "x");
    here.loaded.add(2).add(3);
    outline.advance();
    await settle();
    expect(asked).toEqual([]);
    expect(outline.errors).toEqual([1, 2]);
  });

  it("is the same whatever is loaded when", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.nat(9)), fc.uniqueArray(fc.nat(9)), async (first, later) => {
        const here = new Lines(lines.slice(0, 6), first);
        const { outline } = outlineOf(here);
        outline.start();
        await Promise.resolve();
        for (const offset of later) here.loaded.add(offset);
        here.lines.push(...lines.slice(6));
        outline.advance();
        await settle();
        expect(outline.errors).toEqual([1, 4, 8]);
        outline.stop();
      }),
      { numRuns: 30 },
    );
  });

  it("tells the first error as soon as it is known, and null only when there is none", async () => {
    const { outline } = outlineOf(new Lines(lines, []));
    outline.start();
    expect(outline.firstError).toBe(undefined);
    await settle();
    expect(outline.firstError).toBe(1);
    const { outline: clean } = outlineOf(new Lines(["a", "b", "c", "d", "e"], []));
    clean.start();
    expect(clean.firstError).toBe(undefined);
    await settle();
    expect(clean.firstError).toBe(null);
  });

  it("reads many lines in parts, and all of them", () => {
    const many = Array.from({ length: 1_234 }, (_, at) => (at % 100 === 0 ? "E" : "x"));
    const { outline, platform } = outlineOf(new Lines(many, [...many.keys()]));
    outline.start();
    expect(outline.known).toBeLessThan(1_234);
    platform.pass(10);
    expect(outline.errors.length).toBe(13);
    expect(outline.isCurrent).toBe(true);
  });

  it("asks again later where the server does not answer, and says so meanwhile", async () => {
    const { outline, platform, asked, answerWith } = outlineOf(new Lines(lines, []));
    const restore = answerWith(() => ({ ok: false, status: 503, message: "busy" }));
    outline.start();
    await settle();
    expect(outline.problem).toBe("busy");
    expect(outline.firstError).toBe(null);
    outline.advance();
    await settle();
    expect(asked).toEqual([0]);
    restore();
    platform.pass(1_000);
    await settle();
    expect(outline.problem).toBe(null);
    expect(outline.errors).toEqual([1, 4, 8]);
  });

  it("waits for a line that the server does not judge before the one behind it", async () => {
    const here = new Lines(["a", "E1", "--- header"], []);
    const { outline, asked, answerWith } = outlineOf(here);
    const restore = answerWith((from) => ({
      ok: true,
      value: {
        from,
        next: 2,
        total: 3,
        complete: true,
        full: false,
        marks: from < 2 ? [{ offset: 1, kind: "error" }] : [],
      },
    }));
    outline.start();
    await settle();
    expect(outline.isCurrent).toBe(true);
    expect(outline.problem).toBe(null);
    const before = asked.length;
    outline.advance();
    await settle();
    expect(asked.length).toBe(before);
    restore();
    here.lines.push("E3");
    outline.advance();
    await settle();
    expect(outline.errors).toEqual([1, 3]);
  });

  it("keeps no more marks than the server does, and says so", async () => {
    const { outline, asked, answerWith } = outlineOf(new Lines(lines, []));
    answerWith((from) => ({
      ok: true,
      value: { from, next: 2, total: 10, complete: false, full: true, marks: [{ offset: 1, kind: "error" }] },
    }));
    outline.start();
    await settle();
    expect(outline.limited).toBe(true);
    expect(asked).toEqual([0]);
  });

  it("begins anew when the log does", async () => {
    const here = new Lines(lines, []);
    const { outline } = outlineOf(here);
    outline.start();
    await settle();
    here.lines.splice(0, 10, "E0");
    outline.advance();
    await settle();
    expect(outline.errors).toEqual([0]);
    here.lines.splice(0, 1, "a", "E1", "b");
    here.generation += 1;
    outline.advance();
    await settle();
    expect(outline.errors).toEqual([1]);
  });
});

describe("marking what is found", () => {
  const marks = (text: string, line: string, regex = false, capitals = false) =>
    matcherOf({ text, regex, case: capitals })?.(line);

  it("finds a text as it is, whatever is special in it, capitals or not", () => {
    expect(marks("a.b(", "A.B( axb( a.b(")).toEqual([
      [0, 4],
      [10, 14],
    ]);
    expect(marks("a", "A a", false, true)).toEqual([[2, 3]]);
    expect(marks("/-]", "x/-]")).toEqual([[1, 4]]);
  });

  it("runs a pattern that is harmless, and none that could stand still", () => {
    expect(marks("err(or|no) \\d+", "error 12", true)).toEqual([[0, 8]]);
    for (const pattern of [
      "(a+)+$",
      "a*a*b",
      "(?i)a",
      "(a|a)*b",
      "\\pL",
      "[[:alpha:]]",
      "(",
      "a?a?a?a?a?a?a?a?a?a",
    ]) {
      expect(marks(pattern, "aaa", true), pattern).toBe(undefined);
    }
    expect(matcherOf(null)).toBe(null);
  });

  it("is bounded in a long line, and in how many it marks", () => {
    const began = performance.now();
    expect(marks("[a-z]+x", "a".repeat(1_000_000), true)).toEqual([]);
    expect(performance.now() - began).toBeLessThan(5_000);
    expect(marks("a", "a".repeat(1_000_000))?.length).toBe(200);
    expect(marks("x*", "aaa", true)).toEqual([]);
  });
});

describe("sorted offsets", () => {
  it("are counted and stepped through as a plain list would be", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(50)), fc.nat(55), (found, offset) => {
        const offsets = found.toSorted((one, other) => one - other);
        expect(countBelow(offsets, offset)).toBe(offsets.filter((one) => one < offset).length);
        const next = offsets.find((one) => one > offset);
        expect(nearest(offsets, offset, 1)?.offset).toBe(next ?? offsets[0]);
        const previous = offsets.findLast((one) => one < offset);
        expect(nearest(offsets, offset, -1)?.offset).toBe(previous ?? offsets.at(-1));
      }),
    );
  });
});
