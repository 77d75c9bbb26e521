/**
 * How the server is, as `GET /api/system` tells it, and how it was in the last minutes.
 *
 * The watch asks every two seconds while somebody looks, never twice at a time, less often where no answer comes; what
 * it was told stays when a later question fails. Its samples are bounded: the charts show some minutes, no more.
 */
import { FrameSignal } from "../stream/frame";
import { type Json, type JsonObject, field, flag, isList, isObject, number, text } from "../stream/json";
import { type PageVisibility, browserVisibility } from "../stream/page-visibility";
import { type Platform, browserPlatform } from "../stream/platform";
import { type QuestionSettings, askJson } from "./questions";
import { type Outcome, Rounds } from "../stream/polling";

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
  /** Why rows of the lists may be missing; empty where none is. */
  readonly tablesLack: string;
  readonly storeBytes: number;
  readonly storeBytesMax: number;
  readonly tablesBytes: number;
  readonly tablesWatchers: number;
  /** Readers of jobs, and how far the slowest is behind, in records. */
  readonly watchers: number;
  readonly lag: number;
  /** All stores; `stores` are the first in the order asked for. */
  readonly storesTotal: number;
  readonly stores: readonly StoreInfo[];
  readonly streamsOpen: number;
  readonly streamsByFace: readonly (readonly [name: string, count: number])[];
  readonly streamsEnded: readonly (readonly [name: string, count: number])[];
  readonly streamsOpened: number;
  readonly sentBytes: number;
  /** `null` where the server's platform does not tell. */
  readonly residentBytes: number | null;
  /** Seconds of a processor's time since the start. */
  readonly processorS: number;
  /** What follows pipelines, and tests and runs, in figures; empty where that source is not set. */
  readonly pipelines: Figures;
  readonly statuses: Figures;
  /** The bounds that were set. */
  readonly settings: Figures;
}

/** Figures by the names that the server gives them. */
export type Figures = readonly (readonly [name: string, value: string | number | boolean])[];

/** Readers of jobs and of the tables. */
export function readersOf(info: SystemInfo): number {
  return info.watchers + info.tablesWatchers;
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
    tablesLack: text(source, "tablesLack") ?? "",
    storeBytes: number(stores, "bytes") ?? 0,
    storeBytesMax: number(stores, "bytesMax") ?? 0,
    tablesBytes: number(stores, "tablesBytes") ?? 0,
    tablesWatchers: number(stores, "tablesWatchers") ?? 0,
    watchers: number(stores, "watchers") ?? 0,
    lag: number(stores, "lagMax") ?? 0,
    storesTotal: number(stores, "jobsTotal") ?? 0,
    stores: isList(jobs) ? jobs.filter(isObject).map(readStore) : [],
    streamsOpen: number(streams, "open") ?? 0,
    streamsByFace: readCounts(part(streams, "byFace")),
    streamsEnded: readCounts(part(streams, "ended")),
    streamsOpened: number(streams, "openedTotal") ?? 0,
    sentBytes: number(streams, "sentBytes") ?? 0,
    residentBytes: number(part(value, "memory"), "residentBytes") ?? null,
    processorS: number(part(value, "cpu"), "usedS") ?? 0,
    pipelines: readFigures(part(value, "pipelines")),
    statuses: readFigures(part(value, "statuses")),
    settings: readFigures(part(value, "settings")),
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

function readFigures(figures: JsonObject): Figures {
  return Object.entries(figures).flatMap(([name, value]) =>
    typeof value === "string" || typeof value === "number" || typeof value === "boolean"
      ? [[name, value] as const]
      : [],
  );
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
  /** How much of one processor was used; 1 is all of it. */
  readonly processor: number | null;
}

/** Five minutes of answers. */
export const SAMPLES_MAX = 150;

export interface SystemState {
  readonly info: SystemInfo | null;
  readonly samples: readonly Sample[];
  readonly order: StoreOrder;
  /** Why the last question has no answer; `status` is 0 where none came at all. */
  readonly problem: { readonly status: number; readonly message: string } | null;
}

export interface SystemWatchSettings extends QuestionSettings {
  readonly platform?: Platform;
  readonly visibility?: PageVisibility;
}

/** What stores may be sorted by, the most first. */
export type StoreOrder = "bytes" | "watchers" | "lag";

/** Stores asked for: as many as anybody looks through. */
const STORES_MAX = 100;

const KEY = "system";

export class SystemWatch {
  readonly #settings: SystemWatchSettings;
  readonly #platform: Platform;
  readonly #rounds: Rounds;
  readonly #signal = new FrameSignal();
  #order: StoreOrder = "bytes";
  #state: SystemState = { info: null, samples: [], order: "bytes", problem: null };

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

  /** Asks for the stores that have most of this, from now on. */
  readonly orderBy = (order: StoreOrder): void => {
    this.#order = order;
    this.#state = { ...this.#state, order };
    this.#signal.touch();
    this.askNow();
  };

  /** Asks now, however long the last failures made the wait. */
  readonly askNow = (): void => {
    this.#rounds.remove([KEY]);
    this.#rounds.add([KEY]);
  };

  async #ask(signal: AbortSignal): Promise<Outcome> {
    const path = `/api/system?jobs=${STORES_MAX}&by=${this.#order}`;
    const answer = await askJson(this.#settings, path, readSystem, signal);
    if (signal.aborted && !answer.ok) return "failed";
    if (answer.ok) {
      const sample = sampleOf(answer.value, this.#state, this.#platform.now());
      const samples = [...this.#state.samples, sample].slice(-SAMPLES_MAX);
      this.#state = { ...this.#state, info: answer.value, samples, problem: null };
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
  const per = (now: number, then: number | undefined): number | null =>
    seconds > 0 && then !== undefined && now >= then ? (now - then) / seconds : null;
  return {
    atMs,
    streams: info.streamsOpen,
    readers: readersOf(info),
    lag: info.lag,
    residentBytes: info.residentBytes,
    storeBytes: info.storeBytes,
    sentBytesPerS: per(info.sentBytes, before.info?.sentBytes),
    processor: per(info.processorS, before.info?.processorS),
  };
}
