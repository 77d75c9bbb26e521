/** Every cell of the table, written down a second time by another rule: columns instead of rows. */
import { describe, expect, it } from "vitest";
import {
  CONNECTION_EVENTS,
  CONNECTION_STATES,
  type ConnectionEvent,
  type ConnectionState,
  nextState,
} from "../../src/stream/connection-state";

/** Per event: the states it changes, and to what. Every state not named stays as it is. */
const CHANGES: Record<ConnectionEvent, Partial<Record<ConnectionState, ConnectionState>>> = {
  connect: {
    disconnected: "connecting",
    reconnecting: "connecting",
    polling: "connecting",
    error: "connecting",
  },
  opened: { connecting: "connected", reconnecting: "connected", polling: "connected" },
  lost: { connecting: "reconnecting", connected: "reconnecting" },
  refused: { connecting: "error", connected: "error", reconnecting: "error", polling: "error" },
  ended: { connecting: "done", connected: "done", reconnecting: "done", polling: "done" },
  retry: {},
  exhausted: { connecting: "error", connected: "error", reconnecting: "error" },
  fallback: { connecting: "polling", connected: "polling", reconnecting: "polling" },
  disconnect: {
    connecting: "disconnected",
    connected: "disconnected",
    reconnecting: "disconnected",
    polling: "disconnected",
    error: "disconnected",
  },
};

const cells = CONNECTION_STATES.flatMap((state) => CONNECTION_EVENTS.map((event) => ({ state, event })));

describe("the table of states and events", () => {
  it("has 7 × 9 cells", () => {
    expect(cells).toHaveLength(63);
  });

  it.each(cells)("$state, $event", ({ state, event }) => {
    expect(nextState(state, event)).toBe(CHANGES[event][state] ?? state);
  });

  it("has no way out of done", () => {
    for (const event of CONNECTION_EVENTS) expect(nextState("done", event)).toBe("done");
  });

  it("leaves error and disconnected only by someone's wish", () => {
    for (const state of ["error", "disconnected"] as const) {
      for (const event of CONNECTION_EVENTS) {
        const wished = event === "connect" || event === "disconnect";
        if (!wished) expect(nextState(state, event)).toBe(state);
      }
    }
  });

  it("can reach every state from the first", () => {
    const reached = new Set<ConnectionState>(["disconnected"]);
    for (const state of reached) for (const event of CONNECTION_EVENTS) reached.add(nextState(state, event));
    expect([...reached].toSorted()).toEqual([...CONNECTION_STATES].toSorted());
  });
});
