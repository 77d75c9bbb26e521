/** The stores that are lists of something: any stream's events, the files of a diff. */
import { beforeEach, describe, expect, it } from "vitest";
import { DiffStore } from "../../src/stream/diff-store";
import { EventLog } from "../../src/stream/event-log";
import type { Json } from "../../src/stream/json";
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

  it("goes on behind its end where the attempt runs again, with the old files until then", () => {
    const store = started();
    store.resume();
    expect(source.subscriptions).toHaveLength(1);
    source.last.say(["finished", {}, "2-e.end"]);
    store.resume();
    expect(source.last.options.position).toBe("2-e.end");
    source.last.open().say(["message", file("b", "B2"), "3-e"]);
    frames.next();
    expect(shown(store)).toEqual([
      ["a", "A"],
      ["b", "B2"],
    ]);
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
