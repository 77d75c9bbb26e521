/** What the manager of pipelines promises, on a simulated network and clock. */
import { describe, expect, it } from "vitest";
import { LINGER_MS, SSE_MANAGER_DEFAULTS } from "../../src/pipelines/pipeline-sse-config";
import { PipelineSSEManager } from "../../src/pipelines/pipeline-sse-manager";
import { HEARTBEAT, PipelineBench, batch, update, watching, wire } from "../support/pipeline-bench";

const ENDPOINT = "/ui-api/pipeline/status/stream";

describe("configuration", () => {
  it("has the defaults that are documented", () => {
    expect(SSE_MANAGER_DEFAULTS).toEqual({
      endpoint: ENDPOINT,
      maxReconnectAttempts: 5,
      reconnectDelay: 1000,
      maxReconnectDelay: 30_000,
      heartbeatTimeout: 45_000,
      enablePollingFallback: true,
    });
  });

  it("takes another endpoint, and waits for as long as it was told", async () => {
    const bench = await watching(
      { one: "active" },
      { endpoint: "/elsewhere/status/stream", heartbeatTimeout: 500 },
    );
    expect(bench.stream.url).toBe("/elsewhere/status/stream?pipelineIds=one");
    await bench.pass(499);
    expect(bench.manager.getConnectionState()).toBe("connected");
    await bench.pass(1);
    expect(bench.manager.getConnectionState()).toBe("reconnecting");
  });
});

describe("subscriptions", () => {
  it("of many components are one stream", async () => {
    const bench = new PipelineBench();
    bench.manager.subscribe(["two", "one"]);
    bench.manager.subscribe("three");
    bench.manager.subscribe("one");
    await bench.pass(0);
    expect(bench.streams.map((stream) => stream.url)).toEqual([`${ENDPOINT}?pipelineIds=one,three,two`]);
  });

  it("are counted: the first component to go takes nothing from the second", async () => {
    const bench = await watching({ one: "active" });
    bench.manager.subscribe("one");
    bench.manager.unsubscribe("one");
    await bench.pass(LINGER_MS);
    await bench.send(update("one", "paused", "active"));
    expect(bench.manager.getPipelineStatus("one")).toBe("paused");
    expect(bench.streams).toHaveLength(1);
    bench.manager.unsubscribe("one");
    await bench.pass(LINGER_MS);
    expect(bench.stream.signal?.aborted).toBe(true);
    expect(bench.manager.getConnectionState()).toBe("disconnected");
  });

  it("that change within one turn reopen the stream once, and from its position", async () => {
    const bench = await watching({ one: "active" });
    for (const id of ["two", "three", "four"]) bench.manager.subscribe(id);
    bench.manager.unsubscribe("two");
    await bench.pass(0);
    expect(bench.streams.map((stream) => stream.url)).toEqual([
      `${ENDPOINT}?pipelineIds=one`,
      `${ENDPOINT}?pipelineIds=four,one,three`,
    ]);
    expect(bench.stream.position).toBe("1-e");
    expect(bench.streams[0]?.signal?.aborted).toBe(true);
  });

  it("that are let go and wished for again leave the stream as it is", async () => {
    const bench = await watching({ one: "active", two: "active" });
    bench.manager.unsubscribe(["one", "two"]);
    await bench.pass(LINGER_MS - 1);
    bench.manager.subscribe(["one", "two"]);
    await bench.pass(LINGER_MS);
    expect(bench.streams).toHaveLength(1);
  });

  it("with an id that can be none are told so, and never sent", async () => {
    const bench = new PipelineBench();
    bench.manager.subscribe(["one", "No,Good"]);
    await bench.pass(0);
    expect(bench.stream.url).toBe(`${ENDPOINT}?pipelineIds=one`);
    expect(bench.manager.getPipeline("No,Good").problem?.message).toBe("Invalid pipeline ID");
  });

  it("past what a server takes in one stream are polled", async () => {
    const bench = new PipelineBench();
    bench.manager.subscribe(Array.from({ length: 202 }, (_, at) => `p-${at}`));
    await bench.pass(0);
    expect(bench.stream.url.split(",")).toHaveLength(200);
    expect(bench.questions.map((question) => question.url)).toEqual([
      "/ui-api/pipeline/p-200/health",
      "/ui-api/pipeline/p-201/health",
    ]);
  });

  it("leave nothing behind: no timer, no listener, no status", async () => {
    const bench = await watching({ one: "active" });
    bench.manager.unsubscribe("one");
    await bench.pass(LINGER_MS);
    await bench.pass(LINGER_MS + 100);
    expect([bench.platform.timers, bench.platform.wakers, bench.page.listeners, bench.board.size]).toEqual([
      0, 0, 0, 0,
    ]);
    expect(bench.manager.getPipelineStatus("one")).toBeNull();
  });
});

describe("statuses", () => {
  it("come at first for all, then one by one, each change told once and in order", async () => {
    const bench = await watching({ one: "active", two: "starting" });
    await bench.send(update("two", "active", "starting"), update("one", "pausing"), update("one", "paused"));
    expect(bench.changes).toEqual([
      "one null active",
      "two null starting",
      "two starting active",
      "one active pausing",
      "one pausing paused",
    ]);
  });

  it("that are told again are no change", async () => {
    const bench = await watching({ one: "active" });
    await bench.send(batch({ one: "active" }), update("one", "active", "active"));
    expect(bench.changes).toEqual(["one null active"]);
  });

  it("stay through a lost connection, and come up to date with the next one", async () => {
    const bench = await watching({ one: "active" });
    bench.stream.cut();
    await bench.nextTry();
    expect(bench.manager.getPipelineStatus("one")).toBe("active");
    expect(bench.stream.position).toBe("1-e");
    await bench.open({ one: "failed" }, "2-e");
    expect(bench.manager.getPipelineStatus("one")).toBe("failed");
  });

  it("are told to every listener, whoever heard first", async () => {
    const bench = await watching({ one: "active" });
    const heard: string[] = [];
    bench.manager.addStatusListener(({ status }) => heard.push(`second ${status}`));
    bench.manager.addStatusListener(({ status }) => heard.push(`third ${status}`));
    await bench.send(update("one", "paused", "active"));
    expect([...heard, bench.changes.at(-1)]).toEqual(["second paused", "third paused", "one active paused"]);
  });

  it("of listeners that stopped to listen go on unheard", async () => {
    const bench = await watching({ one: "active" });
    const heard: string[] = [];
    const stop = bench.manager.addStatusListener(({ status }) => heard.push(status));
    await bench.send(update("one", "paused"));
    stop();
    await bench.send(update("one", "active"));
    expect(heard).toEqual(["paused"]);
  });

  it("are not disturbed by frames that make no sense", async () => {
    const bench = await watching({ one: "active" });
    await bench.send(
      'event: status_update\ndata: {"pipelineId":7}\n\n',
      "event: batch_update\ndata: <html>\n\n",
      wire("batch_update", { updates: [null, { pipelineId: "one" }, 3] }),
      wire("strange", { pipelineId: "one", status: "gone" }),
    );
    expect(bench.manager.getPipelineStatus("one")).toBe("active");
    expect(bench.manager.getConnectionState()).toBe("connected");
  });
});

describe("errors", () => {
  it("named by the server are about a pipeline, and no fault of the connection", async () => {
    const bench = await watching({ one: "active" });
    bench.manager.subscribe("ghost");
    await bench.pass(0);
    await bench.open({ one: "active" });
    const { length } = bench.states;
    await bench.send(
      wire("error", { pipelineId: "ghost", message: "Pipeline not found", code: "PIPELINE_NOT_FOUND" }),
    );
    expect(bench.manager.getPipeline("ghost")).toMatchObject({
      status: null,
      problem: { code: "PIPELINE_NOT_FOUND", message: "Pipeline not found" },
    });
    expect(bench.states).toHaveLength(length);
    await bench.send(update("ghost", "starting"));
    expect(bench.manager.getPipeline("ghost")).toMatchObject({ status: "starting", problem: null });
  });

  it("of the backend leave the statuses, and end with the first status that it vouches for again", async () => {
    const bench = await watching({ one: "active" });
    await bench.send(wire("error", { message: "The backend does not answer", code: "BACKEND_UNAVAILABLE" }));
    expect(bench.board.getBackendProblem()?.message).toBe("The backend does not answer");
    expect(bench.manager.getPipelineStatus("one")).toBe("active");
    await bench.send(
      wire("status_update", { pipelineId: "one", status: "active", previousStatus: "active" }),
    );
    expect(bench.board.getBackendProblem()).toBeNull();
    expect(bench.questions).toHaveLength(0);
  });

  it("of one pipeline end with the status that it had, which is no change of it", async () => {
    const bench = await watching({ one: "active" });
    const changes: unknown[] = [];
    bench.manager.addStatusListener((change) => changes.push(change));
    await bench.send(wire("error", { pipelineId: "one", message: "HTML", code: "BACKEND_UNAVAILABLE" }));
    expect(bench.manager.getPipeline("one").problem).not.toBeNull();
    await bench.send(
      wire("status_update", { pipelineId: "one", status: "active", previousStatus: "active" }),
    );
    expect(bench.manager.getPipeline("one")).toMatchObject({
      status: "active",
      problem: null,
      changedAtMs: null,
    });
    expect(changes).toEqual([]);
  });

  it("of one pipeline leave its last status, until it has another", async () => {
    const bench = await watching({ one: "active" });
    await bench.send(wire("error", { pipelineId: "one", message: "HTML", code: "BACKEND_UNAVAILABLE" }));
    expect(bench.manager.getPipeline("one")).toMatchObject({
      status: "active",
      problem: { message: "HTML" },
    });
    await bench.send(batch({ one: "active" }));
    expect(bench.manager.getPipeline("one").problem).toBeNull();
  });
});

describe("reconnecting", () => {
  it("waits the delay, doubled with each try, up to its bound", async () => {
    const bench = await watching(
      { one: "active" },
      { reconnectDelay: 1000, maxReconnectDelay: 3000, maxReconnectAttempts: 4 },
    );
    bench.stream.cut();
    const waits: number[] = [];
    for (let tries = 0; tries < 4; tries += 1) {
      await bench.pass(0);
      const before = bench.platform.now();
      await bench.nextTry();
      waits.push(bench.platform.now() - before);
      bench.stream.fail();
    }
    expect(waits).toEqual([1000, 2000, 3000, 3000]);
  });

  it("counts silence by the browser's clock, whatever the server's clock says", async () => {
    const bench = await watching({ one: "active" });
    for (const timestamp of [0, 9e15, -5]) {
      await bench.send(wire("heartbeat", { timestamp }));
      await bench.pass(44_999);
      expect(bench.manager.getConnectionState()).toBe("connected");
    }
    await bench.pass(1);
    expect(bench.manager.getConnectionState()).toBe("reconnecting");
  });

  it("takes a heartbeat every 30 s for enough, however long it goes on", async () => {
    const bench = await watching({ one: "active" });
    for (let beat = 0; beat < 20; beat += 1) {
      await bench.pass(30_000);
      await bench.send(HEARTBEAT);
    }
    expect(bench.states).toEqual(["connecting", "connected"]);
  });

  it("is tried at once when the network is back", async () => {
    const bench = await watching({ one: "active" });
    bench.stream.cut();
    await bench.pass(0);
    bench.platform.wake();
    expect(bench.streams).toHaveLength(2);
  });
});

describe("by hand", () => {
  it("disconnect stays disconnected, whatever is subscribed, until reconnect", async () => {
    const bench = await watching({ one: "active" });
    bench.manager.disconnect();
    bench.manager.subscribe("two");
    bench.page.set(false);
    await bench.pass(60_000);
    expect(bench.streams).toHaveLength(1);
    bench.manager.reconnect();
    expect(bench.stream.url).toBe(`${ENDPOINT}?pipelineIds=one,two`);
    expect(bench.stream.position).toBe("1-e");
  });

  it("reconnect does not wait", async () => {
    const bench = await watching({ one: "active" });
    bench.stream.cut();
    await bench.pass(0);
    bench.manager.reconnect();
    expect(bench.streams).toHaveLength(2);
    expect(bench.manager.getConnectionState()).toBe("connecting");
  });
});

describe("the console", () => {
  it("is told what happens, in these words", async () => {
    const bench = await watching({ one: "active", two: "active" });
    await bench.send(update("one", "paused", "active"));
    const told = bench.debug.filter((line) => !line.includes("→"));
    expect(told).toEqual([
      `Connecting to ${ENDPOINT}?pipelineIds=one,two`,
      "Connection established",
      "Batch update: 2 pipelines",
      "Status update: one active -> paused",
    ]);
  });
});

it("a manager that nobody uses does nothing", () => {
  const manager = new PipelineSSEManager();
  expect(manager.getConnectionState()).toBe("disconnected");
  expect(manager.getPipelineStatus("one")).toBeNull();
});
