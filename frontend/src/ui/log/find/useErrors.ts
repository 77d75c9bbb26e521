/**
 * Going from error to error. The one that a step led to is marked among the lines, and counted; where a finished log
 * opens at its first error, that was the first step.
 */
import { use, useEffect, useRef, useState } from "react";
import type { LogControls } from "../log-controls";
import { LogKnowledgeContext } from "../log-controls";
import type { LogOutline } from "./outline-context";
import type { Place } from "./useHits";

export interface Errors {
  /** The error stepped to: its offset. */
  readonly at: number | null;
  readonly step: (direction: 1 | -1) => void;
  readonly leave: () => void;
}

interface ErrorsOf {
  readonly controls: LogControls;
  readonly known: LogOutline | null;
  readonly begin: (before: number | null, step: 1 | -1) => number;
  readonly arrive: (place: Place | null, step: 1 | -1) => void;
  /** Whether the reader has chosen what is displayed. */
  readonly filtered: boolean;
}

export function useErrors({ controls, known, begin, arrive, filtered }: ErrorsOf): Errors {
  const [at, setAt] = useState<number | null>(null);
  const goTo = (place: Place | null, direction: 1 | -1): void => {
    setAt(place?.offset ?? null);
    arrive(place, direction);
  };
  const step = (direction: 1 | -1): void =>
    goTo(known?.outline.nearestError(begin(at, direction), direction) ?? null, direction);
  useOpening(controls, known, filtered ? null : (offset) => goTo({ offset, wrapped: false }, 1));
  const left = controls.following;
  return { at: left ? null : at, step, leave: () => setAt(null) };
}

/** A log that is finished opens at its first error, once it is known which that is; a later one is news like any other. */
function useOpening(
  controls: LogControls,
  known: LogOutline | null,
  open: ((offset: number) => void) | null,
): void {
  const { firstError } = use(LogKnowledgeContext);
  const [ranAtFirst] = useState(known?.running ?? true);
  const decided = useRef(false);
  const latest = useRef(open);
  useEffect(() => {
    latest.current = open;
  });
  useEffect(() => {
    if (decided.current || firstError === undefined) return;
    decided.current = true;
    // Who has scrolled or filtered already is not taken elsewhere.
    if (ranAtFirst || firstError === null || controls.linked || !controls.following) return;
    latest.current?.(firstError);
  }, [controls, ranAtFirst, firstError]);
}
