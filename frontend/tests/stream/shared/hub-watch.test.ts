import { beforeEach, describe, expect, it } from "vitest";
import { ConnectionHub } from "../../../src/stream/shared/connection-hub";
import { HUB_ANSWER_MS, HubWatch, LATE_MS, QUIET_HUB_MS } from "../../../src/stream/shared/hub-watch";
import type { OpenHubLink, ToHub } from "../../../src/stream/shared/messages";
import { workerTransport } from "../../../src/stream/shared/worker-transport";
import { HideablePage } from "../../support/hideable-page";
import { HubBench, type Tab, array, rest } from "../../support/hub-bench";
import { SimulatedPlatform } from "../../support/simulated-platform";

const JOB = "/api/jobs/42/stream";

/** The longest that a page that is looked at believes in a hub that is dead. */
const NOTICED_MS = QUIET_HUB_MS + HUB_ANSWER_MS;

describe("a watch over a hub", () => {
  let platform: SimulatedPlatform;
  let page: HideablePage;
  let watch: HubWatch;
  let asked: number;
  let dead: number;
  /** Whether the hub answers at once. */
  let alive: boolean;

  beforeEach(() => {
    platform = new SimulatedPlatform();
    page = new HideablePage();
    asked = 0;
    dead = 0;
    alive = true;
    watch = new HubWatch({
      platform,
      visibility: page,
      ask: () => {
        asked += 1;
        if (alive) watch.heard();
      },
      onDead: () => {
        dead += 1;
      },
    });
  });

  it("asks a quiet hub every few seconds, and is content with any answer", () => {
    watch.heard();
    platform.pass(60_000);
    expect(dead).toBe(0);
    expect(asked).toBeGreaterThan(60_000 / (2 * NOTICED_MS));
    expect(asked).toBeLessThan(60_000 / QUIET_HUB_MS);
  });

  it("never asks one that speaks anyway", () => {
    watch.heard();
    for (let spoken = 0; spoken < 100; spoken += 1) {
      platform.pass(QUIET_HUB_MS / 2);
      watch.heard();
    }
    expect(asked).toBe(0);
  });

  it("takes one that does not answer for dead, once, and leaves nothing behind", () => {
    watch.heard();
    alive = false;
    platform.pass(NOTICED_MS - 1);
    expect(dead).toBe(0);
    platform.pass(1);
    expect(dead).toBe(1);
    platform.pass(60_000);
    expect(dead).toBe(1);
    expect(asked).toBe(1);
    expect(platform.timers).toBe(0);
    expect(page.listeners).toBe(0);
  });

  it("asks again after a sleep of the machine, as after a stop in a debugger", () => {
    watch.heard();
    platform.pass(QUIET_HUB_MS - 1);
    alive = false;
    platform.pass(1);
    expect(asked).toBe(1);
    platform.sleep(HUB_ANSWER_MS + LATE_MS + 1);
    alive = true;
    platform.pass(0);
    expect(asked).toBe(2);
    platform.pass(60_000);
    expect(dead).toBe(0);
  });

  it("does not ask while nobody can see the page, and at once when somebody can", () => {
    watch.heard();
    page.set(true);
    alive = false;
    platform.pass(3_600_000);
    expect(asked).toBe(0);
    expect(platform.timers).toBe(0);
    watch.heard();
    expect(platform.timers).toBe(0);
    page.set(false);
    expect(asked).toBe(1);
    page.set(true);
    platform.pass(3_600_000);
    expect(dead).toBe(0);
    page.set(false);
    platform.pass(HUB_ANSWER_MS);
    expect(dead).toBe(1);
  });

  it("waits for a hub that has not spoken yet, which others do", () => {
    alive = false;
    platform.pass(60_000);
    page.set(true);
    page.set(false);
    platform.pass(60_000);
    expect([asked, dead]).toEqual([0, 0]);
  });
});

/** SharedWorkers of a browser that has one at a time. */
class Workers {
  readonly #bench: HubBench;
  /** What each worker that there was has been told, the present one last. */
  readonly told: ToHub[][] = [];
  #ports: MessagePort[] = [];
  #stopped: (() => void)[] | null = null;

  constructor(bench: HubBench) {
    this.#bench = bench;
  }

  transport(page: HideablePage): OpenHubLink {
    return workerTransport(() => this.#make(), this.#bench.platform, page);
  }

  /** What `new SharedWorker` gives a tab: a port to the worker that there is, or to a new one. */
  #make(): SharedWorker {
    const { port1, port2 } = new MessageChannel();
    if (this.#ports.length === 0) this.told.push([]);
    const told = this.told.at(-1);
    const hear = this.#bench.hub.connect({
      post: (message) => this.#run(() => port1.postMessage(message, [])),
    });
    port1.addEventListener("message", ({ data }: MessageEvent<ToHub>) =>
      this.#run(() => {
        told?.push(data);
        hear(data);
      }),
    );
    port1.start();
    this.#ports.push(port1);
    return Object.assign(new EventTarget(), { port: port2, onerror: null });
  }

  #run(work: () => void): void {
    if (this.#stopped) this.#stopped.push(work);
    else work();
  }

  /** Its process is gone: nobody answers at its ports any more, and nobody says so. */
  kill(): void {
    for (const port of this.#ports) port.close();
    this.#ports = [];
    this.#bench.hub.close();
    this.#bench.hub = new ConnectionHub(this.#bench.platform);
  }

  /** As a debugger does it. */
  stop(): void {
    this.#stopped = [];
  }

  goOn(): void {
    const work = this.#stopped ?? [];
    this.#stopped = null;
    for (const run of work) run();
  }
}

describe("a shared worker", () => {
  let bench: HubBench;
  let workers: Workers;

  beforeEach(() => {
    bench = new HubBench();
    workers = new Workers(bench);
  });

  function tab(): Tab {
    const page = new HideablePage();
    return bench.tab(workers.transport(page), page);
  }

  /** Lets some seconds pass in steps in which ports deliver. */
  async function pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 500) await bench.pass(500);
  }

  it("that died is noticed by every tab, which says so, and all go on by another from where they were", async () => {
    const sinks = [tab().watch(JOB).sink, tab().watch(JOB).sink];
    await bench.open();
    bench.last.send(array([JOB, 0, "0-a"]));
    await rest();
    workers.kill();
    await pass(NOTICED_MS);
    for (const sink of sinks) {
      expect(sink.states).toEqual(["connecting", "connected", "reconnecting"]);
      expect(sink.status?.problem).toMatchObject({ kind: "network" });
    }
    await bench.open();
    expect(bench.asked).toEqual({ [JOB]: "0-a" });
    bench.last.send(array([JOB, 1, "1-b"]));
    await rest();
    for (const sink of sinks) {
      expect(sink.data).toEqual([0, 1]);
      expect(sink.status).toMatchObject({ state: "connected", attempt: 0, problem: null });
    }
    expect(workers.told).toHaveLength(2);
  });

  it("that lives is left alone for as long as nothing happens", async () => {
    const { sink } = tab().watch(JOB);
    await bench.open();
    for (let minute = 0; minute < 3; minute += 1) {
      await pass(20_000);
      bench.last.send(": keep-alive\n\n");
    }
    expect(sink.states).toEqual(["connecting", "connected"]);
    expect(workers.told.map((told) => told.filter(({ kind }) => kind === "hello").length)).toEqual([1]);
  });

  it("that was only stopped costs one reconnect: nothing twice, nothing lost, and nothing is left of the old way", async () => {
    const sinks = [tab().watch(JOB).sink, tab().watch(JOB).sink];
    await bench.open();
    bench.last.send(array([JOB, 0, "0-a"]));
    await rest();
    workers.stop();
    bench.last.send(array([JOB, 1, "1-b"]));
    await pass(NOTICED_MS);
    for (const sink of sinks) expect(sink.status?.state).toBe("reconnecting");
    workers.goOn();
    await bench.open();
    expect(bench.asked).toEqual({ [JOB]: "0-a" });
    bench.last.send(array([JOB, 1, "1-b"], [JOB, 2, "2-c"]));
    await rest();
    for (const sink of sinks) {
      expect(sink.data).toEqual([0, 1, 2]);
      expect(sink.status?.state).toBe("connected");
    }
    const kinds = (workers.told[0] ?? []).map(({ kind }) => kind);
    expect(workers.told).toHaveLength(1);
    expect(kinds.filter((kind) => kind === "bye")).toHaveLength(2);
    expect(kinds.filter((kind) => kind === "hello")).toHaveLength(4);
  });
});
