/**
 * What a reader of a long log may rely on: no line is passed over by the wheel or a page's key, and none of another list
 * stands beside those of a job that has ended.
 */
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { launchChromium, openPage } from "./chromium";
import { Server } from "./fantail";
import { removeLines, writeJob } from "./stored-job";

/** For conditions that a busy machine reaches late. */
const PATIENCE = { timeout: 45_000, interval: 50 };

let server: Server;
let browser: Browser;

beforeAll(async () => {
  server = await Server.start();
  browser = await launchChromium();
}, 120_000);

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

let opened: { readonly page: Page; readonly faults: readonly string[] } | null = null;

/** Opens a page; afterwards nothing may have gone wrong in it. */
async function open(path: string): Promise<Page> {
  opened = await openPage(browser);
  await opened.page.goto(server.url + path);
  return opened.page;
}

afterEach(async () => {
  const faults = opened?.faults ?? [];
  await opened?.page.context().close();
  opened = null;
  expect(faults).toEqual([]);
});

const scroller = (page: Page) => page.getByRole("log");
const textOf = (page: Page, line: number) =>
  page.locator(`.slot[data-offset="${line - 1}"] .row:not(.unloaded) .text`);

/** The number of the first line that is wholly in sight. */
const firstSeen = (page: Page): Promise<number> =>
  scroller(page).evaluate((log) => {
    const { top } = log.getBoundingClientRect();
    const slots = [...log.querySelectorAll<HTMLElement>(".slot")];
    const first = slots.find((slot) => slot.getBoundingClientRect().top > top - 10);
    return Number(first?.dataset.offset) + 1;
  });

async function goTo(page: Page, line: number): Promise<void> {
  await page.evaluate((to) => {
    location.hash = `#L${to}`;
  }, line);
}

describe("a log that is too long for the browser's scroll space", () => {
  it("is scrolled by the wheel and by a page's key as far as any other: no line is passed over", async () => {
    writeJob(server, "long", 1_500_000, "line %d");
    const page = await open("/jobs/long#L500000");
    await expect.poll(() => textOf(page, 500_000).textContent(), PATIENCE).toBe("line 500000");
    const before = await firstSeen(page);
    await scroller(page).hover();
    await page.mouse.wheel(0, 600);
    await expect.poll(() => firstSeen(page), PATIENCE).toBe(before + 30);
    await page.mouse.wheel(0, -200);
    await expect.poll(() => firstSeen(page), PATIENCE).toBe(before + 20);
    await scroller(page).focus();
    await page.keyboard.press("PageDown");
    const seen = await scroller(page).evaluate((log) => Math.floor(log.clientHeight / 20));
    await expect.poll(() => firstSeen(page), PATIENCE).toBe(before + 20 + seen - 1);
    await page.keyboard.press("PageUp");
    await expect.poll(() => firstSeen(page), PATIENCE).toBe(before + 20);
  }, 120_000);
});

describe("a job that has ended", () => {
  it("shows the lines that came after its end", async () => {
    writeJob(server, "late", 5_000, "line %d");
    const page = await open("/jobs/late");
    await expect.poll(() => textOf(page, 5_000).textContent(), PATIENCE).toBe("line 5000");
    await page.getByText("Complete", { exact: true }).waitFor();
    writeJob(server, "late", 700, "late %d");
    await goTo(page, 100);
    await page.getByText("5,700 lines", { exact: true }).waitFor({ timeout: PATIENCE.timeout });
    expect(await page.getByText(/catching up/).count()).toBe(0);
    await goTo(page, 5_700);
    await expect.poll(() => textOf(page, 5_700).textContent(), PATIENCE).toBe("late 700");
  });

  it("shows no line of the list that was written in its place", async () => {
    writeJob(server, "again", 50_000, "old %d");
    const page = await open("/jobs/again");
    await expect.poll(() => textOf(page, 50_000).textContent(), PATIENCE).toBe("old 50000");
    await page.getByText("Complete", { exact: true }).waitFor();
    removeLines(server, "again");
    writeJob(server, "again", 60_000, "new %d");
    await goTo(page, 20_000);
    await page
      .getByText(/could not be loaded: the output was written anew/)
      .waitFor({ timeout: PATIENCE.timeout });
    expect(await page.locator(".slot .text", { hasText: /^new \d/ }).count()).toBe(0);
    await page.keyboard.press("f");
    await expect.poll(() => textOf(page, 50_000).textContent(), PATIENCE).toBe("old 50000");
    await page.reload();
    await expect
      .poll(() => textOf(page, 60_000).or(textOf(page, 20_000)).first().textContent(), PATIENCE)
      .toMatch(/^new /);
  });
});

describe("a step to a hit whose answer is late", () => {
  it("takes nobody away from where they went meanwhile", async () => {
    writeJob(server, "hits", 100_000, "needle %d");
    const page = await open("/jobs/hits#L500");
    await expect.poll(() => textOf(page, 500).textContent(), PATIENCE).toBe("needle 500");
    await scroller(page).focus();
    await page.keyboard.press("/");
    await page.getByRole("searchbox").fill("needle");
    await page.getByText(/of 100,000/).waitFor({ timeout: PATIENCE.timeout });
    const gate: { open?: () => void } = {};
    const opening = new Promise<void>((resolve) => (gate.open = resolve));
    let asked = 0;
    await page.route("**/output/search?*", async (route) => {
      asked += 1;
      await opening;
      await route.continue();
    });
    await goTo(page, 90_000);
    await expect.poll(() => textOf(page, 90_000).textContent(), PATIENCE).toBe("needle 90000");
    // What lies so far behind is not listed yet, and must be asked for.
    await page.getByRole("searchbox").press("Enter");
    await expect.poll(() => asked, PATIENCE).toBeGreaterThan(0);
    await goTo(page, 30);
    await expect.poll(() => textOf(page, 30).textContent(), PATIENCE).toBe("needle 30");
    const answered = page.waitForResponse(/output\/search/);
    gate.open?.();
    await answered;
    // The next step begins where they are.
    await page.getByRole("searchbox").press("Enter");
    await expect.poll(() => page.getByText(/ of 100,000/).textContent(), PATIENCE).toMatch(/^[1-9]\d? of/);
    expect(await firstSeen(page)).toBeLessThan(100);
  });
});

describe("a log opened at a link", () => {
  it("stays where the reader went before its errors and groups were known", async () => {
    writeJob(server, "linked", 100_000, "line %d");
    writeJob(server, "linked", 1, "error: it broke at %d");
    const gate: { open?: () => void } = {};
    const opening = new Promise<void>((resolve) => (gate.open = resolve));
    const page = await open("/healthz");
    await page.route("**/output/outline*", async (route) => {
      await opening;
      await route.continue();
    });
    await page.goto(`${server.url}/jobs/linked#L1000`);
    await expect.poll(() => textOf(page, 1_000).textContent(), PATIENCE).toBe("line 1000");
    const before = await firstSeen(page);
    await scroller(page).hover();
    await page.mouse.wheel(0, 40_000);
    await expect.poll(() => firstSeen(page), PATIENCE).toBe(before + 2_000);
    gate.open?.();
    await expect.poll(() => page.locator(".tick-error").getAttribute("d"), PATIENCE).not.toBe("");
    expect(await firstSeen(page)).toBe(before + 2_000);
  }, 120_000);
});
