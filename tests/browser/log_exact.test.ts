/**
 * What a reader of a long log may rely on: no line is passed over by the wheel or a page's key, and none of another list
 * stands beside those of a job that has ended.
 */
import { describe, expect, it } from "vitest";
import { dashboard, reload, visit } from "./support/dashboard";
import { holdBack } from "./support/held-back";
import { firstSeen, goTo, scroller, search, searchField, textOf } from "./support/log-page";
import { removeLines, writeJob } from "./support/stored-job";

const { server, newPage, open } = dashboard();

describe("a log that is too long for the browser's scroll space", () => {
  it("is scrolled by the wheel and by a page's key as far as any other: no line is passed over", async () => {
    writeJob(server, "long", 1_500_000, "line %d");
    const page = await open("/jobs/long#L500000");
    await expect.poll(() => textOf(page, 500_000).textContent()).toBe("line 500000");
    const before = await firstSeen(page);
    await scroller(page).hover();
    await page.mouse.wheel(0, 600);
    await expect.poll(() => firstSeen(page)).toBe(before + 30);
    await page.mouse.wheel(0, -200);
    await expect.poll(() => firstSeen(page)).toBe(before + 20);
    await scroller(page).focus();
    await page.keyboard.press("PageDown");
    const seen = await scroller(page).evaluate((log) => Math.floor(log.clientHeight / 20));
    await expect.poll(() => firstSeen(page)).toBe(before + 20 + seen - 1);
    await page.keyboard.press("PageUp");
    await expect.poll(() => firstSeen(page)).toBe(before + 20);
  });
});

describe("a job that has ended", () => {
  it("shows the lines that came after its end", async () => {
    writeJob(server, "late", 5_000, "line %d");
    const page = await open("/jobs/late");
    await expect.poll(() => textOf(page, 5_000).textContent()).toBe("line 5000");
    await page.getByText("Complete", { exact: true }).waitFor();
    writeJob(server, "late", 700, "late %d");
    await goTo(page, 100);
    await page.getByText("5,700 lines", { exact: true }).waitFor();
    expect(await page.getByText(/catching up/).count()).toBe(0);
    await goTo(page, 5_700);
    await expect.poll(() => textOf(page, 5_700).textContent()).toBe("late 700");
  });

  it("shows no line of the list that was written in its place", async () => {
    writeJob(server, "again", 50_000, "old %d");
    const page = await open("/jobs/again");
    await expect.poll(() => textOf(page, 50_000).textContent()).toBe("old 50000");
    await page.getByText("Complete", { exact: true }).waitFor();
    removeLines(server, "again");
    writeJob(server, "again", 60_000, "new %d");
    await goTo(page, 20_000);
    await page.getByText(/could not be loaded: the output was written anew/).waitFor();
    expect(await page.locator(".slot .text", { hasText: /^new \d/ }).count()).toBe(0);
    await page.keyboard.press("f");
    await expect.poll(() => textOf(page, 50_000).textContent()).toBe("old 50000");
    await reload(page);
    await expect
      .poll(() => textOf(page, 60_000).or(textOf(page, 20_000)).first().textContent())
      .toMatch(/^new /);
  });
});

describe("a step to a hit whose answer is late", () => {
  it("takes nobody away from where they went meanwhile", async () => {
    writeJob(server, "hits", 100_000, "needle %d");
    const page = await open("/jobs/hits#L500");
    await expect.poll(() => textOf(page, 500).textContent()).toBe("needle 500");
    await search(page, "needle");
    await page.getByText(/of 100,000/).waitFor();
    const answers = await holdBack(page, "**/output/search?*");
    await goTo(page, 90_000);
    await expect.poll(() => textOf(page, 90_000).textContent()).toBe("needle 90000");
    // What lies so far behind is not listed yet, and must be asked for.
    await searchField(page).press("Enter");
    await expect.poll(answers.asked).toBeGreaterThan(0);
    await goTo(page, 30);
    await expect.poll(() => textOf(page, 30).textContent()).toBe("needle 30");
    const answered = page.waitForResponse(/output\/search/);
    answers.release();
    await answered;
    // The next step begins where they are.
    await searchField(page).press("Enter");
    await expect.poll(() => page.getByText(/ of 100,000/).textContent()).toMatch(/^[1-9]\d? of/);
    expect(await firstSeen(page)).toBeLessThan(100);
  });
});

describe("a log opened at a link", () => {
  it("stays where the reader went before its errors and groups were known", async () => {
    writeJob(server, "linked", 100_000, "line %d");
    writeJob(server, "linked", 1, "error: it broke at %d");
    const page = await newPage();
    const outline = await holdBack(page, "**/output/outline*");
    await visit(page, "/jobs/linked#L1000");
    await expect.poll(() => textOf(page, 1_000).textContent()).toBe("line 1000");
    const before = await firstSeen(page);
    await scroller(page).hover();
    await page.mouse.wheel(0, 40_000);
    await expect.poll(() => firstSeen(page)).toBe(before + 2_000);
    outline.release();
    await expect.poll(() => page.locator(".tick-error").getAttribute("d")).not.toBe("");
    expect(await firstSeen(page)).toBe(before + 2_000);
  });
});

describe("a filter chosen before the errors are known", () => {
  it("stays: the log does not open at its first error any more, which it leaves out", async () => {
    writeJob(server, "filtered", 1_000, "line %d");
    writeJob(server, "filtered", 1, "error: it broke at %d");
    const page = await newPage();
    const outline = await holdBack(page, "**/output/outline*");
    await visit(page, "/jobs/filtered");
    await page.getByLabel("Lines shown").selectOption("stderr");
    outline.release();
    await expect.poll(() => page.locator(".tick-error").getAttribute("d")).not.toBe("");
    // What follows from the errors follows in the next frame.
    await page.evaluate(
      () => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))),
    );
    expect(await page.getByLabel("Lines shown").inputValue()).toBe("stderr");
  });
});
