/**
 * The runs under way, followed to their ends: what every component of a page knows of jobs that run.
 *
 * Invariants:
 *  - A run ends once: by its stream, by an answer about its status, or by `completeJobRun`, whichever is first. Its one
 *    completion is told then, its connection is closed, and nothing heard later starts it again.
 *  - How a connection stands says nothing of the run. One that is lost leaves the run as it was, and after the tries
 *    the run's status is asked for until there is a stream again. A run that the server no longer knows is `lost`,
 *    which is not failed.
 *  - A run that the server's list named and names no more is asked about: it has ended, and nobody may have said so.
 *  - Streams are few (RUN_STREAMS_MAX); the runs past them are asked about, until a stream is free.
 *  - The list is asked for while somebody wants to know all that runs (`start`). Runs that are known are followed for
 *    as long as somebody would hear of their ends (`follow`), which costs nothing where there are none.
 */
import { FrameSignal, type Schedule } from "../stream/frame";
import { type PageVisibility, browserVisibility } from "../stream/page-visibility";
import { type Platform, browserPlatform } from "../stream/platform";
import { type Outcome, Rounds } from "../stream/polling";
import { type ActiveRun, type FollowedNews, RunFollower } from "./run-follower";
import { type QuestionSettings, askJson } from "../api/questions";
import {
  type RunOutcome,
  type RunStatus,
  type RunningJob,
  outcomeOf,
  readRunNews,
  readRunningJobs,
} from "./run-status";
import type { StreamSource } from "../stream/stream-source";

/** Streams of runs at a time: a browser opens six connections to a server over HTTP/1.1, for all of its tabs. */
export const RUN_STREAMS_MAX = 2;

/** Ended runs that are remembered, so that none is told twice: more than anybody starts while a page is open. */
export const ENDED_MAX = 1_000;

/** Ends that are shown. */
export const ENDS_SHOWN = 50;

/** How long streams outlast the last component that wants them, in milliseconds: longer than a change of pages. */
const LINGER_MS = 2_000;

export type { ActiveRun } from "./run-follower";

/** How a run ended; `lost` where the server no longer knows it, so that nobody can say. */
export interface RunEnd {
  readonly runId: string;
  readonly jobId: string;
  readonly jobName: string;
  readonly outcome: RunOutcome | "lost";
  readonly status: RunStatus;
  readonly details: string | null;
  /** When this browser heard of it. */
  readonly atMs: number;
}

/** Immutable; a new object whenever something in it changed. */
export interface RunsState {
  readonly activeRuns: Readonly<Record<string, ActiveRun>>;
  /** Jobs of which at least one run is under way. */
  readonly runningJobs: ReadonlySet<string>;
  readonly jobStatuses: ReadonlyMap<string, RunStatus>;
  /** The newest first. */
  readonly ends: readonly RunEnd[];
  /** Whether the server has been asked which runs are under way; `problem` says why it has not answered. */
  readonly loaded: boolean;
  readonly problem: string | null;
}

export interface RunRegistrySettings {
  readonly streams: StreamSource;
  readonly baseUrl?: string;
  readonly headers?: () => Readonly<Record<string, string>>;
  readonly platform?: Platform;
  readonly visibility?: PageVisibility;
  readonly schedule?: Schedule;
}

const LIST = "running";

export class RunRegistry {
  readonly #streams: StreamSource;
  readonly #platform: Platform;
  readonly #signal: FrameSignal;
  readonly #questions: QuestionSettings;
  readonly #list: Rounds;
  readonly #asked: Rounds;
  readonly #runs = new Map<string, RunFollower>();
  readonly #ended = new Set<string>();
  #named: ReadonlySet<string> = new Set();
  readonly #vanished = new Set<string>();
  readonly #listeners = new Set<(end: RunEnd) => void>();
  readonly #listing: Users;
  readonly #following: Users;
  #state: RunsState = {
    activeRuns: {},
    runningJobs: new Set(),
    jobStatuses: new Map(),
    ends: [],
    loaded: false,
    problem: null,
  };

  constructor(settings: RunRegistrySettings) {
    const { platform = browserPlatform, visibility = browserVisibility } = settings;
    this.#streams = settings.streams;
    this.#platform = platform;
    this.#signal = new FrameSignal(settings.schedule);
    this.#questions = { ...settings, fetch: (url, init) => platform.fetch(url, init) };
    this.#list = new Rounds({ ask: (_, signal) => this.#askForList(signal), platform, visibility });
    this.#asked = new Rounds({ ask: (runId, signal) => this.#askAbout(runId, signal), platform, visibility });
    this.#listing = new Users(
      platform,
      () => this.#list.add([LIST]),
      () => this.#list.remove([LIST]),
    );
    this.#following = new Users(
      platform,
      () => this.#give(),
      () => this.#pause(),
    );
    this.subscribe = this.#signal.subscribe;
  }

  readonly subscribe: (listener: () => void) => () => void;

  readonly getState = (): RunsState => this.#state;

  /** Asks which runs are under way, and follows them, until the result is called; counted. */
  start(): () => void {
    const stops = [this.#listing.add(), this.#following.add()];
    return () => stops.forEach((stop) => stop());
  }

  /** Asks now which runs are under way, and tries their streams, however long the last failures made the wait. */
  readonly askNow = (): void => {
    if (!this.#listing.any) return;
    for (const follower of this.#runs.values()) follower.reconnect();
    this.#list.remove([LIST]);
    this.#list.add([LIST]);
  };

  /** Follows the runs that are known, and asks for no others, until the result is called; counted. */
  follow(): () => void {
    return this.#following.add();
  }

  /** Follows a run from now on. Without effect for one that is followed already, or has ended. */
  startJobRun(runId: string, jobId: string, jobName = jobId): void {
    this.#begin({ runId, jobId, name: jobName }, false);
  }

  /** Says that a run is over, where the caller knows it first. Told once, whoever says it first. */
  completeJobRun(success: boolean, jobId: string, runId: string): void {
    const run = this.#runs.get(runId)?.run ?? { runId, jobId, jobName: jobId };
    this.#end(run, success ? "succeeded" : "failed", success ? "passed" : "failed", null);
  }

  setJobStatus(jobId: string, status: RunStatus): void {
    if (this.#state.jobStatuses.get(jobId) === status) return;
    this.#change({ jobStatuses: new Map([...this.#state.jobStatuses, [jobId, status]]) });
  }

  /** Hears of each end once. The result stops it. */
  onEnd(listener: (end: RunEnd) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  // -- following ------------------------------------------------------------------------------------------------

  #pause(): void {
    this.#asked.remove(this.#runs.keys());
    for (const follower of this.#runs.values()) follower.stop();
  }

  #begin(job: RunningJob, listed: boolean): void {
    const { runId, jobId, name } = job;
    if (this.#ended.has(runId) || this.#runs.has(runId)) return;
    const follower = new RunFollower({
      run: { runId, jobId, jobName: name ?? jobId },
      listed,
      streams: this.#streams,
      onNews: (news) => this.#follow(news),
      onLost: (run, reason) => this.#end(run, "lost", run.status, reason),
      onNeed: (needsAnswers) => (needsAnswers ? this.#asked.add([runId]) : this.#asked.remove([runId])),
    });
    this.#runs.set(runId, follower);
    this.setJobStatus(jobId, follower.run.status);
    this.#showRuns();
    if (this.#following.any) this.#give();
  }

  /** Gives streams to the runs that began first, and questions to the others. */
  #give(): void {
    let left = RUN_STREAMS_MAX;
    for (const follower of this.#runs.values()) {
      left -= 1;
      if (left >= 0) follower.open();
      else this.#asked.add([follower.run.runId]);
    }
  }

  #follow({ run, changed, details }: FollowedNews): void {
    if (!this.#runs.has(run.runId)) return;
    if (changed) this.setJobStatus(run.jobId, run.status);
    const outcome = outcomeOf(run.status);
    if (outcome) this.#end(run, outcome, run.status, details);
    else this.#showRuns();
  }

  #end(
    run: Pick<ActiveRun, "runId" | "jobId" | "jobName">,
    outcome: RunEnd["outcome"],
    status: RunStatus,
    details: string | null,
  ): void {
    const { runId, jobId, jobName } = run;
    if (this.#ended.has(runId)) return;
    this.#remember(runId);
    this.#drop(runId);
    if (outcome !== "lost") this.setJobStatus(jobId, status);
    const end: RunEnd = { runId, jobId, jobName, outcome, status, details, atMs: this.#platform.now() };
    this.#change({ ends: [end, ...this.#state.ends].slice(0, ENDS_SHOWN) });
    for (const listener of this.#listeners) listener(end);
  }

  #remember(runId: string): void {
    this.#ended.add(runId);
    const [oldest] = this.#ended;
    if (this.#ended.size > ENDED_MAX && oldest !== undefined) this.#ended.delete(oldest);
  }

  #drop(runId: string): void {
    this.#runs.get(runId)?.stop();
    this.#runs.delete(runId);
    this.#vanished.delete(runId);
    this.#asked.remove([runId]);
    this.#showRuns();
    if (this.#following.any) this.#give();
  }

  // -- asking ---------------------------------------------------------------------------------------------------

  async #askForList(signal: AbortSignal): Promise<Outcome> {
    const answer = await askJson(this.#questions, "/api/jobs/status/running", readRunningJobs, signal);
    if (signal.aborted) return "failed";
    if (!answer.ok) {
      this.#change({ problem: answer.message });
      return "failed";
    }
    const named = new Set(answer.value.map((job) => job.runId));
    for (const job of answer.value) this.#begin(job, true);
    const vanished = [...this.#named].filter((runId) => this.#runs.has(runId) && !named.has(runId));
    for (const runId of vanished) this.#vanished.add(runId);
    this.#asked.add(vanished);
    this.#named = new Set([...named, ...this.#vanished]);
    this.#change({ loaded: true, problem: null });
    return "same";
  }

  async #askAbout(runId: string, signal: AbortSignal): Promise<Outcome> {
    const path = `/api/runs/${encodeURIComponent(runId)}/status`;
    const answer = await askJson(this.#questions, path, readRunNews, signal);
    const follower = this.#runs.get(runId);
    if (signal.aborted || !follower) return "failed";
    if (!answer.ok) {
      // Of a run that was never listed this may only mean that no worker spoke of it yet.
      const lost = answer.status === 404 && this.#vanished.has(runId);
      if (lost) this.#end(follower.run, "lost", follower.run.status, answer.message);
      return "failed";
    }
    this.#vanished.delete(runId);
    const changed = follower.hear(answer.value);
    // It runs on, whatever the list says: its stream will tell the rest.
    if (this.#runs.has(runId) && follower.run.connection === "connected") this.#asked.remove([runId]);
    return changed ? "changed" : "same";
  }

  #showRuns(): void {
    const runs = [...this.#runs.values()].map((follower) => follower.run);
    this.#change({
      activeRuns: Object.fromEntries(runs.map((run) => [run.runId, run])),
      runningJobs: new Set(runs.map((run) => run.jobId)),
    });
  }

  #change(change: Partial<RunsState>): void {
    this.#state = { ...this.#state, ...change };
    this.#signal.touch();
  }
}

/** Counts who wants something; it outlasts the last of them for a moment, as pages change. */
class Users {
  readonly #platform: Platform;
  readonly #begin: () => void;
  readonly #end: () => void;
  #count = 0;
  #cancelEnd: () => void = () => {};

  constructor(platform: Platform, begin: () => void, end: () => void) {
    this.#platform = platform;
    this.#begin = begin;
    this.#end = end;
  }

  get any(): boolean {
    return this.#count > 0;
  }

  add(): () => void {
    this.#count += 1;
    this.#cancelEnd();
    if (this.#count === 1) this.#begin();
    let using = true;
    return () => {
      if (!using) return;
      using = false;
      this.#count -= 1;
      if (this.#count === 0) this.#cancelEnd = this.#platform.after(LINGER_MS, this.#end);
    };
  }
}
