/**
 * What the server wrote into the page: the data of the first view, so that there is no flash of an empty one, and
 * the configuration. It is read once; a second view of the same page comes from the streams.
 */
import { type Job, type JobOutput, readJob, readOutput } from "./job";
import {
  type Json,
  type JsonObject,
  field,
  flag,
  isList,
  isObject,
  number,
  parseJson,
  text,
} from "../stream/json";

export const INITIAL_DATA_ID = "fantail-initial-data";

export interface User {
  readonly name: string | null;
  readonly admin: boolean;
}

export interface Config {
  readonly useSSEStatus: boolean;
  /** The server sends something at least this often, in seconds. */
  readonly keepAliveS: number;
}

export type InitialView =
  | { readonly page: "jobs"; readonly tables: JsonObject; readonly position: string | null }
  | {
      readonly page: "job";
      /** `null` where there is none to show; `errorStatus` says why. */
      readonly job: Job | null;
      readonly output: readonly JobOutput[];
      /** The offset of the first entry of `output`. */
      readonly from: number;
      readonly total: number;
      readonly position: string | null;
      /** Why there is no job: an HTTP status (404 where it does not exist, or not for this user). */
      readonly errorStatus: number | null;
    }
  | { readonly page: "none" };

export interface InitialData {
  readonly view: InitialView;
  readonly user: User;
  readonly config: Config;
}

const NOTHING: InitialData = {
  view: { page: "none" },
  user: { name: null, admin: false },
  config: { useSSEStatus: true, keepAliveS: 30 },
};

/** Reads it out of the document. Whatever is missing or odd there counts as absent. */
export function readInitialData(document: Document): InitialData {
  const value = parseJson(document.getElementById(INITIAL_DATA_ID)?.textContent ?? "");
  if (!isObject(value)) return NOTHING;
  return {
    view: readView(value),
    user: readUser(field(value, "user")),
    config: readConfig(field(value, "config")),
  };
}

function readView(value: JsonObject): InitialView {
  const position = text(value, "position") ?? null;
  const tables = field(value, "tables");
  if (value.page === "jobs" && isObject(tables)) return { page: "jobs", tables, position };
  if (value.page !== "job") return NOTHING.view;
  const output = field(value, "output");
  const lines = isList(output) ? output.map(readOutput) : [];
  const from = number(value, "from") ?? 0;
  const total = number(value, "total") ?? from + lines.length;
  const error = field(value, "error");
  const errorStatus = isObject(error) ? (number(error, "status") ?? null) : null;
  return {
    page: "job",
    job: readJob(field(value, "job")),
    output: lines,
    from,
    total,
    position,
    errorStatus,
  };
}

function readUser(value: Json | undefined): User {
  return isObject(value) ? { name: text(value, "name") ?? null, admin: flag(value, "admin") } : NOTHING.user;
}

function readConfig(value: Json | undefined): Config {
  if (!isObject(value)) return NOTHING.config;
  const useSSEStatus = field(value, "useSSEStatus");
  return {
    useSSEStatus: typeof useSSEStatus === "boolean" ? useSSEStatus : NOTHING.config.useSSEStatus,
    keepAliveS: number(value, "keepAliveS") ?? NOTHING.config.keepAliveS,
  };
}
