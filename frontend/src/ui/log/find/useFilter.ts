/** The filter of a log: which lines count, and what is displayed for them. */
import { useCallback, useEffect, useMemo, useState } from "react";
import type { LineStore } from "../../../log/line-store";
import type { Outline } from "../../../log/outline";
import { type OffsetRange, type Projection, around, withRanges } from "../../../log/projection";
import type { SearchSession, SearchState } from "../../../log/search-session";
import { formatCount } from "../../format";
import type { Filter } from "./find-context";
import { useSearchSession } from "./useSearchSession";

/** Lines that a filter lets through at most; where there are more, it is said. Some megabytes, and a day's reading. */
const COUNTED_MAX = 200_000;

const STDERR = { text: "", regex: false, case: false, stderr: true } as const;

export interface FilterView {
  readonly filter: Filter;
  readonly setFilter: (filter: Filter) => void;
  /** Null where nothing is filtered. */
  readonly projection: Projection | null;
  readonly trouble: string | null;
  /** Displays hidden lines beside those that count. */
  readonly unfold: (range: OffsetRange) => void;
}

export function useFilter(
  log: LineStore,
  jobId: string,
  outline: Outline | null,
  [session, search]: readonly [SearchSession, SearchState],
): FilterView {
  const [filter, setKind] = useState<Filter>({ kind: "all", context: 3 });
  const [unfolded, setUnfolded] = useState<readonly OffsetRange[]>([]);
  const [stderr, stderrState] = useSearchSession(log, jobId);
  const { kind, context } = filter;
  useEffect(() => {
    if (kind === "stderr") stderr.look(STDERR);
    else stderr.clear();
  }, [kind, stderr]);
  const counted = kind === "stderr" ? stderrState : search;
  useEffect(() => {
    if (kind === "stderr") void stderr.list(COUNTED_MAX);
    if (kind === "matches") void session.list(COUNTED_MAX);
  }, [kind, stderr, session, counted.through, counted.question]);
  const offsets = kind === "errors" ? (outline?.errors ?? NONE) : counted.offsets;
  const found = offsets.length;
  const projection = useMemo(
    () =>
      kind === "all"
        ? null
        : withRanges(around(offsets.slice(0, found), context, Number.POSITIVE_INFINITY), unfolded),
    [kind, offsets, found, context, unfolded],
  );
  const setFilter = useCallback((next: Filter) => {
    setKind(next);
    setUnfolded([]);
  }, []);
  const unfold = useCallback((range: OffsetRange) => setUnfolded((before) => [...before, range]), []);
  const trouble = kind === "all" ? null : troubleOf(kind, counted, outline);
  return { filter, setFilter, projection, trouble, unfold };
}

const NONE: readonly number[] = [];

/** What keeps the filter from showing all that counts. */
function troubleOf(kind: Filter["kind"], counted: SearchState, outline: Outline | null): string | null {
  if (kind === "errors") {
    if (outline?.limited) return "This log has more errors than are shown here";
    return outline?.problem ?? null;
  }
  if (counted.problem !== null) return counted.problem;
  if (kind === "matches" && counted.question === null) return "Type what to search for";
  const { offsets, total, complete, through } = counted;
  if (offsets.length >= COUNTED_MAX && offsets.length < total) {
    return `The first ${formatCount(offsets.length)} of ${formatCount(total)} are shown`;
  }
  if (offsets.length < total) return `${formatCount(offsets.length)} of ${formatCount(total)} so far`;
  return complete ? null : `Only the first ${formatCount(through)} lines were looked through`;
}
