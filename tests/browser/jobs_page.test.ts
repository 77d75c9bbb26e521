/** The jobs page in a real browser: empty at first, live from then on; and both pages under axe. */
import axe from "axe-core";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { launchChromium, openPage } from "./chromium";
import { Server } from "./fantail";

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

const row = (page: Page, name: string) => page.getByRole("row", { name: new RegExp(name) });

describe("the jobs page", () => {
  it("tells how to start a first job, shows it as it runs and ends, and leads to it", async () => {
    const { page, faults } = await openPage(browser);
    await page.goto(server.url);
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
    expect(faults).toEqual([]);
    await page.context().close();
  });

  it("shows the rows that it brought before any stream", async () => {
    const { page } = await openPage(browser);
    await page.route("**/api/**", (route) => route.abort());
    await page.goto(server.url);
    await row(page, "my first job").waitFor();
    await page.context().close();
  });

  it("keeps its rows while the server is away, and is live again by itself", async () => {
    const { page } = await openPage(browser);
    await page.goto(server.url);
    await page.getByText("Live", { exact: true }).waitFor();
    await server.end("SIGKILL");
    await page.getByText("Connection lost, reconnecting").waitFor();
    await row(page, "my first job").waitFor();
    await server.launch();
    await page.getByText("Live", { exact: true }).waitFor({ timeout: 45_000 });
    const job = await server.shell("after the restart", "true");
    await job.finished();
    await row(page, "after the restart").filter({ hasText: "success" }).waitFor();
    await row(page, "my first job").waitFor();
    await page.context().close();
  });
});

describe.each(["light", "dark"] as const)("accessibility, %s", (colorScheme) => {
  it.each([1280, 390])("no violation on either page at %d pixels", async (width) => {
    const colours = `for c in 0 1 2 3 4 5 6 7; do printf "\\033[3\${c}mnormal \\033[9\${c}mbright \\033[4\${c}mground\\033[0m \\033[2mdim\\033[0m\\n"; done
      for c in $(seq 16 5 255); do printf "\\033[38;5;\${c}mpalette $c\\033[0m \\033[48;5;\${c}mground\\033[0m\\n"; done
      printf '\\033[38;2;250;250;90mtrue\\033[0m\\n'; echo 'an error' >&2; exit 1`;
    const job = await server.shell(`axe ${colorScheme} ${width}`, colours);
    await job.finished();
    const { page } = await openPage(browser, { colorScheme, viewport: { width, height: 1500 } });
    for (const path of ["/", `/jobs/${job.id}`]) {
      await page.goto(server.url + path);
      await page.getByText(/^(?:Live|Complete)$/).waitFor();
      await page.evaluate(axe.source);
      const { violations } = await page.evaluate(() =>
        (globalThis as unknown as { axe: typeof axe }).axe.run(),
      );
      const found = violations.flatMap((one) =>
        one.nodes.map((node) => `${path} ${one.id}: ${node.html} ${node.failureSummary}`),
      );
      expect(found).toEqual([]);
    }
    await page.context().close();
  });
});
