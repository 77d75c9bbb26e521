/** What is seen of a log, without a browser: the scroller is an object that remembers where it is. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LineStore } from "../../../src/log/line-store";
import { around, without } from "../../../src/log/projection";
import { ROW_HEIGHT, SCROLL_HEIGHT_MAX } from "../../../src/ui/log/geometry";
import { LogView, type Scroller } from "../../../src/ui/log/log-view";
import { Frames } from "../../support/scripted-source";
import { ServedLog } from "../../support/served-log";

const VIEW_HEIGHT = 400;
const VIEW_ROWS = VIEW_HEIGHT / ROW_HEIGHT;

class TestScroller implements Scroller {
  readonly clientHeight = VIEW_HEIGHT;
  scrollTop = 0;
  readonly #view: LogView;

  constructor(view: LogView) {
    this.#view = view;
  }

  get scrollHeight(): number {
    return Math.max(this.#view.frame.height, VIEW_HEIGHT);
  }

  /** A browser keeps whole pixels. */
  scrollTo({ top }: { top: number }): void {
    this.scrollTop = Math.round(Math.min(Math.max(0, top), this.scrollHeight - VIEW_HEIGHT));
  }
}

let frames: Frames;
let served: ServedLog;
let log: LineStore;
let view: LogView;
let scroller: TestScroller;

function start(total: number, loadedFrom = 0): void {
  served = new ServedLog(total);
  log = new LineStore({ maxLines: 1e6, schedule: frames.schedule });
  for (let offset = loadedFrom; offset < total; offset += 1) append(offset);
  view = new LogView(log, "42", served);
  view.open();
  scroller = new TestScroller(view);
  view.attach(scroller);
  view.setViewHeight(VIEW_HEIGHT);
  settle();
}

function append(offset: number): void {
  log.append({ offset, output: served.outputAt(offset) });
}

/** A frame: what changed is drawn, and the browser tells of the scrolling that this caused. */
function settle(): void {
  frames.next();
  view.drawn();
  view.scrolled();
  view.drawn();
}

function scrollBy(pixels: number): void {
  scroller.scrollTo({ top: scroller.scrollTop + pixels });
  view.scrolled();
  settle();
}

/** Lets requests be asked and answered. */
async function answered(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) {
    await vi.advanceTimersByTimeAsync(50);
    settle();
  }
}

/** Where the first row of an entry is on the screen, in pixels from its upper edge. */
function placeOf(offset: number): number | null {
  const { rows, y, from } = view.frame;
  const placed = rows.find(({ row }) => "offset" in row && row.offset === offset);
  return placed ? y + (placed.top - from) * ROW_HEIGHT - scroller.scrollTop : null;
}

beforeEach(() => {
  vi.useFakeTimers();
  frames = new Frames();
});

afterEach(() => {
  view.close();
  vi.useRealTimers();
});

describe("following", () => {
  it("shows the end, and stays there while lines come", () => {
    start(1_000);
    expect(view.visible.last).toBe(999);
    append(1_000);
    settle();
    expect(view.visible.last).toBe(1_000);
    expect(view.following).toBe(true);
  });

  it("left, keeps the place to the pixel and counts what comes", () => {
    start(1_000);
    view.pause();
    scrollBy(-333);
    const first = view.visible.first;
    const place = placeOf(first);
    served.lineOf = (offset) => (offset === 1_005 ? "bad" : "fine");
    view.setKnowledge({ isError: ({ line }) => line === "bad", firstError: null });
    for (let offset = 1_000; offset < 1_204; offset += 1) append(offset);
    settle();
    expect(placeOf(first)).toBe(place);
    expect(view.unseen).toEqual({ lines: 204, errors: 1 });
    view.follow();
    settle();
    expect(view.visible.last).toBe(1_203);
    expect(view.unseen).toEqual({ lines: 0, errors: 0 });
  });

  it("is left by a scroll upwards that nobody announced, and taken up again at the end", () => {
    start(1_000);
    scrollBy(-100);
    expect(view.following).toBe(false);
    scrollBy(100);
    expect(view.following).toBe(true);
  });
});

describe("jumping", () => {
  it("to a line that is not loaded shows its place at once, and it when it comes", async () => {
    start(1_000_000, 999_000);
    view.jumpTo(500_000);
    settle();
    expect(placeOf(500_000)).not.toBeNull();
    expect(view.frame.height).toBe(SCROLL_HEIGHT_MAX);
    await answered();
    expect(view.frame.rows.find(({ row }) => "offset" in row && row.offset === 500_000)?.row).toMatchObject({
      kind: "line",
      text: "500000",
    });
    expect(Math.abs((placeOf(500_000) ?? 0) - VIEW_HEIGHT / 2)).toBeLessThan(2 * ROW_HEIGHT);
    expect(served.asked.length).toBeLessThanOrEqual(2);
  });

  it("keeps the line in its place while what is above it turns out higher", async () => {
    start(10_000, 9_000);
    served.lineOf = (offset) => `${offset}\nand\nmore`;
    view.jumpTo(5_000);
    settle();
    const place = placeOf(5_000);
    await answered();
    expect(view.frame.rows.some(({ row }) => row.kind === "unloaded")).toBe(false);
    expect(Math.abs((placeOf(5_000) ?? -1) - (place ?? 0))).toBeLessThanOrEqual(2 * ROW_HEIGHT);
  });

  it("moves nothing where the line is on the screen already", () => {
    start(1_000);
    view.pause();
    const top = scroller.scrollTop;
    view.jumpTo(990);
    settle();
    expect(scroller.scrollTop).toBe(top);
  });

  it("to a line that has not come yet waits for it", () => {
    start(100);
    view.jumpTo(150);
    settle();
    for (let offset = 100; offset < 300; offset += 1) append(offset);
    settle();
    expect(placeOf(150)).not.toBeNull();
    expect(view.following).toBe(false);
  });

  it("to any place draws few rows and asks for few pages", async () => {
    start(1_000_000, 999_000);
    for (const share of [0, 0.123, 0.5, 0.987]) {
      view.pause();
      scroller.scrollTo({ top: share * scroller.scrollHeight });
      view.scrolled();
      await answered();
      expect(view.frame.rows.length).toBeLessThan(VIEW_ROWS + 30);
      expect(view.frame.rows.every(({ row }) => row.kind === "line" && row.text === `${row.offset}`)).toBe(
        true,
      );
    }
    expect(served.asked.length).toBeLessThanOrEqual(8);
  });
});

describe("the reader's place", () => {
  it("stays while older pages are loaded above and let go again", async () => {
    start(20_000, 19_000);
    served.lineOf = (offset) => (offset % 7 === 0 ? `${offset}\nsecond` : `${offset}`);
    view.pause();
    scrollBy(-15_000);
    await answered();
    const first = view.visible.first + 2;
    const place = placeOf(first);
    log.fill(
      10_000,
      Array.from({ length: 5_000 }, (_, at) => served.outputAt(10_000 + at)),
    );
    settle();
    expect(placeOf(first)).toBe(place);
  });

  it("stays when lines wrap, and when they no longer do", () => {
    start(2_000);
    served.lineOf = (offset) => `${offset} `.repeat(offset % 40);
    start(2_000);
    view.pause();
    scrollBy(-20_000);
    const first = view.visible.first;
    view.setFormat({ width: 40, raw: false });
    settle();
    expect(view.visible.first).toBe(first);
    view.setFormat({ width: 0, raw: false });
    settle();
    expect(view.visible.first).toBe(first);
  });

  it("stays when other lines are hidden, and folds stand for these", () => {
    start(2_000);
    view.pause();
    view.toStart();
    view.jumpTo(1_000);
    settle();
    const place = placeOf(1_000);
    view.setProjection(without([{ from: 10, to: 600 }]));
    settle();
    expect(placeOf(1_000)).toBe(place);
    view.setProjection(around([500, 1_000, 1_500], 1, 2_000));
    settle();
    expect(placeOf(1_000)).not.toBeNull();
    expect(view.frame.rows.map(({ row }) => row.kind)).toEqual([
      "fold",
      ...[1, 2, 3].flatMap(() => ["line", "line", "line", "fold"]),
    ]);
  });
});

describe("an entry that is kept", () => {
  it("stays where it is while what it hid comes in below, wherever the reader jumped to before", () => {
    start(2_000);
    view.setProjection(without([{ from: 1_001, to: 1_600 }]));
    view.jumpTo(1_605);
    settle();
    const place = placeOf(1_000);
    expect(place).not.toBeNull();
    view.keep(1_000);
    view.setProjection(without([]));
    settle();
    expect(placeOf(1_000)).toBe(place);
  });

  it("is not scrolled away by following the end", () => {
    start(2_000);
    view.setProjection(without([{ from: 1_991, to: 1_998 }]));
    settle();
    const place = placeOf(1_990);
    view.keep(1_990);
    view.setProjection(without([]));
    settle();
    expect(placeOf(1_990)).toBe(place);
    expect(view.following).toBe(false);
  });
});

it("has a row for a page that cannot be had, and the rows when it is asked for again", async () => {
  start(5_000, 4_500);
  served.failure = "HTTP 500";
  view.jumpTo(0);
  await answered();
  const failed = view.frame.rows.find(({ row }) => row.kind === "failed");
  expect(failed?.row).toMatchObject({ from: 0, to: 511, reason: "HTTP 500" });
  served.failure = null;
  view.loader.retry(0);
  await answered();
  expect(placeOf(0)).not.toBeNull();
});

it("keeps rows drawn that a selection ends in, though they are out of sight", () => {
  start(5_000);
  view.pause();
  view.hold([{ offset: 4_990, part: 0, units: 0 }]);
  scrollBy(-50_000);
  const last = view.frame.rows.at(-1);
  expect(last?.row).toMatchObject({ offset: 4_990 });
  expect(last?.top).toBeGreaterThan(view.frame.to);
});
