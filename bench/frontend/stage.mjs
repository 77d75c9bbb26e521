/**
 * What a measurement stands on: the installed program with its own Valkey, a producer, and Chromium as Debian packs it.
 *
 * The browser is the real one, headless and without a GPU: frames are rastered by the processor, on the cores that the
 * server and the producer use as well.
 */
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Producer } from "./redis.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** Packages of the dashboard, of which this uses playwright-core and vite. */
export const packages = createRequire(here("../../frontend/package.json"));
const { chromium } = packages("playwright-core");

const PYTHON = here("../../.venv/bin/python");

/** A part of the browser tests: it is TypeScript, which Node 20 does not read by itself. */
export async function fromTests(name) {
  const vite = await import(pathToFileURL(packages.resolve("vite")).href);
  return (await vite.runnerImport(here(`../../tests/browser/support/${name}`), { logLevel: "error" })).module;
}

export const launchChromium = () =>
  chromium.launch({
    executablePath: process.env.FANTAIL_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
  });

export class Stage {
  static async set() {
    const stage = new Stage();
    const { Server } = await fromTests("fantail.ts");
    stage.server = await Server.start({ FANTAIL_LOG_LEVEL: "error" });
    await stage.openProducer();
    stage.browser = await launchChromium();
    return stage;
  }

  get url() {
    return this.server.url;
  }

  /** A producer at the server's Valkey, anew after the server was stopped. */
  async openProducer() {
    this.producer?.close();
    const find = "import sys, pathlib, fantail.broker.embedded.valkey as e; print(e.find_url(pathlib.Path(sys.argv[1])))";
    const url = execFileSync(PYTHON, ["-c", find, this.server.dataDir], { encoding: "utf8" }).trim();
    this.producer = await Producer.at(url.replace(/^unix:\/\//, "").replace(/\?.*$/, ""));
  }

  /** A new profile: nothing cached, a shared worker of its own. */
  async context() {
    const context = await this.browser.newContext({ viewport: { width: 1280, height: 800 } });
    await context.addInitScript(watchPage);
    return context;
  }

  /** A live page of a new profile; close its context when done. */
  async page(path) {
    const page = await (await this.context()).newPage();
    await page.goto(this.url + path);
    // A first screen can be seen, and not used.
    await page.locator("#root:not([inert]) > *").first().waitFor({ state: "attached" });
    return page;
  }

  async close() {
    this.producer?.close();
    await this.browser?.close();
    await this.server?.close();
  }
}

/**
 * Runs in each page before its scripts. `bench.painted` tells when texts were on the screen: the time of presentation as
 * Chromium's Element Timing says it (coarsened to 4 ms by the browser), for the first row and, where `bench.marking`
 * is set, for every one.
 */
function watchPage() {
  const bench = { painted: {}, long: [], frames: [], marking: false };
  globalThis.bench = bench;
  new PerformanceObserver((list) => {
    for (const { identifier, renderTime } of list.getEntries()) bench.painted[identifier] ??= renderTime;
  }).observe({ type: "element", buffered: true });
  new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) bench.long.push([startTime, duration]);
  }).observe({ type: "longtask", buffered: true });
  const mark = (text) => {
    if (bench.painted.first === undefined) text.setAttribute("elementtiming", "first");
    else if (bench.marking) text.setAttribute("elementtiming", text.textContent.slice(0, 40));
  };
  // What is taken out of the page before it was presented is not told of: rows are marked until one was.
  new MutationObserver((changes) => {
    if (bench.painted.first !== undefined && !bench.marking) return;
    for (const { addedNodes } of changes)
      for (const node of addedNodes)
        if (node instanceof Element)
          for (const text of node.querySelectorAll(".slot > .row:not(.unloaded) > .text")) mark(text);
  }).observe(document, { childList: true, subtree: true });
  bench.watchFrames = () => {
    const tick = (time) => {
      bench.frames.push(time);
      bench.next = requestAnimationFrame(tick);
    };
    bench.frames.length = bench.long.length = 0;
    bench.next = requestAnimationFrame(tick);
  };
  bench.unwatchFrames = () => {
    cancelAnimationFrame(bench.next);
    return { frames: bench.frames.map((time, at) => time - bench.frames[at - 1]).slice(1), long: bench.long };
  };
}

/** How many lines the log has drawn the last of: what it says of its length may be ahead of what has come. */
export const linesShown = (page) =>
  page.evaluate(() => {
    const said = Number(document.querySelector(".log-bar .figures")?.textContent.replace(/\D/g, "") ?? 0);
    const offsets = [...document.querySelectorAll(".slot")].map((slot) => Number(slot.dataset.offset));
    return Math.min(said, Math.max(-1, ...offsets) + 1);
  });

/** This process's clock minus the page's, in milliseconds: the difference seen with the shortest way there and back. */
export async function clockDifference(page) {
  let best = { tripMs: Infinity, differenceMs: 0 };
  for (let round = 0; round < 30; round += 1) {
    const beganMs = performance.now();
    const pageMs = await page.evaluate(() => performance.now());
    const tripMs = performance.now() - beganMs;
    if (tripMs < best.tripMs) best = { tripMs, differenceMs: beganMs + tripMs / 2 - pageMs };
  }
  return best.differenceMs;
}
