/**
 * The log viewer in a real browser, against a real server: a million lines, links, following, copying, wrapping, and a
 * server in trouble.
 */
import type { BrowserContextOptions, Page } from "playwright-core";
import { beforeAll, describe, expect, it } from "vitest";
import { dashboard, reload } from "./support/dashboard";
import { holdBack } from "./support/held-back";
import {
  goTo,
  lineInTheMiddle,
  rowOf,
  rows,
  scrollToShare,
  scrollTop,
  scroller,
  shown,
} from "./support/log-page";
import { writeJob } from "./support/stored-job";

const MILLION = 1_000_000;

const { server, open } = dashboard();

beforeAll(() => {
  writeJob(server, "million", MILLION, "line %d of a million");
  writeJob(server, "hundred-thousand", 100_000, "%d");
});

/** Waits until a line is there with its text, and all lines in the page are what their numbers say. */
async function expectLine(page: Page, line: number, textOf: (line: string) => string): Promise<void> {
  await expect.poll(() => rowOf(page, line).locator(".text").textContent()).toBe(textOf(String(line)));
  await expect
    .poll(async () => (await shown(page)).every(([number, text]) => text === textOf(number)))
    .toBe(true);
}

const ofMillion = (line: string): string => `line ${line} of a million`;

/** How far the middle of a row is from the middle of the log, in pixels. */
const distanceFromMiddle = (page: Page, line: number): Promise<number> =>
  rowOf(page, line).evaluate((row) => {
    const log = row.closest(".log-scroller") as HTMLElement;
    const [one, other] = [row.getBoundingClientRect(), log.getBoundingClientRect()];
    return Math.abs((one.top + one.bottom) / 2 - (other.top + other.bottom) / 2);
  });

async function heapOf(page: Page): Promise<number> {
  const session = await page.context().newCDPSession(page);
  await session.send("HeapProfiler.collectGarbage");
  const { usedSize } = await session.send("Runtime.getHeapUsage");
  return usedSize;
}

describe("a finished job of a million lines", () => {
  it("opens at its end, and shows any place that is scrolled to, with some eighty rows in the page", async () => {
    const page = await open("/jobs/million");
    await expectLine(page, MILLION, ofMillion);
    await page.getByText("1,000,000 lines", { exact: true }).waitFor();
    for (const share of [0, 0.25, 0.5, 0.987]) {
      await scrollToShare(page, share);
      await expectLine(page, Math.floor(share * MILLION) + 10, ofMillion);
      expect(await rows(page).count()).toBeLessThan(120);
    }
    expect(await heapOf(page)).toBeLessThan(200e6);
  });

  it("keeps its heap bounded, however much is looked at", async () => {
    const page = await open("/jobs/million");
    await expectLine(page, MILLION, ofMillion);
    for (let place = 0; place < 60; place += 1) {
      await scrollToShare(page, place / 60);
      await page.locator(".log .row:not(.unloaded)").first().waitFor();
    }
    expect(await heapOf(page)).toBeLessThan(200e6);
  });

  it("opens at the line that the address names, marks it, and goes where another address leads", async () => {
    const page = await open("/jobs/million#L500000-L500002");
    await expectLine(page, 500_000, ofMillion);
    expect(await distanceFromMiddle(page, 500_000)).toBeLessThan(40);
    expect(await page.locator(".slot.linked .gutter").allTextContents()).toEqual([
      "500000",
      "500001",
      "500002",
    ]);
    await goTo(page, 123);
    await expectLine(page, 123, ofMillion);
    expect(await page.locator(".slot.linked .gutter").allTextContents()).toEqual(["123"]);
  });

  it("leads from a line's number to a link, which shift extends", async () => {
    const page = await open("/jobs/million#L700");
    await expectLine(page, 700, ofMillion);
    await rowOf(page, 703).locator(".gutter a").click();
    expect(new URL(page.url()).hash).toBe("#L703");
    await rowOf(page, 706)
      .locator(".gutter a")
      .click({ modifiers: ["Shift"] });
    expect(new URL(page.url()).hash).toBe("#L703-L706");
    expect(await page.locator(".slot.linked").count()).toBe(4);
  });
});

describe("a link to a line of a job that runs", () => {
  it("is kept while lines come, and waits for a line that has not come yet", async () => {
    const fifo = await server.fifo("linked");
    const job = await server.shell("linked", `seq 1 2000; ${fifo.untilEnd}`);
    const page = await open(`/jobs/${job.id}#L5-L7`);
    await expectLine(page, 5, (line) => line);
    const place = await scrollTop(page);
    await fifo.write("new\n");
    await page.getByRole("button", { name: /↓ [\d,]+ new/ }).waitFor();
    expect(await scrollTop(page)).toBe(place);
    expect(await page.locator(".slot.linked").count()).toBe(3);

    await goTo(page, 2_010);
    await fifo.write(Array.from({ length: 400 }, (_, at) => `more ${at}\n`).join(""));
    await expect.poll(() => rowOf(page, 2010).locator(".text").textContent()).toBe("more 8");
    await fifo.end();
  });
});

describe("the pill", () => {
  it("says how many lines came, and how many of them are errors, and leads to the end", async () => {
    const fifo = await server.fifo("pill");
    const job = await server.shell("pill", `seq 1 500; ${fifo.untilEnd}`);
    const page = await open(`/jobs/${job.id}`);
    await expectLine(page, 500, (line) => line);
    await scroller(page).hover();
    await page.mouse.wheel(0, -2_000);
    // A turn of the wheel is heard when the page has time for it.
    await page.getByRole("button", { name: "↓ Follow" }).waitFor();
    await fifo.write("fine\nfine again\n");
    const pill = page.getByRole("button", { name: /↓ 2 new/ });
    await pill.waitFor();
    await pill.click();
    await rowOf(page, 502).waitFor();
    await fifo.write("followed\n");
    await rowOf(page, 503).waitFor();
    await fifo.end();
  });

  it("is there at once where text is selected, so that the selection is not scrolled away", async () => {
    const fifo = await server.fifo("selected");
    const job = await server.shell("selected", `seq 1 500; ${fifo.untilEnd}`);
    const page = await open(`/jobs/${job.id}`);
    await rowOf(page, 490).locator(".text").dblclick();
    await page.getByRole("button", { name: "↓ Follow" }).waitFor();
    await fifo.write("new\n");
    await page.getByRole("button", { name: "↓ 1 new" }).waitFor();
    expect(await page.evaluate(() => document.getSelection()?.toString().trim())).toBe("490");
    await fifo.end();
  });
});

const CLIPBOARD: BrowserContextOptions = { permissions: ["clipboard-read", "clipboard-write"] };

/** Copies as a reader would, and reads what then is in the clipboard by pasting it into a field. */
async function copied(page: Page): Promise<string> {
  await page.keyboard.press("Control+c");
  return page.evaluate(() => (globalThis as { lastCopy?: string }).lastCopy ?? "");
}

/** Remembers what the page gave the browser to copy: the clipboard itself cannot be read over plain HTTP. */
async function rememberCopies(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const give = Reflect.get(DataTransfer.prototype, "setData");
    DataTransfer.prototype.setData = function (type: string, text: string): void {
      (globalThis as { lastCopy?: string }).lastCopy = text;
      give.call(this, type, text);
    };
  });
}

/** A page over plain HTTP has no `navigator.clipboard`; on a loopback address it has to be taken away. */
async function withoutClipboard(page: Page): Promise<void> {
  await page.addInitScript(() => {
    Object.defineProperty(Navigator.prototype, "clipboard", { value: undefined });
  });
  await rememberCopies(page);
}

const ALL_LINES = Array.from({ length: 100_000 }, (_, at) => `${at + 1}`).join("\n");

describe("copying", () => {
  it("a selection takes the text, and no numbers or times", async () => {
    const page = await open("/jobs/hundred-thousand#L50", { prepare: rememberCopies });
    await expectLine(page, 50, (line) => line);
    await page.getByLabel("Times").selectOption({ label: "Clock" });
    const from = await rowOf(page, 48).locator(".text").boundingBox();
    const to = await rowOf(page, 52).locator(".text").boundingBox();
    if (!from || !to) throw new Error("the rows are not there");
    await page.mouse.move(from.x + 1, from.y + 10);
    await page.mouse.down();
    await page.mouse.move(to.x + 14, to.y + 10, { steps: 5 });
    await page.mouse.up();
    expect(await copied(page)).toBe("48\n49\n50\n51\n52");
  });

  it("a selection goes on over rows that are out of sight by then", async () => {
    const page = await open("/jobs/hundred-thousand#L1000", CLIPBOARD);
    await expectLine(page, 1_000, (line) => line);
    await rowOf(page, 1_000).locator(".text").dblclick();
    await page.mouse.wheel(0, 40_000);
    // The rows of the place that was left may still be there for a frame.
    await expect.poll(async () => (await lineInTheMiddle(page)).line).toBeGreaterThan(2_990);
    expect(await rowOf(page, 1_000).count()).toBe(1);
    const end = await lineInTheMiddle(page);
    await page.keyboard.down("Shift");
    await page.mouse.click(end.x, end.y);
    await page.keyboard.up("Shift");
    const expected = Array.from({ length: end.line - 999 }, (_, at) => `${1_000 + at}`).join("\n");
    await page.keyboard.press("Control+c");
    await page.getByText(/^[\d,]+ lines copied$/).waitFor();
    // A press behind the end of a line may count as the start of the next one.
    const text = await page.evaluate(() => navigator.clipboard.readText());
    expect(text.trimEnd()).toBe(expected);
  });

  it("right behind a selection takes that one, and not the one before", async () => {
    const page = await open("/jobs/hundred-thousand#L1000", CLIPBOARD);
    await expectLine(page, 1_000, (line) => line);
    await rowOf(page, 1_000).locator(".text").dblclick();
    const copied = await scroller(page).evaluate((log) => {
      const text = (line: number) => log.querySelector(`[data-offset="${line - 1}"] .text`);
      const [from, to] = [text(1_001), text(1_004)];
      if (from && to) getSelection()?.setBaseAndExtent(from, 0, to, to.childNodes.length);
      // In the same task: the browser has told nobody of the selection yet.
      const clipboardData = new DataTransfer();
      log.dispatchEvent(new ClipboardEvent("copy", { clipboardData, bubbles: true, cancelable: true }));
      return clipboardData.getData("text/plain");
    });
    expect(copied.trimEnd()).toBe("1001\n1002\n1003\n1004");
  });

  it("a hundred thousand lines that are not loaded: into the clipboard", async () => {
    const page = await open("/jobs/hundred-thousand", CLIPBOARD);
    await expectLine(page, 100_000, (line) => line);
    await scroller(page).focus();
    await page.keyboard.press("Control+a");
    await page.keyboard.press("Control+c");
    await page.getByText("100,000 lines copied").waitFor();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(ALL_LINES);
  });

  it("the same over plain HTTP, where a page may only answer the reader's own copy", async () => {
    const page = await open("/jobs/hundred-thousand", { prepare: withoutClipboard });
    await expectLine(page, 100_000, (line) => line);
    await scroller(page).focus();
    await page.keyboard.press("Control+a");
    await page.keyboard.press("Control+c");
    // At once where the gesture still counts; else it is kept for the next one.
    const said = page.getByText(/100,000 lines (copied|are ready: copy once more)/);
    await said.waitFor();
    if ((await said.textContent())?.includes("ready")) await page.keyboard.press("Control+c");
    await expect
      .poll(() => page.evaluate(() => (globalThis as { lastCopy?: string }).lastCopy))
      .toBe(ALL_LINES);
  });

  it("more than fits says so", async () => {
    const page = await open("/jobs/million", { prepare: rememberCopies });
    await expectLine(page, MILLION, ofMillion);
    await scroller(page).focus();
    await page.keyboard.press("Control+a");
    expect(await copied(page)).toBe("");
    await page.getByText(/1,000,000 lines are too many to copy/).waitFor();
  });
});

/** Rows whose text is not as high as their place. */
const misplaced = (page: Page): Promise<readonly (string | undefined)[]> =>
  page
    .locator(".slot")
    .evaluateAll((slots) =>
      slots
        .filter((slot) => Math.abs(slot.clientHeight - (slot.querySelector(".text")?.clientHeight ?? 0)) > 1)
        .map((slot) => (slot as HTMLElement).dataset.offset),
    );

describe("wrapped lines", () => {
  it("are as high as arithmetic says, and the reader's place stays", async () => {
    const job = await server.shell(
      "wrapped",
      `for n in $(seq 1 300); do printf "$n "; head -c $((n * 7)) /dev/zero | tr '\\0' x; printf '\\t中文🎉\\n'; done; ` +
        "head -c 9000 /dev/zero | tr '\\0' y; echo; seq 1 50",
    );
    await job.finished();
    const page = await open(`/jobs/${job.id}#L200`);
    await rowOf(page, 200).waitFor();
    const topOf = (line: number): Promise<number> =>
      rowOf(page, line).evaluate((row) => row.getBoundingClientRect().top);
    const before = await topOf(200);
    await page.getByRole("button", { name: "Wrap" }).click();
    await expect.poll(() => rowOf(page, 200).evaluate((row) => row.clientHeight)).toBeGreaterThan(30);
    expect(Math.abs((await topOf(200)) - before)).toBeLessThan(60);
    expect(await misplaced(page)).toEqual([]);
    expect(await scroller(page).evaluate((log) => log.scrollWidth - log.clientWidth)).toBe(0);

    await goTo(page, 301);
    await page.getByRole("button", { name: "+5,000 characters" }).click();
    await expect.poll(() => misplaced(page)).toEqual([]);
    await reload(page);
    expect(await page.getByRole("button", { name: "Wrap" }).getAttribute("aria-pressed")).toBe("true");
  });
});

describe("older pages", () => {
  it("come in above without moving what is read", async () => {
    const page = await open("/jobs/million");
    await expectLine(page, MILLION, ofMillion);
    const pages = await holdBack(page, "**/output?*");
    await goTo(page, 400_000);
    await page.locator(".row.unloaded").first().waitFor();
    const places = (): Promise<readonly number[]> =>
      rows(page).evaluateAll((all) => all.map((row) => row.getBoundingClientRect().top));
    const before = await places();
    pages.release();
    await expectLine(page, 400_000, ofMillion);
    expect(await places()).toEqual(before);
  });

  it("that the server fails to give are a row that says so, with a way to ask again", async () => {
    const page = await open("/jobs/million");
    await expectLine(page, MILLION, ofMillion);
    let failing = true;
    await page.route("**/output?*", (route) =>
      failing ? route.fulfill({ status: 500, body: '{"error":"Redis does not answer"}' }) : route.continue(),
    );
    await goTo(page, 300_000);
    const failed = page.locator(".row.mark", { hasText: "512 lines could not be loaded: " }).first();
    await failed.waitFor();
    failing = false;
    await failed.getByRole("button", { name: "Load" }).click();
    await expect.poll(() => rows(page).filter({ hasText: "of a million" }).count()).toBeGreaterThan(5);
  });
});
