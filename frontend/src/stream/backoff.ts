/**
 * How long to wait before the next try.
 *
 * Three wishes meet: what the server advised (`retry:` or `Retry-After`), doubling while tries fail, and jitter, so
 * that a thousand tabs do not come back in the same instant after a restart. The advice is a floor, never cut, for
 * a server that drains or is overloaded means it; the doubling is capped; the jitter is added on top of both.
 */

/** The longest wait that doubling leads to, in milliseconds: a laptop that wakes should not sit for minutes. */
export const BACKOFF_CAP_MS = 30_000;

/** The longest advice of a server that is followed, in milliseconds, so that one odd header cannot stop a page. */
export const ADVICE_CAP_MS = 120_000;

/** Jitter, as a share of the wait. */
const JITTER = 0.3;

export interface BackoffInput {
  /** Tries that failed in a row, at least 1. */
  readonly attempt: number;
  /** The wait after the first failure. */
  readonly baseMs: number;
  /** What the doubling leads to at most. Default BACKOFF_CAP_MS. */
  readonly capMs?: number;
  /** The server's advice, where it gave one. */
  readonly adviceMs: number | null;
  /** Uniform in [0, 1). */
  readonly random: number;
}

/** The wait in milliseconds. */
export function backoffMs({
  attempt,
  baseMs,
  capMs = BACKOFF_CAP_MS,
  adviceMs,
  random,
}: BackoffInput): number {
  const doubled = Math.min(capMs, baseMs * 2 ** Math.min(attempt - 1, 16));
  const floor = Math.min(ADVICE_CAP_MS, adviceMs ?? 0);
  // The first try after a sound connection follows the advice alone; the server has put its own jitter into it.
  const wait = attempt === 1 && adviceMs !== null ? floor : Math.max(floor, doubled);
  return Math.round(wait * (1 + JITTER * random));
}
