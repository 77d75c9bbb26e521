/**
 * Which jobs are asked for, in the address of the page: `/?status=failed,running&q=docs&sort=-duration`.
 *
 * A link, a reload and the browser's Back find the same list again. What is typed is on the page at once and in the
 * address a moment later, in place of what was there: browsers refuse a page that writes its address at every key.
 */
import { useEffect, useRef, useState } from "react";
import { useSearch } from "wouter";
import { replaceAddress } from "../../stream/platform";
import type { Sort } from "../table/DataTable";
import { NEWEST_FIRST } from "./job-list";

export interface JobQuery {
  readonly text: string;
  /** Empty for all. */
  readonly statuses: readonly string[];
  readonly sort: Sort;
}

/** Safari refuses more than a hundred new addresses in half a minute. */
const WRITE_AFTER_MS = 350;

const SORTABLE: ReadonlySet<string> = new Set(["job", "status", "branch", "started", "duration", "changes"]);

/** Reads the part of an address behind the `?`. What is odd there counts as absent. */
export function parseQuery(search: string): JobQuery {
  const given = new URLSearchParams(search);
  const sort = given.get("sort") ?? "";
  const key = sort.replace(/^-/, "");
  return {
    text: given.get("q") ?? "",
    statuses: [...new Set((given.get("status") ?? "").split(",").filter((status) => status !== ""))],
    sort: SORTABLE.has(key) ? { key, descending: sort.startsWith("-") } : NEWEST_FIRST,
  };
}

/** The part of an address behind the `?`; empty for the whole list in its usual order. */
export function formatQuery({ text, statuses, sort }: JobQuery): string {
  const parts: string[] = [];
  if (statuses.length > 0) parts.push(`status=${statuses.map(encodeURIComponent).join(",")}`);
  if (text.trim() !== "") parts.push(`q=${encodeURIComponent(text.trim())}`);
  if (sort.key !== NEWEST_FIRST.key || sort.descending !== NEWEST_FIRST.descending)
    parts.push(`sort=${sort.descending ? "-" : ""}${sort.key}`);
  return parts.join("&");
}

let lastQuery = "";
/** What this page wrote into the address, until it was seen there. */
let lastWritten: string | null = null;

/** The list of jobs as it was last looked at. */
export function listAddress(): string {
  return lastQuery === "" ? "/" : `/?${lastQuery}`;
}

/** The query, and what changes it. */
export function useJobQuery(): readonly [JobQuery, (change: Partial<JobQuery>) => void] {
  const search = useSearch();
  const [seen, setSeen] = useState(search);
  const [query, setQuery] = useState(() => parseQuery(search));
  if (search !== seen) {
    setSeen(search);
    // Another address than the one we wrote: a link, or the browser's Back. Ours may be older than the query by now.
    if (search !== lastWritten) setQuery(parseQuery(search));
  }
  useEffect(() => {
    lastWritten = null;
  }, [search]);
  const written = formatQuery(query);
  const first = useRef(true);
  useEffect(() => {
    lastQuery = written;
    if (first.current) {
      first.current = false;
      return undefined;
    }
    const timer = setTimeout(() => write(written), WRITE_AFTER_MS);
    return () => clearTimeout(timer);
  }, [written]);
  return [query, (change) => setQuery((before) => ({ ...before, ...change }))];
}

function write(written: string): void {
  const { pathname, search, hash } = globalThis.location;
  const wanted = written === "" ? "" : `?${written}`;
  if (search === wanted) return;
  lastWritten = written;
  replaceAddress(pathname + wanted + hash);
}
