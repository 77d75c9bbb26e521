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

/** Frames within which a page, or a row far down in it, comes if it is to come at once. */
const FRAMES_MAX = 20;

/** Focuses the link that was followed from here, or the page's title; once it is there, unless the reader was quicker. */
function arriveAt(link: string | null, framesLeft = FRAMES_MAX): void {
  const main = document.getElementById("main");
  if (!main) return;
  const { activeElement } = document;
  if (framesLeft < FRAMES_MAX && activeElement !== document.body && activeElement !== main) return;
  const selector = link === null ? "h1" : `a[href="${CSS.escape(link)}"]`;
  const target = main.querySelector<HTMLElement>(selector);
  if (!target && framesLeft === FRAMES_MAX) main.focus({ preventScroll: true });
  if (target) target.focus({ preventScroll: true });
  else if (framesLeft > 0) requestAnimationFrame(() => arriveAt(link, framesLeft - 1));
  else main.querySelector("h1")?.focus({ preventScroll: true });
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
