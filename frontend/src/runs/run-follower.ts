/**
 * One run on its way: its stream, and whether it needs to be asked about instead.
 *
 * A status comes only from what a worker said (or the list, for one that no worker speaks of). A stream that breaks, a
 * refusal and the server's `stream-error` change `connection` and `trouble`, and never the status.
 */
import { isObject, text } from "../stream/json";
import type { ConnectionState } from "../stream/connection-state";
import { type RunNews, type RunStatus, laterStatus, readRunNews } from "./run-status";
import type { ConnectionStatus, ServerEvent, StreamSource, Subscription } from "../stream/stream-source";

/** Tries before the run is asked about instead. */
export const RUN_TRIES_MAX = 5;

/** A run under way. Immutable; a new object for each change. */
export interface ActiveRun {
  readonly runId: string;
  readonly jobId: string;
  readonly jobName: string;
  readonly status: RunStatus;
  readonly startedAtMs: number | null;
  /** How its stream stands; `polling` too where it has none and is asked about. */
  readonly connection: ConnectionState;
  /** What is wrong with what we hear of it; nothing about the run itself. */
  readonly trouble: string | null;
}

export interface FollowedNews {
  readonly run: ActiveRun;
  /** Whether the status is another than before. */
  readonly changed: boolean;
  readonly details: string | null;
}

export interface RunFollowerSettings {
  readonly run: Pick<ActiveRun, "runId" | "jobId" | "jobName">;
  /** Whether the server's list named it, so that it is running though no worker said so. */
  readonly listed: boolean;
  readonly streams: StreamSource;
  readonly onNews: (news: FollowedNews) => void;
  /** The server knows no such run. */
  readonly onLost: (run: ActiveRun, reason: string) => void;
  /** Whether it needs to be asked about. */
  readonly onNeed: (needsAnswers: boolean) => void;
}

export class RunFollower {
  readonly #settings: RunFollowerSettings;
  #run: ActiveRun;
  #subscription: Subscription | null = null;

  constructor(settings: RunFollowerSettings) {
    this.#settings = settings;
    this.#run = {
      ...settings.run,
      status: settings.listed ? "running" : "waiting",
      startedAtMs: null,
      connection: "polling",
      trouble: null,
    };
  }

  get run(): ActiveRun {
    return this.#run;
  }

  open(): void {
    if (this.#subscription) return;
    const { streams, run } = this.#settings;
    const topic = `/api/job-status/events/${encodeURIComponent(run.runId)}`;
    const sink = {
      onOpen: () => {},
      onEvents: (events: readonly ServerEvent[]) => events.forEach((event) => this.#take(event)),
      onStatus: (status: ConnectionStatus) => this.#connect(status),
    };
    this.#subscription = streams.subscribe(topic, sink, {
      attemptsMax: RUN_TRIES_MAX,
      reconnectDelayMs: 1000,
      pollWhenExhausted: true,
    });
  }

  /** Tries the stream now, where it has one that is not there. */
  reconnect(): void {
    this.#subscription?.reconnect();
  }

  stop(): void {
    this.#subscription?.close();
    this.#subscription = null;
  }

  /** Takes what was said of the run; returns whether the status changed. */
  hear(news: RunNews): boolean {
    const before = this.#run.status;
    const status = laterStatus(before, news.status);
    this.#change({ status, startedAtMs: news.startedAtMs ?? this.#run.startedAtMs }, news.errorDetails);
    return status !== before;
  }

  #take(event: ServerEvent): void {
    if (event.event === "stream-error") {
      const message = isObject(event.data) ? text(event.data, "message") : undefined;
      return this.#change({ trouble: message ?? "Live updates are interrupted" });
    }
    const news = event.event === "message" ? readRunNews(event.data) : null;
    if (!news) return;
    this.#run = { ...this.#run, trouble: null };
    this.hear(news);
  }

  #connect({ state, problem }: ConnectionStatus): void {
    if (state === this.#run.connection) return;
    if (problem?.kind === "refused" && problem.status === 404)
      return this.#settings.onLost(this.#run, problem.message);
    this.#change({ connection: state, trouble: problem?.message ?? null });
    // A stream that is over, or refused, is not heard again: the answer about the run's status says why.
    if (NEEDS_ANSWERS.has(state)) this.#settings.onNeed(true);
    else if (state === "connected") this.#settings.onNeed(false);
  }

  #change(change: Partial<ActiveRun>, details: string | null = null): void {
    const before = this.#run.status;
    this.#run = { ...this.#run, ...change };
    this.#settings.onNews({ run: this.#run, changed: this.#run.status !== before, details });
  }
}

const NEEDS_ANSWERS: ReadonlySet<ConnectionState> = new Set(["polling", "done", "error"]);
