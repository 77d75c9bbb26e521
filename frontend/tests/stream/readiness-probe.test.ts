/** A server that was away is found when it is back, and nobody is hurt by the looking. */
import { beforeEach, describe, expect, it } from "vitest";
import {
  ReadinessProbe,
  PROBE_LATE_MS,
  PROBE_MS,
  PROBE_OFTEN_MS,
  YES_CHANCE_MS,
} from "../../src/stream/readiness-probe";
import { FetchStreams } from "../../src/stream/fetch-streams";
import { PipelineSSEManager } from "../../src/pipelines/pipeline-sse-manager";
import type { SubscribeOptions, Subscription } from "../../src/stream/stream-source";
import { HideablePage } from "../support/hideable-page";
import { HubBench, Recorder, array, rest } from "../support/hub-bench";
import { SimulatedPlatform, settle } from "../support/simulated-platform";

const ready = (): Response => Response.json({ status: "ok" });
const draining = (): Response => Response.json({ status: "stopping" }, { status: 503 });

let platform: SimulatedPlatform;
let page: HideablePage;
let streams: FetchStreams;
let sink: Recorder;

beforeEach(() => {
  platform = new SimulatedPlatform();
  page = new HideablePage();
  streams = new FetchStreams({ platform, visibility: page });
  sink = new Recorder();
});

/** Lets time pass in steps short enough that what is asked can be answered in between. */
async function pass(ms: number, on = platform): Promise<void> {
  for (let passed = 0; passed < ms; passed += 50) {
    on.pass(50);
    await settleQuickly();
  }
}

async function settleQuickly(): Promise<void> {
  for (let round = 0; round < 6; round += 1) await new Promise((resolve) => setImmediate(resolve));
}

async function lost(options: SubscribeOptions = {}): Promise<Subscription> {
  const subscription = streams.subscribe("/stream", sink, options);
  platform.last.open();
  await settle();
  platform.last.send("id: 0-a\ndata: 1\n\n");
  await settle();
  platform.last.cut();
  await settle();
  return subscription;
}

const gaps = (times: readonly number[]): number[] =>
  times.slice(1).map((at, index) => at - (times[index] ?? 0));

describe("a server that is back", () => {
  it("is found within a second, however long the wait had become", async () => {
    await lost({ reconnectDelayMs: 20_000 });
    await pass(5_000);
    expect(platform.exchanges).toHaveLength(1);
    platform.readinessProbe = ready;
    platform.chance = () => 0.999;
    await pass(1_000);
    expect(platform.exchanges).toHaveLength(2);
    expect(platform.last.position).toBe("0-a");
  });

  it("is found within a second by all tabs, with one question for all of them", async () => {
    const bench = new HubBench();
    const tabs = [bench.tab().watch("/a"), bench.tab().watch("/b"), bench.tab().watch("/a")];
    const exchange = await bench.open();
    exchange.send("retry: 8000\n\n" + array(["/a", 1, "0-a"]));
    await rest();
    exchange.end();
    await rest();
    await pass(2_000, bench.platform);
    expect(gaps(bench.platform.probes).every((gap) => gap >= PROBE_MS.from)).toBe(true);
    expect(bench.requests).toBe(1);
    bench.platform.readinessProbe = ready;
    await pass(1_000, bench.platform);
    expect(bench.requests).toBe(2);
    await rest();
    for (const { sink: tab } of tabs) expect(tab.status?.retryAtMs).toBe(null);
  });

  it("ends the polling that stood in for pipelines", async () => {
    const manager = new PipelineSSEManager(
      { maxReconnectAttempts: 1 },
      { platform, visibility: page, streams },
    );
    manager.subscribe("web-shop");
    platform.pass(0);
    for (let round = 0; round < 2; round += 1) {
      platform.last.fail();
      await settle();
      if (round === 0) platform.pass(1_000);
    }
    expect(manager.getConnectionState()).toBe("polling");
    const before = platform.exchanges.length;
    platform.readinessProbe = ready;
    await pass(1_000);
    const since = platform.exchanges.slice(before).filter(({ url }) => url.includes("/status/stream"));
    expect(since).toHaveLength(1);
  });

  it("is found by the wait alone where that is short", async () => {
    platform.readinessProbe = ready;
    await lost({ reconnectDelayMs: 400 });
    await pass(350);
    expect(platform.probes).toEqual([]);
    await pass(50);
    expect(platform.exchanges).toHaveLength(2);
  });
});

describe("a server that is not", () => {
  it("is asked twice a second for a minute, then every few seconds, at times of chance", async () => {
    let seed = 1;
    platform.chance = () => {
      seed = (seed * 16_807) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    await lost({ reconnectDelayMs: 110_000, reconnectDelayMaxMs: 110_000 });
    const beganMs = platform.now();
    await pass(100_000);
    const early = gaps(platform.probes.filter((at) => at - beganMs < PROBE_OFTEN_MS));
    const late = gaps(platform.probes.filter((at) => at - beganMs > PROBE_OFTEN_MS + 1_000));
    for (const gap of early) {
      expect(gap).toBeGreaterThanOrEqual(PROBE_MS.from);
      expect(gap).toBeLessThanOrEqual(PROBE_MS.from + PROBE_MS.chance + 50);
    }
    for (const gap of late) {
      expect(gap).toBeGreaterThanOrEqual(PROBE_LATE_MS.from);
      expect(gap).toBeLessThanOrEqual(PROBE_LATE_MS.from + PROBE_LATE_MS.chance + 50);
    }
    expect(early.length).toBeGreaterThan(80);
    expect(late.length).toBeGreaterThan(4);
    expect(new Set(early.map(Math.round)).size).toBeGreaterThan(20);
    expect(platform.exchanges).toHaveLength(1);
  });

  it("drains, or is another's page: the wait runs its course", async () => {
    for (const answer of [
      draining,
      () => new Response("<html></html>"),
      () => Response.json({ status: "busy" }),
    ]) {
      platform.readinessProbe = answer;
      const subscription = await lost({ reconnectDelayMs: 3_000 });
      const before = platform.exchanges.length;
      await pass(2_900);
      expect(platform.exchanges).toHaveLength(before);
      await pass(200);
      expect(platform.exchanges).toHaveLength(before + 1);
      subscription.close();
    }
  });

  it("that hangs is asked again after a while, and never twice at a time", async () => {
    platform.readinessProbe = () => "silence";
    const readinessProbe = new ReadinessProbe({ platform, visibility: page });
    const leave = readinessProbe.wait(() => {});
    await pass(9_000);
    expect(platform.probes).toHaveLength(1);
    await pass(2_000);
    expect(platform.probes).toHaveLength(2);
    leave();
    expect(platform.timers).toBe(0);
  });
});

it("who wishes a try now does not wait for a server to be back", async () => {
  const subscription = await lost({ reconnectDelayMs: 20_000 });
  subscription.reconnect();
  expect(platform.exchanges).toHaveLength(2);
  platform.last.open();
  await settle();
  expect(sink.status).toMatchObject({ state: "connected", retryAtMs: null });
  expect(platform.timers).toBe(1);
});

describe("what a server wishes is kept", () => {
  it.each([
    ["a stream that says to come back in ten seconds or more", null, 10_000],
    ["503 with as long a Retry-After", 503, 12_000],
    ["429", 429, 5_000],
  ])("%s is not knocked at", async (_, status, waitMs) => {
    platform.readinessProbe = ready;
    streams.subscribe("/stream", sink);
    if (status === null) {
      platform.last.open();
      await settle();
      platform.last.send(`retry: ${waitMs}\n: busy\n\n`);
      await settle();
      platform.last.end();
    } else {
      platform.last.answer(status, "busy", { "Retry-After": String(waitMs / 1000) });
    }
    await settle();
    await pass(waitMs - 50);
    expect(platform.probes).toEqual([]);
    expect(platform.exchanges).toHaveLength(1);
    await pass(100);
    expect(platform.exchanges).toHaveLength(2);
  });

  it("the advice of a drain is for a restart to be over by then: that is asked", async () => {
    await lost();
    platform.readinessProbe = ready;
    await pass(500);
    platform.last.answer(503, "stopping", { "Retry-After": "8" });
    await settle();
    // The yes was worth nothing, so this wait is not cut short again.
    await pass(7_900);
    expect(platform.exchanges).toHaveLength(2);
    await pass(200);
    expect(platform.exchanges).toHaveLength(3);
    platform.last.answer(503, "stopping", { "Retry-After": "8" });
    await settle();
    await pass(500);
    expect(platform.exchanges).toHaveLength(4);
  });
});

describe("nobody is hurt", () => {
  it("a yes to everything doubles the tries at most, and uses up none of those allowed", async () => {
    platform.readinessProbe = ready;
    const subscription = streams.subscribe("/stream", sink, { attemptsMax: 3, reconnectDelayMs: 1_000 });
    for (let round = 0; round < 8; round += 1) {
      platform.last.fail();
      await settle();
      await pass(8_000);
    }
    // 1, then the three allowed, each with one that was brought forward.
    expect(platform.exchanges).toHaveLength(7);
    expect(sink.status).toMatchObject({ state: "error", attempt: 4 });
    subscription.close();
  });

  it("a page that nobody sees asks nothing, and asks again when it is seen", async () => {
    page.set(true);
    await lost({ reconnectDelayMs: 60_000 });
    await pass(5_000);
    expect(platform.probes).toEqual([]);
    page.set(false);
    await pass(700);
    expect(platform.probes.length).toBeGreaterThan(0);
  });

  it("of many tabs one that is seen is enough", async () => {
    const bench = new HubBench();
    const front = new HideablePage();
    const tabs = [bench.tab(undefined, front), bench.tab(undefined, new HideablePage())];
    for (const tab of tabs) tab.watch("/a");
    await bench.open();
    bench.last.send("retry: 9000\n\n");
    await rest();
    tabs[1]?.page.set(true);
    front.set(true);
    await rest();
    bench.last.cut();
    await rest();
    await pass(2_000, bench.platform);
    expect(bench.platform.probes).toEqual([]);
    front.set(false);
    await rest();
    await pass(1_000, bench.platform);
    expect(bench.platform.probes.length).toBeGreaterThan(0);
  });

  it("who is told yes comes a random moment later, so that those who waited in one queue do not come as one", async () => {
    const moments: number[] = [];
    for (const chance of [0, 0.5, 0.999]) {
      const one = new SimulatedPlatform();
      one.readinessProbe = ready;
      const readinessProbe = new ReadinessProbe({ platform: one, visibility: page });
      readinessProbe.wait(() => moments.push(one.now() - (one.probes[0] ?? 0)));
      one.chance = () => chance;
      await pass(1_500, one);
    }
    expect(moments[0]).toBeLessThanOrEqual(50);
    expect((moments[2] ?? 0) - (moments[0] ?? 0)).toBeGreaterThan(YES_CHANCE_MS * 0.8);
  });

  it("nothing is left when nobody waits any more", async () => {
    const subscription = await lost({ reconnectDelayMs: 20_000 });
    await pass(1_000);
    subscription.close();
    const before = platform.probes.length;
    expect(platform.timers).toBe(0);
    await pass(2_000);
    expect(platform.probes).toHaveLength(before);
  });
});
