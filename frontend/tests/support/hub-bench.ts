/** Tabs and a hub in one process, joined by real message ports; the network and the clock are the test's. */
import { type ConnectionStatus, type ServerEvent, type StreamSink } from "../../src/stream/stream-source";
import type { Subscription } from "../../src/stream/stream-source";
import type { Platform } from "../../src/stream/platform";
import { ConnectionHub } from "../../src/stream/shared/connection-hub";
import type { HubLinkEvents, OpenHubLink, ToHub, ToTab } from "../../src/stream/shared/messages";
import { SharedStreams } from "../../src/stream/shared/shared-streams";
import { HideablePage } from "./hideable-page";
import { ScriptedSource } from "./scripted-source";
import { type Exchange, SimulatedPlatform, settle } from "./simulated-platform";

export class Recorder implements StreamSink {
  readonly events: ServerEvent[] = [];
  readonly opens: (string | null)[] = [];
  readonly statuses: ConnectionStatus[] = [];

  get data(): unknown[] {
    return this.events.map((event) => event.data);
  }

  get status(): ConnectionStatus | undefined {
    return this.statuses.at(-1);
  }

  get states(): string[] {
    return this.statuses.map(({ state }) => state).filter((state, at, all) => state !== all[at - 1]);
  }

  onOpen(resumedFrom: string | null): void {
    this.opens.push(resumedFrom);
  }

  onEvents(events: readonly ServerEvent[]): void {
    this.events.push(...events);
  }

  onStatus(status: ConnectionStatus): void {
    this.statuses.push(status);
  }
}

/** One tab, whose way to the hub can be cut and frozen. */
export class Tab {
  readonly streams: SharedStreams;
  readonly page: HideablePage;
  readonly own = new ScriptedSource();
  /** While set, messages for the tab and its timers wait, as in a page that the browser has frozen. */
  frozen = false;
  #crashed = false;
  #waiting: ToTab[] = [];
  #due: (() => void)[] = [];
  #events: HubLinkEvents | null = null;
  #port: MessagePort | null = null;

  constructor(bench: HubBench, transport?: OpenHubLink, page = new HideablePage()) {
    this.page = page;
    const toHub: OpenHubLink = (events) => {
      const { port1, port2 } = new MessageChannel();
      const hear = bench.hub.connect({ post: (message) => port1.postMessage(message, []) });
      port1.addEventListener("message", ({ data }: MessageEvent<ToHub>) => hear(data));
      port2.addEventListener("message", ({ data }: MessageEvent<ToTab>) => {
        if (this.frozen) this.#waiting.push(data);
        else events.onMessage(data);
      });
      port1.start();
      port2.start();
      this.#events = events;
      this.#port = port2;
      queueMicrotask(() => events.onLinked());
      return { post: (message) => port2.postMessage(message, []), close: () => port2.close() };
    };
    this.streams = new SharedStreams({
      transport: transport ?? toHub,
      own: this.own,
      platform: this.#ownTime(bench),
      visibility: page,
    });
  }

  /** The bench's platform, with timers that stand still while the tab does. */
  #ownTime({ platform }: HubBench): Platform {
    return {
      now: () => platform.now(),
      fetch: (url, init) => platform.fetch(url, init),
      random: () => platform.random(),
      onWake: (listener) => platform.onWake(listener),
      turn: () => platform.turn(),
      debug: (message) => platform.debug(message),
      after: (ms, run) =>
        platform.after(ms, () => {
          if (this.frozen) this.#due.push(run);
          else if (!this.#crashed) run();
        }),
    };
  }

  watch(
    topic: string,
    options: Parameters<SharedStreams["subscribe"]>[2] = {},
  ): { readonly sink: Recorder; readonly subscription: Subscription } {
    const sink = new Recorder();
    return { sink, subscription: this.streams.subscribe(topic, sink, options) };
  }

  thaw(): void {
    this.frozen = false;
    for (const message of this.#waiting.splice(0)) this.#events?.onMessage(message);
    for (const run of this.#due.splice(0)) run();
  }

  /** It is gone without a word. */
  crash(): void {
    this.#crashed = true;
    this.#port?.close();
  }
}

export class HubBench {
  readonly platform = new SimulatedPlatform();
  hub = new ConnectionHub(this.platform);

  tab(transport?: OpenHubLink, page?: HideablePage): Tab {
    return new Tab(this, transport, page);
  }

  get last(): Exchange {
    return this.platform.last;
  }

  get requests(): number {
    return this.platform.exchanges.length;
  }

  /** What the last request asked for: topics and positions. */
  get asked(): Record<string, string> {
    return (JSON.parse(this.last.body) as { topics: Record<string, string> }).topics;
  }

  /** Lets ports deliver, and time pass; ports first, as what they bring may arm timers. */
  async pass(ms: number): Promise<void> {
    await rest();
    this.platform.pass(ms);
    await rest();
  }

  /** A longer time, in which tabs and hub go on talking, and the server keeps the connection alive if it is to. */
  async live(ms: number, keepAlive = true): Promise<void> {
    for (let passed = 0; passed < ms; passed += 5_000) {
      if (keepAlive) this.last.send(": keep-alive\n\n");
      await this.pass(Math.min(5_000, ms - passed));
    }
  }

  /** Gathers what was asked, and opens the connection that comes of it. */
  async open(): Promise<Exchange> {
    await this.pass(50);
    this.last.open();
    await rest();
    return this.last;
  }
}

/** Ports deliver in turns of the event loop that nothing announces. */
export async function rest(): Promise<void> {
  for (let round = 0; round < 3; round += 1) await settle();
}

export type Item = readonly [topic: string, data: unknown, id?: string];

/** One array of events, as the server frames it. */
export function array(...items: readonly Item[]): string {
  // A member that is undefined is none in JSON.
  const found = items.map(([topic, data, id]) => ({ topic, event: "output", id, data }));
  return `data: ${JSON.stringify(found)}\n\n`;
}

export function raw(...items: readonly object[]): string {
  return `data: ${JSON.stringify(items)}\n\n`;
}
