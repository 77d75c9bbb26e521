/**
 * From the rows of the table to the jobs on the page: read, filtered, counted, sorted. Pure, and quick for thousands
 * of rows at each change: what is derived of a row is kept with it, and only for as long as it is.
 */
import { type Job, readRow } from "../../api/job";
import { type JsonObject, isObject } from "../../stream/json";
import type { Sort } from "../table/DataTable";
import { nameOf } from "./job-name";

/** A row that did not change keeps its job object too, and is not drawn again. */
const read = new WeakMap<JsonObject, Job>();

function jobOf(id: string, row: JsonObject): Job {
  const known = read.get(row);
  if (known) return known;
  const job = readRow(id, row);
  read.set(row, job);
  return job;
}

/** All jobs of a table, the newest first. */
export function jobsOf(rows: JsonObject): readonly Job[] {
  const jobs: Job[] = [];
  for (const [id, row] of Object.entries(rows)) if (isObject(row)) jobs.push(jobOf(id, row));
  return jobs.toSorted(newestFirst);
}

/** What a filter by text looks through, of each job. */
const searched = new WeakMap<Job, string>();

function searchedText(job: Job): string {
  const known = searched.get(job);
  if (known !== undefined) return known;
  const { id, name, command, prompt, repoName, repoUrl, branch } = job;
  const text = [id, name, command, prompt, repoName, repoUrl, branch].join("\n").toLowerCase();
  searched.set(job, text);
  return text;
}

/** The jobs that hold every word of `text`, in whatever order and case. */
export function matchingText(jobs: readonly Job[], text: string): readonly Job[] {
  const words = text
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "");
  if (words.length === 0) return jobs;
  return jobs.filter((job) => words.every((word) => searchedText(job).includes(word)));
}

/** The jobs of these statuses; of all, where none is named. */
export function ofStatuses(jobs: readonly Job[], statuses: readonly string[]): readonly Job[] {
  return statuses.length === 0 ? jobs : jobs.filter((job) => statuses.includes(job.status));
}

const STATUS_ORDER = ["running", "pending", "failed", "success", "cancelled"];

/** How many jobs have each status, those that want attention first; `named` are there even with none. */
export function countStatuses(
  jobs: readonly Job[],
  named: readonly string[],
): readonly (readonly [status: string, count: number])[] {
  const counts = new Map<string, number>(named.map((status) => [status, 0]));
  for (const { status } of jobs) counts.set(status, (counts.get(status) ?? 0) + 1);
  return [...counts].toSorted(([one], [other]) => place(one) - place(other) || compare(one, other));
}

function place(status: string): number {
  const at = STATUS_ORDER.indexOf(status);
  return at < 0 ? STATUS_ORDER.length : at;
}

/** What each column sorts by: a text, or a number whose absence comes last in either direction. */
const KEYS: Readonly<Record<string, (job: Job, nowMs: number) => string | number | undefined>> = {
  job: (job) => nameOf(job).toLowerCase(),
  status: (job) => place(job.status),
  branch: (job) => job.branch?.toLowerCase(),
  started: (job) => job.startedAt ?? job.createdAt,
  duration: ({ startedAt, finishedAt }, nowMs) =>
    startedAt === undefined ? undefined : (finishedAt ?? nowMs) - startedAt,
  changes: (job) => (job.linesAdded ?? 0) + (job.linesRemoved ?? 0),
};

export const NEWEST_FIRST: Sort = { key: "started", descending: true };

/**
 * The same jobs in another order; jobs that are equal in it stay newest first. What runs has lasted until `nowMs`: the
 * order holds for a while, since all that run grow alike.
 */
export function sorted(jobs: readonly Job[], sort: Sort, nowMs = Date.now()): readonly Job[] {
  const keyOf = Object.hasOwn(KEYS, sort.key) ? KEYS[sort.key] : undefined;
  // `jobs` come sorted so, but for those that wait without having started.
  if (!keyOf) return jobs;
  const keyed = jobs.map((job) => ({ job, key: keyOf(job, nowMs) }));
  const sign = sort.descending ? -1 : 1;
  keyed.sort((one, other) => {
    if (one.key === other.key) return 0;
    if (one.key === undefined) return 1;
    if (other.key === undefined) return -1;
    return one.key < other.key ? -sign : sign;
  });
  return keyed.map(({ job }) => job);
}

/** The order that a first click on a column gives: texts from a, numbers and times from the largest. */
export function firstDirection(key: string): Sort {
  return { key, descending: key !== "job" && key !== "branch" && key !== "status" };
}

function newestFirst(one: Job, other: Job): number {
  return ageKey(other) - ageKey(one) || compare(other.id, one.id);
}

function ageKey(job: Job): number {
  return job.createdAt ?? job.startedAt ?? 0;
}

function compare(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}
