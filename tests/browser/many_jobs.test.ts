/** Five thousand jobs on one page: few rows in the document, any place at once, the place kept over a look at a job. */
import type { Page } from "playwright-core";
import { beforeAll, describe, expect, it } from "vitest";
import { dashboard } from "./support/dashboard";

const JOBS = 5_000;

/** Questions at a time, while the jobs are made. */
const MAKERS = 8;

const { server, open } = dashboard();

beforeAll(async () => {
  let made = 0;
  const make = async (): Promise<void> => {
    while (made < JOBS) {
      const number = made;
      made += 1;
      await server.send("POST", "/api/jobs", {
        id: `job-${number}`,
        name: `job number ${number}`,
        status: number % 5 === 0 ? "failed" : "success",
        createdAt: 1_700_000_000_000 + number * 1000,
      });
    }
  };
  await Promise.all(Array.from({ length: MAKERS }, make));
}, 300_000);

const rows = (page: Page): Promise<number> => page.locator(".t-row").count();
const row = (page: Page, name: string) =>
  page.locator(".t-row").filter({ has: page.getByText(name, { exact: true }) });
const scrollTo = (page: Page, share: number): Promise<void> =>
  page.evaluate((share) => {
    const root = document.documentElement;
    globalThis.scrollTo(0, (root.scrollHeight - root.clientHeight) * share);
  }, share);

describe("five thousand jobs", () => {
  it("are few rows in the document, wherever one scrolls to", async () => {
    const page = await open("/");
    await page.getByText("5,000 jobs").waitFor();
    await row(page, "job number 4999").waitFor();
    expect(await rows(page)).toBeLessThan(80);
    await scrollTo(page, 1);
    await row(page, "job number 0").waitFor();
    expect(await rows(page)).toBeLessThan(80);
    await scrollTo(page, 0.5);
    await row(page, "job number 2500").waitFor();
    expect(await rows(page)).toBeLessThan(80);
    expect(await page.getByRole("table").getAttribute("aria-rowcount")).toBe("5001");
    const first = page.locator(".t-row").first();
    const number = Number((await first.locator("a").textContent())?.replace("job number ", ""));
    expect(number + Number(await first.getAttribute("aria-rowindex"))).toBe(JOBS + 1);
  });

  it("stay where they are while a row far away changes, and only what changed is drawn again", async () => {
    const page = await open("/");
    await page.getByText("5,000 jobs").waitFor();
    await page.getByText("Live", { exact: true }).waitFor();
    await row(page, "job number 4999").waitFor();
    await page.evaluate(() => {
      const touched = new Set<string>();
      Object.assign(globalThis, { touched });
      new MutationObserver((records) => {
        for (const { target } of records) {
          const element = target instanceof Element ? target : target.parentElement;
          const name = element?.closest(".t-row")?.querySelector("a")?.textContent;
          // Times tick, whatever changes.
          if (name && !element?.closest("time")) touched.add(name);
        }
      }).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
    });
    await server.send("PATCH", "/api/jobs/job-4998", { status: "cancelled" });
    await server.send("PATCH", "/api/jobs/job-17", { status: "cancelled" });
    await row(page, "job number 4998").filter({ hasText: "cancelled" }).waitFor();
    await page.getByRole("button", { name: "cancelled 2" }).waitFor();
    const touched = await page.evaluate(() => [
      ...(globalThis as unknown as { touched: Set<string> }).touched,
    ]);
    expect(touched).toEqual(["job number 4998"]);
  });

  it("are filtered and sorted at once, and kept in place over a look at a job", async () => {
    const page = await open("/?status=failed&sort=job");
    await page.getByRole("button", { name: "failed 1,000" }).waitFor();
    await page.locator(".t-row").first().filter({ hasText: "job number 0" }).waitFor();
    await scrollTo(page, 0.5);
    // The rows of the place that was left may still be there for a frame.
    await page.evaluate(
      () => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))),
    );
    const middle = page.locator(".t-row", { hasText: /job number \d+/ }).nth(20);
    const name = (await middle.locator("a").textContent()) ?? "";
    await row(page, name).locator("a").scrollIntoViewIfNeeded();
    const top = await page.evaluate(() => globalThis.scrollY);
    await row(page, name).locator("a").click();
    await page.getByRole("heading", { name }).waitFor();
    expect(await page.evaluate(() => globalThis.scrollY)).toBe(0);
    await page.goBack();
    await row(page, name).waitFor();
    await expect.poll(() => page.evaluate(() => globalThis.scrollY)).toBe(top);
    await expect.poll(() => page.evaluate(() => document.activeElement?.textContent)).toBe(name);
  });

  it("are there wherever one jumps to, two frames later", async () => {
    const page = await open("/");
    await page.getByText("5,000 jobs").waitFor();
    await row(page, "job number 4999").waitFor();
    const empty = await page.evaluate(async () => {
      const root = document.documentElement;
      let empty = 0;
      for (let step = 0; step < 60; step += 1) {
        globalThis.scrollTo(0, step * 4000);
        await new Promise((settle) => requestAnimationFrame(() => requestAnimationFrame(settle)));
        const middle = document.elementFromPoint(root.clientWidth / 2, root.clientHeight / 2);
        if (!middle?.closest(".t-row")) empty += 1;
      }
      return empty;
    });
    // Two frames after each jump there is a row in the middle of the window.
    expect(empty).toBe(0);
  });
});
