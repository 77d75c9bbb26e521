/**
 * The shell around a log's view: what happens to the elements is told to the controller, and what it decides is done to
 * them. All decisions are the controller's.
 */
import {
  type ClipboardEvent,
  type KeyboardEvent,
  type MouseEvent,
  type WheelEvent,
  use,
  useEffect,
  useLayoutEffect,
  useMemo,
  useSyncExternalStore,
} from "react";
import { useClient } from "../../hooks/client-context";
import type { LineStore } from "../../log/line-store";
import { onResize } from "../../stream/platform";
import { usePreference } from "../usePreference";
import { extended } from "./line-links";
import { digitsOf } from "./geometry";
import { LogController } from "./log-controller";
import { LogKnowledgeContext } from "./log-controls";
import { RowObserver } from "./row/row-observer";
import { keyStep, wheelStep } from "./scroll-steps";
import { selectionWithin } from "./selection-points";

/** The controller of a log, for as long as the component is there and the log is the same. */
export function useLogController(log: LineStore, jobId: string): LogController {
  const { api } = useClient();
  const controller = useMemo(() => new LogController(log, jobId, api), [log, jobId, api]);
  useEffect(() => {
    controller.open();
    return () => controller.close();
  }, [controller]);
  return controller;
}

/** Goes to the lines that the address names, at first and whenever it changes; tells the view which lines are errors. */
export function useAddress(controller: LogController): void {
  const { isError } = use(LogKnowledgeContext);
  useEffect(() => {
    const look = (): boolean => controller.openHash(location.hash);
    look();
    globalThis.addEventListener("hashchange", look);
    return () => globalThis.removeEventListener("hashchange", look);
  }, [controller]);
  useEffect(() => controller.view.setKnowledge({ isError, firstError: null }), [controller, isError]);
}

export interface LogHandlers {
  readonly onScroll: () => void;
  readonly onWheel: (event: WheelEvent) => void;
  readonly onTouchMove: () => void;
  readonly onKeyDown: (event: KeyboardEvent) => void;
  readonly onMouseDown: (event: MouseEvent) => void;
  readonly onClick: (event: MouseEvent) => void;
  readonly onCopy: (event: ClipboardEvent<HTMLElement>) => void;
}

/** Binds the controller to the element that scrolls; draws again whenever its frame is another. */
export function useScroller(controller: LogController, scroller: HTMLElement | null): LogHandlers {
  const { view } = controller;
  const version = useSyncExternalStore(view.subscribe, () => view.version);
  useLayoutEffect(() => view.attach(scroller), [view, scroller]);
  useLayoutEffect(() => view.drawn(), [view, scroller, version]);
  useViewHeight(controller, scroller);
  useFormat(controller, scroller);
  useMeasuredRows(controller, scroller, version);
  useSelection(controller, scroller);
  useWheel(controller, scroller);
  return useMemo(() => handlersOf(controller), [controller]);
}

const PAUSING_KEYS: ReadonlySet<string> = new Set(["ArrowUp", "PageUp", "Home"]);

function handlersOf(controller: LogController): LogHandlers {
  return {
    onScroll: () => controller.view.scrolled(),
    onWheel: (event) => {
      if (event.deltaY < 0) controller.pause();
    },
    onTouchMove: () => controller.pause(),
    onKeyDown: (event) => keyPressed(controller, event),
    onMouseDown: () => {
      controller.view.release();
      controller.deselect();
    },
    onClick: (event) => numberPressed(controller, event),
    onCopy: (event) => copyAsked(controller, event),
  };
}

function keyPressed(controller: LogController, event: KeyboardEvent): void {
  const withControl = event.ctrlKey || event.metaKey;
  if (withControl && event.key === "a" && !event.altKey && !event.shiftKey) {
    event.preventDefault();
    document.getSelection()?.removeAllRanges();
    controller.pause();
    controller.selectAll();
  }
  if (withControl || event.altKey) return;
  if (PAUSING_KEYS.has(event.key)) controller.pause();
  if (event.key === "End") {
    // The browser's own way there is an animation, and its end would be behind the log's by then.
    event.preventDefault();
    controller.follow();
  } else if (event.key === "Escape") controller.deselect();
  else stepTaken(controller, event);
}

/** Takes the step of a key itself where the browser's would be too far. */
function stepTaken({ view }: LogController, event: KeyboardEvent): void {
  // A button in a row is pressed with the space bar.
  if (!view.isScaled || (event.key === " " && event.target !== event.currentTarget)) return;
  const units = keyStep(event, view.viewUnits);
  if (units === 0) return;
  event.preventDefault();
  view.scrollBy(units);
}

/** A line's number is a link to it; with shift it extends the one that there is. */
function numberPressed(controller: LogController, event: MouseEvent): void {
  if (event.ctrlKey || event.metaKey || event.button !== 0 || !(event.target instanceof Element)) return;
  const gutter = event.target.closest(".gutter");
  const offset = gutter?.closest<HTMLElement>("[data-offset]")?.dataset.offset;
  if (offset === undefined) return;
  event.preventDefault();
  controller.pause();
  const place = Number(offset);
  controller.link(extended(event.shiftKey ? controller.linked : null, place));
}

function copyAsked(controller: LogController, event: ClipboardEvent<HTMLElement>): void {
  // A browser tells of a selection a moment after it was made, and a copy may come in between.
  const points = selectionWithin(event.currentTarget);
  if (points) controller.select(points.anchor, points.focus);
  const text = controller.copied();
  if (text === undefined) return;
  event.preventDefault();
  if (text !== null) event.clipboardData.setData("text/plain", text);
}

function useViewHeight({ view }: LogController, scroller: HTMLElement | null): void {
  useLayoutEffect(() => {
    if (!scroller) return undefined;
    const measure = (): void => view.setViewHeight(scroller.clientHeight);
    measure();
    return onResize(scroller, measure);
  }, [view, scroller]);
}

/** Columns of a line's text, where lines wrap: measured once per width, the rest is arithmetic. */
function useFormat({ view, log }: LogController, scroller: HTMLElement | null): void {
  const [wrap] = usePreference("wrap");
  const [raw] = usePreference("raw");
  const [timestamps] = usePreference("timestamps");
  const digits = digitsOf(log.total);
  const drawn = view.frame.rows.length > 0;
  useLayoutEffect(() => {
    const measure = (): void => {
      const width = wrap && scroller ? columnsOf(scroller) : 0;
      scroller?.style.setProperty("--columns", String(width));
      view.setFormat({ width, raw });
    };
    measure();
    if (!wrap || !scroller) return undefined;
    return onResize(scroller, measure);
  }, [view, scroller, wrap, raw, timestamps, digits, drawn]);
}

/** Columns narrower than which no one could read. */
const COLUMNS_MIN = 20;

function columnsOf(scroller: HTMLElement): number {
  const probe = scroller.querySelector<HTMLElement>(".probe");
  const text = scroller.querySelector<HTMLElement>(".row:not(.mark) .text");
  if (!probe || !text) return 80;
  const character = probe.getBoundingClientRect().width / (probe.textContent?.length ?? 1);
  const style = getComputedStyle(text);
  const left =
    text.getBoundingClientRect().left - scroller.getBoundingClientRect().left + scroller.scrollLeft;
  const room =
    scroller.clientWidth -
    left -
    Number.parseFloat(style.paddingLeft) -
    Number.parseFloat(style.paddingRight);
  return Math.max(COLUMNS_MIN, Math.floor(room / character) - 1);
}

/** Where lines wrap, heights are arithmetic, and what is drawn is looked at: the odd row that differs is put right. */
function useMeasuredRows({ view }: LogController, scroller: HTMLElement | null, version: number): void {
  const [wrap] = usePreference("wrap");
  const observer = useMemo(() => (wrap ? new RowObserver((rows) => view.measure(rows)) : null), [view, wrap]);
  useLayoutEffect(() => {
    if (observer && scroller) observer.look(scroller.querySelectorAll(".slot > .row:not(.mark) > .text"));
  }, [observer, scroller, version]);
  useEffect(() => () => observer?.close(), [observer]);
}

/** As `stepTaken`, for the wheel; listened to only where it matters, for the browser waits for those who may say no. */
function useWheel({ view }: LogController, scroller: HTMLElement | null): void {
  const { isScaled } = view;
  useEffect(() => {
    if (!scroller || !isScaled) return undefined;
    const turned = (event: globalThis.WheelEvent): void => {
      // With Control it zooms; sideways it is the browser's.
      if (event.ctrlKey || event.deltaY === 0 || !event.cancelable) return;
      event.preventDefault();
      scroller.scrollLeft += event.deltaX;
      view.scrollBy(wheelStep(event, view.viewUnits));
    };
    scroller.addEventListener("wheel", turned, { passive: false });
    return () => scroller.removeEventListener("wheel", turned);
  }, [view, scroller, isScaled]);
}

function useSelection(controller: LogController, scroller: HTMLElement | null): void {
  useEffect(() => {
    if (!scroller) return undefined;
    let selected = false;
    const look = (): void => {
      const points = selectionWithin(scroller);
      if (points) {
        controller.pause();
        controller.select(points.anchor, points.focus);
      } else if (selected) controller.deselect();
      selected = points !== null;
    };
    document.addEventListener("selectionchange", look);
    return () => document.removeEventListener("selectionchange", look);
  }, [controller, scroller]);
}
