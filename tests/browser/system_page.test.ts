/** The system page against a real server: what it holds and who reads, live; for admins; and what else there is to say. */
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { dashboard, visit } from "./support/dashboard";
import { fantail } from "./support/fantail";

const SECRET = "a secret that is long enough for HS256, by far";

const tile = (page: Page, term: string) =>
  page.locator(".tile").filter({ has: page.getByText(term, { exact: true }) });

describe("the system page", () => {
  const { server, open } = dashboard();

  it("shows what the server holds and who reads, as it changes", async () => {
    const fifo = await server.fifo("watched");
    const job = await server.shell("watched", fifo.untilEnd);
    const page = await open("/system");
    await page.getByText("Live", { exact: true }).waitFor();
    expect(await page.title()).toBe("System · Fantail");
    await tile(page, "Readers").locator(".value", { hasText: /^0$/ }).waitFor();
    const viewer = await page.context().newPage();
    await visit(viewer, `/jobs/${job.id}`);
    await viewer.getByText("Live", { exact: true }).waitFor();
    await tile(page, "Readers")
      .locator(".value", { hasText: /^[1-9]/ })
      .waitFor();
    await page.getByRole("row", { name: new RegExp(job.id) }).waitFor();
    await fifo.end();
    await page
      .getByRole("row", { name: new RegExp(job.id) })
      .filter({ hasText: "success" })
      .waitFor();
    await page.getByRole("link", { name: job.id }).click();
    await page.getByRole("heading", { name: "watched" }).waitFor();
  });

  it("says that the server is away, keeps what it said, and goes on when it is back", async () => {
    const page = await open("/system");
    await page.getByText("Live", { exact: true }).waitFor();
    await server.end("SIGKILL");
    await page.getByText("The server does not answer").waitFor();
    await tile(page, "Memory").locator(".value", { hasText: "MiB" }).waitFor();
    await server.launch();
    await page.getByRole("button", { name: "Try now" }).click();
    await page.getByText("Live", { exact: true }).waitFor();
  });
});

describe("where people sign in", () => {
  const { server, open } = dashboard(() => ({ FANTAIL_AUTH: "jwt", FANTAIL_JWT_SECRET: SECRET }));

  async function visit(...flags: readonly string[]): Promise<Page> {
    const token = await fantail(["token", "--user", "ada", ...flags], { FANTAIL_JWT_SECRET: SECRET });
    const cookie = { name: "fantail_token", value: token.trim(), url: server.url };
    return open("/system", { prepare: (page) => page.context().addCookies([cookie]) });
  }

  it("others than admins are told so, and have no link to it elsewhere", async () => {
    const page = await visit();
    await page.getByRole("alert").filter({ hasText: "For admins only" }).waitFor();
    await page.goto("/");
    await page.getByText("No jobs yet").waitFor();
    expect(await page.getByRole("link", { name: "System" }).count()).toBe(0);
    expect(await page.getByText("ada").count()).toBe(1);
  });

  it("an admin sees it", async () => {
    const page = await visit("--admin");
    await tile(page, "Memory").locator(".value", { hasText: "MiB" }).waitFor();
    expect(await page.getByRole("link", { name: "System" }).getAttribute("aria-current")).toBe("page");
  });
});
