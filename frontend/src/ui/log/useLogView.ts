/**
 * The scrolling of a log: which rows are drawn, whether the end is followed, and where the reader stays while rows
 * come, go, and are put in front.
 *
 * Following is left by any sign that someone wants to read (wheel up, touch, keys, the scroll bar, a selection), before
 * the scroll happens, and taken up again at the bottom. While it is left, the row at the upper edge stays where it is.
 */
import {
  type KeyboardEvent,
  type UIEvent,
  type WheelEvent,
  useCallback,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";
import type { LineStore } from "../../stream/line-store";
import {
  type Space,
  type Window,
  bottom,
  isScaled,
  rowAt,
  scrollHeight as heightOf,
  scrollTopOf,
  windowAt,
} from "./geometry";

/** How long after the wish to follow a scroll still under way (a key's animation) is not taken for a new wish, in milliseconds. */
const PIN_MS = 500;

/** How near to the end counts as the end, in pixels: zoomed pages scroll by fractions. */
const END_PX = 2;

export interface LogView {
  /** The `ref` of the element that scrolls. */
  readonly setScroller: (element: HTMLElement | null) => void;
  readonly space: Space;
  readonly height: number;
  readonly window: Window;
  /** Rows above the log's own, for the offer of older lines. */
  readonly headRows: number;
  readonly following: boolean;
  /** Rows that came since following was left. */
  readonly unseen: number;
  readonly follow: () => void;
  readonly pause: () => void;
  readonly onScroll: (event: UIEvent<HTMLElement>) => void;
  readonly onWheel: (event: WheelEvent) => void;
  readonly onKeyDown: (event: KeyboardEvent) => void;
}

/** `headRows`: rows kept free above the first, while there are older lines. */
export function useLogView(log: LineStore, headRows: number): LogView {
  useSyncExternalStore(log.subscribe, () => log.version);
  const [scroller, setScroller] = useState<HTMLElement | null>(null);
  const [viewHeight, setViewHeight] = useState(600);
  const [scrollTop, setScrollTop] = useState(0);
  const [leftAt, setLeftAt] = useState<number | null>(null);
  const following = leftAt === null;
  const space: Space = { rows: headRows + (log.end - log.start), viewHeight };
  const window = windowAt(space, following ? bottom(space) : scrollTop);

  const pinnedUntil = useRef(0);
  const follow = useCallback(() => {
    pinnedUntil.current = performance.now() + PIN_MS;
    setLeftAt(null);
  }, []);
  const pause = useCallback(() => setLeftAt((at) => at ?? log.end), [log]);

  useHeightOf(scroller, setViewHeight);
  useSteadyRow(scroller, space, log.start - headRows, following, setScrollTop);
  usePauseOnSelection(scroller, pause);

  const onScroll = (event: UIEvent<HTMLElement>): void => {
    const { scrollTop: top, scrollHeight, clientHeight } = event.currentTarget;
    const movedDown = top > scrollTop;
    // By the element, not by our own arithmetic: it may have another height since the last drawing.
    const atEnd = scrollHeight - clientHeight - top <= END_PX;
    const drifting = following && !atEnd && !movedDown;
    if (drifting && performance.now() < pinnedUntil.current)
      event.currentTarget.scrollTo({ top: scrollHeight });
    else if (drifting) pause();
    else if (!following && atEnd && movedDown) follow();
    setScrollTop(top);
  };
  const onWheel = (event: WheelEvent): void => {
    if (event.deltaY < 0) pause();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (PAUSING_KEYS.has(event.key)) pause();
    else if (event.key === "End" || event.key === "G") {
      // The browser's own way there is an animation, and its end would be behind the log's by then.
      event.preventDefault();
      follow();
    } else if (event.key === "f") (following ? pause : follow)();
  };
  const unseen = leftAt === null ? 0 : Math.max(0, log.end - leftAt);
  return {
    setScroller,
    space,
    height: heightOf(space),
    window,
    headRows,
    following,
    unseen,
    follow,
    pause,
    onScroll,
    onWheel,
    onKeyDown,
  };
}

const PAUSING_KEYS: ReadonlySet<string> = new Set(["ArrowUp", "PageUp", "Home"]);

function useHeightOf(scroller: HTMLElement | null, setHeight: (height: number) => void): void {
  useLayoutEffect(() => {
    if (!scroller) return undefined;
    const measure = (): void => setHeight(scroller.clientHeight);
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(scroller);
    return () => observer.disconnect();
  }, [scroller, setHeight]);
}

/**
 * After each drawing: at the end while following; else the row at the upper edge stays there, though rows in front of
 * it came or went. `firstId` is the id that row 0 of the space has.
 */
function useSteadyRow(
  scroller: HTMLElement | null,
  space: Space,
  firstId: number,
  following: boolean,
  setScrollTop: (top: number) => void,
): void {
  const drawn = useRef({ space, firstId });
  const { rows, viewHeight } = space;
  useLayoutEffect(() => {
    if (!scroller) return;
    const now: Space = { rows, viewHeight };
    const before = drawn.current;
    drawn.current = { space: now, firstId };
    if (following) scroller.scrollTo({ top: bottom(now) });
    else if (before.firstId !== firstId || rescaled(before.space, now)) {
      const row = rowAt(before.space, scroller.scrollTop) + before.firstId - firstId;
      scroller.scrollTo({ top: scrollTopOf(now, row) });
    } else return;
    setScrollTop(scroller.scrollTop);
  }, [scroller, rows, viewHeight, firstId, following, setScrollTop]);
}

/** Whether a pixel of the scroll space stands for another number of rows than before. */
function rescaled(before: Space, now: Space): boolean {
  return before.rows !== now.rows && (isScaled(before) || isScaled(now));
}

function usePauseOnSelection(scroller: HTMLElement | null, pause: () => void): void {
  useEffect(() => {
    const look = (): void => {
      const selection = document.getSelection();
      if (!selection || selection.isCollapsed || !selection.anchorNode) return;
      if (scroller?.contains(selection.anchorNode)) pause();
    };
    document.addEventListener("selectionchange", look);
    return () => document.removeEventListener("selectionchange", look);
  }, [scroller, pause]);
}
