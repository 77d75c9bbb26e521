/**
 * Browsers that lack a feature, or refuse it with an exception: blocked cookies, a strict policy, a private window, plain
 * HTTP. Each is taken away alone, and all together: the pages are drawn, lines are live, and choices can be made (trap 65).
 */
import type { Page } from "playwright-core";
import { beforeAll, describe, expect, it } from "vitest";
import { dashboard, visit } from "./support/dashboard";
import type { Fifo, Job } from "./support/fantail";
import { Worktree } from "./support/worktree";

/** What a page may find when it asks for a feature. */
type Way = "missing" | "throwing constructor" | "throwing getter";

/** What pages ask for. */
const ASKED_FOR: Readonly<Record<string, readonly Way[]>> = {
  SharedWorker: ["missing", "throwing constructor", "throwing getter"],
  Worker: ["missing", "throwing constructor", "throwing getter"],
  ResizeObserver: ["missing", "throwing constructor"],
  PerformanceObserver: ["missing", "throwing constructor"],
  MessageChannel: ["missing"],
  localStorage: ["missing", "throwing getter"],
  sessionStorage: ["throwing getter"],
  "navigator.clipboard": ["missing", "throwing getter"],
  "history.replaceState": ["throwing constructor"],
  "CSS.highlights": ["missing", "throwing getter"],
};

/** What nothing asks for today; what does so tomorrow has to do without too. */
const NOT_ASKED_FOR: Readonly<Record<string, readonly Way[]>> = {
  BroadcastChannel: ["throwing constructor"],
  IntersectionObserver: ["missing", "throwing constructor"],
  indexedDB: ["throwing getter"],
  caches: ["throwing getter"],
  Notification: ["missing", "throwing getter"],
  matchMedia: ["missing", "throwing constructor"],
  "navigator.locks": ["missing", "throwing getter"],
  "crypto.randomUUID": ["missing", "throwing constructor"],
};

const { server, newPage } = dashboard();

const takeAway = (page: Page, taken: readonly (readonly [string, Way])[]): Promise<unknown> =>
  page.addInitScript((taken) => {
    // oxlint-disable-next-line unicorn/consistent-function-scoping -- the page gets this function alone
    function refuse(): never {
      throw new DOMException("The operation is insecure.", "SecurityError");
    }
    for (const [name, way] of taken) {
      const path = name.split(".");
      const key = path.pop() ?? "";
      // oxlint-disable-next-line typescript/no-explicit-any -- whatever the browser has under that name
      const of = path.reduce<any>((value, part) => value[part], globalThis);
      if (way === "throwing getter") Object.defineProperty(of, key, { configurable: true, get: refuse });
      else {
        const value = way === "missing" ? undefined : refuse;
        Object.defineProperty(of, key, { configurable: true, writable: true, value });
        if (way === "missing" && path.length === 0) Reflect.deleteProperty(of, key);
      }
    }
  }, taken);

let fifo: Fifo;
let job: Job;
let lines = 0;

beforeAll(async () => {
  const worktree = new Worktree(server, "of use");
  await worktree.write("a.ts", "const before = 1;\n");
  worktree.commit();
  await worktree.write("a.ts", "const after = 2;\n");
  fifo = await server.fifo("of-use");
  job = await server.run("of use", ["bash", "-c", fifo.untilEnd], ["--diff", worktree.root]);
});

async function lineComes(page: Page): Promise<void> {
  lines += 1;
  await fifo.write(`live line ${lines}.\n`);
  await page.getByText(`live line ${lines}.`).waitFor();
}

/** A job's log and diff are drawn, lines come live, one is linked to, and a choice is made. */
async function isOfUse(page: Page): Promise<void> {
  await visit(page, `/jobs/${job.id}`);
  await lineComes(page);
  await expect.poll(() => page.locator(".connection output").textContent()).toBe("Live");
  const wrap = page.locator("#panel-log, .log").getByRole("button", { name: "Wrap" }).first();
  await wrap.click();
  await expect.poll(() => wrap.getAttribute("aria-pressed")).toBe("true");
  await lineComes(page);
  await page.getByRole("tab", { name: "Diff" }).click();
  await page.locator(".d-row.added").getByText("const after = 2;").waitFor();
  await page.getByRole("tab", { name: "Log" }).click();
  await lineComes(page);
  await visit(page, "/pipelines");
  await visit(page, "/");
  await page.getByText("of use").first().waitFor();
}

const casesOf = (features: Readonly<Record<string, readonly Way[]>>) =>
  Object.entries(features).flatMap(([name, ways]) => ways.map((way) => [name, way] as const));

const ALONE = casesOf(ASKED_FOR);
const CASES = [...ALONE, ...casesOf(NOT_ASKED_FOR)];

describe("a browser in which a feature is refused", () => {
  it.for(ALONE)("%s: %s", async (taken) => {
    const page = await newPage();
    await takeAway(page, [taken]);
    await isOfUse(page);
  });

  it("cookies are blocked in Firefox: no SharedWorker, and a BroadcastChannel that throws", async () => {
    const page = await newPage();
    await takeAway(page, [
      ["SharedWorker", "missing"],
      ["BroadcastChannel", "throwing constructor"],
    ]);
    await isOfUse(page);
  });

  it("all are missing", async () => {
    const page = await newPage();
    await takeAway(
      page,
      CASES.filter(([, way]) => way === "missing"),
    );
    await isOfUse(page);
  });

  it("all throw", async () => {
    const page = await newPage();
    await takeAway(
      page,
      CASES.filter(([, way]) => way !== "missing"),
    );
    await isOfUse(page);
  });
});

describe("where there is no SharedWorker", () => {
  it("each tab has a connection of its own", async () => {
    const pages = [await newPage(), await newPage()];
    for (const page of pages) {
      await takeAway(page, [["SharedWorker", "missing"]]);
      await visit(page, `/jobs/${job.id}`);
    }
    for (const page of pages) await lineComes(page);
    expect(await server.openStreams()).toEqual({ job: 2 });
  });
});
