/** Many tabs of one browser against the real server: one connection for all, all live, over a restart too (trap 31). */
import type { BrowserContext, Page } from "playwright-core";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { dashboard, visit } from "./support/dashboard";
import type { Fifo, Job } from "./support/fantail";

const TABS = 20;
const JOBS = 4;

const { server, newContext } = dashboard();

const jobs: { readonly fifo: Fifo; readonly job: Job }[] = [];
let context: BrowserContext | null = null;

beforeAll(async () => {
  for (let number = 0; number < JOBS; number += 1) {
    const fifo = await server.fifo(`many-${number}`);
    jobs.push({ fifo, job: await server.shell(`many ${number}`, fifo.untilEnd) });
  }
});

afterEach(async () => {
  await context?.close();
  await expect.poll(() => server.openStreams()).toEqual({});
});

async function openTabs(count: number): Promise<Page[]> {
  context = await newContext({ viewport: { width: 900, height: 500 } });
  const pages: Page[] = [];
  for (let number = 0; number < count; number += 1) {
    const page = await context.newPage();
    await visit(page, `/jobs/${jobs[number % JOBS]?.job.id}`);
    pages.push(page);
  }
  return pages;
}

/** The numbers of the lines that a page shows, in its order, that begin with a word. */
const shown = (page: Page, word: string): Promise<number[]> =>
  page
    .locator(".log .row")
    .evaluateAll(
      (rows, word) =>
        rows
          .flatMap((row) => [...(row.textContent ?? "").matchAll(new RegExp(`${word} (\\d+)\\.`, "g"))])
          .map((match) => Number(match[1])),
      word,
    );

/** Writes lines to all jobs, and waits until all pages show each of them once and in order, whatever came before. */
async function writeAndSee(pages: readonly Page[], word: string, count: number): Promise<void> {
  await write(word, 0, count);
  await see(pages, word, count);
}

async function write(word: string, from: number, to: number): Promise<void> {
  let text = "";
  for (let number = from; number < to; number += 1) text += `${word} ${number}.\n`;
  for (const { fifo } of jobs) await fifo.write(text);
}

async function see(pages: readonly Page[], word: string, count: number): Promise<void> {
  const expected = Array.from({ length: count }, (_, number) => number);
  for (const page of pages) await expect.poll(() => shown(page, word)).toEqual(expected);
}

describe("twenty tabs on four jobs", () => {
  it("are one connection, all live, and resume after a restart with nothing twice and nothing lost", async () => {
    const pages = await openTabs(TABS);
    await writeAndSee(pages, "first", 5);
    expect(await server.openStreams()).toEqual({ multiplex: 1 });

    for (const signal of ["SIGKILL", "SIGTERM"] as const) {
      await write(signal, 0, 3);
      await server.end(signal);
      await write(signal, 3, 6);
      await server.launch();
      await see(pages, signal, 6);
      await see(pages, "first", 5);
      expect(await server.openStreams()).toEqual({ multiplex: 1 });
    }
    await Promise.all(pages.slice(2).map((page) => page.close()));
    await writeAndSee(pages.slice(0, 2), "still", 3);
  });
});

describe("the worker of all tabs", () => {
  it("that dies is missed within seconds: all tabs go on by another, with nothing twice and nothing lost", async () => {
    const pages = await openTabs(JOBS);
    await writeAndSee(pages, "before", 3);
    await endWorkers();
    await write("after", 0, 3);
    // Without being asked, a hub is given up after half a minute.
    const soon = { timeout: 20_000 };
    for (const page of pages) await expect.poll(() => shown(page, "after"), soon).toEqual([0, 1, 2]);
    await see(pages, "before", 3);
    await expect.poll(() => server.openStreams()).toEqual({ multiplex: 1 });
    for (const page of pages)
      await expect.poll(() => page.locator(".connection output").textContent()).toBe("Live");
  });
});

/** Ends the browser's shared workers, as a crash of their process does: nobody is told. */
async function endWorkers(): Promise<void> {
  const session = await context?.browser()?.newBrowserCDPSession();
  if (!session) throw new Error("no tab is open");
  const workers = async (): Promise<string[]> => {
    const { targetInfos } = await session.send("Target.getTargets", { filter: [{ type: "shared_worker" }] });
    return targetInfos.map(({ targetId }) => targetId);
  };
  const found = await workers();
  expect(found).toHaveLength(1);
  for (const targetId of found) await session.send("Target.closeTarget", { targetId });
  await session.detach();
}
