/**
 * The states of a connection and what each event makes of them: one table, every cell written down.
 *
 * `done` is final: no event leads out of it, so a timer that fires late or a retry already under way cannot wake a
 * stream that is over. `error` is left only by someone's wish (`connect`), never by itself. `reconnecting` covers
 * the wait and the try, so that a page does not flicker between two words while a server is away. In `polling`
 * tries go on in the background, and an `opened` one ends the polling.
 */

export const CONNECTION_STATES = [
  "disconnected",
  "connecting",
  "connected",
  "reconnecting",
  "polling",
  "error",
  "done",
] as const;

export type ConnectionState = (typeof CONNECTION_STATES)[number];

export const CONNECTION_EVENTS = [
  /** Someone asks for the stream. */
  "connect",
  /** The server answered with an event stream. */
  "opened",
  /** The transport failed: refused, cut, silent for too long, or overloaded. */
  "lost",
  /** The server said no in a way that asking again will not change. */
  "refused",
  /** The stream is complete. */
  "ended",
  /** A try begins. */
  "retry",
  /** No tries are left, and nothing takes their place. */
  "exhausted",
  /** No tries are left; the consumer polls meanwhile. */
  "fallback",
  /** Someone wishes the stream away. */
  "disconnect",
] as const;

export type ConnectionEvent = (typeof CONNECTION_EVENTS)[number];

type Row = Readonly<Record<ConnectionEvent, ConnectionState>>;

/** State × event. Read a row as: in this state, that event leads to … */
export const TRANSITIONS: Readonly<Record<ConnectionState, Row>> = {
  disconnected: {
    connect: "connecting",
    opened: "disconnected",
    lost: "disconnected",
    refused: "disconnected",
    ended: "disconnected",
    retry: "disconnected",
    exhausted: "disconnected",
    fallback: "disconnected",
    disconnect: "disconnected",
  },
  connecting: {
    connect: "connecting",
    opened: "connected",
    lost: "reconnecting",
    refused: "error",
    ended: "done",
    retry: "connecting",
    exhausted: "error",
    fallback: "polling",
    disconnect: "disconnected",
  },
  connected: {
    connect: "connected",
    opened: "connected",
    lost: "reconnecting",
    refused: "error",
    ended: "done",
    retry: "connected",
    exhausted: "error",
    fallback: "polling",
    disconnect: "disconnected",
  },
  reconnecting: {
    connect: "connecting",
    opened: "connected",
    lost: "reconnecting",
    refused: "error",
    ended: "done",
    retry: "reconnecting",
    exhausted: "error",
    fallback: "polling",
    disconnect: "disconnected",
  },
  polling: {
    connect: "connecting",
    opened: "connected",
    lost: "polling",
    refused: "error",
    ended: "done",
    retry: "polling",
    exhausted: "polling",
    fallback: "polling",
    disconnect: "disconnected",
  },
  error: {
    connect: "connecting",
    opened: "error",
    lost: "error",
    refused: "error",
    ended: "error",
    retry: "error",
    exhausted: "error",
    fallback: "error",
    disconnect: "disconnected",
  },
  done: {
    connect: "done",
    opened: "done",
    lost: "done",
    refused: "done",
    ended: "done",
    retry: "done",
    exhausted: "done",
    fallback: "done",
    disconnect: "done",
  },
};

/** The state after `event`. */
export function nextState(state: ConnectionState, event: ConnectionEvent): ConnectionState {
  return TRANSITIONS[state][event];
}
