/**
 * Lanes: the topics of the one connection, and which subscriptions of which tabs each serves.
 *
 * Subscriptions of one topic that stand at the same position share a lane, whatever tabs they are in. One that stands
 * elsewhere (its page brought newer lines, say) cannot: it would get what it has, or lack what it has not. It gets a
 * lane of its own, which the server takes for another topic because of a parameter that means nothing. Lanes are made
 * anew at each connection, so those that have come to stand at the same position become one.
 */
import type { Json } from "../json";
import { isObject, number, text } from "../json";
import type { ServerEvent } from "../stream-source";

/** Topics of one connection; the server takes no more. */
export const TOPIC_SUBSCRIPTIONS_MAX = 200;

/** One subscription of one tab. `T` is the tab. */
export interface Subscriber<T> {
  readonly tab: T;
  readonly id: number;
  readonly topic: string;
  /** What it has been told up to; `null` or `""`: nothing that a server could go on behind. */
  position: string | null;
  /** Whether it was told that its stream stands. */
  opened: boolean;
}

export interface TopicSubscription<T> {
  /** As the server is asked for it. */
  readonly name: string;
  readonly position: string;
  readonly subscribers: Set<Subscriber<T>>;
}

export type TopicSubscriptions<T> = Map<string, TopicSubscription<T>>;

/** The lanes for these subscriptions, and those for which there is no room. */
export function topicSubscriptionsFor<T>(subscribers: Iterable<Subscriber<T>>): {
  readonly topicSubscriptions: TopicSubscriptions<T>;
  readonly left: readonly Subscriber<T>[];
} {
  const places = new Map<string, TopicSubscription<T>>();
  const topicSubscriptions = new Map<string, TopicSubscription<T>>();
  const counts = new Map<string, number>();
  const left: Subscriber<T>[] = [];
  for (const subscriber of subscribers) {
    const { topic } = subscriber;
    const position = subscriber.position ?? "";
    const place = `${position} ${topic}`;
    const known = places.get(place);
    if (known) {
      known.subscribers.add(subscriber);
    } else if (topicSubscriptions.size >= TOPIC_SUBSCRIPTIONS_MAX) {
      left.push(subscriber);
    } else {
      const count = (counts.get(topic) ?? 0) + 1;
      counts.set(topic, count);
      const topicSubscription = {
        name: topicSubscriptionName(topic, count),
        position,
        subscribers: new Set([subscriber]),
      };
      places.set(place, topicSubscription);
      topicSubscriptions.set(topicSubscription.name, topicSubscription);
    }
  }
  return { topicSubscriptions, left };
}

/** The n-th lane of a topic, n from 1 on. */
function topicSubscriptionName(topic: string, count: number): string {
  return count === 1 ? topic : `${topic}${topic.includes("?") ? "&" : "?"}lane=${count}`;
}

/** What one item of an array says of its topic. */
export type News =
  | { readonly kind: "event"; readonly event: ServerEvent }
  /** The position moves on, over what this client may not see. */
  | { readonly kind: "position"; readonly position: string }
  | { readonly kind: "end" }
  | {
      readonly kind: "refused";
      readonly status: number;
      readonly message: string;
      readonly retryAfterMs: number | null;
    };

/** Reads an item; `null` where it is none of ours. */
export function readItem(item: Json): { readonly topic: string; readonly news: News } | null {
  if (!isObject(item) || typeof item.topic !== "string") return null;
  const { topic, event, id, data } = item;
  const position = typeof id === "string" ? id : null;
  if (typeof event !== "string")
    return position === null ? null : { topic, news: { kind: "position", position } };
  if (data !== undefined && event !== "refused")
    return { topic, news: { kind: "event", event: { event, data, id: position } } };
  if (event === "end") return { topic, news: { kind: "end" } };
  if (event !== "refused") return null;
  const said = isObject(data) ? data : {};
  const status = number(item, "status") ?? 500;
  const afterS = number(said, "retryAfter");
  const message = text(said, "error") ?? `HTTP ${status}`;
  const retryAfterMs = afterS === undefined ? null : afterS * 1000;
  return { topic, news: { kind: "refused", status, message, retryAfterMs } };
}
