/** The text of lines in a real browser: lines drawn over, links, times, marks. Real jobs, printed by real commands. */
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { violations } from "./support/axe";
import { dashboard, reload, withChoices } from "./support/dashboard";
import type { Job } from "./support/fantail";
import { marked, search, searchField } from "./support/log-page";

const { server, open } = dashboard();

/** Opens a job's page, with what a reader chose before. */
const openJob = (job: Job, chosen: Readonly<Record<string, unknown>> = {}): Promise<Page> =>
  open(`/jobs/${job.id}`, { prepare: withChoices(chosen) });

const texts = (page: Page): Promise<readonly string[]> => page.locator(".log .row .text").allTextContents();

async function expectTexts(page: Page, expected: readonly string[]): Promise<void> {
  await expect.poll(() => texts(page)).toEqual(expected);
}

/** A script that draws a bar over itself, then three lines five times, as tools of many kinds do. */
const PROGRESS = `
printf 'start\\n'
for n in 10 50 100; do printf '\\rfetching %d%%\\033[K' $n; done; printf '\\n'
printf 'a 0%%\\nb 0%%\\nc 0%%\\n'
for n in 25 50 75 99; do printf '\\033[3A\\033[2K\\033[33ma %d%%\\033[0m\\n\\033[2Kb %d%%\\n\\033[2Kc %d%%\\n' $n $n $n; done
printf '\\033[3A\\033[0Jall \\033[32mdone\\033[0m\\n'
printf 'end\\n'`;

const LAST_PICTURE = ["start", "fetching 100%", "all done", "end"];

/** The `n`-th picture of two lines, drawn over the one before. */
const frame = (n: number): string => `\x1b[2A\x1b[2Kone ${n}\n\x1b[2Ktwo ${n}\n`;

describe("lines drawn over", () => {
  it("are their last picture, also while they come", async () => {
    const fifo = await server.fifo("progress");
    const job = await server.shell("progress", fifo.untilEnd);
    const page = await openJob(job);
    await fifo.write("first\none 0\ntwo 0\n");
    await expectTexts(page, ["first", "one 0", "two 0"]);
    for (const n of [1, 2, 3]) {
      await fifo.write(frame(n));
      await expectTexts(page, ["first", `one ${n}`, `two ${n}`]);
    }
    await fifo.write("last\n");
    await expectTexts(page, ["first", "one 3", "two 3", "last"]);
    await fifo.end();
    await page.locator(".badge", { hasText: "success" }).waitFor();
    await expectTexts(page, ["first", "one 3", "two 3", "last"]);
  });

  it("are the same when a finished job is opened", async () => {
    const job = await server.shell("finished progress", PROGRESS);
    await job.finished();
    const page = await openJob(job);
    await expect.poll(async () => (await texts(page)).filter((text) => text !== "")).toEqual(LAST_PICTURE);
    expect(await page.locator(".log .fg-2").textContent()).toBe("done");
  });

  it("raw: everything that came, control characters visible, and back", async () => {
    const job = await server.shell("raw progress", PROGRESS);
    await job.finished();
    const page = await openJob(job, { raw: true });
    await page
      .locator(".log .row .text", { hasText: "␍fetching 10%␛[K␍fetching 50%␛[K␍fetching 100%␛[K" })
      .waitFor();
    await page.locator(".log .row .text", { hasText: "␛[3A␛[2K␛[33ma 99%␛[0m" }).waitFor();
    expect((await texts(page)).length).toBe(1 + 1 + 3 + 4 * 3 + 1 + 1);
    await page.getByRole("button", { name: "Raw" }).click();
    await expect.poll(async () => (await texts(page)).filter((text) => text !== "")).toEqual(LAST_PICTURE);
  });
});

/** A text with an address behind it (OSC 8), for `printf`. */
const osc = (address: string, text: string): string =>
  `\\033]8;;${address}\\033\\\\${text}\\033]8;;\\033\\\\`;

describe("raw and wrapped", () => {
  it("each row is as high as its text, whatever font has the pictures", async () => {
    const job = await server.shell(
      "raw wrapped",
      "for n in $(seq 200); do printf '\\033[32m.\\033[0m\\b'; done; printf '\\nend\\n'",
    );
    await job.finished();
    const page = await openJob(job, { raw: true, wrap: true });
    await page.locator(".log .row .text", { hasText: "end" }).waitFor();
    const heights = (): Promise<readonly (readonly [number, number])[]> =>
      page.locator(".log .slot").evaluateAll((slots) =>
        slots.map((slot) => {
          const inner = slot.querySelector(".text > span")?.getClientRects() ?? [];
          const lines = new Set(Array.from(inner, (rect) => Math.round(rect.bottom)));
          return [Math.round(slot.getBoundingClientRect().height / 20), Math.max(1, lines.size)] as const;
        }),
      );
    await expect.poll(async () => (await heights())[0]?.[0] ?? 0).toBeGreaterThan(10);
    for (const [units, lines] of await heights()) expect(units).toBe(lines);
  });
});

describe("links", () => {
  it("lead to the web, in a page of their own that knows nothing of this one; others are text", async () => {
    const job = await server.shell(
      "links",
      `printf '${osc(`${server.url}/jobs`, "hidden link")} plain ${server.url}/pipelines.\\n'
printf '${osc("javascript:window.bad=1", "no link")} ${osc("data:text/html,x", "no data")} ${osc("https://a:b@example.org/", "no secret")}\\n'
printf 'javascript:alert(1) <a href="https://example.org/">markup</a>\\n'`,
    );
    await job.finished();
    const page = await openJob(job);
    const hidden = page.locator(".log").getByRole("link", { name: "hidden link" });
    await hidden.waitFor();
    const links = await page
      .locator(".log .text a")
      .evaluateAll((links) =>
        links.map((link) => [link.textContent, link.getAttribute("href"), link.getAttribute("rel")]),
      );
    const rel = "noopener noreferrer";
    expect(links).toEqual([
      ["hidden link", `${server.url}/jobs`, rel],
      [`${server.url}/pipelines`, `${server.url}/pipelines`, rel],
      ["https://example.org/", "https://example.org/", rel],
    ]);
    const [popup] = await Promise.all([page.waitForEvent("popup"), hidden.click()]);
    await popup.waitForURL(`${server.url}/jobs`);
    expect(await popup.evaluate(() => window.opener === null)).toBe(true);
    expect(await popup.evaluate(() => document.referrer)).toBe("");
    expect(await page.evaluate(() => "bad" in window)).toBe(false);
  });
});

describe("marks of a search", () => {
  it("are highlights of the browser over colours and links, for the rows that are drawn, and go with the search", async () => {
    const job = await server.shell(
      "needles",
      "printf 'a nee\\033[31mdle\\033[0m, https://example.org/needle\\n'; for n in $(seq 2000); do echo line $n; done; echo Needle at the end",
    );
    await job.finished();
    const page = await openJob(job);
    await page.getByText("Needle at the end", { exact: true }).waitFor();
    await search(page, "needle");
    const all = async (): Promise<readonly string[]> =>
      [...(await marked(page, "fantail-hit")), ...(await marked(page, "fantail-hit-current"))].toSorted();
    await expect.poll(all).not.toEqual([]);
    await page.getByRole("log").press("Home");
    await expect.poll(all).toEqual(["needle", "needle"]);
    await page.getByRole("log").press("End");
    await expect.poll(all).toEqual(["Needle"]);
    expect(await page.locator(".log mark").count()).toBe(0);
    await searchField(page).fill("line 20");
    await expect.poll(async () => [...new Set(await all())]).toEqual(["line 20"]);
    await searchField(page).press("Escape");
    await expect.poll(all).toEqual([]);
  });
});

describe("the times of lines", () => {
  it("stand before the line as chosen, with the moment on hover, and are remembered", async () => {
    const fifo = await server.fifo("times");
    const job = await server.shell("times", fifo.untilEnd);
    const page = await openJob(job);
    await fifo.write("one\n");
    await page.getByText("one", { exact: true }).waitFor();
    await fifo.write("two\nthree\n");
    await page.getByText("three", { exact: true }).waitFor();
    const stamps = page.locator(".log .stamp");
    expect(await stamps.count()).toBe(0);
    const choose = page.getByRole("combobox", { name: "Times" });
    await choose.selectOption({ label: "Relative" });
    await expect
      .poll(() => stamps.allTextContents())
      .toEqual(Array.from({ length: 3 }, () => expect.stringMatching(/^-?\d+:\d\d\.\d$/)));
    await choose.selectOption({ label: "Clock" });
    await expect.poll(() => stamps.first().textContent()).toMatch(/^\d\d:\d\d:\d\d\.\d\d\d$/);
    expect(await stamps.first().getAttribute("title")).toMatch(/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ$/);
    await choose.selectOption({ label: "Delta" });
    await expect
      .poll(() => stamps.allTextContents())
      .toEqual(["", expect.stringMatching(/^\+[\d:.]+( m?s)?$/), expect.stringMatching(/^(\+\d+ ms)?$/)]);
    await reload(page);
    await expect.poll(() => stamps.count()).toBe(3);
    await fifo.end();
  });

  it("neither they nor the numbers can be selected", async () => {
    const job = await server.shell("selected", "echo one; echo two");
    await job.finished();
    const page = await openJob(job, { timestamps: "absolute" });
    await page.locator(".log .stamp").nth(1).waitFor();
    const unselectable = await page
      .locator(".log .stamp, .log .gutter")
      .evaluateAll((parts) => parts.every((part) => getComputedStyle(part).userSelect === "none"));
    expect(unselectable).toBe(true);
  });
});

describe("colours", () => {
  it("a terminal's own follow the theme", async () => {
    const job = await server.shell("theme", "printf '\\033[38;2;250;240;10mpale\\033[0m\\n'");
    await job.finished();
    const page = await openJob(job);
    const pale = page.getByText("pale", { exact: true });
    await pale.waitFor();
    const lightness = (): Promise<number> =>
      pale.evaluate((span) => Number(/oklch\(([\d.]+)/.exec(getComputedStyle(span).color)?.[1] ?? -1));
    await page.emulateMedia({ colorScheme: "light" });
    await expect.poll(lightness).toBeLessThanOrEqual(0.5);
    await page.emulateMedia({ colorScheme: "dark" });
    await expect.poll(lightness).toBeGreaterThan(0.7);
    await page.evaluate(() => {
      document.documentElement.style.colorScheme = "light";
    });
    await expect.poll(lightness).toBeLessThanOrEqual(0.5);
  });

  it("forced by the reader's system: standard error is still told by its gutter", async () => {
    const job = await server.shell("forced", "echo fine; echo bad >&2");
    await job.finished();
    const page = await openJob(job);
    await page.emulateMedia({ forcedColors: "active" });
    await page.locator(".log .row.stderr").waitFor();
    const border = (row: string): Promise<string> =>
      page.locator(`.log .row.${row} .gutter`).evaluate((gutter) => getComputedStyle(gutter).borderLeftStyle);
    expect([await border("stdout"), await border("stderr")]).toEqual(["solid", "double"]);
  });
});

describe("for everybody", () => {
  it.each(["light", "dark"] as const)(
    "axe finds nothing: times, links, marks, raw text (%s)",
    async (colorScheme) => {
      const job = await server.shell(
        "axe",
        "echo needle; sleep 1.2; printf 'a needle, https://example.org/ \\007\\n' >&2; printf '\\033[2mdim\\033[0m \\033[35mneedle\\n'",
      );
      await job.finished();
      for (const raw of [false, true]) {
        const page = await openJob(job, { theme: colorScheme, timestamps: "delta", raw });
        await page.locator(".log .row.stderr").waitFor();
        await search(page, "needle");
        await expect.poll(async () => (await marked(page, "fantail-hit")).length).toBeGreaterThan(0);
        expect(await violations(page, ".log")).toEqual([]);
      }
    },
  );
});
