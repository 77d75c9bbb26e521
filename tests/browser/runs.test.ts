/** The page of runs in a real browser: real workers' messages, a server that goes and comes back. */
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { violations } from "./support/axe";
import { dashboard, keepPicture } from "./support/dashboard";
import { fantail } from "./support/fantail";

const { server, open } = dashboard();

/** What a worker says of a run. */
async function publish(runId: string, status: string): Promise<void> {
  await fantail(["publish", "--data-dir", server.dataDir, "run", runId, status]);
}

/** The page of runs, to which the server lists some that nobody started. */
function visit(listed: readonly string[]): Promise<Page> {
  const runningJobs = listed.map((runId) => ({ runId, jobId: `job of ${runId}`, name: runId }));
  return open("/runs", {
    prepare: (page) =>
      page.route("**/api/jobs/status/running", (route) => route.fulfill({ json: { runningJobs } })),
  });
}

describe("the runs page", () => {
  it("says so where nothing runs", async () => {
    const page = await visit([]);
    await page.getByText("Nothing is running").waitFor();
  });

  it("follows a run to its end, which it tells once", async () => {
    const page = await visit(["nightly"]);
    await page.getByRole("row", { name: /nightly/ }).waitFor();
    await publish("nightly", "running");
    await publish("nightly", "passed");
    await page.getByText("Ended since this page was opened").waitFor();
    await page.getByText("nightly: succeeded").waitFor();
    expect(await page.getByRole("row", { name: /nightly/ }).count()).toBe(1);
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
    await row.filter({ hasText: "failed" }).waitFor();
  });
});

describe("the end of a run", () => {
  it("is shown and told once, of a job of the server's own too", async () => {
    const fifo = await server.fifo("build");
    const job = await server.shell("Build", fifo.untilEnd);
    const page = await open("/runs");
    await page.getByRole("row", { name: /Build/ }).filter({ hasText: "running" }).waitFor();
    await fifo.end();
    await job.finished();
    await page.getByRole("row", { name: /Build/ }).filter({ hasText: "passed" }).waitFor();
    expect(await page.getByRole("row", { name: /Build/ }).count()).toBe(1);
  });

  it("is told on another page", async () => {
    const page = await visit(["evening"]);
    await page.getByRole("row", { name: /evening/ }).waitFor();
    await publish("evening", "running");
    await page.getByRole("link", { name: "Pipelines" }).click();
    await page.getByText("No pipelines yet").waitFor();
    await publish("evening", "failed");
    await page.getByRole("complementary", { name: "Notices" }).getByText("evening: failed").waitFor();
  });
});

describe.each(["light", "dark"] as const)("accessibility, %s", (colorScheme) => {
  it("no violation", async () => {
    const page = await visit(["one", "two"]);
    await page.emulateMedia({ colorScheme });
    await publish("one", "running");
    await publish("two", "failed");
    await page.getByText("two: failed").waitFor();
    expect(await violations(page)).toEqual([]);
    await keepPicture(page, `runs-${colorScheme}`);
  });
});
