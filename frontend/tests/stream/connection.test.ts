import { beforeEach, describe, expect, it } from "vitest";
import {
  CONNECT_TIMEOUT_MS,
  Connection,
  type ConnectionSettings,
  SILENCE_MS,
} from "../../src/stream/connection";
import { PROBE_MS } from "../../src/stream/listener";
import type { ConnectionStatus, ServerEvent, StreamSink } from "../../src/stream/stream-source";
import { SimulatedPlatform, settle } from "../support/simulated-platform";

class Recorder implements StreamSink {
  readonly events: ServerEvent[] = [];
  readonly opens: (string | null)[] = [];
  readonly statuses: ConnectionStatus[] = [];
  onEvent: (event: ServerEvent) => void = () => {};

  get status(): ConnectionStatus | undefined {
    return this.statuses.at(-1);
  }

  get data(): unknown[] {
    return this.events.map((event) => event.data);
  }

  onOpen(resumedFrom: string | null): void {
    this.opens.push(resumedFrom);
  }

  onEvents(events: readonly ServerEvent[]): void {
    this.events.push(...events);
    for (const event of events) this.onEvent(event);
  }

  onStatus(status: ConnectionStatus): void {
    this.statuses.push(status);
  }
}

let platform: SimulatedPlatform;
let sink: Recorder;

function connect(settings: Partial<ConnectionSettings> = {}): Connection {
  const connection = new Connection({ url: "/stream", ...settings }, sink, platform);
  connection.reconnect();
  return connection;
}

async function opened(settings: Partial<ConnectionSettings> = {}): Promise<Connection> {
  const connection = connect(settings);
  platform.last.open();
  await settle();
  return connection;
}

beforeEach(() => {
  platform = new SimulatedPlatform();
  sink = new Recorder();
});

describe("a sound connection", () => {
  it("hands on events with their names, data and positions", async () => {
    await opened();
    platform.last.send(
      'event: status\ndata: {"status":"running"}\n\nid: 0-aa\ndata: plain text\n\ndata: null\n\n',
    );
    await settle();
    expect(sink.events).toEqual([
      { event: "status", data: { status: "running" }, id: null },
      { event: "message", data: "plain text", id: "0-aa" },
      { event: "message", data: null, id: null },
    ]);
    expect(sink.status?.state).toBe("connected");
    expect(sink.opens).toEqual([null]);
  });

  it("reads characters that are cut between two chunks", async () => {
    await opened();
    const bytes = new TextEncoder().encode("data: 🦜 ünï\n\n");
    for (const byte of bytes) platform.last.sendBytes(Uint8Array.of(byte));
    await settle();
    expect(sink.data).toEqual(["🦜 ünï"]);
  });

  it("sends the position it was given", () => {
    connect({ position: "7-cafe" });
    expect(platform.last.position).toBe("7-cafe");
    expect(platform.last.headers.Accept).toBe("text/event-stream");
  });
});

describe("a lost connection", () => {
  it("comes back without a position where the stream took it back", async () => {
    await opened({ position: "3-aa" });
    platform.last.send('id:\nevent: reset\ndata: {"reason":"tag"}\n\n');
    await settle();
    platform.last.end();
    await settle();
    platform.pass(10_000);
    await settle();
    expect(platform.last.position).toBe(null);
    platform.last.open();
    await settle();
    expect(sink.opens).toEqual(["3-aa", null]);
  });

  it("goes on behind the last event that was handed on", async () => {
    await opened();
    platform.last.send("id: 0-aa\ndata: 0\n\nid: 1-bb\ndata: 1\n\nid: 2-cc\ndata: cut in the mid");
    await settle();
    platform.last.cut();
    await settle();
    expect(sink.status).toMatchObject({ state: "reconnecting", attempt: 1, problem: { kind: "network" } });
    platform.pass(3000);
    expect(platform.last.position).toBe("1-bb");
    platform.last.open();
    await settle();
    expect(sink.opens).toEqual([null, "1-bb"]);
    expect(sink.data).toEqual([0, 1]);
  });

  it("waits as the server advised, and no shorter", async () => {
    await opened();
    platform.last.send("retry: 8000\n: busy\n\n");
    await settle();
    platform.last.end();
    await settle();
    platform.pass(7999);
    expect(platform.exchanges).toHaveLength(1);
    platform.pass(1);
    expect(platform.exchanges).toHaveLength(2);
  });

  it("waits twice as long after each further failure, up to a bound, and starts over after an event", async () => {
    await opened();
    const waits: number[] = [];
    for (let round = 0; round < 7; round += 1) {
      const beganMs = platform.now();
      if (round === 0) platform.last.cut();
      else platform.last.fail();
      await settle();
      waits.push((sink.status?.retryAtMs ?? 0) - beganMs);
      platform.pass(waits.at(-1) ?? 0);
    }
    expect(waits).toEqual([3000, 6000, 12_000, 24_000, 30_000, 30_000, 30_000]);
    platform.last.open();
    await settle();
    expect(sink.status).toMatchObject({ state: "connected", attempt: 7 });
    platform.last.send("data: 1\n\n");
    await settle();
    expect(sink.status).toMatchObject({ state: "connected", attempt: 0 });
  });

  it("keeps counting when a server opens and closes without an event", async () => {
    await opened();
    platform.last.send(": hello\n\n");
    platform.last.end();
    await settle();
    platform.pass(3000);
    platform.last.open();
    await settle();
    platform.last.end();
    await settle();
    expect(sink.status?.attempt).toBe(2);
  });

  it("tries at once when the network is back", async () => {
    await opened();
    platform.last.cut();
    await settle();
    platform.wake();
    expect(platform.exchanges).toHaveLength(2);
    platform.pass(60_000);
    expect(platform.exchanges.filter((exchange) => !exchange.signal?.aborted).length).toBeLessThanOrEqual(1);
  });

  it("is not made again where that was not wished", async () => {
    const connection = await opened({ autoReconnect: false });
    platform.last.cut();
    await settle();
    expect(sink.status).toMatchObject({ state: "error", problem: { kind: "network" } });
    platform.pass(120_000);
    expect(platform.exchanges).toHaveLength(1);
    connection.reconnect();
    expect(sink.status?.state).toBe("connecting");
  });

  it("gives up after the tries it was allowed, or polls meanwhile and comes back by itself", async () => {
    await opened({ attemptsMax: 1, pollWhenExhausted: true });
    platform.last.cut();
    await settle();
    platform.pass(3000);
    platform.last.fail();
    await settle();
    expect(sink.status?.state).toBe("polling");
    platform.pass(PROBE_MS);
    platform.last.open();
    await settle();
    expect(sink.status?.state).toBe("connected");
  });
});

describe("silence", () => {
  it("is judged by the browser's clock: any byte counts, a comment too", async () => {
    await opened();
    platform.pass(SILENCE_MS - 1);
    platform.last.send(": keep-alive\n\n");
    await settle();
    platform.pass(SILENCE_MS - 1);
    expect(sink.status?.state).toBe("connected");
    platform.pass(1);
    expect(sink.status).toMatchObject({ state: "reconnecting", problem: { kind: "silence" } });
    expect(platform.exchanges[0]?.signal?.aborted).toBe(true);
  });

  it("is noticed at once after the machine slept", async () => {
    await opened();
    platform.sleep(SILENCE_MS + 1);
    platform.wake();
    expect(sink.status?.state).toBe("reconnecting");
  });

  it("before the first byte counts too", () => {
    connect();
    platform.pass(CONNECT_TIMEOUT_MS);
    expect(sink.status?.state).toBe("reconnecting");
  });
});

describe("answers", () => {
  it.each([401, 403, 404, 400, 405, 410])("%d is final, with its text", async (status) => {
    connect();
    platform.last.answer(status, "Job not found", { "Content-Type": "text/plain" });
    await settle();
    expect(sink.status).toMatchObject({
      state: "error",
      problem: { kind: "refused", status, message: "Job not found" },
    });
    platform.pass(120_000);
    expect(platform.exchanges).toHaveLength(1);
  });

  it.each([429, 503, 500, 408])("%d is asked again, after Retry-After", async (status) => {
    connect();
    platform.last.answer(status, '{"error":"busy"}', {
      "Content-Type": "application/json",
      "Retry-After": "20",
    });
    await settle();
    expect(sink.status).toMatchObject({
      state: "reconnecting",
      problem: { kind: "overload", status, message: "busy" },
    });
    platform.pass(19_999);
    expect(platform.exchanges).toHaveLength(1);
    platform.pass(1);
    expect(platform.exchanges).toHaveLength(2);
  });

  it("204 is the end", async () => {
    connect();
    platform.last.answer(204);
    await settle();
    expect(sink.status?.state).toBe("done");
  });

  it("a page that is no event stream is a refusal, and its HTML is not shown", async () => {
    connect();
    platform.last.answer(200, "<html>sign in</html>", { "Content-Type": "text/html" });
    await settle();
    expect(sink.status).toMatchObject({
      state: "error",
      problem: { message: "the answer is not an event stream" },
    });
  });
});

describe("the end", () => {
  it("is said by a position, and is final", async () => {
    const connection = await opened();
    platform.last.send('id: 4-ab.end\nevent: done\ndata: {"status":"success"}\n\ndata: afterwards\n\n');
    await settle();
    expect(sink.status?.state).toBe("done");
    connection.reconnect();
    connection.restart("late");
    platform.pass(600_000);
    platform.wake();
    expect(platform.exchanges).toHaveLength(1);
    expect(platform.timers).toBe(0);
    expect(platform.wakers).toBe(0);
    expect(sink.status?.state).toBe("done");
  });

  it("can be said by the sink", async () => {
    const connection = await opened();
    sink.onEvent = () => connection.finish();
    platform.last.send("event: done\ndata: 1\n\n");
    await settle();
    platform.pass(600_000);
    expect(sink.status?.state).toBe("done");
    expect(platform.exchanges).toHaveLength(1);
  });
});

describe("a server's event named error", () => {
  it("is an event; the connection stands", async () => {
    await opened();
    platform.last.send('event: error\ndata: {"message":"Stream timeout"}\n\n');
    await settle();
    expect(sink.events).toEqual([{ event: "error", data: { message: "Stream timeout" }, id: null }]);
    expect(sink.status).toMatchObject({ state: "connected", problem: null });
  });
});

describe("the subscriber's wishes", () => {
  it("disconnect keeps the position, even when wished in the middle of events", async () => {
    const connection = await opened();
    sink.onEvent = () => connection.disconnect();
    platform.last.send("id: 3-aa\ndata: 3\n\n");
    await settle();
    expect(sink.status?.state).toBe("disconnected");
    platform.pass(120_000);
    expect(platform.exchanges).toHaveLength(1);
    connection.reconnect();
    expect(platform.last.position).toBe("3-aa");
  });

  it("restart forgets the position and waits", async () => {
    const connection = await opened();
    sink.onEvent = () => connection.restart("does not fit");
    platform.last.send("id: 3-aa\ndata: 3\n\n");
    await settle();
    expect(sink.status).toMatchObject({ state: "reconnecting", problem: { kind: "fault" } });
    platform.pass(3000);
    expect(platform.last.position).toBeNull();
  });

  it("close is the last that is heard", async () => {
    const connection = await opened();
    const heard = sink.statuses.length;
    connection.close();
    platform.last.send("data: 1\n\n");
    await settle();
    connection.reconnect();
    platform.pass(120_000);
    expect(sink.statuses).toHaveLength(heard);
    expect(sink.events).toHaveLength(0);
    expect(platform.timers).toBe(0);
    expect(platform.wakers).toBe(0);
  });

  it("a sink that throws ends the stream instead of meeting the same event for ever", async () => {
    sink.onEvent = () => {
      throw new Error("a fault of ours");
    };
    await opened();
    platform.last.send("id: 0-aa\ndata: 1\n\n");
    await settle();
    expect(sink.status).toMatchObject({
      state: "error",
      problem: { kind: "fault", message: "a fault of ours" },
    });
    platform.pass(120_000);
    expect(platform.exchanges).toHaveLength(1);
  });
});

describe("exactly once", () => {
  it("over fifty cuts at any byte, every record is there once and in order", async () => {
    const records = Array.from(
      { length: 120 },
      (_, at) => `id: ${at}-t${at}\nevent: output\ndata: ${at}\n\n`,
    );
    connect();
    for (let cut = 0; cut < 50; cut += 1) {
      const from = platform.last.position === null ? 0 : Number(platform.last.position.split("-")[0]) + 1;
      const rest = records.slice(from).join("");
      platform.last.open();
      await settle();
      platform.last.send(rest.slice(0, 17 + ((cut * 31) % 97)));
      await settle();
      platform.last.cut();
      await settle();
      platform.wake();
    }
    const from = Number(platform.last.position?.split("-")[0]) + 1;
    platform.last.open();
    platform.last.send(records.slice(from).join(""));
    await settle();
    expect(sink.data).toEqual(records.map((_, at) => at));
  });
});
