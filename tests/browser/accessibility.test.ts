/**
 * What holds for those who see, hear or point otherwise: keys alone lead everywhere, what matters is spoken and what
 * flows by is not, nothing moves for who does not want it to, and axe finds nothing in the states that tell of trouble.
 * (Each page in light and dark, wide and narrow, is under axe where the page is tested.)
 */
import { execFileSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import axe from "axe-core";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { launchChromium, openPage } from "./chromium";
import { type Fifo, type Job, Server } from "./fantail";

const PATIENCE = { timeout: 60_000 };

/** More than there are stops on the way to anything on a page. */
const TABS_MAX = 60;

let server: Server;
let browser: Browser;

beforeAll(async () => {
  server = await Server.start();
  browser = await launchChromium();
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

/** Name and role of what has the focus, as far as a reader of the page needs them. */
const focused = (page: Page): Promise<string> =>
  page.evaluate(() => {
    const one = document.activeElement;
    return `${one?.getAttribute("role") ?? one?.tagName.toLowerCase()}: ${one?.getAttribute("aria-label") ?? one?.textContent}`;
  });

/** Presses a key until the focus is on what is looked for. */
async function press(page: Page, key: string, until: RegExp): Promise<void> {
  const met: string[] = [];
  for (let count = 0; count < TABS_MAX; count += 1) {
    await page.keyboard.press(key);
    const at = await focused(page);
    if (until.test(at)) return;
    met.push(at);
  }
  throw new Error(`${key} never leads to ${until}; it leads to\n${met.join("\n")}`);
}

async function violations(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe.source);
  return page.evaluate(async () => {
    const { violations } = await (globalThis as unknown as { axe: typeof axe }).axe.run();
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join("\n")}`);
  });
}

/** A job with a diff and a thousand lines, one of which holds "needle"; it lasts as long as its pipe. */
async function jobWithDiff(name: string): Promise<{ readonly job: Job; readonly fifo: Fifo }> {
  const root = join(server.dataDir, `${name} tree`);
  execFileSync("git", ["init", "-q", "-b", "main", root]);
  await writeFile(join(root, "notes.txt"), "one\n");
  const who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"];
  execFileSync("git", ["-C", root, "add", "-A"]);
  execFileSync("git", ["-C", root, ...who, "commit", "-q", "-m", "as it was"]);
  await writeFile(join(root, "notes.txt"), "one\ntwo\n");
  const fifo = await server.fifo(name.replaceAll(" ", "-"));
  const job = await server.run(
    name,
    ["bash", "-c", `seq 1 1000; echo needle; ${fifo.untilEnd}`],
    ["--diff", root],
  );
  return { job, fifo };
}

it("keys alone lead from the jobs to a job, through its log and its diff, and back", async () => {
  const { job, fifo } = await jobWithDiff("by keys");
  const { page } = await openPage(browser);
  await page.goto(server.url);
  await page.getByRole("link", { name: "by keys" }).waitFor(PATIENCE);

  await press(page, "Tab", /^a: by keys$/);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "by keys" }).waitFor(PATIENCE);
  await page.getByText("needle", { exact: true }).waitFor(PATIENCE);

  await page.keyboard.press("/");
  await expect.poll(() => focused(page), PATIENCE).toMatch(/search/i);
  await page.keyboard.type("needle");
  await page.locator(".search-status", { hasText: "1 of 1" }).waitFor(PATIENCE);
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");

  // From the end of the page to its head, whatever is in between.
  await press(page, "Shift+Tab", /^tab: Log/);
  await page.keyboard.press("ArrowRight");
  expect(await focused(page)).toMatch(/^tab: Diff/);
  await page.getByRole("region", { name: "notes.txt" }).waitFor(PATIENCE);
  await press(page, "Tab", /notes\.txt/);

  await press(page, "Shift+Tab", /^a: Jobs$/);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Jobs" }).waitFor(PATIENCE);
  await page.getByRole("link", { name: "by keys" }).waitFor(PATIENCE);
  await fifo.end();
  await job.finished();
  await page.context().close();
}, 240_000);

it("lines are not spoken; how many came is, at most every five seconds; a failure is at once", async () => {
  const fifo = await server.fifo("spoken");
  const job = await server.run("spoken", ["bash", "-c", `${fifo.untilEnd}; exit 3`]);
  const { page } = await openPage(browser);
  await page.goto(`${server.url}/jobs/${job.id}`);
  await fifo.write("first\n");
  await page.getByText("first").waitFor(PATIENCE);
  const log = page.getByRole("log");
  expect(await log.getAttribute("aria-live")).toBe("off");
  expect(
    await log.evaluate((one) =>
      one.closest("[aria-live=polite], [aria-live=assertive], output, [role=alert]"),
    ),
  ).toBe(null);
  expect(
    await log
      .locator("output, [aria-live=polite], [aria-live=assertive], [role=alert], [role=status]")
      .count(),
  ).toBe(0);
  await page.evaluate(() => {
    const spoken: [number, string][] = [];
    Object.assign(globalThis, { spoken });
    const region = document.querySelector(".log > output.unseen");
    if (!region) throw new Error("nothing speaks of the log");
    new MutationObserver(() => spoken.push([performance.now(), region.textContent ?? ""])).observe(region, {
      childList: true,
      characterData: true,
      subtree: true,
    });
  });
  const spoken = (): Promise<[number, string][]> =>
    page.evaluate(() => (globalThis as unknown as { spoken: [number, string][] }).spoken);
  for (let round = 0; (await spoken()).length < 2 && round < 300; round += 1) {
    await fifo.write(`line ${round}\n`);
    await page.waitForTimeout(100);
  }
  const said = await spoken();
  expect(said.length).toBeGreaterThanOrEqual(2);
  for (const [, words] of said) expect(words).toMatch(/^\d+ new lines?$/);
  const [first, second] = said;
  expect((second?.[0] ?? 0) - (first?.[0] ?? 0)).toBeGreaterThan(4_000);

  expect(await page.getByRole("alert").count()).toBe(0);
  await fifo.end();
  await page.getByRole("alert").filter({ hasText: "exit code 3" }).waitFor(PATIENCE);
  expect(await violations(page)).toEqual([]);
  await page.context().close();
}, 120_000);

/** What moves by itself now, or would at a touch. */
const moving = (page: Page): Promise<string[]> =>
  page.evaluate(() => {
    const found = document.getAnimations().map((one) => (one as CSSAnimation).animationName ?? "transition");
    for (const one of document.querySelectorAll("*")) {
      const { scrollBehavior, transitionDuration, transitionProperty } = getComputedStyle(one);
      if (scrollBehavior === "smooth") found.push(`smooth: ${one.className}`);
      if (
        transitionProperty !== "none" &&
        transitionDuration.split(", ").some((length) => Number.parseFloat(length) > 0)
      )
        found.push(`transition: ${one.className}`);
    }
    return found;
  });

describe("movement", () => {
  it("there is none for who does not want it, on any page", async () => {
    const { job, fifo } = await jobWithDiff("in rest");
    const still = await openPage(browser, { reducedMotion: "reduce" });
    for (const path of ["/", `/jobs/${job.id}`, `/jobs/${job.id}#diff`, "/pipelines", "/runs", "/system"]) {
      await still.page.goto(server.url + path);
      await still.page.getByRole("heading", { level: 1 }).waitFor(PATIENCE);
      expect(await moving(still.page)).toEqual([]);
    }
    await still.page.goto(`${server.url}/jobs/${job.id}`);
    await still.page.getByText("needle", { exact: true }).waitFor(PATIENCE);
    await still.page.getByRole("log").focus();
    await still.page.keyboard.press("g");
    await still.page.locator('.log [data-offset="0"]').waitFor(PATIENCE);
    expect(await moving(still.page)).toEqual([]);

    const lively = await openPage(browser, { reducedMotion: "no-preference" });
    await lively.page.goto(`${server.url}/jobs/${job.id}`);
    await lively.page.getByText("needle", { exact: true }).waitFor(PATIENCE);
    await expect.poll(() => moving(lively.page), PATIENCE).not.toEqual([]);
    await fifo.end();
    await job.finished();
    await still.page.context().close();
    await lively.page.context().close();
  }, 120_000);
});

describe("under axe", () => {
  it.each(["light", "dark"] as const)(
    "what tells of trouble, %s",
    async (colorScheme) => {
      const { page } = await openPage(browser, { colorScheme });
      await page.goto(`${server.url}/jobs/none-such`);
      await page.getByRole("heading", { level: 1 }).waitFor(PATIENCE);
      expect(await violations(page)).toEqual([]);
      const job = await server.shell(`failed ${colorScheme}`, "echo 'error: no'; exit 1");
      await job.finished();
      await page.goto(`${server.url}/jobs/${job.id}`);
      await page.getByRole("alert").waitFor(PATIENCE);
      expect(await violations(page)).toEqual([]);
      const others: Page[] = [];
      for (const path of ["/", "/runs", "/system"]) {
        const other = await page.context().newPage();
        await other.goto(server.url + path);
        await other.getByText("Live", { exact: true }).waitFor(PATIENCE);
        others.push(other);
      }
      await server.end("SIGKILL");
      for (const other of others) {
        await other.getByText("Connection lost, reconnecting").first().waitFor(PATIENCE);
        expect(await violations(other)).toEqual([]);
      }
      await server.launch();
      await page.context().close();
    },
    240_000,
  );
});
