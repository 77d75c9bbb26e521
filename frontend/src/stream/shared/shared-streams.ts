/**
 * A StreamSource over one connection for the whole browser: the tab's side of the hub.
 *
 * The hub is in a SharedWorker; where there is none, each subscription goes on with a connection of its own. Subscriptions keep their positions here as well as in the hub, so a hub may die
 * with everything it knew: the next is told where to go on. The way notices the death of its hub soon where it
 * can (`onLost`); where nothing does, a long silence tells.
 *
 * A page that is left says so, one that comes back from the browser's cache begins anew.
 */
import { type PageVisibility, browserVisibility } from "../page-visibility";
import type { Platform } from "../platform";
import type { StreamSink, StreamSource, SubscribeOptions, Subscription } from "../stream-source";
import { PING_MS } from "./connection-hub";
import { HUB_ANSWER_MS } from "./hub-watch";
import {
  type HubLink,
  type LinkStatus,
  type OpenHubLink,
  type ToHub,
  type ToTab,
  UNLINKED,
} from "./messages";
import { SharedSubscription, type SubscriptionHome } from "./shared-subscription";

/** How long a hub may take to answer the first time, in milliseconds: a worker is to be loaded and begun. */
export const WELCOME_MS = 5_000;

/** How long a hub may be silent before it is asked, where no way asks it sooner; it speaks every 10 s. */
export const SILENT_HUB_MS = 3 * PING_MS;

/** How subscriptions stand while another hub is looked for: at once, so no time of a next try is told. */
const LOST = { state: "waiting", attempt: 1, retryAtMs: null } as const;

export interface SharedStreamsSettings {
  /** The way to the hub; `null`: there is none. */
  readonly transport: OpenHubLink | null;
  /** What serves where there is no hub. */
  readonly own: StreamSource;
  readonly platform: Platform;
  readonly silenceMs?: number;
  readonly visibility?: PageVisibility;
}

export class SharedStreams implements StreamSource {
  readonly #settings: SharedStreamsSettings;
  readonly #home: SubscriptionHome;
  readonly #visibility: PageVisibility;
  readonly #enlisted = new Map<number, SharedSubscription>();
  #lastId = 0;
  #transport: OpenHubLink | null;
  #link: HubLink | null = null;
  #generation = 0;
  #linked = false;
  #connection: LinkStatus = UNLINKED;
  #heardAtMs = 0;
  #cancelLook: () => void = () => {};

  constructor(settings: SharedStreamsSettings) {
    this.#settings = settings;
    this.#transport = settings.transport;
    this.#home = {
      platform: settings.platform,
      own: settings.own,
      alone: () => this.#transport === null,
      post: (message) => {
        if (this.#linked) this.#link?.post(message);
      },
      enlist: (subscription) => {
        this.#lastId += 1;
        this.#enlisted.set(this.#lastId, subscription);
        return this.#lastId;
      },
      dismiss: (id) => {
        this.#enlisted.delete(id);
      },
    };
    settings.platform.onWake(() => this.#wake());
    this.#visibility = settings.visibility ?? browserVisibility;
    this.#visibility.onChange(() => this.#home.post({ kind: "seen", hidden: this.#visibility.hidden() }));
    globalThis.addEventListener?.("pagehide", () => this.#leave());
    globalThis.addEventListener?.("pageshow", () => {
      if (this.#enlisted.size > 0) this.#connect();
    });
  }

  subscribe(topic: string, sink: StreamSink, options: SubscribeOptions = {}): Subscription {
    this.#connect();
    if (this.#home.alone()) return this.#settings.own.subscribe(topic, sink, options);
    const subscription = new SharedSubscription(this.#home, topic, sink, options);
    subscription.reconnect();
    if (this.#linked) subscription.hearLink(this.#connection);
    return subscription;
  }

  // -- the way to a hub -------------------------------------------------------------------------------------------

  #connect(): void {
    if (this.#link) return;
    const open = this.#transport;
    if (!open) return;
    this.#generation += 1;
    const generation = this.#generation;
    const current = (): boolean => generation === this.#generation;
    this.#heardAtMs = this.#settings.platform.now();
    this.#linked = false;
    this.#link = open({
      onLinked: () => {
        if (current()) this.#greet();
      },
      onMessage: (message) => {
        if (current()) this.#hear(message);
      },
      onLost: (reason) => {
        if (current()) this.#lose(reason);
      },
      onBroken: (reason) => {
        if (current()) this.#break(reason);
      },
    });
    this.#look(WELCOME_MS);
  }

  /** A hub that knows nothing of this tab is told everything. */
  #greet(): void {
    this.#linked = true;
    const silenceMs = this.#settings.silenceMs ?? null;
    this.#home.post({ kind: "hello", silenceMs, hidden: this.#visibility.hidden() });
    for (const subscription of this.#subscriptions()) subscription.enlistAnew();
  }

  /** There is no hub to be had. */
  #break(reason: string): void {
    this.#settings.platform.debug(`no connection shared with other tabs: ${reason}`);
    this.#close();
    this.#transport = null;
    for (const subscription of this.#subscriptions()) subscription.goOnAlone();
  }

  /**
   * The hub that answered does not any more: another, by the same way. The old one is told goodbye, for it may have been
   * slow and not dead, and would go on sending to nobody.
   */
  #lose(reason: string): void {
    this.#settings.platform.debug(`looking for another hub: ${reason}`);
    this.#leave();
    this.#hearLink({ ...LOST, problem: { kind: "network", message: reason } });
    this.#connect();
  }

  /** As they are now: they come and go while they are told something. */
  #subscriptions(): readonly SharedSubscription[] {
    return [...this.#enlisted.values()];
  }

  #leave(): void {
    this.#home.post({ kind: "bye" });
    this.#close();
  }

  #close(): void {
    this.#generation += 1;
    this.#cancelLook();
    this.#link?.close();
    this.#link = null;
    this.#linked = false;
  }

  /**
   * Looks again and again whether the hub has spoken. What matters is the clock, for timers of hidden pages are late;
   * but after a sleep the clock alone accuses it, so it is asked before it is given up.
   */
  #look(patienceMs: number, afterMs = patienceMs, asked = false): void {
    const { platform } = this.#settings;
    this.#cancelLook();
    this.#cancelLook = platform.after(afterMs, () => {
      const silentMs = platform.now() - this.#heardAtMs;
      if (silentMs < patienceMs) return this.#look(patienceMs, patienceMs - silentMs);
      if (patienceMs === WELCOME_MS) return this.#break("nobody answers");
      if (asked) return this.#lose("the hub is silent");
      this.#home.post({ kind: "ask" });
      this.#look(patienceMs, HUB_ANSWER_MS, true);
    });
  }

  #wake(): void {
    if (this.#connection.state === "waiting") this.#home.post({ kind: "retry" });
  }

  // -- what the hub says ------------------------------------------------------------------------------------------

  #hear(message: ToTab): void {
    this.#heardAtMs = this.#settings.platform.now();
    switch (message.kind) {
      case "welcome":
        return this.#look(SILENT_HUB_MS);
      case "ping":
        return this.#home.post({ kind: "pong" });
      case "answer":
        return undefined;
      case "forgotten":
        return this.#greet();
      case "link":
        return this.#hearLink(message.link);
      case "opened":
        return this.#enlisted.get(message.id)?.hearOpened(message.resumedFrom);
      case "events":
        return this.#hearEvents(message);
      case "ended":
        return this.#enlisted.get(message.id)?.finish();
      case "refused":
        return this.#enlisted
          .get(message.id)
          ?.hearRefusal(message.status, message.message, message.retryAfterMs);
      case "own":
        return this.#enlisted.get(message.id)?.goOnAlone();
    }
  }

  #hearLink(link: LinkStatus): void {
    this.#connection = link;
    for (const subscription of this.#subscriptions()) subscription.hearLink(link);
  }

  #hearEvents({ batches }: ToTab & { readonly kind: "events" }): void {
    for (const { ids, events } of batches) for (const id of ids) this.#enlisted.get(id)?.hearEvents(events);
    const ack: ToHub = { kind: "ack" };
    this.#home.post(ack);
  }
}
