/** The stores that are lists of something: any stream's events, the files of a diff, the older lines of a log. */
import { beforeEach, describe, expect, it } from "vitest";
import { DiffStore } from "../../src/stream/diff-store";
import { EventLog } from "../../src/stream/event-log";
import type { Job } from "../../src/stream/job";
import type { Json } from "../../src/stream/json";
import type { Fetched, JobsApi, OutputPage } from "../../src/stream/jobs-api";
import { LineStore } from "../../src/stream/line-store";
import { STRETCH_LINES, loadOlder } from "../../src/stream/log-history";
import { Frames, ScriptedSource } from "../support/scripted-source";

let frames: Frames;
let source: ScriptedSource;

beforeEach(() => {
  frames = new Frames();
  source = new ScriptedSource();
});

describe("an event log", () => {
  function started(maxItems = 100): EventLog<Json> {
    const log = new EventLog<Json>({
      source,
      topic: "/t",
      read: (event) =>
        event.event === "message"
          ? { kind: "item", item: event.data }
          : { kind: event.event === "reset" ? "reset" : "end" },
      maxItems,
      schedule: frames.schedule,
    });
    log.start();
    return log;
  }

  it("grows once per frame", () => {
    const log = started();
    source.last.open().say(["message", 1, "0-a"], ["message", 2, "1-b"]);
    const before = log.getState().items;
    frames.next();
    expect(before).toEqual([]);
    expect(log.getState().items).toEqual([1, 2]);
  });

  it("holds nothing twice: a stream that begins anew replaces, one that goes on adds", () => {
    const log = started();
    source.last.open(null).say(["message", 1], ["message", 2]);
    frames.next();
    source.last.open(null);
    frames.next();
    expect(log.getState().items).toEqual([1, 2]);
    source.last.say(["message", 1]);
    frames.next();
    expect(log.getState().items).toEqual([1]);
    source.last.open("0-a").say(["message", 2]);
    frames.next();
    expect(log.getState().items).toEqual([1, 2]);
  });

  it("is bounded, and counts what it dropped", () => {
    const log = started(2);
    source.last.open().say(["message", 1], ["message", 2], ["message", 3]);
    frames.next();
    expect(log.getState()).toMatchObject({ items: [2, 3], dropped: 1 });
  });

  it("ends with its stream", () => {
    started();
    source.last.open().say(["finished", {}]);
    expect(source.last.calls).toEqual(["finish"]);
  });
});

describe("a diff", () => {
  const file = (name: string, diff: string, change = "modified"): Json => ({
    file: name,
    diff,
    change,
    additions: 1,
    deletions: 0,
  });

  function started(): DiffStore {
    const store = new DiffStore({ source, topic: "/d", schedule: frames.schedule });
    store.start();
    source.last
      .open()
      .say(["snapshot", {}], ["message", file("a", "A")], ["message", file("b", "B")], ["ready", {}, "1-e"]);
    frames.next();
    return store;
  }

  const shown = (store: DiffStore): [string, string][] =>
    [...store.getState().files.values()].map(({ file, diff }) => [file, diff]);

  it("has one entry per file: a later one takes its place and is not added to it", () => {
    const store = started();
    const before = store.getState().files.get("b");
    source.last.say(["message", file("a", "A2")], ["message", file("a", "A3")]);
    frames.next();
    expect(shown(store)).toEqual([
      ["a", "A3"],
      ["b", "B"],
    ]);
    expect(store.getState().files.get("b")).toBe(before);
  });

  it("loses a file that no longer differs, and what a new snapshot does not repeat", () => {
    const store = started();
    source.last.say(["message", file("a", "", "none")]);
    frames.next();
    expect(shown(store)).toEqual([["b", "B"]]);
    source.last.open(null).say(["snapshot", {}], ["message", file("c", "C")]);
    frames.next();
    expect(shown(store)).toEqual([["b", "B"]]);
    source.last.say(["ready", {}]);
    expect(shown(store)).toEqual([["c", "C"]]);
  });

  it("reads frames that hold a file and a diff alone", () => {
    const store = started();
    source.last.say(["message", { file: "x", diff: "@@" }], ["message", { file: "a", diff: "" }]);
    frames.next();
    expect(shown(store)).toEqual([
      ["b", "B"],
      ["x", "@@"],
    ]);
  });
});

describe("older lines", () => {
  const api = (page: (from: number, limit: number) => Fetched<OutputPage>): JobsApi => ({
    job: () => Promise.resolve<Fetched<Job>>({ ok: false, status: 0, message: "" }),
    output: (_, from, limit) => Promise.resolve(page(from, limit)),
    downloadUrl: () => "",
    patchUrl: () => "",
  });
  const pageOf = (from: number, count: number): Fetched<OutputPage> => ({
    ok: true,
    value: {
      output: Array.from({ length: count }, (_, at) => ({
        timestamp: 0,
        line: `${from + at}`,
        stream: "stdout" as const,
      })),
      from,
      next: from + count,
      total: 20_000,
    },
  });

  function logFrom(offset: number): LineStore {
    const log = new LineStore({ maxLines: 1e6, schedule: frames.schedule });
    log.append({ offset, output: { timestamp: 0, line: `${offset}`, stream: "stdout" } });
    return log;
  }

  it("come in one step, in as many pages as the server makes of them", async () => {
    const log = logFrom(12_000);
    const asked: number[] = [];
    const fetched = await loadOlder(
      log,
      "42",
      api((from, limit) => {
        asked.push(from);
        return pageOf(from, Math.min(limit, 2000));
      }),
    );
    expect(fetched).toEqual({ ok: true, value: STRETCH_LINES });
    expect(asked).toEqual([7000, 9000, 11_000]);
    expect(log.older).toBe(7000);
    expect(log.records().map((record) => Number(record.line))).toEqual(
      Array.from({ length: 5001 }, (_, at) => 7000 + at),
    );
  });

  it("take no line twice where a page holds more than was asked", async () => {
    const log = logFrom(3);
    await loadOlder(
      log,
      "42",
      api(() => pageOf(0, 10)),
    );
    expect(log.records().map((record) => record.line)).toEqual(["0", "1", "2", "3"]);
  });

  it("say why they did not come, and leave the log as it was", async () => {
    const log = logFrom(3);
    expect(
      await loadOlder(
        log,
        "42",
        api(() => ({ ok: false, status: 404, message: "gone" })),
      ),
    ).toMatchObject({ message: "gone" });
    expect(log.older).toBe(3);
  });

  it("are not put in front of a log that was replaced meanwhile", async () => {
    const log = logFrom(3);
    const fetched = loadOlder(
      log,
      "42",
      api((from, limit) => {
        log.beginReplacement(null);
        log.append({ offset: 0, output: { timestamp: 0, line: "new", stream: "stdout" } });
        return pageOf(from, limit);
      }),
    );
    await fetched;
    expect(log.records().map((record) => record.line)).toEqual(["new"]);
  });

  it("do not ask for ever where a server does not advance", async () => {
    const log = logFrom(3);
    expect(
      await loadOlder(
        log,
        "42",
        api((from) => pageOf(from, 0)),
      ),
    ).toEqual({ ok: true, value: 0 });
  });
});
