/**
 * Where there is no SharedWorker: one tab leads and holds the hub, the others reach it over a BroadcastChannel.
 *
 * A tab that comes asks who leads; where nobody answers soon, it leads itself. Each leader has a term, one more than the
 * last that it heard of; of two that lead at once (a leader was frozen and is back, or two began together) the one with
 * the higher term stays, at the same term the one with the smaller name, and the other follows it.
 *
 * A leader that is left says so. One that crashed is missed: a follower that has heard nothing for a while asks, and
 * only where no answer comes does it lead. It asks because the timers of a hidden leader are held back to once a
 * minute, while answers to messages are not.
 *
 * Decided against: the Web Locks API, which is the right thing and does not exist on plain HTTP in a LAN.
 */
import type { Platform } from "../platform";
import { Hub } from "./hub";
import {
  HUB_NAME,
  type HubLink,
  type HubLinkEvents,
  type OpenHubLink,
  type ToHub,
  type ToTab,
} from "./messages";

/** How long somebody who asks who leads waits for an answer, in milliseconds, and up to so much longer by chance. */
export const ANSWER_MS = 250;
const CHANCE_MS = 150;

/** How often a leader says that it leads, and after how long a silence it is asked whether it does. */
export const BEAT_MS = 1_000;
export const QUIET_MS = 3_000;

/** How long somebody who asks a silent leader waits for an answer, in milliseconds. */
export const LOST_MS = 2_000;

type Envelope =
  | { readonly kind: "who"; readonly from: string }
  | { readonly kind: "leads"; readonly from: string; readonly term: number }
  | { readonly kind: "resigns"; readonly from: string }
  | { readonly kind: "to-hub"; readonly from: string; readonly to: string; readonly message: ToHub }
  | { readonly kind: "to-tab"; readonly from: string; readonly to: string; readonly message: ToTab };

/** What is needed of a BroadcastChannel. */
export interface Channel {
  postMessage(message: unknown): void;
  addEventListener(type: "message", listener: (event: MessageEvent) => void): void;
  close(): void;
}

export function leaderWay(
  platform: Platform,
  openChannel: (name: string) => Channel = (name) => new BroadcastChannel(name),
  baseUrl = "",
): OpenHubLink {
  return (events) => new LeadingTab(platform, openChannel(HUB_NAME + baseUrl), events, undefined, baseUrl);
}

export class LeadingTab implements HubLink {
  readonly #platform: Platform;
  readonly #channel: Channel;
  readonly #events: HubLinkEvents;
  readonly #baseUrl: string;
  readonly #name: string;
  readonly #tabs = new Map<string, (message: ToHub) => void>();
  #leader: string | null = null;
  #hub: Hub | null = null;
  #term = 0;
  #heardAtMs = 0;
  #cancel: () => void = () => {};
  #closed = false;

  constructor(
    platform: Platform,
    channel: Channel,
    events: HubLinkEvents,
    name = `${platform.random()} ${platform.random()}`,
    baseUrl = "",
  ) {
    this.#platform = platform;
    this.#channel = channel;
    this.#events = events;
    this.#baseUrl = baseUrl;
    this.#name = name;
    channel.addEventListener("message", ({ data }) => this.#hear(data as Envelope));
    this.#seek(ANSWER_MS);
  }

  /** Whether this tab holds the hub. */
  get leads(): boolean {
    return this.#hub !== null;
  }

  post(message: ToHub): void {
    if (this.#closed || this.#leader === null) return;
    if (this.#hub) this.#toHub(this.#name, message);
    else this.#say({ kind: "to-hub", from: this.#name, to: this.#leader, message });
  }

  close(): void {
    if (this.#hub) this.#say({ kind: "resigns", from: this.#name });
    this.#closed = true;
    this.#cancel();
    this.#hub?.close();
    this.#hub = null;
    this.#channel.close();
  }

  // -- who leads --------------------------------------------------------------------------------------------------

  /** Asks, and leads where no answer comes. */
  #seek(patienceMs: number): void {
    this.#say({ kind: "who", from: this.#name });
    this.#after(patienceMs + CHANCE_MS * this.#platform.random(), () => this.#lead());
  }

  /** The leader has gone: all that followed it ask, and the first to lose patience leads. */
  #succeed(): void {
    this.#leader = null;
    this.#seek(0);
  }

  #lead(): void {
    this.#term += 1;
    this.#leader = this.#name;
    this.#hub = new Hub(this.#platform, this.#baseUrl);
    this.#platform.debug(`this tab leads, term ${this.#term}`);
    this.#beat();
    this.#events.onLinked();
  }

  #beat(): void {
    this.#say({ kind: "leads", from: this.#name, term: this.#term });
    this.#after(BEAT_MS, () => this.#beat());
  }

  #follow(leader: string, term: number): void {
    this.#heardAtMs = this.#platform.now();
    this.#term = term;
    if (leader === this.#leader) return this.#watch();
    this.#hub?.close();
    this.#hub = null;
    this.#tabs.clear();
    this.#leader = leader;
    this.#watch();
    this.#events.onLinked();
  }

  #watch(): void {
    this.#after(QUIET_MS, () => {
      if (this.#platform.now() - this.#heardAtMs < QUIET_MS) return this.#watch();
      this.#seek(LOST_MS);
    });
  }

  #after(delayMs: number, run: () => void): void {
    this.#cancel();
    this.#cancel = this.#platform.after(delayMs, run);
  }

  // -- what is heard ----------------------------------------------------------------------------------------------

  #say(envelope: Envelope): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel has none
    if (!this.#closed) this.#channel.postMessage(envelope);
  }

  #hear(envelope: Envelope): void {
    if (this.#closed) return;
    if (envelope.from === this.#leader) this.#heardAtMs = this.#platform.now();
    switch (envelope.kind) {
      case "who":
        if (this.#hub) this.#say({ kind: "leads", from: this.#name, term: this.#term });
        return;
      case "leads":
        return this.#hearLeader(envelope.from, envelope.term);
      case "resigns":
        if (envelope.from === this.#leader) this.#succeed();
        return;
      case "to-hub":
        if (envelope.to === this.#name && this.#hub) this.#toHub(envelope.from, envelope.message);
        return;
      case "to-tab":
        if (envelope.to === this.#name && envelope.from === this.#leader)
          this.#events.onMessage(envelope.message);
    }
  }

  #hearLeader(from: string, term: number): void {
    const present = this.#leader;
    const stronger = present === null || term > this.#term || (term === this.#term && from <= present);
    if (stronger) this.#follow(from, term);
    else if (this.#hub) this.#say({ kind: "leads", from: this.#name, term: this.#term });
  }

  #toHub(from: string, message: ToHub): void {
    const hub = this.#hub;
    if (!hub) return;
    let hear = this.#tabs.get(from);
    if (!hear) {
      hear = hub.connect({ post: (answer) => this.#toTab(from, answer) });
      this.#tabs.set(from, hear);
    }
    if (message.kind === "bye") this.#tabs.delete(from);
    hear(message);
  }

  #toTab(to: string, message: ToTab): void {
    if (to === this.#name) this.#events.onMessage(message);
    else this.#say({ kind: "to-tab", from: this.#name, to, message });
  }
}
