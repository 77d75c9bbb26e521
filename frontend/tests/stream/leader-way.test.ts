import { beforeEach, describe, expect, it } from "vitest";
import {
  ANSWER_MS,
  BEAT_MS,
  type Channel,
  LOST_MS,
  LeadingTab,
  QUIET_MS,
} from "../../src/stream/shared/leader-way";
import { SharedStreams } from "../../src/stream/shared/shared-streams";
import type { Subscription } from "../../src/stream/stream-source";
import { Recorder, array, rest } from "../support/hub-bench";
import { ScriptedSource } from "../support/scripted-source";
import { type Exchange, SimulatedPlatform } from "../support/simulated-platform";

const JOB = "/api/jobs/42/stream";

/** A BroadcastChannel for all tabs of a test: everybody but the one who says it hears it, a turn later. */
class Broadcast {
  readonly #listeners = new Map<Channel, ((event: MessageEvent) => void)[]>();

  open(): Channel & { frozen: boolean } {
    const own: Channel & { frozen: boolean } = {
      frozen: false,
      postMessage: (message) => {
        const data: unknown = structuredClone(message);
        for (const [other, listeners] of this.#listeners)
          if (other !== own)
            queueMicrotask(() => {
              if (!(other as typeof own).frozen)
                for (const listener of listeners) listener(new MessageEvent("message", { data }));
            });
      },
      addEventListener: (_, listener) => {
        this.#listeners.set(own, [...(this.#listeners.get(own) ?? []), listener]);
      },
      close: () => {
        this.#listeners.delete(own);
      },
    };
    return own;
  }
}

/** A tab whose clock can be stopped while others go on: a page that the browser has frozen. */
class Tab {
  readonly platform: SimulatedPlatform;
  readonly channel: ReturnType<Broadcast["open"]>;
  readonly streams: SharedStreams;
  readonly sink = new Recorder();
  lead: LeadingTab | null = null;
  subscription: Subscription | null = null;

  constructor(name: string, broadcast: Broadcast, network: SimulatedPlatform) {
    this.platform = new SimulatedPlatform();
    Object.assign(this.platform, { fetch: network.fetch });
    this.channel = broadcast.open();
    this.streams = new SharedStreams({
      ways: [
        (events) => {
          this.lead = new LeadingTab(this.platform, this.channel, events, name);
          return this.lead;
        },
      ],
      own: new ScriptedSource(),
      platform: this.platform,
    });
  }
}

let broadcast: Broadcast;
let network: SimulatedPlatform;
let tabs: Tab[];

function open(name: string): Tab {
  const tab = new Tab(name, broadcast, network);
  tabs.push(tab);
  tab.subscription = tab.streams.subscribe(JOB, tab.sink);
  return tab;
}

async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 100) {
    for (const tab of tabs) if (!tab.channel.frozen) tab.platform.pass(100);
    await rest();
  }
}

/** Opens the connection that is asked for, and those that come of it. */
async function serve(): Promise<void> {
  for (let served = -1; served !== network.exchanges.length;) {
    served = network.exchanges.length;
    latest().open();
    await rest();
  }
}

/** The last request that nobody has taken back. */
function latest(): Exchange {
  return network.exchanges.findLast(({ signal }) => !signal?.aborted) ?? network.last;
}

const leaders = (): number => tabs.filter((tab) => tab.lead?.leads).length;
const asked = (): unknown => (JSON.parse(latest().body) as { topics: unknown }).topics;

beforeEach(() => {
  broadcast = new Broadcast();
  network = new SimulatedPlatform();
  tabs = [];
});

describe("without a SharedWorker", () => {
  it("one tab leads and holds the one connection for all", async () => {
    for (const name of ["a", "b", "c"]) open(name);
    await pass(ANSWER_MS + 500);
    expect(leaders()).toBe(1);
    expect(network.exchanges.filter(({ signal }) => !signal?.aborted)).toHaveLength(1);
    await serve();
    latest().send(array([JOB, "to all", "0-a"]));
    await rest();
    for (const { sink } of tabs) expect(sink.data).toEqual(["to all"]);
  });

  it("a leader that is left resigns, and another goes on where each tab was", async () => {
    const first = open("a");
    await pass(500);
    const second = open("b");
    await pass(500);
    await serve();
    latest().send(array([JOB, 0, "0-a"]));
    await rest();
    first.lead?.close();
    first.channel.frozen = true;
    await pass(500);
    expect(second.lead?.leads).toBe(true);
    expect(asked()).toEqual({ [JOB]: "0-a" });
    await serve();
    latest().send(array([JOB, 1, "1-b"]));
    await rest();
    expect(second.sink.data).toEqual([0, 1]);
    expect(second.sink.states).toEqual(["connecting", "connected"]);
  });

  it("a leader that crashed is missed; one that was frozen follows when it is back", async () => {
    const first = open("a");
    await pass(500);
    const second = open("b");
    await pass(500);
    expect(first.lead?.leads).toBe(true);
    first.channel.frozen = true;
    await pass(QUIET_MS + LOST_MS + 2 * BEAT_MS);
    expect(second.lead?.leads).toBe(true);
    first.channel.frozen = false;
    await pass(2 * BEAT_MS);
    expect(first.lead?.leads).toBe(false);
    expect(leaders()).toBe(1);
    await pass(500);
    await serve();
    expect(network.exchanges.filter(({ signal }) => !signal?.aborted)).toHaveLength(1);
    latest().send(array([JOB, "to both", "0-a"]));
    await rest();
    expect(first.sink.data).toEqual(["to both"]);
    expect(second.sink.data).toEqual(["to both"]);
  });

  it("a wish of any tab to try now is one of the tab that leads", async () => {
    open("a");
    await pass(500);
    const second = open("b");
    await pass(500);
    await serve();
    latest().send("retry: 8000\n\n");
    await rest();
    latest().end();
    await rest();
    expect(second.sink.status).toMatchObject({ state: "reconnecting" });
    const before = network.exchanges.length;
    second.subscription?.reconnect();
    await rest();
    expect(network.exchanges).toHaveLength(before + 1);
    await serve();
    expect(tabs.map(({ sink }) => sink.status?.state)).toEqual(["connected", "connected"]);
  });
});
