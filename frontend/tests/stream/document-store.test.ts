import { beforeEach, describe, expect, it, vi } from "vitest";
import { DocumentStore, LINGER_MS } from "../../src/stream/document-store";
import type { JsonObject } from "../../src/stream/json";
import { Frames, ScriptedSource } from "../support/scripted-source";

let frames: Frames;
let source: ScriptedSource;

function watched(initial?: { document: JsonObject; position: string }): DocumentStore {
  const store = new DocumentStore({
    source,
    topic: "/api/events/?tables=jobs&batch=1",
    initialDocument: initial?.document ?? null,
    initialPosition: initial?.position ?? null,
    schedule: frames.schedule,
  });
  store.watch();
  return store;
}

const shown = (store: DocumentStore): JsonObject => store.getState().document;

beforeEach(() => {
  frames = new Frames();
  source = new ScriptedSource();
});

const opening = [{ op: "add", path: "/jobs", value: {} }];
const row = (id: string, value: JsonObject) => ({ op: "add", path: `/jobs/${id}`, value });

describe("a snapshot", () => {
  it("is shown at ready, whole, and not before", () => {
    const store = watched();
    source.last.open().say(["message", opening], ["message", [row("a", {}), row("b", {})]]);
    frames.next();
    expect(store.getState()).toMatchObject({ document: {}, ready: false });
    source.last.say(["ready", {}, "4-e1"]);
    frames.next();
    expect(store.getState()).toMatchObject({ document: { jobs: { a: {}, b: {} } }, ready: true });
  });

  it("of a later connection leaves the old rows on the screen until it is whole", () => {
    const store = watched({ document: { jobs: { old: {} } }, position: "3-e0" });
    source.last.open(null).say(["message", opening], ["message", [row("new", {})]]);
    frames.next();
    expect(shown(store)).toEqual({ jobs: { old: {} } });
    source.last.say(["ready", {}, "9-e1"]);
    expect(shown(store)).toEqual({ jobs: { new: {} } });
  });

  it("that was cut is forgotten: the next connection may go on from the old document", () => {
    const store = watched({ document: { jobs: { old: {} } }, position: "3-e0" });
    source.last.open(null).say(["message", opening], ["message", [row("half", {})]]);
    source.last.open("3-e0").say(["message", [row("change", {})], "4-e0"], ["ready", {}, "4-e0"]);
    frames.next();
    expect(shown(store)).toEqual({ jobs: { old: {}, change: {} } });
  });
});

describe("rows that are left out", () => {
  it("are counted with the snapshot, with a change, and anew by each connection", () => {
    const store = watched();
    source.last.open().say(["left-out", { jobs: 5 }], ["message", opening]);
    frames.next();
    expect(store.getState().leftOut).toEqual({});
    source.last.say(["ready", {}, "4-e1"]);
    expect(store.getState().leftOut).toEqual({ jobs: 5 });
    source.last.say(["left-out", { jobs: 6 }]);
    expect(store.getState().leftOut).toEqual({ jobs: 6 });
    source.last.open("4-e1");
    expect(store.getState().leftOut).toEqual({ jobs: 6 });
    source.last.say(["ready", {}, "4-e1"]);
    expect(store.getState().leftOut).toEqual({});
  });
});

describe("changes", () => {
  it("take one operation or an array of them, and are applied once per frame", () => {
    const store = watched({ document: { jobs: { a: { status: "running" } } }, position: "1-e" });
    const listener = vi.fn<() => void>();
    store.subscribe(listener);
    for (let at = 0; at < 500; at += 1) {
      source.last.say(["message", { op: "replace", path: "/jobs/a/status", value: `${at}` }, `${at + 2}-e`]);
    }
    expect(listener).not.toHaveBeenCalled();
    frames.next();
    expect(listener).toHaveBeenCalledOnce();
    expect(shown(store)).toEqual({ jobs: { a: { status: "499" } } });
  });

  it("of one row leave the others as the same objects", () => {
    const store = watched({ document: { jobs: { a: { x: 1 }, b: { x: 1 } } }, position: "1-e" });
    const before = shown(store).jobs as JsonObject;
    source.last.say(["message", [{ op: "replace", path: "/jobs/a/x", value: 2 }]]);
    frames.next();
    const after = shown(store).jobs as JsonObject;
    expect(after.b).toBe(before.b);
    expect(after.a).not.toBe(before.a);
  });

  it("that do not fit start the stream over, and the old rows stay meanwhile", () => {
    const store = watched({ document: { jobs: { a: {} } }, position: "1-e" });
    source.last.say(["message", [{ op: "remove", path: "/jobs/unknown" }], "2-e"]);
    frames.next();
    expect(source.last.calls[0]).toMatch(/^restart/);
    expect(shown(store)).toEqual({ jobs: { a: {} } });
  });
});

describe("watchers", () => {
  it("share one connection, which ends a moment after the last of them", () => {
    vi.useFakeTimers();
    const store = watched();
    const second = store.watch();
    expect(source.subscriptions).toHaveLength(1);
    second();
    second();
    vi.advanceTimersByTime(LINGER_MS);
    expect(source.last.calls).toEqual([]);
    vi.useRealTimers();
  });

  it("that leave and come back, as at a change of pages, do not reopen it; later ones resume", () => {
    vi.useFakeTimers();
    const store = new DocumentStore({ source, topic: "/t", schedule: frames.schedule });
    const leave = store.watch();
    source.last.open().say(["message", opening], ["ready", {}, "5-e1"]);
    leave();
    const again = store.watch();
    vi.advanceTimersByTime(LINGER_MS);
    expect(source.subscriptions).toHaveLength(1);
    again();
    vi.advanceTimersByTime(LINGER_MS);
    expect(source.last.calls).toEqual(["close"]);
    store.watch();
    expect(source.subscriptions).toHaveLength(2);
    expect(source.last.options.position).toBe("5-e1");
    vi.useRealTimers();
  });
});
