/**
 * Where in the whole log the hits, the errors and the linked lines are: a strip beside the scrollbar.
 *
 * Everything is put into `BINS` bins first, so a hundred thousand hits are three paths of some hundred strokes. The strip
 * is for the eye and the mouse alone; keys and the search bar do the same.
 */
import { type MouseEvent, useMemo, useSyncExternalStore } from "react";
import { type Places, placesOf } from "../../../log/projection";
import { useLogFind } from "./find-context";
import { useLogControls } from "../log-controls";
import { useLogOutline } from "./outline-context";

/** Bins over the height of the strip: about two pixels each. */
const BINS = 400;

/** How far from a tick a click still means it, in bins. */
const NEAR = 4;

export function Ticks() {
  const controls = useLogControls();
  const { log, projection, linked } = controls;
  const { search, session, goTo } = useLogFind();
  const outline = useLogOutline()?.outline;
  const end = useSyncExternalStore(log.subscribe, () => log.end);
  const rounded = roundedUp(end);
  const places = useMemo(() => placesOf(projection, rounded), [projection, rounded]);
  const errors = useBinned(outline?.errors ?? NONE, places);
  const { offsets, ticks, through } = search;
  const isListed = session.isListed || ticks.length === 0;
  const listed = useBinned(isListed ? offsets : NONE, places);
  const hits = useMemo(
    () => (isListed ? listed : spread(ticks, through, places)),
    [isListed, listed, ticks, through, places],
  );
  const link = linked ? binned([linked.from, linked.to - 1], places) : [];
  const onClick = (event: MouseEvent<SVGSVGElement>): void => {
    const { top, height } = event.currentTarget.getBoundingClientRect();
    const bin = Math.floor(((event.clientY - top) / Math.max(1, height)) * BINS);
    const near = nearestBin(search.question ? [hits, link, errors] : [link, errors], bin);
    const sorted = near === null ? null : firstIn(near, [offsets, outline?.errors ?? []], places);
    goTo(sorted ?? places.at(Math.floor(((near ?? bin) / BINS) * places.count)));
  };
  return (
    // oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/no-static-element-interactions -- keys do this elsewhere
    <svg
      className="ticks"
      aria-hidden="true"
      viewBox={`0 0 1 ${BINS}`}
      preserveAspectRatio="none"
      onClick={onClick}
    >
      <path className="tick-error" d={strokes(errors, 0, 0.5)} />
      <path className="tick-hit" d={strokes(hits, 0.5, 1)} />
      <path className="tick-link" d={strokes(link, 0, 1)} />
    </svg>
  );
}

const NONE: readonly number[] = [];

/** The end of a log that grows, but not anew for every line: the strip would be made anew for nothing to be seen. */
function roundedUp(end: number): number {
  const grain = 2 ** Math.max(0, Math.floor(Math.log2(Math.max(1, end / BINS))));
  return Math.ceil(end / grain) * grain;
}

/** The bins of a list that only grows. */
function useBinned(offsets: readonly number[], places: Places): Bins {
  const { length } = offsets;
  // oxlint-disable-next-line react/exhaustive-deps -- the list is one object that grows
  return useMemo(() => binned(offsets, places), [offsets, length, places]);
}

/** Whether something is in a bin. */
type Bins = readonly boolean[];

function binned(offsets: readonly number[], places: Places): Bins {
  const bins: boolean[] = [];
  for (const offset of offsets) bins[binOf(offset, places)] = true;
  return bins;
}

/** Bins of the whole log as bins of what is displayed. */
function spread(ticks: readonly number[], through: number, places: Places): Bins {
  const bins: boolean[] = [];
  for (const [at, count] of ticks.entries()) {
    if (count > 0) bins[binOf(Math.floor((at / ticks.length) * through), places)] = true;
  }
  return bins;
}

function binOf(offset: number, places: Places): number {
  const share = places.before(offset) / Math.max(1, places.count);
  return Math.min(BINS - 1, Math.floor(share * BINS));
}

/** The path of all bins that have something, each at least two high. */
function strokes(bins: Bins, from: number, to: number): string {
  let path = "";
  for (let at = 0; at < bins.length; at += 1) {
    if (!bins[at]) continue;
    const begun = at;
    while (bins[at + 1]) at += 1;
    path += `M${from} ${Math.min(begun, BINS - 2)}H${to}V${Math.min(BINS, at + 2)}H${from}Z`;
  }
  return path;
}

function nearestBin(all: readonly Bins[], bin: number): number | null {
  for (let distance = 0; distance <= NEAR; distance += 1) {
    for (const at of [bin - distance, bin + distance]) if (all.some((bins) => bins[at])) return at;
  }
  return null;
}

/** The first of some offsets in a bin. */
function firstIn(bin: number, all: readonly (readonly number[])[], places: Places): number | null {
  for (const offsets of all) {
    const found = offsets.find((offset) => binOf(offset, places) === bin);
    if (found !== undefined) return found;
  }
  return null;
}
