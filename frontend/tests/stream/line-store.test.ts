import fc from "fast-check";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { PLAIN } from "../../src/stream/ansi";
import type { JobOutput } from "../../src/stream/job";
import { CHUNK_ROWS, type LogRow } from "../../src/stream/line-chunk";
import { LineStore } from "../../src/stream/line-store";
import { Frames } from "../support/scripted-source";

const out = (line: string, stream: JobOutput["stream"] = "stdout"): JobOutput => ({
  timestamp: 1,
  line,
  stream,
});
const textOf = (row: LogRow): string => (row.kind === "line" ? row.text : row.kind);

let frames: Frames;
let log: LineStore;

beforeEach(() => {
  frames = new Frames();
  log = new LineStore({ maxLines: 10_000, schedule: frames.schedule });
});

function add(...lines: string[]): void {
  for (const line of lines) log.append({ offset: log.nextOffset, output: out(line) });
}

const texts = (): string[] => log.rows(log.start, log.end).map(textOf);

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
    const before = log.row(1);
    add(...Array.from({ length: 3 * CHUNK_ROWS }, (_, at) => `${at}`));
    expect(log.row(1)).toEqual(before);
    expect(log.row(2 + 2 * CHUNK_ROWS)).toMatchObject({
      text: `${2 * CHUNK_ROWS}`,
      offset: 2 + 2 * CHUNK_ROWS,
    });
  });

  it("makes a row of each line of an entry, and one record of all of them", () => {
    add("one\ntwo\n", "three");
    expect(texts()).toEqual(["one", "two", "three"]);
    expect(log.rows(0, 3)).toMatchObject([
      { offset: 0, continued: false },
      { offset: 0, continued: true },
      { offset: 1 },
    ]);
    expect(log.records().map((record) => record.line)).toEqual(["one\ntwo", "three"]);
  });

  it("carries colours from line to line, for each stream apart", () => {
    add("\x1b[32mgreen");
    log.append({ offset: 1, output: out("plain", "stderr") });
    add("still");
    expect(log.row(1)).toMatchObject({ style: PLAIN });
    expect(log.row(2)).toMatchObject({ style: { fg: 2 } });
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
  it("drops the oldest and says how many", () => {
    log = new LineStore({ maxLines: 3, schedule: frames.schedule });
    add("a", "b", "c", "d", "e");
    expect(texts()).toEqual(["c", "d", "e"]);
    expect(log.older).toBe(2);
    expect(log.records().map((record) => record.line)).toEqual(["c", "d", "e"]);
    expect(log.row(1)).toBeNull();
  });

  it("gives way to older lines that someone asked for", () => {
    log = new LineStore({ maxLines: 3, schedule: frames.schedule });
    add("a", "b", "c", "d", "e");
    log.prepend([
      { offset: 0, output: out("a") },
      { offset: 1, output: out("b") },
    ]);
    expect(texts()).toEqual(["a", "b", "c", "d", "e"]);
    expect(log.older).toBe(0);
    expect(log.start).toBe(0);
  });
});

describe("older lines", () => {
  it("come in front, and no row changes its id", () => {
    log.append({ offset: 2000, output: out("first seen") });
    const seen = log.row(log.start);
    log.prepend(Array.from({ length: 1500 }, (_, at) => ({ offset: 500 + at, output: out(`${500 + at}`) })));
    expect(log.row(0)).toEqual(seen);
    expect(log.start).toBe(-1500);
    expect(log.older).toBe(500);
    expect(texts().slice(0, 2)).toEqual(["500", "501"]);
    expect(texts().slice(-2)).toEqual(["1999", "first seen"]);
  });

  it("carry their colours on into what was there, until it sets its own", () => {
    log.append({ offset: 1, output: out("mid") });
    log.append({ offset: 2, output: out("end\x1b[0m") });
    log.append({ offset: 3, output: out("plain") });
    log.prepend([{ offset: 0, output: out("\x1b[31mbegin") }]);
    expect(log.rows(-1, 3).map((row) => (row.kind === "line" ? row.style.fg : null))).toEqual([-1, 1, 1, -1]);
  });

  it("carry their colours into lines yet to come", () => {
    log.append({ offset: 1, output: out("mid") });
    log.prepend([{ offset: 0, output: out("\x1b[31mbegin") }]);
    log.append({ offset: 2, output: out("new") });
    expect(log.row(1)).toMatchObject({ style: { fg: 1 } });
  });
});

describe("a replacement", () => {
  it("leaves the old rows until the first new one stands", () => {
    add("a", "b");
    log.beginReplacement({ kind: "reset", reason: "tag" });
    expect(texts()).toEqual(["a", "b"]);
    add("A");
    expect(texts()).toEqual(["reset", "A"]);
    expect(log.rows(log.start, log.end).at(-1)).toMatchObject({ offset: 0 });
  });

  it("never gives an old id to a new row", () => {
    add("a", "b");
    log.beginReplacement(null);
    add("A");
    expect(log.row(0)).toBeNull();
    expect(log.start).toBe(2);
  });

  it("can be committed where nothing follows", () => {
    add("a");
    log.beginReplacement(null);
    log.commitReplacement();
    expect(texts()).toEqual([]);
    log.commitReplacement();
    expect(log.start).toBe(log.end);
  });
});

it("shows a gap as a row, and goes on counting behind it", () => {
  add("\x1b[31ma");
  log.appendGap(1, 9);
  add("k");
  expect(texts()).toEqual(["\x1b[31ma", "gap", "k"]);
  expect(log.row(1)).toMatchObject({ kind: "gap", from: 1, to: 9 });
  expect(log.row(2)).toMatchObject({ offset: 10, style: PLAIN });
});

it("agrees with a plain array over any history", () => {
  const step = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ kind: fc.constant("append" as const), count: fc.integer({ min: 1, max: 700 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant("older" as const), count: fc.integer({ min: 1, max: 700 }) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("replace" as const), count: fc.constant(1) }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 15 }), (steps) => {
      const store = new LineStore({ maxLines: 1e9, schedule: frames.schedule });
      let naive: number[] = [];
      let next = 5000;
      for (const { kind, count } of steps) {
        if (kind === "append") {
          for (let i = 0; i < count; i += 1) {
            store.append({ offset: next, output: out(String(next)) });
            naive.push(next);
            next += 1;
          }
        } else if (kind === "older" && naive.length > 0) {
          const first = naive[0] ?? 0;
          const older = Array.from(
            { length: Math.min(count, first) },
            (_, i) => first - Math.min(count, first) + i,
          );
          store.prepend(older.map((offset) => ({ offset, output: out(String(offset)) })));
          naive = [...older, ...naive];
        } else if (kind === "replace" && naive.length > 0) {
          store.beginReplacement(null);
          next = 0;
          store.append({ offset: 0, output: out("0") });
          naive = [0];
          next = 1;
        }
      }
      expect(store.rows(store.start, store.end).map(textOf)).toEqual(naive.map(String));
      expect(store.records().map((record) => record.line)).toEqual(naive.map(String));
      expect(store.older).toBe(naive[0] ?? 0);
    }),
    { numRuns: 60 },
  );
});
