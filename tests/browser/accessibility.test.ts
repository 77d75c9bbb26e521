/**
 * What holds for those who see, hear or point otherwise: keys alone lead everywhere, what matters is spoken and what
 * flows by is not, nothing moves for who does not want it to, and axe finds nothing in the states that tell of trouble.
 * (Each page in light and dark, wide and narrow, is under axe where the page is tested.)
 */
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { violations } from "./support/axe";
import { dashboard, visit } from "./support/dashboard";
import type { Fifo, Job } from "./support/fantail";
import { Worktree } from "./support/worktree";

const { server, open } = dashboard();

/** More than there are stops on the way to anything on a page. */
const TABS_MAX = 60;

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

/** A job with a diff and a thousand lines, one of which holds "needle"; it lasts as long as its pipe. */
async function jobWithDiff(name: string): Promise<{ readonly job: Job; readonly fifo: Fifo }> {
  const worktree = new Worktree(server, name);
  await worktree.write("notes.txt", "one\n");
  worktree.commit();
  await worktree.write("notes.txt", "one\ntwo\n");
  const fifo = await server.fifo(name.replaceAll(" ", "-"));
  const job = await server.run(
    name,
    ["bash", "-c", `seq 1 1000; echo needle; ${fifo.untilEnd}`],
    ["--diff", worktree.root],
  );
  return { job, fifo };
}

it("keys alone lead from the jobs to a job, through its log and its diff, and back", async () => {
  const { job, fifo } = await jobWithDiff("by keys");
  const page = await open("/");
  await page.getByRole("link", { name: "by keys" }).waitFor();

  await press(page, "Tab", /^a: by keys$/);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "by keys" }).waitFor();
  await page.getByText("needle", { exact: true }).waitFor();

  await page.keyboard.press("/");
  await expect.poll(() => focused(page)).toMatch(/search/i);
  await page.keyboard.type("needle");
  await page.locator(".search-status", { hasText: "1 of 1" }).waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");

  // From the end of the page to its head, whatever is in between.
  await press(page, "Shift+Tab", /^tab: Log/);
  await page.keyboard.press("ArrowRight");
  expect(await focused(page)).toMatch(/^tab: Diff/);
  await page.getByRole("region", { name: "notes.txt" }).waitFor();
  await press(page, "Tab", /notes\.txt/);

  await press(page, "Shift+Tab", /^a: Jobs$/);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Jobs" }).waitFor();
  await page.getByRole("link", { name: "by keys" }).waitFor();
  await fifo.end();
  await job.finished();
});

it("lines are not spoken; how many came is, at most every five seconds; a failure is at once", async () => {
  const fifo = await server.fifo("spoken");
  const job = await server.run("spoken", ["bash", "-c", `${fifo.untilEnd}; exit 3`]);
  const page = await open(`/jobs/${job.id}`);
  await fifo.write("first\n");
  await page.getByText("first").waitFor();
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
  await page.getByRole("alert").filter({ hasText: "exit code 3" }).waitFor();
  expect(await violations(page)).toEqual([]);
});

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
    const still = await open("/", { reducedMotion: "reduce" });
    for (const path of ["/", `/jobs/${job.id}`, `/jobs/${job.id}#diff`, "/pipelines", "/runs", "/system"]) {
      await still.goto(path);
      await still.getByRole("heading", { level: 1 }).waitFor();
      expect(await moving(still)).toEqual([]);
    }
    await visit(still, `/jobs/${job.id}`);
    await still.getByText("needle", { exact: true }).waitFor();
    await still.getByRole("log").focus();
    await still.keyboard.press("g");
    await still.locator('.log [data-offset="0"]').waitFor();
    expect(await moving(still)).toEqual([]);

    const lively = await open(`/jobs/${job.id}`, { reducedMotion: "no-preference" });
    await lively.getByText("needle", { exact: true }).waitFor();
    await expect.poll(() => moving(lively)).not.toEqual([]);
    await fifo.end();
    await job.finished();
  });
});

describe("under axe", () => {
  it.each(["light", "dark"] as const)("what tells of trouble, %s", async (colorScheme) => {
    const page = await open("/jobs/none-such", { colorScheme });
    await page.getByRole("heading", { level: 1 }).waitFor();
    expect(await violations(page)).toEqual([]);
    const job = await server.shell(`failed ${colorScheme}`, "echo 'error: no'; exit 1");
    await job.finished();
    await visit(page, `/jobs/${job.id}`);
    await page.getByRole("alert").waitFor();
    expect(await violations(page)).toEqual([]);
    const others: Page[] = [];
    for (const path of ["/", "/runs", "/system"]) {
      const other = await page.context().newPage();
      await other.goto(path);
      await other.getByText("Live", { exact: true }).waitFor();
      others.push(other);
    }
    await server.end("SIGKILL");
    for (const other of others) {
      await other.getByText("Connection lost, reconnecting").first().waitFor();
      expect(await violations(other)).toEqual([]);
    }
    await server.launch();
  });
});
