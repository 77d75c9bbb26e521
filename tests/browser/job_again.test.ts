/** A job that runs once more under its name while the page of its first run is open: the page is live again by itself. */
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { dashboard } from "./support/dashboard";
import { removeLines, writeJob } from "./support/stored-job";

const { server, open } = dashboard();

/** The page of a job that has ended, with all its lines. */
async function openEnded(id: string): Promise<Page> {
  writeJob(server, id, 3, "old %d");
  const page = await open(`/jobs/${id}`);
  await expect.poll(() => shown(page)).toEqual(["old 1", "old 2", "old 3"]);
  await stands(page, "Complete", "success");
  return page;
}

const shown = (page: Page): Promise<string[]> =>
  page.locator(".slot .row:not(.unloaded) .text").allInnerTexts();

async function stands(page: Page, connection: string, status: string): Promise<void> {
  const head = page.locator(".page-head");
  await expect.poll(() => head.locator(".connection output").textContent()).toBe(connection);
  await expect.poll(() => head.locator(".page-title").textContent()).toContain(status);
}

describe("a job that runs again", () => {
  it("goes on behind the lines that are there, to its next end", async () => {
    const page = await openEnded("more");
    writeJob(server, "more", 2, "new %d", "running");
    await stands(page, "Live", "running");
    await expect.poll(() => shown(page)).toEqual(["old 1", "old 2", "old 3", "new 1", "new 2"]);
    writeJob(server, "more", 1, "last %d", "failed");
    await stands(page, "Complete", "failed");
    await expect.poll(() => shown(page)).toEqual(["old 1", "old 2", "old 3", "new 1", "new 2", "last 1"]);
  });

  it("with another list shows that one, and no line of the old one beside it", async () => {
    const page = await openEnded("anew");
    removeLines(server, "anew");
    writeJob(server, "anew", 2, "new %d", "running");
    await stands(page, "Live", "running");
    const mark = "The output was written anew; what follows is the new one";
    await expect.poll(() => shown(page)).toEqual([mark, "new 1", "new 2"]);
  });

  it("takes nobody from its end to an error that it meets now", async () => {
    writeJob(server, "worse", 200, "old %d");
    const page = await open("/jobs/worse");
    await stands(page, "Complete", "success");
    await page.locator('.slot[data-offset="199"]').waitFor();
    writeJob(server, "worse", 1, "error: it broke at %d", "running");
    writeJob(server, "worse", 100, "new %d", "running");
    await page.getByRole("button", { name: "1 error" }).waitFor();
    await page.locator('.slot[data-offset="300"]').waitFor();
    const follows = page.getByRole("button", { name: "Follow" });
    expect(await follows.getAttribute("aria-pressed")).toBe("true");
  });
});
