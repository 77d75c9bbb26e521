/** The system page against a real server: what it holds and who reads, live; for admins; and what else there is to say. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { launchChromium, openPage } from "./chromium";
import { Server } from "./fantail";

const run = promisify(execFile);
const PROGRAM = process.env.FANTAIL_PROGRAM ?? new URL("../../.venv/bin/fantail", import.meta.url).pathname;

const SECRET = "a secret that is long enough for HS256, by far";

const PATIENCE = { timeout: 45_000 };

let browser: Browser;

beforeAll(async () => {
  browser = await launchChromium();
});

afterAll(async () => {
  await browser?.close();
});

const tile = (page: Page, term: string) =>
  page.locator(".tile").filter({ has: page.getByText(term, { exact: true }) });

describe("the system page", () => {
  let server: Server;

  beforeAll(async () => {
    server = await Server.start();
  });

  afterAll(async () => {
    await server?.close();
  });

  it("shows what the server holds and who reads, as it changes", async () => {
    const fifo = await server.fifo("watched");
    const job = await server.shell("watched", fifo.untilEnd);
    const { page, faults } = await openPage(browser);
    await page.goto(`${server.url}/system`);
    await page.getByText("Live", { exact: true }).waitFor(PATIENCE);
    expect(await page.title()).toBe("System · Fantail");
    await tile(page, "Readers").locator(".value", { hasText: /^0$/ }).waitFor(PATIENCE);
    const viewer = await page.context().newPage();
    await viewer.goto(`${server.url}/jobs/${job.id}`);
    await viewer.getByText("Live", { exact: true }).waitFor(PATIENCE);
    await tile(page, "Readers")
      .locator(".value", { hasText: /^[1-9]/ })
      .waitFor(PATIENCE);
    await page.getByRole("row", { name: new RegExp(job.id) }).waitFor(PATIENCE);
    await fifo.end();
    await page
      .getByRole("row", { name: new RegExp(job.id) })
      .filter({ hasText: "success" })
      .waitFor(PATIENCE);
    await page.getByRole("link", { name: job.id }).click();
    await page.getByRole("heading", { name: "watched" }).waitFor();
    expect(faults).toEqual([]);
    await page.context().close();
  });

  it("says that the server is away, keeps what it said, and goes on when it is back", async () => {
    const { page } = await openPage(browser);
    await page.goto(`${server.url}/system`);
    await page.getByText("Live", { exact: true }).waitFor(PATIENCE);
    await server.end("SIGKILL");
    await page.getByText("The server does not answer").waitFor(PATIENCE);
    await tile(page, "Memory").locator(".value", { hasText: "MiB" }).waitFor();
    await server.launch();
    await page.getByRole("button", { name: "Try now" }).click();
    await page.getByText("Live", { exact: true }).waitFor(PATIENCE);
    await page.context().close();
  });
});

describe("where people sign in", () => {
  let server: Server;

  beforeAll(async () => {
    server = await Server.start({ FANTAIL_AUTH: "jwt", FANTAIL_JWT_SECRET: SECRET });
  });

  afterAll(async () => {
    await server?.close();
  });

  async function visit(...flags: readonly string[]): Promise<Page> {
    const env = { ...process.env, FANTAIL_JWT_SECRET: SECRET };
    const { stdout } = await run(PROGRAM, ["token", "--user", "ada", ...flags], { env });
    const { page } = await openPage(browser);
    await page.context().addCookies([{ name: "fantail_token", value: stdout.trim(), url: server.url }]);
    await page.goto(`${server.url}/system`);
    return page;
  }

  it("others than admins are told so, and have no link to it elsewhere", async () => {
    const page = await visit();
    await page.getByRole("alert").filter({ hasText: "For admins only" }).waitFor(PATIENCE);
    await page.goto(server.url);
    await page.getByText("No jobs yet").waitFor(PATIENCE);
    expect(await page.getByRole("link", { name: "System" }).count()).toBe(0);
    expect(await page.getByText("ada").count()).toBe(1);
    await page.context().close();
  });

  it("an admin sees it", async () => {
    const page = await visit("--admin");
    await tile(page, "Memory").locator(".value", { hasText: "MiB" }).waitFor(PATIENCE);
    expect(await page.getByRole("link", { name: "System" }).getAttribute("aria-current")).toBe("page");
    await page.context().close();
  });
});
