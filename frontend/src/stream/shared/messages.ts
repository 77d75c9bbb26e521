/**
 * What a tab and the hub say to each other: plain data over a MessagePort, heard in order on each side.
 *
 * The number of a subscription is the tab's own, and never used twice: what is under way for an old one means nothing.
 */
import type { ConnectionProblem, ServerEvent } from "../stream-source";

/** What tabs of one origin find their hub by; behind it, where the server is, for there is a hub for each. */
export const HUB_NAME = "fantail streams";

/** How the one connection stands, in words that every tab can translate to its own subscriptions. */
export interface LinkStatus {
  readonly state: "idle" | "connecting" | "open" | "waiting";
  /** Tries that failed since the last sound event. */
  readonly attempt: number;
  /** When the next try begins, by `Date.now()`, or `null` where none is due. */
  readonly retryAtMs: number | null;
  readonly problem: ConnectionProblem | null;
}

export const UNLINKED: LinkStatus = { state: "idle", attempt: 0, retryAtMs: null, problem: null };

export type ToHub =
  /** The first message; `silenceMs` is what the page was told of the server's keep-alive. */
  | { readonly kind: "hello"; readonly silenceMs: number | null; readonly hidden: boolean }
  /** Whether somebody can see the tab, when that changes. */
  | { readonly kind: "seen"; readonly hidden: boolean }
  | {
      readonly kind: "subscribe";
      readonly id: number;
      readonly topic: string;
      readonly position: string | null;
    }
  | { readonly kind: "unsubscribe"; readonly id: number }
  /** One message of events has been worked through. */
  | { readonly kind: "ack" }
  | { readonly kind: "pong" }
  /** Whether there is still a hub. */
  | { readonly kind: "ask" }
  /** Somebody wishes a try now, or the page is looked at again. */
  | { readonly kind: "retry" }
  | { readonly kind: "bye" };

/** Events of one topic, and which subscriptions of the tab they are for. */
export interface Batch {
  readonly ids: readonly number[];
  readonly events: readonly ServerEvent[];
}

export type ToTab =
  | { readonly kind: "welcome" }
  | { readonly kind: "ping" }
  /** There is. */
  | { readonly kind: "answer" }
  /** The hub had taken the tab for gone: it is to say again what it watches. */
  | { readonly kind: "forgotten" }
  | { readonly kind: "link"; readonly link: LinkStatus }
  /** The subscription's stream stands; `resumedFrom` as in `StreamSink.onOpen`. */
  | { readonly kind: "opened"; readonly id: number; readonly resumedFrom: string | null }
  | { readonly kind: "events"; readonly batches: readonly Batch[] }
  | { readonly kind: "ended"; readonly id: number }
  | {
      readonly kind: "refused";
      readonly id: number;
      readonly status: number;
      readonly message: string;
      readonly retryAfterMs: number | null;
    }
  /** There is no room in the one connection, or the server knows none such: the tab is to open its own. */
  | { readonly kind: "own"; readonly id: number };

/** The hub's end of a way to one tab. */
export interface TabPort {
  post(message: ToTab): void;
}

/** A tab's way to the hub, wherever that is. */
export interface HubLink {
  post(message: ToHub): void;
  close(): void;
}

export interface HubLinkEvents {
  /** A hub answers, another one than before: it knows nothing of this tab. */
  onLinked(): void;
  onMessage(message: ToTab): void;
  /** The hub that answered once is gone; the same way leads to another. */
  onLost(reason: string): void;
  /** There is no hub to be had this way. */
  onBroken(reason: string): void;
}

export type OpenHubLink = (events: HubLinkEvents) => HubLink;
