/** The page of runs in a real browser: real workers' messages, a server that goes and comes back. */
import axe from "axe-core";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { launchChromium, openPage } from "./chromium";
import { Server } from "./fantail";

const run = promisify(execFile);
const PROGRAM = process.env.FANTAIL_PROGRAM ?? new URL("../../.venv/bin/fantail", import.meta.url).pathname;

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

/** What a worker says of a run. */
async function publish(runId: string, status: string): Promise<void> {
  await run(PROGRAM, ["publish", "--data-dir", server.dataDir, "run", runId, status]);
}

async function visit(listed: readonly string[]): Promise<Page> {
  const { page } = await openPage(browser);
  await page.route("**/api/jobs/status/running", (route) =>
    route.fulfill({
      json: { runningJobs: listed.map((runId) => ({ runId, jobId: `job of ${runId}`, name: runId })) },
    }),
  );
  await page.goto(`${server.url}/runs`);
  return page;
}

describe("the runs page", () => {
  it("says so where nothing runs", async () => {
    const page = await visit([]);
    await page.getByText("Nothing is running").waitFor();
    await page.context().close();
  });

  it("follows a run to its end, which it tells once", async () => {
    const page = await visit(["nightly"]);
    await page.getByRole("row", { name: /nightly/ }).waitFor();
    await publish("nightly", "running");
    await publish("nightly", "passed");
    await page.getByText("Ended since this page was opened").waitFor();
    await page.getByText("nightly: succeeded").waitFor();
    expect(await page.getByRole("row", { name: /nightly/ }).count()).toBe(1);
    await page.context().close();
  });

  it("shows no failure while the server is away, and the end that came when it is back", async () => {
    const page = await visit(["weekly"]);
    await publish("weekly", "running");
    const row = page.getByRole("row", { name: /weekly/ });
    await row.filter({ hasText: "running" }).waitFor();
    await server.end("SIGKILL");
    await row.filter({ hasText: /Connection lost|cannot be reached/ }).waitFor();
    await row.filter({ hasText: "running" }).waitFor();
    await server.launch();
    await publish("weekly", "failed");
    await row.filter({ hasText: "failed" }).waitFor({ timeout: 40_000 });
    await page.context().close();
  });
});

describe("the end of a run", () => {
  it("is shown and told once, of a job of the server's own too", async () => {
    const { page } = await openPage(browser);
    const fifo = await server.fifo("build");
    const job = await server.shell("Build", fifo.untilEnd);
    await page.goto(`${server.url}/runs`);
    await page.getByRole("row", { name: /Build/ }).filter({ hasText: "running" }).waitFor();
    await fifo.end();
    await job.finished();
    await page.getByRole("row", { name: /Build/ }).filter({ hasText: "passed" }).waitFor({ timeout: 60_000 });
    expect(await page.getByRole("row", { name: /Build/ }).count()).toBe(1);
    await page.context().close();
  });

  it("is told on another page", async () => {
    const page = await visit(["evening"]);
    await page.getByRole("row", { name: /evening/ }).waitFor();
    await publish("evening", "running");
    await page.getByRole("link", { name: "Pipelines" }).click();
    await page.getByText("No pipelines yet").waitFor();
    await publish("evening", "failed");
    await page.getByRole("complementary", { name: "Notices" }).getByText("evening: failed").waitFor();
    await page.context().close();
  });
});

describe.each(["light", "dark"] as const)("accessibility, %s", (colorScheme) => {
  it("no violation", async () => {
    const page = await visit(["one", "two"]);
    await page.emulateMedia({ colorScheme });
    await publish("one", "running");
    await publish("two", "failed");
    await page.getByText("two: failed").waitFor();
    await page.evaluate(axe.source);
    const { violations } = await page.evaluate(() =>
      (globalThis as unknown as { axe: typeof axe }).axe.run(),
    );
    expect(violations.flatMap((one) => one.nodes.map((node) => `${one.id}: ${node.html}`))).toEqual([]);
    const shots = process.env.FANTAIL_SCREENSHOTS;
    if (shots) await page.screenshot({ path: `${shots}/runs-${colorScheme}.png` });
    await page.context().close();
  });
});
