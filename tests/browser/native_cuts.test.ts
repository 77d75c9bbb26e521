/**
 * Three tabs with the browser's own EventSource on one job, behind a proxy that cuts them at any byte. A cut costs the two
 * seconds for which the server has a client wait, so few are made; FANTAIL_CUTS=50 makes fifty, over 100,000 lines.
 */
import type { Page } from "playwright-core";
import { afterAll, expect, it } from "vitest";
import { dashboard } from "./support/dashboard";
import { CuttingProxy } from "./support/proxy";

const TABS = 3;
const CUTS = Number(process.env.FANTAIL_CUTS ?? 5);
const TIMEOUT_MS = 180_000 + CUTS * 5_000;
const LINES_PER_CUT = 2_000;
/** Of one line in the stream; a cut falls within the lines that are written after it was asked for. */
const LINE_BYTES_MIN = 80;

interface Heard {
  readonly lines: string[];
  readonly ids: string[];
  done: number;
  readonly source: EventSource;
}

const { server, open } = dashboard();
const proxies: CuttingProxy[] = [];

afterAll(() => Promise.all(proxies.map((proxy) => proxy.close())));

async function openTab(jobId: string, proxy: CuttingProxy): Promise<Page> {
  const page = await open(`${proxy.url}/metrics`);
  await page.evaluate((id) => {
    const heard: Heard = {
      lines: [],
      ids: [],
      done: 0,
      source: new EventSource(`/api/jobs/${id}/stream`),
    };
    heard.source.addEventListener("output", (event) => {
      heard.lines.push((JSON.parse(event.data) as { line: string }).line);
      heard.ids.push(event.lastEventId);
    });
    heard.source.addEventListener("done", () => (heard.done += 1));
    Object.assign(globalThis, { heard });
  }, jobId);
  return page;
}

function read<T>(page: Page, what: (heard: Heard) => T): Promise<T> {
  return page.evaluate(`(${what.toString()})(globalThis.heard)`);
}

it(
  "native EventSources that are cut at any byte have every line once and in order, and stop at the end",
  async () => {
    const fifo = await server.fifo("cuts");
    const job = await server.shell("cuts", fifo.untilEnd);
    const pages: Page[] = [];
    for (let tab = 0; tab < TABS; tab += 1) {
      const proxy = await CuttingProxy.before(server.port);
      proxies.push(proxy);
      pages.push(await openTab(job.id, proxy));
    }
    const chosen: number[][] = [];
    let written = 0;
    for (let cut = 1; cut <= CUTS; cut += 1) {
      const after = proxies.map(() => Math.floor(Math.random() * LINES_PER_CUT * LINE_BYTES_MIN));
      chosen.push(after);
      proxies.forEach((proxy, tab) => proxy.cutAfter(after[tab] ?? 0));
      const from = written;
      written += LINES_PER_CUT;
      await fifo.write(Array.from({ length: LINES_PER_CUT }, (_, at) => `${from + at}\n`).join(""));
      await expect.poll(() => proxies.map((proxy) => proxy.cuts)).toEqual(pages.map(() => cut));
      for (const page of pages)
        await expect.poll(() => read(page, (heard) => heard.lines.length)).toBe(written);
    }
    await fifo.end();
    for (const page of pages) {
      await expect.poll(() => read(page, (heard) => heard.source.readyState)).toBe(2);
      expect(await read(page, (heard) => heard.done)).toBe(1);
      const context = `cut after ${JSON.stringify(chosen)} bytes`;
      const lines = await read(page, (heard) => heard.lines);
      expect(lines, context).toEqual(Array.from({ length: written }, (_, at) => String(at)));
      const ids = await read(page, (heard) => heard.ids);
      expect(
        ids.map((id) => Number.parseInt(id, 10)),
        context,
      ).toEqual(lines.map((_, at) => at));
    }
  },
  TIMEOUT_MS,
);
