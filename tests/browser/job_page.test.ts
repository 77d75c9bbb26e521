/** The job page in a real browser: live lines, following, a hundred thousand of them, a server that goes and comes back. */
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { dashboard, withoutStreams } from "./support/dashboard";
import { distanceToEnd, rows, scrollToShare, scrollTop, scroller, shown } from "./support/log-page";

const { server, open } = dashboard();

const rowWith = (page: Page, text: string) =>
  rows(page).filter({ has: page.getByText(text, { exact: true }) });
/** Where the log is, once its scrolling has come to rest. */
async function restingPlace(page: Page): Promise<number> {
  let before = Number.NaN;
  await expect
    .poll(async () => {
      const last = before;
      before = await scrollTop(page);
      return before === last;
    })
    .toBe(true);
  return before;
}

describe("a real job", () => {
  it("appears live: coloured lines, stderr marked, the end", async () => {
    const fifo = await server.fifo("live");
    const job = await server.shell(
      "colours",
      `printf '\\033[32mgreen\\033[0m and \\033[1;38;5;208mbold orange\\033[0m\\n'; echo 'oh no' >&2; ${fifo.untilEnd}; exit 3`,
    );
    const page = await open(`/jobs/${job.id}`);
    const green = page.locator(".log .fg-2", { hasText: "green" });
    await green.waitFor();
    expect(
      await page
        .locator(".log .bold", { hasText: "bold orange" })
        .evaluate((span) => getComputedStyle(span).color),
    ).toMatch(/oklch|color|rgb/);
    const stderr = page.locator(".log .row.stderr", { hasText: "oh no" });
    await stderr.waitFor();
    const mark = await stderr
      .locator(".gutter")
      .evaluate((gutter) => getComputedStyle(gutter).borderLeftColor);
    expect(mark).not.toBe("rgba(0, 0, 0, 0)");
    await page.getByText("Live", { exact: true }).waitFor();

    await fifo.write("this came later\n<b>no markup</b>\n");
    await rowWith(page, "this came later").waitFor();
    expect(await page.locator(".log b").count()).toBe(0);

    await fifo.end();
    await page.locator(".badge", { hasText: "failed" }).waitFor();
    await page.getByText("Complete", { exact: true }).waitFor();
    await page.locator("dt", { hasText: "Exit code" }).waitFor();
    expect(await page.locator("dl").textContent()).toContain("Exit code3");
  });

  it("shows what the page brought before any stream", async () => {
    const job = await server.shell("brought", "echo first; echo second");
    await job.finished();
    const page = await open(`/jobs/${job.id}`, { prepare: withoutStreams });
    await rowWith(page, "second").waitFor();
    await page.getByRole("heading", { name: "brought" }).waitFor();
    await page.locator(".badge", { hasText: "success" }).waitFor();
  });

  it("that does not exist is said to be missing", async () => {
    const page = await open("/jobs/no-such-job");
    await page.getByText("There is no such job").waitFor();
  });
});

describe("following", () => {
  it("pauses at a turn of the wheel, keeps the place, counts what is new, and resumes", async () => {
    const fifo = await server.fifo("follow");
    const job = await server.shell("follow", `seq 1 300; ${fifo.untilEnd}`);
    const page = await open(`/jobs/${job.id}`);
    await rowWith(page, "300").first().waitFor();
    await expect.poll(() => distanceToEnd(page)).toBeLessThanOrEqual(2);

    await fifo.write("live one\n");
    await rowWith(page, "live one").waitFor();
    expect(await distanceToEnd(page)).toBeLessThanOrEqual(2);

    await scroller(page).hover();
    await page.mouse.wheel(0, -400);
    await expect.poll(() => distanceToEnd(page)).toBeGreaterThan(100);
    const place = await restingPlace(page);
    await fifo.write("unseen one\nunseen two\n");
    await page.getByRole("button", { name: "↓ 2 new" }).waitFor();
    expect(await scrollTop(page)).toBe(place);

    await page.getByRole("button", { name: "↓ 2 new" }).click();
    await rowWith(page, "unseen two").waitFor();
    await expect.poll(() => distanceToEnd(page)).toBeLessThanOrEqual(2);

    await scroller(page).focus();
    await page.keyboard.press("PageUp");
    await expect.poll(() => distanceToEnd(page)).toBeGreaterThan(100);
    await page.keyboard.press("End");
    await fifo.write("the last\n");
    await rowWith(page, "the last").waitFor();
    await expect.poll(() => distanceToEnd(page)).toBeLessThanOrEqual(2);
    await fifo.end();
  });
});

describe("a hundred thousand lines", () => {
  it("stay scrollable, with some eighty rows in the page, each at its place", async () => {
    const fifo = await server.fifo("many");
    const job = await server.shell("many", `read -r go < ${fifo.path}; seq 1 100000; ${fifo.untilEnd}`);
    const page = await open(`/jobs/${job.id}`);
    await page.getByText("Live", { exact: true }).waitFor();
    await fifo.write("go\n");
    await page.getByText("100,000 lines", { exact: true }).waitFor();
    expect(await rows(page).count()).toBeLessThan(200);

    for (const share of [0, 0.25, 0.5, 0.987]) {
      await scrollToShare(page, share);
      const line = String(Math.floor(share * 100_000) + 10);
      await rowWith(page, line).first().waitFor();
      expect(await rows(page).count()).toBeLessThan(200);
    }
    for (const [number, text] of await shown(page)) expect(text).toBe(number);
    await fifo.end();
  });

  it("of a finished job: the tail at once, the older ones by scrolling to the top", async () => {
    const job = await server.shell("finished", "seq 1 20000");
    await job.finished();
    const page = await open(`/jobs/${job.id}`);
    await rowWith(page, "20000").first().waitFor();
    const older = page.getByText(/older lines not loaded/);
    await scroller(page).hover();
    for (let turn = 0; turn < 40; turn += 1) {
      await page.mouse.wheel(0, -1e7);
      await page.waitForTimeout(50);
      if ((await older.count()) === 0 && (await rowWith(page, "1").count()) > 0) break;
    }
    await rowWith(page, "1").first().waitFor();
    await page.getByText("20,000 lines", { exact: true }).waitFor();
  });
});

describe("a server that goes and comes back", () => {
  it("leaves each line on the page once and in order, and the lines on the screen meanwhile", async () => {
    const fifo = await server.fifo("restart");
    const job = await server.shell("restart", fifo.untilEnd);
    const page = await open(`/jobs/${job.id}`);
    await page.getByText("Live", { exact: true }).waitFor();
    await fifo.write("1\n2\n3\n");
    await rowWith(page, "3").first().waitFor();

    await server.end("SIGKILL");
    await page.getByText("Connection lost, reconnecting").waitFor();
    expect(await rowWith(page, "3").count()).toBeGreaterThan(0);
    await fifo.write("4\n5\n");
    await server.launch();
    await page.getByText("Live", { exact: true }).waitFor();
    await fifo.write("6\n");
    await rowWith(page, "6").first().waitFor();

    await server.restart("SIGTERM");
    await fifo.write("7\n8\n");
    await fifo.end();
    await page.getByText("Complete", { exact: true }).waitFor();
    expect(await page.locator(".log .row .text").allTextContents()).toEqual([
      "1",
      "2",
      "3",
      "4",
      "5",
      "6",
      "7",
      "8",
    ]);
  });
});
