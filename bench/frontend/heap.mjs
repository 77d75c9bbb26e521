/** What a tab that watched so many lines come in holds in memory, its part of the shared worker included. */
import { atMost, row, until } from "./figures.mjs";
import { linesShown } from "./stage.mjs";

/** Speaks to the shared worker, which Playwright has no name for, through the browser's own session. */
export async function workerSession(browser) {
  const session = await browser.newBrowserCDPSession();
  const { targetInfos } = await session.send("Target.getTargets");
  const target = targetInfos.find(
    ({ type, url }) => type === "shared_worker" && url.includes("streams.worker"),
  );
  if (!target) return null;
  const { sessionId } = await session.send("Target.attachToTarget", {
    targetId: target.targetId,
    flatten: false,
  });
  const waiting = new Map();
  session.on("Target.receivedMessageFromTarget", ({ message }) => {
    const { id, result } = JSON.parse(message);
    waiting.get(id)?.(result);
  });
  let last = 0;
  const send = (method, params = {}) => {
    const id = (last += 1);
    const message = JSON.stringify({ id, method, params });
    void session.send("Target.sendMessageToTarget", { sessionId, message });
    return new Promise((resolve) => waiting.set(id, resolve));
  };
  return { send, detach: () => session.detach() };
}

async function usedMb(session) {
  await session.send("HeapProfiler.enable");
  await session.send("HeapProfiler.collectGarbage");
  const {
    usedSize,
    embedderHeapUsedSize = 0,
    backingStorageSize = 0,
  } = await session.send("Runtime.getHeapUsage");
  return (usedSize + embedderHeapUsedSize + backingStorageSize) / 1e6;
}

export async function measureHeap(stage) {
  const { producer, browser } = stage;
  await producer.job("heap");
  const page = await stage.page("/jobs/heap");
  const own = await page.context().newCDPSession(page);
  const rows = [];
  let written = 0;
  for (const [count, bound] of [
    [100_000, 40],
    [1_000_000, 200],
  ]) {
    const beganMs = performance.now();
    await producer.fill("heap", written, count - written);
    written = count;
    await until(async () => (await linesShown(page)) === count, `${count} lines`, { patienceMs: 120_000 });
    const takenS = (performance.now() - beganMs) / 1000;
    const worker = await workerSession(browser);
    const pageMb = await usedMb(own);
    const workerMb = worker ? await usedMb(worker) : 0;
    await worker?.detach();
    const lines = `${count.toLocaleString("en")} lines`;
    rows.push(
      atMost(bound, `heap after ${lines} came in, page and shared worker`, pageMb + workerMb, "MB"),
      row("of that the shared worker", workerMb, "MB"),
      row(`${lines} written as fast as can be: until the page has them all`, takenS, "s"),
    );
  }
  await page.context().close();
  return rows;
}
