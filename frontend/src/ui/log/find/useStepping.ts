/** Stepping from hit to hit and from error to error: where a step begins, and what is said of it. */
import { type RefObject, useCallback, useEffect, useRef, useState } from "react";
import type { LogControls } from "../log-controls";

/** How long a word about a step stays, in milliseconds. */
const NOTICE_MS = 3_000;

/** What may be scrolling by hand. */
const SIGNS = ["wheel", "touchmove", "pointerdown", "keydown"] as const;

const SCROLLING_KEYS: ReadonlySet<string> = new Set([
  "PageUp",
  "PageDown",
  "Home",
  "End",
  "ArrowUp",
  "ArrowDown",
  " ",
  "j",
  "k",
  "g",
  "G",
]);

export interface Origin {
  /**
   * Begins a step: the result says from which entry. That is where the step before led to, or, where the reader has
   * scrolled away from it since, what they see.
   */
  readonly begin: (before: number | null, step: 1 | -1) => number;
  /** Says that the reader waits for an answer now, wherever they were before. */
  readonly wait: () => void;
  /** Whether they went elsewhere since, or since a step was begun: who did is not taken away by a late answer. */
  readonly hasLeft: () => boolean;
}

export function useOrigin(controls: LogControls, root: RefObject<HTMLElement | null>): Origin {
  const moved = useRef(true);
  useEffect(() => {
    const element = root.current;
    const note = (event: Event): void => {
      if (event instanceof KeyboardEvent && !SCROLLING_KEYS.has(event.key)) return;
      if (event.target instanceof Element && event.target.closest(".search-bar")) return;
      moved.current = true;
    };
    for (const sign of SIGNS) element?.addEventListener(sign, note, { passive: true });
    globalThis.addEventListener("hashchange", note);
    return () => {
      globalThis.removeEventListener("hashchange", note);
      for (const sign of SIGNS) element?.removeEventListener(sign, note);
    };
  }, [root]);
  const begin = useCallback(
    (before: number | null, step: 1 | -1): number => {
      const { first, last } = controls.visible;
      const left = moved.current && before !== null && (before < first || before > last);
      moved.current = false;
      if (before !== null && !left) return before;
      return step === 1 ? first - 1 : last + 1;
    },
    [controls],
  );
  const hasLeft = useCallback(() => moved.current, []);
  const wait = useCallback(() => {
    moved.current = false;
  }, []);
  return { begin, wait, hasLeft };
}

/** A word that goes away by itself. */
export function useNotice(): readonly [string, (words: string) => void] {
  const [notice, say] = useState("");
  useEffect(() => {
    if (notice === "") return undefined;
    const timer = setTimeout(() => say(""), NOTICE_MS);
    return () => clearTimeout(timer);
  }, [notice]);
  return [notice, say];
}
