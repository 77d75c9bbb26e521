/** A job that runs once more under its name while the page of its first run is open: the page is live again by itself. */
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { launchChromium, openPage } from "./chromium";
import { Server } from "./fantail";
import { removeLines, writeJob } from "./stored-job";

const PATIENCE = { timeout: 45_000, interval: 50 };

let server: Server;
let browser: Browser;
let opened: { readonly page: Page; readonly faults: readonly string[] } | null = null;

beforeAll(async () => {
  server = await Server.start();
  browser = await launchChromium();
}, 120_000);

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

/** The page of a job that has ended, with all its lines. */
async function openEnded(id: string): Promise<Page> {
  writeJob(server, id, 3, "old %d");
  opened = await openPage(browser);
  const { page } = opened;
  await page.goto(`${server.url}/jobs/${id}`);
  await expect.poll(() => shown(page), PATIENCE).toEqual(["old 1", "old 2", "old 3"]);
  await stands(page, "Complete", "success");
  return page;
}

afterEach(async () => {
  const faults = opened?.faults ?? [];
  await opened?.page.context().close();
  opened = null;
  expect(faults).toEqual([]);
});

const shown = (page: Page): Promise<string[]> =>
  page.locator(".slot .row:not(.unloaded) .text").allInnerTexts();

async function stands(page: Page, connection: string, status: string): Promise<void> {
  const head = page.locator(".page-head");
  await expect.poll(() => head.locator(".connection output").textContent(), PATIENCE).toBe(connection);
  await expect.poll(() => head.locator(".page-title").textContent(), PATIENCE).toContain(status);
}

describe("a job that runs again", () => {
  it("goes on behind the lines that are there, to its next end", async () => {
    const page = await openEnded("more");
    writeJob(server, "more", 2, "new %d", "running");
    await stands(page, "Live", "running");
    await expect.poll(() => shown(page), PATIENCE).toEqual(["old 1", "old 2", "old 3", "new 1", "new 2"]);
    writeJob(server, "more", 1, "last %d", "failed");
    await stands(page, "Complete", "failed");
    await expect
      .poll(() => shown(page), PATIENCE)
      .toEqual(["old 1", "old 2", "old 3", "new 1", "new 2", "last 1"]);
  }, 120_000);

  it("with another list shows that one, and no line of the old one beside it", async () => {
    const page = await openEnded("anew");
    removeLines(server, "anew");
    writeJob(server, "anew", 2, "new %d", "running");
    await stands(page, "Live", "running");
    const mark = "The output was written anew; what follows is the new one";
    await expect.poll(() => shown(page), PATIENCE).toEqual([mark, "new 1", "new 2"]);
  }, 120_000);
});
