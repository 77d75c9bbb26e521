/**
 * The hub: what all tabs of a browser watch, over one connection (trap 31). It runs in a SharedWorker; it
 * knows tabs only as ports.
 *
 * Invariants:
 *  - A subscription is told each event once and in order, and `position` is what it has been told up to. Whatever
 *    happens to connection or lanes, it goes on from there.
 *  - What a tab has been sent and has not worked through is bounded. Where one tab is behind, reading waits for it, but
 *    only for a moment: then it is set aside, and goes on from its position when it has caught up. So a frozen tab
 *    costs nothing, and holds nobody up (trap 28).
 *  - A tab that says nothing for a while, asked again and again, is gone, and so are its subscriptions. One that was
 *    only frozen is told so when it speaks again, and says anew what it watches.
 *  - However often tabs come and go, changes are gathered (trap 13): new topics at once, topics that nobody wants any
 *    more at the next occasion.
 */
import { ReadinessProbe } from "../readiness-probe";
import type { Json } from "../json";
import type { Platform } from "../platform";
import type { ServerEvent } from "../stream-source";
import {
  type TopicSubscription,
  type TopicSubscriptions,
  type News,
  type Subscriber,
  topicSubscriptionsFor,
  readItem,
} from "./topic-subscriptions";
import { ManyStreams, type ManyStreamsSink } from "./many-streams";
import type { Batch, LinkStatus, TabPort, ToHub } from "./messages";

/** Tabs and components come in groups: what is asked within this time is asked for together. */
export const GATHER_MS = 25;

/** How long a topic that nobody watches is read on, in case somebody comes back, in milliseconds. */
export const LINGER_MS = 2_000;

/** What a tab may be behind before reading waits for it, in bytes of the stream. */
export const BEHIND_BYTES_MAX = 2 * 1024 * 1024;

/** How long reading waits for a tab that is behind, in milliseconds. */
export const PATIENCE_MS = 1_000;

/** How often a tab is asked whether it is there, in milliseconds. */
export const PING_MS = 10_000;

/** Questions without an answer after which it is not. Counted, as a machine that slept has let time pass alone. */
export const PINGS_MAX = 3;

interface Tab {
  readonly port: TabPort;
  readonly subscribers: Map<number, Subscriber<Tab>>;
  /** Sizes of the messages that it has not worked through. */
  readonly unread: number[];
  unreadBytes: number;
  /** How often it was asked whether it is there since it last spoke. */
  pings: number;
  /** Set aside until it has caught up. */
  aside: boolean;
  /** Whether nobody can see it. */
  hidden: boolean;
}

export class ConnectionHub {
  readonly #platform: Platform;
  readonly #tabs = new Set<Tab>();
  readonly #streams: ManyStreams;
  #topicSubscriptions: TopicSubscriptions<Tab> = new Map();
  #nextTopicSubscriptions: TopicSubscriptions<Tab> = new Map();
  #cancelChange: () => void = () => {};
  #changeAtMs = Number.POSITIVE_INFINITY;
  #cancelPing: () => void = () => {};
  #roomFound: () => void = () => {};

  /** `baseUrl` is where the server is: `""` for the own origin. */
  constructor(platform: Platform, baseUrl = "") {
    this.#platform = platform;
    const sink: ManyStreamsSink = {
      due: () => this.#due(),
      wanted: () => this.#wanted(),
      onOpen: () => this.#opened(),
      onItems: (items, bytes) => this.#take(items, bytes),
      room: () => this.#room(),
      onLink: (link) => this.#tellAll(link),
      onRefused: (status, message) => this.#refuseAll(status, message),
    };
    const readinessProbe = new ReadinessProbe({
      platform,
      baseUrl,
      visibility: { hidden: () => this.#hidden() },
    });
    this.#streams = new ManyStreams(sink, platform, readinessProbe, baseUrl);
  }

  /** A tab comes. The result takes what it says. */
  connect(port: TabPort): (message: ToHub) => void {
    const tab: Tab = {
      port,
      subscribers: new Map(),
      unread: [],
      unreadBytes: 0,
      pings: 0,
      aside: false,
      hidden: false,
    };
    return (message) => this.#hear(tab, message);
  }

  close(): void {
    this.#cancelChange();
    this.#cancelPing();
    this.#tabs.clear();
    this.#streams.close();
    this.#roomFound();
  }

  // -- what tabs say --------------------------------------------------------------------------------------------

  #hear(tab: Tab, message: ToHub): void {
    if (message.kind === "bye") return this.#forget(tab);
    if (message.kind === "hello") return this.#welcome(tab, message);
    if (!this.#tabs.has(tab)) return tab.port.post({ kind: "forgotten" });
    tab.pings = 0;
    switch (message.kind) {
      case "subscribe":
        return this.#add({ tab, ...message, opened: false });
      case "unsubscribe":
        return this.#remove(tab, message.id);
      case "ack":
        return this.#acknowledged(tab);
      case "retry":
        return this.#streams.retry();
      case "seen":
        tab.hidden = message.hidden;
        return undefined;
      case "ask":
        return tab.port.post({ kind: "answer" });
      case "pong":
        return undefined;
    }
  }

  #welcome(tab: Tab, { silenceMs, hidden }: ToHub & { readonly kind: "hello" }): void {
    // It begins anew: what it watched before, it says again, under other numbers.
    this.#forget(tab);
    if (silenceMs !== null) this.#streams.silenceMs = silenceMs;
    if (this.#tabs.size === 0) this.#pingLater();
    this.#tabs.add(tab);
    tab.pings = 0;
    tab.hidden = hidden;
    tab.port.post({ kind: "welcome" });
    tab.port.post({ kind: "link", link: this.#streams.link });
  }

  #forget(tab: Tab): void {
    if (!this.#tabs.delete(tab)) return;
    for (const subscriber of tab.subscribers.values()) this.#leaveTopicSubscriptions(subscriber);
    tab.subscribers.clear();
    tab.unread.length = 0;
    tab.unreadBytes = 0;
    tab.aside = false;
    this.#roomFound();
    this.#changeAfter(LINGER_MS);
  }

  #add(subscriber: Subscriber<Tab>): void {
    subscriber.tab.subscribers.set(subscriber.id, subscriber);
    this.#changeAfter(GATHER_MS);
  }

  #remove(tab: Tab, id: number): void {
    const subscriber = tab.subscribers.get(id);
    if (!subscriber) return;
    tab.subscribers.delete(id);
    this.#leaveTopicSubscriptions(subscriber);
    this.#changeAfter(LINGER_MS);
  }

  #leaveTopicSubscriptions(subscriber: Subscriber<Tab>): void {
    for (const topicSubscriptions of [this.#topicSubscriptions, this.#nextTopicSubscriptions])
      for (const topicSubscription of topicSubscriptions.values())
        topicSubscription.subscribers.delete(subscriber);
  }

  #acknowledged(tab: Tab): void {
    tab.unreadBytes -= tab.unread.shift() ?? 0;
    if (tab.unreadBytes <= BEHIND_BYTES_MAX) this.#roomFound();
    if (!tab.aside || tab.unread.length > 0) return;
    tab.aside = false;
    this.#changeAfter(GATHER_MS);
  }

  /** Whether nobody can see any tab. */
  #hidden(): boolean {
    for (const tab of this.#tabs) if (!tab.hidden) return false;
    return true;
  }

  // -- whether tabs are there -----------------------------------------------------------------------------------

  #pingLater(): void {
    this.#cancelPing = this.#platform.after(PING_MS, () => this.#ping());
  }

  #ping(): void {
    for (const tab of this.#tabs) {
      tab.pings += 1;
      if (tab.pings <= PINGS_MAX) {
        tab.port.post({ kind: "ping" });
        continue;
      }
      this.#forget(tab);
      tab.port.post({ kind: "forgotten" });
    }
    if (this.#tabs.size > 0) this.#pingLater();
  }

  // -- the connection -------------------------------------------------------------------------------------------

  /** Gathers changes: the earliest time that was asked for counts. */
  #changeAfter(delayMs: number): void {
    const atMs = this.#platform.now() + delayMs;
    if (atMs >= this.#changeAtMs) return;
    this.#cancelChange();
    this.#changeAtMs = atMs;
    this.#cancelChange = this.#platform.after(delayMs, () => {
      this.#changeAtMs = Number.POSITIVE_INFINITY;
      this.#streams.change();
    });
  }

  /** Whether a subscription has no lane, or a lane no subscription. */
  #due(): boolean {
    const served = new Set<Subscriber<Tab>>();
    for (const { subscribers } of this.#topicSubscriptions.values()) {
      if (subscribers.size === 0) return true;
      for (const subscriber of subscribers) served.add(subscriber);
    }
    const wanted = this.#subscribers();
    return wanted.length === 0 || wanted.some((subscriber) => !served.has(subscriber));
  }

  /** Those of tabs that can take something. */
  #subscribers(): readonly Subscriber<Tab>[] {
    const found: Subscriber<Tab>[] = [];
    for (const { aside, subscribers } of this.#tabs) if (!aside) found.push(...subscribers.values());
    return found;
  }

  #wanted(): ReadonlyMap<string, string> {
    const { topicSubscriptions, left } = topicSubscriptionsFor(this.#subscribers());
    this.#nextTopicSubscriptions = topicSubscriptions;
    for (const { tab, id } of left) {
      this.#remove(tab, id);
      tab.port.post({ kind: "own", id });
    }
    return new Map([...topicSubscriptions.values()].map(({ name, position }) => [name, position]));
  }

  #opened(): void {
    this.#topicSubscriptions = this.#nextTopicSubscriptions;
    for (const topicSubscription of this.#topicSubscriptions.values())
      for (const subscriber of topicSubscription.subscribers) this.#open(subscriber, topicSubscription);
  }

  /** Says that a stream stands; to one that goes on as if nothing had happened, nothing. */
  #open(subscriber: Subscriber<Tab>, topicSubscription: TopicSubscription<Tab>): void {
    const resumedFrom = topicSubscription.position === "" ? null : topicSubscription.position;
    if (subscriber.opened && resumedFrom !== null) return;
    subscriber.opened = true;
    subscriber.tab.port.post({ kind: "opened", id: subscriber.id, resumedFrom });
  }

  #tellAll(link: LinkStatus): void {
    for (const tab of this.#tabs) {
      // What is lost must be told anew when it stands again.
      if (link.state === "waiting")
        for (const subscriber of tab.subscribers.values()) subscriber.opened = false;
      tab.port.post({ kind: "link", link });
    }
  }

  #refuseAll(status: number, message: string): void {
    const unknown = status === 404 || status === 405 || status === 501;
    for (const tab of this.#tabs) {
      for (const id of tab.subscribers.keys())
        tab.port.post(
          unknown ? { kind: "own", id } : { kind: "refused", id, status, message, retryAfterMs: null },
        );
      tab.subscribers.clear();
    }
    this.#topicSubscriptions = new Map();
  }

  // -- what the connection brings -------------------------------------------------------------------------------

  #take(items: readonly Json[], bytes: number): void {
    const batches = new Map<TopicSubscription<Tab>, ServerEvent[]>();
    for (const item of items) {
      const read = readItem(item);
      const topicSubscription = read && this.#topicSubscriptions.get(read.topic);
      if (!read || !topicSubscription) continue;
      const { news } = read;
      if (news.kind === "event") {
        const events = batches.get(topicSubscription);
        if (events) events.push(news.event);
        else batches.set(topicSubscription, [news.event]);
      } else {
        // What came before it goes out before it.
        this.#send(batches, bytes);
        this.#takeNews(topicSubscription, news);
      }
    }
    this.#send(batches, bytes);
  }

  #takeNews(topicSubscription: TopicSubscription<Tab>, news: Exclude<News, { kind: "event" }>): void {
    for (const subscriber of topicSubscription.subscribers) {
      if (news.kind === "position") {
        subscriber.position = news.position;
        continue;
      }
      const { tab, id } = subscriber;
      tab.subscribers.delete(id);
      tab.port.post(news.kind === "end" ? { kind: "ended", id } : { ...news, id });
    }
    if (news.kind !== "position") this.#topicSubscriptions.delete(topicSubscription.name);
  }

  /** One message for each tab with all that is for it; the batches are empty afterwards. */
  #send(batches: Map<TopicSubscription<Tab>, ServerEvent[]>, bytes: number): void {
    const messages = new Map<Tab, Batch[]>();
    for (const [topicSubscription, events] of batches) {
      const position = events.findLast((event) => event.id !== null)?.id ?? null;
      const ids = new Map<Tab, number[]>();
      for (const subscriber of topicSubscription.subscribers) {
        if (position !== null) subscriber.position = position;
        const known = ids.get(subscriber.tab);
        if (known) known.push(subscriber.id);
        else ids.set(subscriber.tab, [subscriber.id]);
      }
      for (const [tab, of] of ids) {
        const message = messages.get(tab) ?? [];
        message.push({ ids: of, events });
        messages.set(tab, message);
      }
    }
    for (const [tab, message] of messages) {
      tab.unread.push(bytes);
      tab.unreadBytes += bytes;
      tab.port.post({ kind: "events", batches: message });
    }
    batches.clear();
  }

  // -- tabs that are behind -------------------------------------------------------------------------------------

  #room(): Promise<void> | null {
    if (this.#behind().length === 0) return null;
    return new Promise((resolve) => {
      const cancel = this.#platform.after(PATIENCE_MS, () => {
        for (const tab of this.#behind()) this.#setAside(tab);
        this.#roomFound();
      });
      this.#roomFound = () => {
        if (this.#behind().length > 0) return;
        this.#roomFound = () => {};
        cancel();
        resolve();
      };
    });
  }

  #behind(): readonly Tab[] {
    return [...this.#tabs].filter((tab) => !tab.aside && tab.unreadBytes > BEHIND_BYTES_MAX);
  }

  #setAside(tab: Tab): void {
    tab.aside = true;
    for (const subscriber of tab.subscribers.values()) {
      subscriber.opened = false;
      this.#leaveTopicSubscriptions(subscriber);
    }
    this.#platform.debug("a tab that is far behind is set aside until it has caught up");
    this.#changeAfter(LINGER_MS);
  }
}
