/**
 * Everything that the hooks need of the outside, in one object: the streams, the REST questions, and the documents
 * that several components share. An application makes one, or takes the default for the page's own origin.
 */
import { PipelineBoard } from "./pipelines/pipeline-board";
import { PipelinePolls } from "./pipelines/pipeline-polls";
import { PipelineSSEManager } from "./pipelines/pipeline-sse-manager";
import { RunRegistry } from "./runs/run-registry";
import { DocumentStore } from "./stream/document-store";
import { FetchStreams } from "./stream/fetch-streams";
import type { JsonObject } from "./stream/json";
import { FetchJobsApi, type JobsApi } from "./api/jobs-api";
import { FetchLogApi, type LogApi } from "./log/log-api";
import type { StreamSource } from "./stream/stream-source";

export interface Client {
  readonly streams: StreamSource;
  readonly api: JobsApi;
  /** Search and outline of whole logs. */
  readonly logs: LogApi;
  /** The status of pipelines, by stream and by polls. */
  readonly pipelines: PipelineSSEManager;
  /** Whether pipelines are followed by stream; else they are polled. */
  readonly useSSEStatus: boolean;
  readonly runs: RunRegistry;
  /** The document of some tables; the same store for the same names, however many components ask. */
  tables(names: readonly string[]): DocumentStore;
}

export interface ClientSettings {
  /** Where the server is: `""` for the page's own origin. */
  readonly baseUrl?: string;
  readonly headers?: () => Readonly<Record<string, string>>;
  /** Silence after which a connection counts as dead, in milliseconds. */
  readonly silenceMs?: number;
  readonly streams?: StreamSource;
  readonly api?: JobsApi;
  readonly logs?: LogApi;
  readonly pipelines?: PipelineSSEManager;
  /** Default true. */
  readonly useSSEStatus?: boolean;
  readonly runs?: RunRegistry;
  /** Tables that the page brought, with the position they are as of. */
  readonly initialTables?: { readonly tables: JsonObject; readonly position: string | null };
}

export function createClient(settings: ClientSettings = {}): Client {
  const streams = settings.streams ?? new FetchStreams(settings);
  const api = settings.api ?? new FetchJobsApi(settings);
  const logs = settings.logs ?? new FetchLogApi(settings);
  const { initialTables } = settings;
  const stores = new Map<string, DocumentStore>();

  function tables(names: readonly string[]): DocumentStore {
    const topic = tablesTopic(names);
    const known = stores.get(topic);
    if (known) return known;
    const brought = initialTables ? selected(initialTables.tables, names) : null;
    const store = new DocumentStore({
      source: streams,
      topic,
      initialDocument: brought,
      initialPosition: brought && initialTables ? initialTables.position : null,
    });
    stores.set(topic, store);
    return store;
  }

  const pipelines = settings.pipelines ?? pipelinesOf(settings, streams);
  const runs = settings.runs ?? new RunRegistry({ ...settings, streams });
  return { streams, api, logs, tables, pipelines, runs, useSSEStatus: settings.useSSEStatus ?? true };
}

function pipelinesOf(settings: ClientSettings, streams: StreamSource): PipelineSSEManager {
  const board = new PipelineBoard();
  const polls = new PipelinePolls({ ...settings, board });
  const { silenceMs } = settings;
  const config = silenceMs === undefined ? {} : { heartbeatTimeout: silenceMs };
  return new PipelineSSEManager(config, { streams, board, polls });
}

function tablesTopic(names: readonly string[]): string {
  const list = names.toSorted().map(encodeURIComponent).join(",");
  return `/api/events/?${list === "" ? "" : `tables=${list}&`}batch=1`;
}

/** Those tables, where the page brought all of them: its position is one for all tables, and for none it lacks. */
function selected(tables: JsonObject, names: readonly string[]): JsonObject | null {
  if (names.length === 0 || !names.every((name) => Object.hasOwn(tables, name))) return null;
  return Object.fromEntries(Object.entries(tables).filter(([name]) => names.includes(name)));
}
