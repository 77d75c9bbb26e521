/**
 * The states that the manager of pipelines shows, and what each event makes of them: every cell, on a real connection
 * over a simulated network. The table of the connection itself is held by connection-state.test.ts.
 */
import { describe, expect, it } from "vitest";
import type { SSEConnectionState } from "../../src/pipelines/pipeline-sse-config";
import { PipelineBench, update, watching } from "../support/pipeline-bench";

/** Two tries, so that `reconnecting` can be lost once more without being the end of them. */
const CONFIG = { maxReconnectAttempts: 2 };

/** How to come to each state. `complete` is what a stream that the server has ended for good is shown as. */
const ARRIVALS: Readonly<Record<string, () => Promise<PipelineBench>>> = {
  disconnected: async () => {
    const bench = await watching({ one: "active" }, CONFIG);
    bench.manager.disconnect();
    return bench;
  },
  connecting: async () => {
    const bench = new PipelineBench(CONFIG);
    bench.manager.subscribe("one");
    await bench.pass(0);
    return bench;
  },
  connected: () => watching({ one: "active" }, CONFIG),
  reconnecting: async () => {
    const bench = await watching({ one: "active" }, CONFIG);
    bench.stream.cut();
    await bench.nextTry();
    return bench;
  },
  polling: async () => {
    const bench = await watching({ one: "active" }, CONFIG);
    bench.stream.cut();
    await bench.nextTry();
    await bench.refuse(1);
    await bench.nextTry();
    return bench;
  },
  error: async () => {
    const bench = new PipelineBench(CONFIG);
    bench.manager.subscribe("one");
    await bench.pass(0);
    bench.stream.answer(403, "Forbidden");
    await bench.pass(0);
    return bench;
  },
  complete: async () => {
    const bench = new PipelineBench(CONFIG);
    bench.manager.subscribe("one");
    await bench.pass(0);
    bench.stream.answer(204);
    await bench.pass(0);
    return bench;
  },
};

/** What can happen. Where no request is under way, what a server answers reaches nobody. */
const EVENTS: Readonly<Record<string, (bench: PipelineBench) => Promise<void> | void>> = {
  opened: (bench) => bench.open({ one: "active" }),
  lost: (bench) => {
    bench.stream.cut();
    bench.stream.fail();
  },
  denied: (bench) => bench.stream.answer(401, "Unauthorized"),
  refused: (bench) => bench.stream.answer(404, "Not Found"),
  ended: async (bench) => {
    bench.stream.answer(204);
    await bench.send(update("one", "stopped", "active", "9-e.end"));
  },
  silence: (bench) => bench.pass(45_000),
  failing: async (bench) => {
    bench.stream.cut();
    for (let turn = 0; turn < 100; turn += 1) {
      bench.stream.fail();
      await bench.pass(1000);
    }
  },
  hidden: (bench) => bench.page.set(true),
  seen: (bench) => {
    bench.page.set(true);
    bench.page.set(false);
  },
  reconnect: (bench) => bench.manager.reconnect(),
  resetFallback: (bench) => bench.manager.resetFallback(),
  disconnect: (bench) => bench.manager.disconnect(),
};

/** State × event. An empty cell: it stays as it is. */
const TABLE: Readonly<Record<string, Readonly<Record<string, SSEConnectionState>>>> = {
  disconnected: { reconnect: "connecting" },
  connecting: {
    opened: "connected",
    lost: "reconnecting",
    denied: "error",
    refused: "polling",
    ended: "disconnected",
    silence: "reconnecting", // a try is given up after 20 s
    failing: "polling",
    hidden: "disconnected",
    disconnect: "disconnected",
  },
  connected: {
    lost: "reconnecting",
    ended: "disconnected",
    silence: "reconnecting",
    failing: "polling",
    hidden: "disconnected",
    seen: "connecting",
    disconnect: "disconnected",
  },
  reconnecting: {
    opened: "connected",
    denied: "error",
    refused: "polling",
    ended: "disconnected",
    silence: "polling",
    failing: "polling",
    hidden: "disconnected",
    seen: "connecting",
    reconnect: "connecting",
    disconnect: "disconnected",
  },
  polling: {
    opened: "connected",
    denied: "error",
    ended: "disconnected",
    hidden: "disconnected",
    resetFallback: "connecting",
    disconnect: "disconnected",
  },
  error: { hidden: "disconnected", seen: "connecting", reconnect: "connecting", disconnect: "disconnected" },
  complete: { seen: "connecting", reconnect: "connecting" },
};

const cells = Object.keys(ARRIVALS).flatMap((state) =>
  Object.keys(EVENTS).map((event) => ({ state, event })),
);

describe("the states of the manager and what happens to them", () => {
  it("are 7 × 12 cells", () => {
    expect(cells).toHaveLength(84);
    expect(Object.keys(TABLE)).toEqual(Object.keys(ARRIVALS));
  });

  it.each(cells)("$state, $event", async ({ state, event }) => {
    const arrive = ARRIVALS[state];
    const happen = EVENTS[event];
    if (!arrive || !happen) throw new Error("no such cell");
    const bench = await arrive();
    const before = bench.manager.getConnectionState();
    expect(before).toBe(state === "complete" ? "disconnected" : state);
    await happen(bench);
    await bench.pass(0);
    expect(bench.manager.getConnectionState()).toBe(TABLE[state]?.[event] ?? before);
  });
});
