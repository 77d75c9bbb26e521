import fc from "fast-check";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { JobOutput } from "../../src/api/job";
import { LinePage, PAGE_ENTRIES } from "../../src/log/line-page";
import { LineStore } from "../../src/log/line-store";
import { layOut } from "../../src/log/log-layout";
import { type ViewRow, offsetOf } from "../../src/log/log-rows";
import { EVERYTHING } from "../../src/log/projection";
import { PLAIN } from "../../src/log/terminal/text-style";
import { Frames } from "../support/scripted-source";

const out = (line: string, stream: JobOutput["stream"] = "stdout"): JobOutput => ({
  timestamp: 1,
  line,
  stream,
});
const textOf = (row: ViewRow): string => (row.kind === "line" ? row.text : row.kind);

let frames: Frames;
let log: LineStore;

beforeEach(() => {
  frames = new Frames();
  log = new LineStore({ maxLines: 10_000, schedule: frames.schedule });
});

function add(...lines: string[]): void {
  for (const line of lines) log.append({ offset: log.nextOffset, output: out(line) });
}

const numbered = (from: number, count: number): JobOutput[] =>
  Array.from({ length: count }, (_, at) => out(`${from + at}`));

function rows(store = log): readonly ViewRow[] {
  const layout = layOut(store, { projection: EVERYTHING, width: 0, raw: false });
  return layout.rows(0, layout.units).map(({ row }) => row);
}

const texts = (store = log): string[] => rows(store).map(textOf);

describe("appending", () => {
  it("tells its listeners once per frame, whatever came in between", () => {
    const listener = vi.fn<() => void>();
    log.subscribe(listener);
    for (let at = 0; at < 5000; at += 1) add(`line ${at}`);
    expect(frames.pending).toBe(1);
    expect(listener).not.toHaveBeenCalled();
    frames.next();
    expect(listener).toHaveBeenCalledOnce();
    expect(log.version).toBe(1);
  });

  it("keeps what a row is, under its id, for good", () => {
    add("a", "b");
    const before = rows()[1];
    add(...Array.from({ length: 3 * PAGE_ENTRIES }, (_, at) => `${at}`));
    expect(rows()[1]).toEqual(before);
    expect(rows()[2 + 2 * PAGE_ENTRIES]).toMatchObject({
      text: `${2 * PAGE_ENTRIES}`,
      offset: 2 + 2 * PAGE_ENTRIES,
    });
  });

  it("makes a row of each line of an entry, and one record of all of them", () => {
    add("one\ntwo\n", "three");
    expect(rows()).toMatchObject([
      { offset: 0, part: 0, continued: false, text: "one" },
      { offset: 0, part: 1, continued: true, text: "two" },
      { offset: 1, part: 0, text: "three" },
    ]);
    expect(log.records().map((record) => record.line)).toEqual(["one\ntwo\n", "three"]);
  });

  it("copies nothing: a page's rows stand while lines join it", () => {
    add("a");
    const page = log.pages[0];
    const before = page?.rows(null, false);
    add("b", "c");
    expect(page?.rows(null, false)).toBe(before);
    expect(before?.count).toBe(3);
  });

  it("makes no array of its lines for a line that arrives, only for who asks", () => {
    const made = vi.spyOn(LinePage.prototype, "records");
    add(...Array.from({ length: 5_000 }, () => "."));
    expect(made).not.toHaveBeenCalled();
    expect(log.records()).toHaveLength(5_000);
    expect(made).toHaveBeenCalledTimes(log.pages.length);
    made.mockRestore();
  });

  it("carries colours from line to line, for each stream apart, also over the end of a page", () => {
    add(...Array.from({ length: PAGE_ENTRIES - 1 }, () => "."), "\x1b[32mgreen");
    log.append({ offset: log.end, output: out("plain", "stderr") });
    add("still");
    expect(rows().slice(-2)).toMatchObject([{ style: PLAIN }, { style: { fg: 2 } }]);
  });

  it("takes a line once", () => {
    add("a", "b");
    log.append({ offset: 0, output: out("again") });
    expect(texts()).toEqual(["a", "b"]);
  });

  it("gives records as one array until something changes", () => {
    add("a");
    expect(log.records()).toBe(log.records());
    const before = log.records();
    add("b");
    expect(before).toHaveLength(1);
    expect(log.records()).toHaveLength(2);
  });
});

describe("the bound", () => {
  it("of records drops the oldest", () => {
    log = new LineStore({ maxLines: 3, schedule: frames.schedule });
    add("a", "b", "c", "d", "e");
    expect(log.records().map((record) => record.line)).toEqual(["c", "d", "e"]);
  });

  it("of memory lets whole pages go, which are then as if they had never been loaded", () => {
    log = new LineStore({ maxLines: 1_000, schedule: frames.schedule });
    add(...numbered(0, 5_000).map(({ line }) => line));
    expect(log.loaded).toBeLessThanOrEqual(1_000 + PAGE_ENTRIES);
    expect(log.loaded).toBeGreaterThanOrEqual(1_000);
    expect(rows()).toHaveLength(5_000);
    expect(rows()[0]).toMatchObject({ kind: "unloaded", offset: 0 });
    expect(rows()[4_999]).toMatchObject({ kind: "line", text: "4999" });
  });

  it("lets go what was not looked at for longest, and never what is on the screen", () => {
    log = new LineStore({ maxLines: 1_000, schedule: frames.schedule });
    add(...numbered(0, PAGE_ENTRIES).map(({ line }) => line));
    const [looked] = log.pages;
    log.lookAt(looked ? [looked] : []);
    add(...numbered(PAGE_ENTRIES, 5_000).map(({ line }) => line));
    expect(log.entry(0)).toMatchObject({ line: "0" });
    log.lookAt([]);
    add(...numbered(0, 2_000).map(({ line }) => line));
    expect(log.entry(0)).toBeUndefined();
  });

  it("is of bytes too", () => {
    log = new LineStore({ maxLines: 1e9, maxBytes: 1e6, schedule: frames.schedule });
    for (let at = 0; at < 4 * PAGE_ENTRIES; at += 1) add("x".repeat(2_000));
    expect(log.bytes).toBeLessThanOrEqual(1e6 + PAGE_ENTRIES * 2_200);
    expect(log.entry(log.end - 1)).toBeDefined();
  });
});

describe("lines that were asked for", () => {
  it("take their places, whichever come first, and no row changes its id", () => {
    log.append({ offset: 2_000, output: out("2000") });
    const live = rows().at(-1);
    log.fill(1_000, numbered(1_000, 300));
    log.fill(0, numbered(0, 1_000));
    log.fill(1_300, numbered(1_300, 700));
    expect(texts()).toEqual(numbered(0, 2_001).map(({ line }) => line));
    expect(rows().at(-1)).toEqual(live);
  });

  it("bring their colours into what stood behind them", () => {
    log.append({ offset: 1, output: out("middle") });
    log.append({ offset: 2, output: out("end") });
    expect(rows()[1]).toMatchObject({ style: PLAIN });
    log.fill(0, [out("\x1b[31mred")]);
    expect(rows().slice(1)).toMatchObject([{ style: { fg: 1 } }, { style: { fg: 1 } }]);
  });

  it("are left out where the stream has not come so far", () => {
    add("0");
    log.fill(0, numbered(0, 5));
    expect(texts()).toEqual(["0"]);
  });

  it("that could not be had are one row, until they are asked for again", () => {
    log.append({ offset: 3_000, output: out("live") });
    log.fail(1, "HTTP 500");
    const failed = rows().filter(({ kind }) => kind === "failed");
    expect(failed).toMatchObject([{ from: PAGE_ENTRIES, to: 2 * PAGE_ENTRIES - 1, reason: "HTTP 500" }]);
    log.fail(1, null);
    expect(rows()).toHaveLength(3_001);
  });

  it("that are gone are one row, however many", () => {
    log.append({ offset: 1_000_000, output: out("live") });
    log.fillGap(0, 999_999);
    expect(rows()).toMatchObject([
      { kind: "gap", from: 0, to: 999_998 },
      { kind: "unloaded", offset: 999_999 },
      { text: "live" },
    ]);
  });
});

describe("a replacement", () => {
  it("leaves the old rows until the first new one stands", () => {
    add("a", "b");
    log.beginReplacement("tag");
    expect(texts()).toEqual(["a", "b"]);
    add("A");
    expect(texts()).toEqual(["reset", "A"]);
    expect(rows().at(-1)).toMatchObject({ offset: 0 });
  });

  it("never gives an old id to a new row", () => {
    add("a", "b");
    const before = rows().map(({ id }) => id);
    log.beginReplacement(null);
    add("A");
    expect(before).not.toContain(rows()[0]?.id);
  });

  it("can be committed where nothing follows", () => {
    add("a");
    log.beginReplacement(null);
    log.commitReplacement();
    expect(texts()).toEqual([]);
    log.commitReplacement();
    expect(log.end).toBe(0);
  });
});

it("shows a gap as a row, and goes on counting behind it", () => {
  add("\x1b[31ma");
  log.appendGap(1, 9);
  add("k");
  expect(rows()).toMatchObject([
    { text: "\x1b[31ma" },
    { kind: "gap", from: 1, to: 9 },
    { offset: 10, style: PLAIN },
  ]);
});

it("says how many lines are still to come", () => {
  add("a");
  log.announce(10);
  expect([log.total, log.behind]).toEqual([10, 9]);
  add(...numbered(1, 20).map(({ line }) => line));
  expect([log.total, log.behind]).toEqual([21, 0]);
});

it("takes what is announced for there, to be asked for, once the stream is over", () => {
  add("a");
  log.settle("0-tag.end");
  expect(log.proof).toEqual({ offset: 0, position: "0-tag" });
  log.announce(10);
  expect([log.end, log.total, log.behind]).toEqual([10, 10, 0]);
  log.settle(null);
  log.announce(20);
  expect([log.end, log.behind, log.proof]).toEqual([10, 10, null]);
});

/** What an offset is, in the naive model: its text, or "unloaded" or "gap". */
type Known = string;

describe("any history", () => {
  const offset = fc.integer({ min: 0, max: 2_500 });
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant("append" as const), at: fc.integer({ min: 1, max: 700 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant("gap" as const), at: fc.integer({ min: 1, max: 900 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant("tail" as const), at: fc.integer({ min: 1, max: 900 }) }),
    },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("fill" as const), at: offset }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("lost" as const), at: offset }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("replace" as const), at: fc.constant(0) }) },
  );
  /** Entry `n` has as many lines as `n % 3`, at least one. */
  const lineOf = (generation: number, at: number): string =>
    Array.from({ length: Math.max(1, at % 3) }, (_, part) => `${generation}/${at}/${part}`).join("\n");

  it("agrees with a plain array of entries", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 14 }), fc.integer({ min: 5, max: 40 }), (steps, width) => {
        const store = new LineStore({ maxLines: 1e9, schedule: new Frames().schedule });
        let naive: Known[] = [];
        let generation = 0;
        const put = (at: number): JobOutput => out((naive[at] = lineOf(generation, at)));
        for (const { kind, at } of steps) {
          const end = naive.length;
          if (kind === "append")
            for (let next = end; next < end + at; next += 1)
              store.append({ offset: next, output: put(next) });
          else if (kind === "gap") {
            store.appendGap(end, end + at - 1);
            naive.push(...Array<Known>(at).fill("gap"));
          } else if (kind === "tail") {
            naive.push(...Array<Known>(at).fill("unloaded"));
            store.append({ offset: end + at, output: put(end + at) });
          } else if (kind === "fill") {
            const to = Math.min(end, at + 300);
            const outputs = Array.from({ length: Math.max(0, to - at) }, (_, index) => put(at + index));
            store.fill(at, outputs);
          } else if (kind === "lost") {
            store.fillGap(at, at + 100);
            for (let lost = at; lost < Math.min(end, at + 100); lost += 1)
              if (naive[lost] === "unloaded") naive[lost] = "gap";
          } else if (end > 0) {
            store.beginReplacement(null);
            generation += 1;
            naive = [];
            store.append({ offset: 0, output: put(0) });
          }
        }
        check(store, naive, width);
      }),
      { numRuns: 150 },
    );
  }, 60_000);

  function check(store: LineStore, naive: readonly Known[], width: number): void {
    const expected: string[] = [];
    let units = 0;
    for (const [at, known] of naive.entries()) {
      if (known === "gap" && naive[at - 1] === "gap") continue;
      const parts = known === "unloaded" || known === "gap" ? [known] : known.split("\n");
      expected.push(...parts);
      const height = (part: string): number =>
        part === known && !part.includes("/") ? 1 : Math.ceil(part.length / width);
      units += parts.reduce((sum, part) => sum + height(part), 0);
    }
    expect(texts(store)).toEqual(expected);
    const wrapped = layOut(store, { projection: EVERYTHING, width, raw: false });
    expect(wrapped.units).toBe(units);
    let top = 0;
    for (const placed of wrapped.rows(0, wrapped.units)) {
      expect(placed.top).toBe(top);
      top += placed.units;
      const { row } = placed;
      if (row.kind === "reset") continue;
      const part = row.kind === "line" ? row.part : 0;
      expect(wrapped.unitOf({ offset: offsetOf(row), part, units: 0 })).toBe(placed.top);
      expect(wrapped.anchorAt(placed.top)).toEqual({ offset: offsetOf(row), part, units: 0 });
    }
    expect(new Set(rows(store).map(({ id }) => id)).size).toBe(expected.length);
    expect(store.records()).toHaveLength(
      naive.filter((known) => known !== "gap" && known !== "unloaded").length,
    );
  }
});
