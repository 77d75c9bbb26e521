/**
 * Finding one's way in a log of a hundred thousand lines, in a real browser: what is counted, found, filtered and folded
 * is compared with the text of the download.
 */
import type { Page } from "playwright-core";
import { beforeAll, describe, expect, it } from "vitest";
import { violations } from "./support/axe";
import { type Opening, dashboard } from "./support/dashboard";
import type { Job } from "./support/fantail";
import { marked, search, searchField } from "./support/log-page";

const { server, open } = dashboard();

let finished: Job;
/** The lines of the finished job, as the download has them. */
let lines: readonly string[];

/**
 * Ten groups of ten thousand lines; two errors in the seventh; every 50th line has a needle. Standard error, which has a
 * pipe of its own and may overtake, begins when more than a pipe holds has been read: the first line is the first head.
 */
const GENERATOR = `
BEGIN {
  for (i = 0; i < 100000; i++) {
    if (i % 10000 == 0) { if (i) print "::endgroup::"; print "::group::Step " i / 10000 }
    if (i == 67890 || i == 67990) print "error: it broke at " i
    else if (i % 50 == 3) print "line " i " Needle in the hay"
    else if (i > 10000 && i % 5000 == 77) print "to stderr " i > "/dev/stderr"
    else print "line " i
  }
  print "::endgroup::"
  print "the end"
}`;

beforeAll(async () => {
  finished = await server.run("hay", ["awk", GENERATOR]);
  await finished.finished();
  const download = await fetch(`${server.url}/api/jobs/${finished.id}/output?download=1`);
  lines = (await download.text()).trimEnd().split("\n");
  expect(lines.length).toBe(100_021);
});

async function openJob(job: Job, hash = "", opening: Opening = {}): Promise<Page> {
  const page = await open(`/jobs/${job.id}${hash}`, opening);
  await page.getByRole("button", { name: "Search", exact: true }).waitFor();
  return page;
}

/** The offsets of the lines that hold a text. */
const holding = (text: string): readonly number[] =>
  lines.flatMap((line, at) => (line.toLowerCase().includes(text) ? [at] : []));

const slot = (page: Page, offset: number) => page.locator(`.log [data-offset="${offset}"][data-part="0"]`);
const status = (page: Page) => page.locator(".search-status");
const isSaid = (page: Page, words: string) => expect.poll(() => status(page).textContent()).toBe(words);

/** Whether a line is to be seen, and not only in the page. */
async function isInSight(page: Page, offset: number): Promise<boolean> {
  const line = await slot(page, offset).first().boundingBox();
  const log = await page.getByRole("log").boundingBox();
  if (!line || !log) return false;
  return line.y >= log.y - 1 && line.y + line.height <= log.y + log.height + 1;
}

const comesInSight = (page: Page, offset: number) => expect.poll(() => isInSight(page, offset)).toBe(true);

const marks = async (page: Page, kind: string): Promise<number> => (await marked(page, kind)).length;

describe("a search", () => {
  it("counts all lines, loaded or not; steps through them, also round the ends; marks what it found", async () => {
    const page = await openJob(finished, "#L1");
    await comesInSight(page, 0);
    await search(page, "needle");
    const hits = holding("needle");
    expect(hits.length).toBe(2_000);
    await isSaid(page, "1 of 2,000");
    await comesInSight(page, hits[0] ?? -1);
    await expect.poll(() => marks(page, "fantail-hit-current")).toBe(1);

    await page.keyboard.press("Enter");
    await isSaid(page, "2 of 2,000");
    await comesInSight(page, hits[1] ?? -1);
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.press("Shift+Enter");
    await expect.poll(() => status(page).textContent()).toContain("2,000 of 2,000");
    await comesInSight(page, hits.at(-1) ?? -1);
    expect(await slot(page, hits.at(-1) ?? -1).textContent()).toContain("Needle in the hay");

    await page.getByRole("log").focus();
    await page.keyboard.press("n");
    await expect.poll(() => status(page).textContent()).toBe("1 of 2,000 · from the top again");
    await page.keyboard.press("N");
    await expect.poll(() => status(page).textContent()).toBe("2,000 of 2,000 · from the end again");
    await comesInSight(page, hits.at(-1) ?? -1);
  });

  it("with capitals, by pattern, without a hit, and with a pattern that is none", async () => {
    const page = await openJob(finished, "#L1");
    await search(page, "NEEDLE");
    await isSaid(page, "1 of 2,000");
    await page.getByRole("button", { name: "Capitals count" }).click();
    await isSaid(page, "No hits");
    await page.getByRole("button", { name: "Capitals count" }).click();
    await page.getByRole("button", { name: "Regular expression" }).click();
    await searchField(page).fill("broke at 67[89]90$");
    await isSaid(page, "1 of 2");
    await comesInSight(page, holding("broke at 67890")[0] ?? -1);
    await searchField(page).fill("broke(");
    await expect.poll(() => status(page).textContent()).toContain("`q` is no pattern");
    await searchField(page).fill("broke");
    await isSaid(page, "1 of 2");
    await page.keyboard.press("Escape");
    await expect.poll(() => searchField(page).count()).toBe(0);
    await expect.poll(() => marks(page, "fantail-hit")).toBe(0);
  });

  it("outlives its bar: opened again it has the word, and goes nowhere; n goes on; a selection is taken", async () => {
    const page = await openJob(finished, "#L1");
    await search(page, "needle");
    await isSaid(page, "1 of 2,000");
    await page.keyboard.press("Escape");
    await page.keyboard.press("n");
    await expect.poll(() => marks(page, "fantail-hit-current")).toBe(1);
    await page.keyboard.press("n"); // the bar has not taken the focus: this is no letter in it
    expect(await searchField(page).inputValue()).toBe("needle");

    await page.keyboard.press("Escape");
    await page.keyboard.press("g");
    await comesInSight(page, 0);
    await page.keyboard.press("/");
    await isSaid(page, "2,000 hits");
    expect(await isInSight(page, 0)).toBe(true);
    await page.keyboard.press("Escape");
    const hit = slot(page, holding("needle")[0] ?? -1).locator(".text");
    await hit.dblclick({ position: { x: 10, y: 10 } });
    await page.keyboard.press("Control+f");
    await expect.poll(() => searchField(page).inputValue()).toBe("line");
  });

  it("of a running job grows with it", async () => {
    const fifo = await server.fifo("growing");
    const job = await server.shell("growing", fifo.untilEnd);
    const page = await openJob(job);
    await fifo.write("a pin\nhay\nanother pin\n");
    await slot(page, 2).waitFor();
    await search(page, "pin");
    await isSaid(page, "1 of 2");
    await fifo.write("hay\nthe third pin\n".repeat(10));
    await isSaid(page, "1 of 12");
    await page.keyboard.press("Shift+Enter");
    await expect.poll(() => status(page).textContent()).toContain("12 of 12");
    await fifo.end();
  });
});

/** The lines in the page that are no mark, by their offsets. */
const shown = async (page: Page): Promise<readonly number[]> => {
  const all = page.locator('.log [data-part="0"]:has(.row:not(.fold))');
  return all.evaluateAll((slots) => slots.map((one) => Number((one as HTMLElement).dataset.offset)));
};

/** A line with so many on either side. */
const around = (offset: number, context: number): number[] =>
  Array.from({ length: 2 * context + 1 }, (_, at) => offset - context + at);

describe("a filter", () => {
  it("leaves the errors with what is around them, and says how much is hidden", async () => {
    const page = await openJob(finished);
    const [first = -1, second = -1] = holding("it broke");
    await page.getByLabel("Lines shown").selectOption("errors");
    await expect.poll(() => shown(page)).toEqual([...around(first, 3), ...around(second, 3)]);
    await page.getByText(`${(second - first - 7).toLocaleString("en")} lines hidden`).waitFor();
    await page.getByLabel("Lines around each").selectOption("0");
    await expect.poll(() => shown(page)).toEqual([first, second]);
    await page.getByText(`${(second - first - 1).toLocaleString("en")} lines hidden`).click();
    await expect.poll(async () => (await shown(page)).includes(first + 1)).toBe(true);
    await page.getByLabel("Lines shown").selectOption("all");
    await expect.poll(() => page.locator(".row.fold").count()).toBe(0);
  });

  it("leaves standard error, or what was found", async () => {
    const page = await openJob(finished);
    await page.getByLabel("Lines shown").selectOption("stderr");
    await page.getByLabel("Lines around each").selectOption("0");
    await page.getByRole("log").focus();
    const told = holding("to stderr");
    expect(told.length).toBe(18);
    await expect.poll(async () => (await shown(page)).length).toBeLessThan(told.length + 1);
    await page.keyboard.press("g");
    await expect.poll(async () => (await shown(page)).slice(0, 10)).toEqual(told.slice(0, 10));
    await page.getByLabel("Lines shown").selectOption("matches");
    await searchField(page).fill("line 100");
    const hits = holding("line 100");
    await isSaid(page, `1 of ${hits.length}`);
    await page.getByRole("log").focus();
    await page.keyboard.press("g");
    await expect.poll(async () => (await shown(page)).slice(0, 10)).toEqual(hits.slice(0, 10));
  });
});

const head = (page: Page, title: string) => page.locator(".group-head button", { hasText: title });

describe("groups", () => {
  it("are folded where nothing went wrong, with how long they took; those with errors are open", async () => {
    const page = await openJob(finished);
    const [broke = -1] = holding("it broke at 67890");
    await comesInSight(page, broke);
    await page.getByRole("log").focus();
    await page.keyboard.press("g");
    await expect.poll(() => head(page, "Step 0").getAttribute("aria-expanded")).toBe("false");
    await expect.poll(() => head(page, "Step 6").getAttribute("aria-expanded")).toBe("true");
    const facts = page.locator(".group-head", { hasText: "Step 6" }).locator(".group-facts");
    expect(await facts.textContent()).toMatch(/[0-9.]+ s.*2 errors/);
    await head(page, "Step 0").click();
    await slot(page, 1).waitFor();
    await head(page, "Step 0").click();
    await expect.poll(() => slot(page, 1).count()).toBe(0);
  });

  it("are unfolded by a hit inside, and by a link to a line inside; [ and ] go from head to head", async () => {
    const page = await openJob(finished, "#L20020");
    await comesInSight(page, 20_019);
    await search(page, "line 34567");
    const [hit = -1] = holding("line 34567");
    await comesInSight(page, hit);
    await page.keyboard.press("Escape");
    await page.keyboard.press("[");
    await comesInSight(page, holding("::group::step 3")[0] ?? -1);
  });

  it("have keys that give the next head the focus, which folds it; when it leaves, the log has it", async () => {
    const page = await openJob(finished, "#L1");
    const focused = () => page.evaluate(() => document.activeElement?.textContent ?? "");
    await page.getByRole("log").focus();
    await comesInSight(page, 0);
    for (const title of ["Step 1", "Step 2", "Step 3"]) {
      await page.keyboard.press("]");
      await expect.poll(focused).toBe(title);
    }
    await page.keyboard.press("[");
    await expect.poll(focused).toBe("Step 2");
    await page.keyboard.press("Enter");
    await expect.poll(() => head(page, "Step 2").getAttribute("aria-expanded")).toBe("true");
    await page.keyboard.press("G");
    await expect.poll(() => page.evaluate(() => document.activeElement?.role)).toBe("log");
  });
});

describe("errors", () => {
  it("are stepped through by e and E, and are where a finished job opens", async () => {
    const page = await openJob(finished);
    const [first = -1, second = -1] = holding("it broke");
    await comesInSight(page, first);
    await page.getByRole("button", { name: "1 of 2 errors" }).waitFor();
    const steppedTo = page.locator(".slot.stepped-to");
    expect(await steppedTo.getAttribute("data-offset")).toBe(String(first));
    await page.getByRole("log").focus();
    await page.keyboard.press("e");
    await comesInSight(page, second);
    expect(await steppedTo.getAttribute("data-offset")).toBe(String(second));
    await page.keyboard.press("Escape");
    await expect.poll(() => steppedTo.count()).toBe(0);
    await page.keyboard.press("g");
    await comesInSight(page, 0);
    await page.keyboard.press("e");
    await comesInSight(page, first);
    await page.keyboard.press("e");
    await comesInSight(page, second);
    await page.keyboard.press("e");
    await page.getByText("from the top again").waitFor();
    await page.keyboard.press("E");
    await page.getByText("from the end again").waitFor();
    await comesInSight(page, second);
  });

  it("have ticks beside the lines, which lead there", async () => {
    const page = await openJob(finished, "#L1");
    await comesInSight(page, 0);
    const tick = page.locator(".tick-error");
    await expect.poll(async () => (await tick.getAttribute("d"))?.length ?? 0).toBeGreaterThan(0);
    const bin = Number(/^M0 ([0-9]+)/.exec((await tick.getAttribute("d")) ?? "")?.[1]);
    const strip = await page.locator(".ticks").boundingBox();
    if (!strip) throw new Error("no strip");
    await page.mouse.click(strip.x + strip.width / 2, strip.y + ((bin + 0.5) / 400) * strip.height);
    await comesInSight(page, holding("it broke")[0] ?? -1);
  });
});

describe("keys", () => {
  it("have a sheet; do nothing while someone types; the second Ctrl-F is the browser's", async () => {
    const page = await openJob(finished);
    await page.getByRole("log").focus();
    await page.keyboard.press("?");
    const sheet = page.getByRole("dialog", { name: "Keys" });
    await sheet.getByText("Previous error").waitFor();
    await page.keyboard.press("e");
    await page.keyboard.press("Escape");
    await expect.poll(() => sheet.count()).toBe(0);

    await page.evaluate(() => {
      const taken: boolean[] = [];
      Object.assign(globalThis, { taken });
      addEventListener(
        "keydown",
        (event) => event.ctrlKey && event.key === "f" && taken.push(event.defaultPrevented),
      );
    });
    await page.getByRole("log").focus();
    await page.keyboard.press("Control+f");
    await searchField(page).waitFor();
    await expect
      .poll(() => searchField(page).evaluate((element) => element === document.activeElement))
      .toBe(true);
    await page.keyboard.press("Control+f");
    expect(await page.evaluate(() => (globalThis as unknown as { taken: boolean[] }).taken)).toEqual([
      true,
      false,
    ]);

    await page.keyboard.type("gz?te");
    expect(await searchField(page).inputValue()).toBe("gz?te");
    expect(await sheet.count()).toBe(0);
    expect(await page.evaluate(() => localStorage.getItem("fantail.wrap"))).toBe(null);
  });

  it("open the palette, which leads to a job by its name, and does what a key does", async () => {
    const other = await server.shell("another job with a long name", "echo here");
    await other.finished();
    const page = await openJob(finished);
    await page.keyboard.press("Control+k");
    const find = page.getByRole("combobox", { name: "Find a job, a page or an action" });
    await find.fill("wrap");
    await page.getByRole("option", { name: /Wrap long lines/ }).waitFor();
    await page.keyboard.press("Enter");
    await page.locator(".log-scroller.wrapped").waitFor();
    await page.keyboard.press("Control+k");
    await find.fill("long name");
    const option = page.getByRole("option", { name: /another job with a long name/ });
    await option.waitFor();
    expect(await find.getAttribute("aria-activedescendant")).toBe(await option.getAttribute("id"));
    await page.keyboard.press("Enter");
    await page.waitForURL(`**/jobs/${other.id}`);
    await page.getByRole("heading", { name: "another job with a long name" }).waitFor();
  });
});

describe.each(["light", "dark"] as const)("accessibility, %s", (colorScheme) => {
  it.each([1280, 390])("no violation with search, sheet and palette open at %d pixels", async (width) => {
    const page = await openJob(finished, "", { colorScheme, viewport: { width, height: 900 } });
    await comesInSight(page, holding("it broke")[0] ?? -1);
    await page.getByLabel("Lines shown").selectOption("errors");
    await search(page, "needle");
    await expect.poll(() => status(page).textContent()).toContain("of 2,000");
    expect(await violations(page)).toEqual([]);
    await page.getByRole("log").focus();
    await page.keyboard.press("g");
    await page.keyboard.press("?");
    await page.getByRole("dialog").waitFor();
    expect(await violations(page)).toEqual([]);
    await page.keyboard.press("Escape");
    await expect.poll(() => page.getByRole("dialog").count()).toBe(0);
    await page.keyboard.press("Control+k");
    await page.getByRole("dialog").getByRole("option").first().waitFor();
    expect(await violations(page)).toEqual([]);
  });
});
