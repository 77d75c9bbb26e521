/**
 * What is asked of the server about a log as a whole, which no page of it knows: where it says something (search), and
 * where its errors and groups are (outline).
 */
import type { LogMark, MarkKind } from "./groups";
import { type Json, type JsonObject, field, flag, isList, isObject, number, text } from "../stream/json";
import { jobPath } from "../api/jobs-api";
import { type Fetched, type QuestionSettings, askJson } from "../api/questions";

/** What is looked for. */
export interface SearchQuestion {
  /** May be empty with `stderr`: then every such line counts. */
  readonly text: string;
  /** Whether `text` is a pattern, in the syntax of RE2. */
  readonly regex: boolean;
  /** Whether capitals count. */
  readonly case: boolean;
  /** Only lines of standard error. */
  readonly stderr?: boolean;
}

/** Which entries are looked through. */
export interface SearchReach {
  readonly from: number;
  /** Whether to end as soon as the answer holds as many hits as it can; then `total` says nothing of the rest. */
  readonly stops: boolean;
}

/** An answer about the entries from the offset asked for. */
export interface SearchPage {
  /** The first of the hits, sorted. */
  readonly offsets: readonly number[];
  /** Hits among all entries looked through, also those not in `offsets`. */
  readonly total: number;
  /** Where `offsets` ends before the hits do: what to ask for next. */
  readonly next: number | null;
  /** The offset up to which was looked. */
  readonly through: number;
  /** Whether that was all there was. */
  readonly complete: boolean;
  /** Hits per bin of equal length over what was looked through, where asked for. */
  readonly ticks: readonly number[];
}

export interface OutlinePage {
  readonly from: number;
  readonly next: number;
  readonly total: number;
  /** Whether everything up to `total` was looked at. A header that stands last is told of with the line behind it. */
  readonly complete: boolean;
  /** Whether the server keeps no more marks of this log. */
  readonly full: boolean;
  readonly marks: readonly LogMark[];
}

export interface LogApi {
  search(
    id: string,
    question: SearchQuestion,
    reach: SearchReach,
    signal?: AbortSignal,
  ): Promise<Fetched<SearchPage>>;
  outline(id: string, from: number, signal?: AbortSignal): Promise<Fetched<OutlinePage>>;
}

/** Bins asked for: about one for each pixel of a tall window. */
const TICKS = 1000;

export class FetchLogApi implements LogApi {
  readonly #settings: QuestionSettings;

  constructor(settings: QuestionSettings = {}) {
    this.#settings = settings;
  }

  search(
    id: string,
    question: SearchQuestion,
    reach: SearchReach,
    signal?: AbortSignal,
  ): Promise<Fetched<SearchPage>> {
    const { from, stops } = reach;
    const query = new URLSearchParams({ since: String(from), fields: "offset" });
    if (question.text !== "") query.set("q", question.text);
    if (question.regex) query.set("regex", "1");
    if (question.case) query.set("case", "1");
    if (question.stderr) query.set("stream", "stderr");
    if (stops) query.set("stop", "1");
    if (from === 0) query.set("ticks", String(TICKS));
    const path = `${jobPath(id)}/output/search?${query.toString()}`;
    return askJson(this.#settings, path, (value) => readSearch(value, from), signal);
  }

  outline(id: string, from: number, signal?: AbortSignal): Promise<Fetched<OutlinePage>> {
    return askJson(this.#settings, `${jobPath(id)}/output/outline?from=${from}`, readOutline, signal);
  }
}

function readSearch(value: Json | undefined, from: number): SearchPage | null {
  if (!isObject(value)) return null;
  const offsets = numbers(field(value, "offsets"));
  const total = number(value, "total");
  if (offsets === null || total === undefined) return null;
  const lines = number(value, "lines") ?? 0;
  const through = number(value, "through") ?? from + lines;
  return {
    offsets,
    total,
    next: offsets.length < total ? (number(value, "next") ?? null) : null,
    through,
    // Lines that are gone are not looked through, and no later answer has them.
    complete: flag(value, "complete") || through - from > lines,
    ticks: numbers(field(value, "ticks")) ?? [],
  };
}

function readOutline(value: Json | undefined): OutlinePage | null {
  if (!isObject(value) || !isList(value.marks)) return null;
  const from = number(value, "from");
  const next = number(value, "next");
  if (from === undefined || next === undefined) return null;
  const marks = value.marks.flatMap((mark) => (isObject(mark) ? readMark(mark) : []));
  const total = number(value, "total") ?? next;
  return { from, next, total, complete: flag(value, "complete"), full: flag(value, "full"), marks };
}

const KINDS: readonly MarkKind[] = ["error", "open", "close"];

/** A mark of a kind that a later version knows is left out. */
function readMark(value: JsonObject): readonly LogMark[] {
  const kind = KINDS.find((known) => known === value.kind);
  const offset = number(value, "offset");
  if (kind === undefined || offset === undefined) return [];
  const title = text(value, "title");
  const timestamp = number(value, "timestamp");
  return [
    {
      offset,
      kind,
      ...(title === undefined ? {} : { title }),
      ...(timestamp === undefined ? {} : { timestamp }),
      ...(flag(value, "header") ? { header: true } : {}),
    },
  ];
}

function numbers(value: Json | undefined): readonly number[] | null {
  if (!isList(value)) return null;
  return value.filter((one) => typeof one === "number");
}
