/** Twenty tabs of one browser: the connections they take, and whether each gets its lines at once. */
import { atMost, pause, percentile, row, until } from "./figures.mjs";
import { linesShown } from "./stage.mjs";

const TABS = 20;
const JOBS = 4;
const LINES = 20;

/** Streams that browsers have open, as the server counts them. */
async function openStreams(url) {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const found = [...metrics.matchAll(/^fantail_streams\{face="[^"]+"\} ([\d.]+)$/gm)];
  return found.reduce((sum, [, count]) => sum + Number(count), 0);
}

export async function measureTabs(stage) {
  const { producer } = stage;
  const ids = Array.from({ length: JOBS }, (_, number) => `tabs-${number}`);
  for (const id of ids) {
    await producer.job(id);
    await producer.push(id, ["first"]);
  }
  const context = await stage.context();
  const pages = [];
  for (let number = 0; number < TABS; number += 1) {
    const page = await context.newPage();
    await page.goto(`${stage.url}/jobs/${ids[number % JOBS]}`);
    pages.push(page);
  }
  await Promise.all(
    pages.map((page) => until(async () => (await linesShown(page)) === 1, "a tab's first line")),
  );
  await until(async () => (await openStreams(stage.url)) === 1, "one connection", {
    patienceMs: 10_000,
  }).catch(() => {});
  const connections = await openStreams(stage.url);
  const tabs = await Promise.all(pages.map((page) => watched(page)));
  const sentMs = [];
  for (let number = 0; number < LINES; number += 1) {
    sentMs.push(performance.timeOrigin + performance.now());
    await Promise.all(ids.map((id) => producer.push(id, [`to all ${number}.`])));
    await pause(250);
  }
  const seen = await Promise.all(tabs.map((tab) => tab.seen()));
  await context.close();
  const taken = seen.flatMap((times) => sentMs.map((atMs, number) => (times[number] ?? Infinity) - atMs));
  const stalled = seen.filter((times) => sentMs.some((_, number) => times[number] === undefined)).length;
  return [
    row(`connections of ${TABS} tabs on ${JOBS} jobs`, connections, "connections", {
      target: "1",
      met: connections === 1,
    }),
    row(`tabs of these that lack a line in the end`, stalled, "tabs", { target: "0", met: stalled === 0 }),
    row(`a line to all ${TABS} tabs, p50 of tabs and lines`, percentile(taken, 50), "ms", {
      n: taken.length,
    }),
    atMost(1000, `a line to all ${TABS} tabs, the slowest`, Math.max(...taken), "ms", { n: taken.length }),
  ];
}

/** Notes when lines come into a tab's rows, by the machine's clock. */
async function watched(page) {
  await page.evaluate(() => {
    globalThis.came = [];
    new MutationObserver(() => {
      for (const text of document.querySelectorAll(".slot .text")) {
        const number = /^to all (\d+)\./.exec(text.textContent)?.[1];
        if (number !== undefined) globalThis.came[number] ??= performance.timeOrigin + performance.now();
      }
    }).observe(document.querySelector(".log"), { childList: true, subtree: true, characterData: true });
  });
  return {
    seen: () =>
      until(
        () => page.evaluate((n) => globalThis.came.filter(Boolean).length === n && globalThis.came, LINES),
        "all lines",
        { patienceMs: 10_000 },
      ).catch(() => page.evaluate(() => globalThis.came)),
  };
}
