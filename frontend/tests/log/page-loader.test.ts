import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { PAGE_ENTRIES } from "../../src/log/line-page";
import { LineStore } from "../../src/log/line-store";
import { layOut } from "../../src/log/log-layout";
import { PageLoader } from "../../src/log/page-loader";
import { EVERYTHING } from "../../src/log/projection";
import { provenOutput } from "../../src/log/proven-output";
import { ServedLog } from "../support/served-log";

let served: ServedLog;
let log: LineStore;
let loader: PageLoader;

beforeEach(() => {
  vi.useFakeTimers();
  served = new ServedLog(100_001);
  log = new LineStore({ maxLines: 1e6, schedule: () => () => {} });
  log.append({ offset: 100_000, output: served.outputAt(100_000) });
  loader = new PageLoader(log, "42", served);
  loader.open();
});

afterEach(() => vi.useRealTimers());

const wait = (ms = 200) => vi.advanceTimersByTimeAsync(ms);
const want = (offset: number): void => loader.want([{ from: offset, to: offset + 1 }]);
const pagesAsked = () => served.asked.map(({ from }) => from / PAGE_ENTRIES);

it("fetches the page of a line that is wanted, and that page alone", async () => {
  want(5_000);
  await wait();
  expect(pagesAsked()).toEqual([9]);
  expect(log.entry(5_000)).toMatchObject({ line: "5000" });
  expect(log.loaded).toBe(PAGE_ENTRIES + 1);
});

it("fetches only what a page lacks", async () => {
  want(100_000 - 1);
  await wait();
  expect(served.asked).toEqual([{ from: 99_840, limit: 160 }]);
  expect(log.entry(99_999)).toMatchObject({ line: "99999" });
});

it("asks for as many answers as the server makes of a page", async () => {
  served.pageMax = 100;
  want(0);
  await wait();
  expect(served.asked).toHaveLength(6);
  expect(log.entry(PAGE_ENTRIES - 1)).toBeDefined();
});

it("asks for nothing that is passed over before it is its turn, and for no page twice at a time", async () => {
  for (let offset = 0; offset < 50_000; offset += 1_000) want(offset);
  want(70_000);
  want(70_001);
  await wait();
  expect(pagesAsked()).toEqual([136]);
});

it("gives up what was scrolled past while it was under way", async () => {
  let go = (): void => {};
  served.hold = new Promise((resolve) => (go = resolve));
  want(0);
  await wait();
  want(50_000);
  await wait();
  go();
  await wait();
  expect(log.entry(0)).toBeUndefined();
  expect(log.entry(50_000)).toBeDefined();
});

it("says which lines are gone, however many", async () => {
  served.first = 90_000;
  want(10);
  await wait();
  expect(log.gaps).toEqual([{ from: 0, to: 90_000 }]);
  expect(served.asked).toHaveLength(1);
});

it("leaves out what came for a list that was replaced meanwhile", async () => {
  let go = (): void => {};
  served.hold = new Promise((resolve) => (go = resolve));
  want(0);
  await wait();
  log.beginReplacement(null);
  served.lineOf = (offset) => `new ${offset}`;
  log.append({ offset: 600, output: served.outputAt(600) });
  go();
  await wait();
  expect(log.entry(0)).toMatchObject({ line: "new 0" });
  expect(served.asked).toHaveLength(2);
});

describe("a page that could not be had", () => {
  it("says why, and is asked for again when someone says so", async () => {
    served.failure = "Redis does not answer";
    want(0);
    await wait();
    expect(log.page(0)?.failure).toBe("Redis does not answer");
    await wait(100_000);
    expect(served.asked).toHaveLength(1);
    served.failure = null;
    loader.retry(0);
    await wait();
    expect(log.page(0)?.failure).toBeNull();
    expect(log.entry(0)).toBeDefined();
  });

  it("holds up the others for a while, longer each time", async () => {
    served.failure = "no";
    for (let page = 0; page < 20; page += 1) {
      want(page * PAGE_ENTRIES);
      await wait(1_000);
    }
    expect(served.asked.length).toBeLessThan(7);
    expect(served.asked.length).toBeGreaterThan(1);
  });

  it("ends where a server does not advance", async () => {
    served.pageMax = 0;
    want(0);
    await wait();
    expect(served.asked).toHaveLength(1);
    expect(log.page(0)?.failure).toMatch(/not there any more/);
  });
});

it("asks for nothing once it is closed", async () => {
  want(0);
  loader.close();
  await wait(1_000);
  expect(served.asked).toEqual([]);
});

it("asks for nothing more where the log was written anew, and says so of all that is missing, in one row", async () => {
  log.settle("100000-tag.end");
  loader.close();
  loader = new PageLoader(log, "42", provenOutput(served, log));
  loader.open();
  served.tag = "other";
  const asked = async (page: number): Promise<number> => {
    served.asked.length = 0;
    want(page * PAGE_ENTRIES);
    await wait(5_000);
    return served.asked.length;
  };
  expect([await asked(3), await asked(90), await asked(150)]).toEqual([2, 0, 0]);
  const rows = layOut(log, { projection: EVERYTHING, width: 0, raw: false }).rows(0, 9);
  expect(rows.map(({ row }) => row)).toMatchObject([
    { kind: "failed", from: 0, to: 99_999, reason: expect.stringContaining("written anew") as unknown },
    { kind: "line", offset: 100_000 },
  ]);
  served.tag = "tag";
  loader.retry(0);
  await wait();
  expect(log.entry(0)).toMatchObject({ line: "0" });
});
