/**
 * What a browser does for a page that it loads, and a page that replaces itself must do: the focus goes to the new
 * page's title, the window to its top; and back where it was, focus and all, when the reader comes back.
 */
import { useEffect, useLayoutEffect, useRef } from "react";
import { useLocation } from "wouter";

interface Place {
  readonly top: number;
  /** The address of the link that was followed. */
  readonly link: string | null;
}

/** Where each page was left, by its path. */
const places = new Map<string, Place>();

/** Pages whose place is remembered: more than anybody goes back. */
const PLACES_MAX = 100;

let cameBack = false;
let shownPath = globalThis.location?.pathname;

// Registered before any page is drawn, so that it is heard before the page changes; not of one that stays (`#L120`).
globalThis.addEventListener?.("popstate", () => {
  cameBack = globalThis.location.pathname !== shownPath;
});

export function useArrival(): void {
  const [path] = useLocation();
  const before = useRef(path);
  useEffect(() => rememberPlaces(), []);
  useLayoutEffect(() => {
    if (before.current === path) return;
    before.current = path;
    const place = cameBack ? places.get(path) : undefined;
    cameBack = false;
    shownPath = globalThis.location.pathname;
    globalThis.scrollTo(0, place?.top ?? 0);
    arriveAt(place?.link ?? null);
  }, [path]);
}

/** How long the link that was followed from here is waited for: a row far down comes a few frames after its page. */
const LINK_MS = 1_000;

/** How long a page's title is waited for: its script may have to be fetched. */
const TITLE_MS = 10_000;

/** Focuses the link that was followed from here, or the page's title; once it is there, unless the reader was quicker. */
function arriveAt(link: string | null): void {
  const main = document.getElementById("main");
  if (!main) return;
  const beganMs = performance.now();
  const look = (): void => {
    const passedMs = performance.now() - beganMs;
    const selector = link === null || passedMs > LINK_MS ? "h1" : `a[href="${CSS.escape(link)}"]`;
    const target = main.querySelector<HTMLElement>(selector);
    target?.focus({ preventScroll: true });
    // What is there may be hidden still, behind the placeholder of a page whose script has just come: it takes no focus.
    const arrived = target !== null && document.activeElement === target;
    if (!arrived && passedMs < TITLE_MS) requestAnimationFrame(lookAgain);
  };
  const lookAgain = (): void => {
    const { activeElement } = document;
    if (activeElement === document.body || activeElement === main) look();
  };
  main.focus({ preventScroll: true });
  look();
}

function rememberPlaces(): () => void {
  // Before the page's own handlers, which may have changed the page by then.
  document.addEventListener("click", leave, { capture: true });
  return () => document.removeEventListener("click", leave, { capture: true });
}

function leave(event: MouseEvent): void {
  const link = event.target instanceof Element ? event.target.closest("a")?.getAttribute("href") : null;
  keep({ top: globalThis.scrollY, link: link ?? null });
}

function keep(place: Place): void {
  const { pathname } = globalThis.location;
  places.delete(pathname);
  places.set(pathname, place);
  const [oldest] = places.keys();
  if (places.size > PLACES_MAX && oldest !== undefined) places.delete(oldest);
}
