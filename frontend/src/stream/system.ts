/**
 * How the server is, as `GET /api/system` tells it, and how it was in the last minutes.
 *
 * The watch asks every two seconds while somebody looks, never twice at a time, less often where no answer comes; what
 * it was told stays when a later question fails. Its samples are bounded: the charts show some minutes, no more.
 */
import { FrameSignal } from "./frame";
import { type Json, type JsonObject, field, flag, isList, isObject, number, text } from "./json";
import { type PageVisibility, browserVisibility } from "./page-visibility";
import { type Platform, browserPlatform } from "./platform";
import { type QuestionSettings, askJson } from "./questions";
import { type Outcome, Rounds } from "./rounds";

/** A job's store in the server's memory. `lag` is in records, of its slowest reader. */
export interface StoreInfo {
  readonly kind: string;
  readonly id: string;
  readonly status: string;
  readonly bytes: number;
  /** Offsets of the oldest record in memory, and behind the newest. */
  readonly head: number;
  readonly tail: number;
  readonly watchers: number;
  readonly lag: number;
}

export interface SystemInfo {
  readonly version: string;
  readonly uptimeS: number;
  readonly draining: boolean;
  readonly sourceAvailable: boolean;
  readonly sourceMode: string;
  readonly storeBytes: number;
  readonly storeBytesMax: number;
  readonly tablesBytes: number;
  readonly tablesWatchers: number;
  /** All stores; `stores` are those that hold most. */
  readonly storesTotal: number;
  readonly stores: readonly StoreInfo[];
  readonly streamsOpen: number;
  readonly streamsByFace: readonly (readonly [name: string, count: number])[];
  readonly streamsEnded: readonly (readonly [name: string, count: number])[];
  readonly streamsOpened: number;
  readonly sentBytes: number;
  /** `null` where the server's platform does not tell. */
  readonly residentBytes: number | null;
}

/** Readers of jobs and of the tables. */
export function readersOf(info: SystemInfo): number {
  return info.stores.reduce((sum, store) => sum + store.watchers, info.tablesWatchers);
}

/** How far the slowest reader is behind, in records; where nobody reads, nobody is. */
export function lagOf(info: SystemInfo): number {
  return info.stores.reduce((most, { watchers, lag }) => (watchers > 0 ? Math.max(most, lag) : most), 0);
}

/** Reads an answer; `null` where it is none. Numbers that are missing are 0. */
export function readSystem(value: Json | undefined): SystemInfo | null {
  if (!isObject(value) || !isObject(field(value, "streams"))) return null;
  const source = part(value, "source");
  const stores = part(value, "stores");
  const streams = part(value, "streams");
  const jobs = field(value, "jobs");
  return {
    version: text(value, "version") ?? "unknown",
    uptimeS: number(value, "uptimeS") ?? 0,
    draining: flag(value, "draining"),
    sourceAvailable: flag(source, "available"),
    sourceMode: text(source, "mode") ?? "unknown",
    storeBytes: number(stores, "bytes") ?? 0,
    storeBytesMax: number(stores, "bytesMax") ?? 0,
    tablesBytes: number(stores, "tablesBytes") ?? 0,
    tablesWatchers: number(stores, "tablesWatchers") ?? 0,
    storesTotal: number(stores, "jobsTotal") ?? 0,
    stores: isList(jobs) ? jobs.filter(isObject).map(readStore) : [],
    streamsOpen: number(streams, "open") ?? 0,
    streamsByFace: readCounts(part(streams, "byFace")),
    streamsEnded: readCounts(part(streams, "ended")),
    streamsOpened: number(streams, "openedTotal") ?? 0,
    sentBytes: number(streams, "sentBytes") ?? 0,
    residentBytes: number(part(value, "memory"), "residentBytes") ?? null,
  };
}

function readStore(value: JsonObject): StoreInfo {
  return {
    kind: text(value, "kind") ?? "job",
    id: text(value, "id") ?? "",
    status: text(value, "status") ?? "",
    bytes: number(value, "retainedBytes") ?? 0,
    head: number(value, "head") ?? 0,
    tail: number(value, "tail") ?? 0,
    watchers: number(value, "watchers") ?? 0,
    lag: number(value, "lagMax") ?? 0,
  };
}

function readCounts(counts: JsonObject): readonly (readonly [string, number])[] {
  return Object.keys(counts)
    .map((name) => [name, number(counts, name) ?? 0] as const)
    .toSorted(([one, many], [other, few]) => few - many || (one < other ? -1 : 1));
}

function part(value: JsonObject, name: string): JsonObject {
  const found = field(value, name);
  return isObject(found) ? found : {};
}

/** One answer's numbers, for the charts. `atMs` is by the browser's clock. */
export interface Sample {
  readonly atMs: number;
  readonly streams: number;
  readonly readers: number;
  readonly lag: number;
  readonly residentBytes: number | null;
  readonly storeBytes: number;
  /** `null` for the first sample, and where the server has begun anew. */
  readonly sentBytesPerS: number | null;
}

/** Five minutes of answers. */
export const SAMPLES_MAX = 150;

export interface SystemState {
  readonly info: SystemInfo | null;
  readonly samples: readonly Sample[];
  /** Why the last question has no answer; `status` is 0 where none came at all. */
  readonly problem: { readonly status: number; readonly message: string } | null;
}

export interface SystemWatchSettings extends QuestionSettings {
  readonly platform?: Platform;
  readonly visibility?: PageVisibility;
}

const KEY = "system";

export class SystemWatch {
  readonly #settings: SystemWatchSettings;
  readonly #platform: Platform;
  readonly #rounds: Rounds;
  readonly #signal = new FrameSignal();
  #state: SystemState = { info: null, samples: [], problem: null };

  constructor(settings: SystemWatchSettings = {}) {
    this.#settings = settings;
    this.#platform = settings.platform ?? browserPlatform;
    this.#rounds = new Rounds({
      platform: this.#platform,
      visibility: settings.visibility ?? browserVisibility,
      ask: (_, signal) => this.#ask(signal),
    });
    this.subscribe = this.#signal.subscribe;
  }

  readonly subscribe: (listener: () => void) => () => void;

  readonly getState = (): SystemState => this.#state;

  /** Asks from now on; the result ends it. */
  readonly start = (): (() => void) => {
    this.#rounds.add([KEY]);
    return () => this.#rounds.remove([KEY]);
  };

  /** Asks now, however long the last failures made the wait. */
  readonly askNow = (): void => {
    this.#rounds.remove([KEY]);
    this.#rounds.add([KEY]);
  };

  async #ask(signal: AbortSignal): Promise<Outcome> {
    const answer = await askJson(this.#settings, "/api/system", readSystem, signal);
    if (signal.aborted && !answer.ok) return "failed";
    if (answer.ok) {
      const sample = sampleOf(answer.value, this.#state, this.#platform.now());
      const samples = [...this.#state.samples, sample].slice(-SAMPLES_MAX);
      this.#state = { info: answer.value, samples, problem: null };
    } else {
      this.#state = { ...this.#state, problem: { status: answer.status, message: answer.message } };
    }
    this.#signal.touch();
    return answer.ok ? "changed" : "failed";
  }
}

function sampleOf(info: SystemInfo, before: SystemState, atMs: number): Sample {
  const last = before.samples.at(-1);
  const seconds = last ? (atMs - last.atMs) / 1000 : 0;
  const sent = info.sentBytes - (before.info?.sentBytes ?? 0);
  return {
    atMs,
    streams: info.streamsOpen,
    readers: readersOf(info),
    lag: lagOf(info),
    residentBytes: info.residentBytes,
    storeBytes: info.storeBytes,
    sentBytesPerS: seconds > 0 && sent >= 0 ? sent / seconds : null,
  };
}
