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

function arriveAt(link: string | null): void {
  const main = document.getElementById("main");
  const left = link === null ? null : main?.querySelector<HTMLElement>(`a[href="${CSS.escape(link)}"]`);
  const target = left ?? main?.querySelector<HTMLElement>("h1") ?? main;
  target?.focus({ preventScroll: true });
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
