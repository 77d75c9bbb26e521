/** The jobs page in a real browser: empty at first, live from then on, by keyboard alone; and pages under axe. */
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { violations } from "./support/axe";
import { dashboard, withoutStreams } from "./support/dashboard";

const { server, open } = dashboard();

const focused = (page: Page): Promise<string | null | undefined> =>
  page.evaluate(() => document.activeElement?.textContent);

const row = (page: Page, name: string) => page.getByRole("row", { name: new RegExp(name) });

describe("the jobs page", () => {
  it("tells how to start a first job, shows it as it runs and ends, and leads to it", async () => {
    const page = await open("/");
    await page.getByText("fantail run -- make").waitFor();
    await page.getByText("Live", { exact: true }).waitFor();

    const fifo = await server.fifo("first");
    const job = await server.shell("my first job", fifo.untilEnd);
    await row(page, "my first job").filter({ hasText: "running" }).waitFor();
    expect(await page.title()).toBe("(1) Jobs · Fantail");
    await fifo.end();
    await row(page, "my first job").filter({ hasText: "success" }).waitFor();

    await page.getByRole("link", { name: "my first job" }).click();
    await page.waitForURL(`**/jobs/${job.id}`);
    await page.getByRole("heading", { name: "my first job" }).waitFor();
    await page.goBack();
    await row(page, "my first job").waitFor();
  });

  it("shows the rows that it brought before any stream", async () => {
    const page = await open("/", { prepare: withoutStreams });
    await row(page, "my first job").waitFor();
  });

  it("keeps its rows while the server is away, and is live again by itself", async () => {
    const page = await open("/");
    await page.getByText("Live", { exact: true }).waitFor();
    await server.end("SIGKILL");
    await page.getByText("Connection lost, reconnecting").waitFor();
    await row(page, "my first job").waitFor();
    await server.launch();
    await page.getByText("Live", { exact: true }).waitFor();
    const job = await server.shell("after the restart", "true");
    await job.finished();
    await row(page, "after the restart").filter({ hasText: "success" }).waitFor();
    await row(page, "my first job").waitFor();
  });
});

describe("a filter", () => {
  it("stays in the address and over a reload, and takes live changes in and out", async () => {
    const page = await open("/");
    const fifo = await server.fifo("filtered");
    await server.shell("goes out", fifo.untilEnd);
    await page.getByRole("button", { name: /^running/ }).click();
    await page.getByRole("searchbox").fill("GOES");
    await page.waitForURL("**/?status=running&q=GOES");
    await row(page, "goes out").waitFor();
    await expect.poll(() => row(page, "my first job").count()).toBe(0);
    await page.reload();
    await row(page, "goes out").waitFor();
    expect(await page.getByRole("searchbox").inputValue()).toBe("GOES");
    await fifo.end();
    await page.getByText("No job matches").waitFor();
    await page.getByRole("button", { name: "Show all jobs" }).click();
    await row(page, "goes out").filter({ hasText: "success" }).waitFor();
  });
});

describe("the keyboard alone", () => {
  it("leads to a job and back to where one was", async () => {
    const job = await server.shell("by keyboard", "echo one");
    await job.finished();
    const page = await open("/");
    await row(page, "by keyboard").waitFor();
    await page.keyboard.press("Tab");
    await expect.poll(() => focused(page)).toBe("Skip to content");
    await page.keyboard.press("/");
    await page.keyboard.type("by key");
    await expect.poll(() => page.getByRole("row").count()).toBe(2);
    await page.keyboard.press("ArrowDown");
    await expect.poll(() => focused(page)).toBe("by keyboard");
    await page.waitForURL("**/?q=by%20key");
    await page.keyboard.press("Enter");
    await page.waitForURL(`**/jobs/${job.id}`);
    await page.getByRole("heading", { name: "by keyboard" }).waitFor();
    await expect.poll(() => focused(page)).toBe("by keyboard");
    expect(await page.evaluate(() => document.activeElement?.tagName)).toBe("H1");
    expect(
      await page.getByRole("link", { name: "Jobs", exact: true }).first().getAttribute("aria-current"),
    ).toBe("true");
    // The way up is right before the title, and leads to the list as it was left.
    await page.keyboard.press("Shift+Tab");
    await expect.poll(() => focused(page)).toBe("Jobs");
    await page.keyboard.press("Enter");
    await page.waitForURL("**/?q=by%20key");
    await expect.poll(() => focused(page)).toBe("Jobs");
    await row(page, "by keyboard").waitFor();
    expect(await page.title()).toBe("Jobs · Fantail");
  });
});

describe.each(["light", "dark"] as const)("accessibility, %s", (colorScheme) => {
  it.each([1280, 390])("no violation on any page at %d pixels", async (width) => {
    const colours = `for c in 0 1 2 3 4 5 6 7; do printf "\\033[3\${c}mnormal \\033[9\${c}mbright \\033[4\${c}mground\\033[0m \\033[2mdim\\033[0m\\n"; done
      for c in $(seq 16 5 255); do printf "\\033[38;5;\${c}mpalette $c\\033[0m \\033[48;5;\${c}mground\\033[0m\\n"; done
      printf '\\033[38;2;250;250;90mtrue\\033[0m\\n'; echo 'an error' >&2; exit 1`;
    const job = await server.shell(`axe ${colorScheme} ${width}`, colours);
    await job.finished();
    const page = await open("/", { colorScheme, viewport: { width, height: 1500 } });
    for (const path of ["/", "/?q=nothing+like+it", `/jobs/${job.id}`, "/system", "/jobs/no-such-job"]) {
      await page.goto(path);
      await page
        .getByText(/^(?:Live|Complete|There is no such job)$/)
        .first()
        .waitFor();
      expect(await violations(page), path).toEqual([]);
    }
  });
});
