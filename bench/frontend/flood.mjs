/**
 * A live job at 10,000 lines a second: how regular the frames are, which tasks are long, and whether all lines are there.
 *
 * A frame's time is the distance of two animation frames by the times that the browser gives them. Beside it stand the
 * same page at rest, and the same flood with rows that have no text to be rastered: what is left is the dashboard's own.
 */
import { atMost, pause, percentile, row, until } from "./figures.mjs";
import { lineOf } from "./redis.mjs";
import { linesShown } from "./stage.mjs";

const RATE = 10_000;
const SHORT_S = 8;
const SECONDS = Number(process.env.FANTAIL_BENCH_SECONDS ?? 60);

/** Writes lines at the rate for so long; returns how many there are then. */
export async function flood(producer, id, first, seconds) {
  const total = first + Math.round(RATE * seconds);
  const beganMs = performance.now();
  let at = first;
  while (at < total) {
    const due = Math.min(total, first + Math.floor(((performance.now() - beganMs) / 1000) * RATE));
    if (due > at)
      await producer.push(
        id,
        Array.from({ length: due - at }, (_, index) => lineOf(at + index)),
      );
    at = due;
    await pause(8);
  }
  return total;
}

/** From now on, the processor time that the page's main thread takes: all it needs of a machine, whoever else is on it. */
async function workOf(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  const threadMs = async () => {
    const { metrics } = await session.send("Performance.getMetrics");
    return metrics.find(({ name }) => name === "ThreadTime").value * 1000;
  };
  const before = await threadMs();
  return async () => (await threadMs()) - before;
}

export async function framesOf(page, during) {
  await page.evaluate(() => globalThis.bench.watchFrames());
  await during();
  return page.evaluate(() => globalThis.bench.unwatchFrames());
}

export async function measureFlood(stage) {
  const { producer } = stage;
  await producer.job("flood");
  await producer.fill("flood", 0, 1000);
  const page = await stage.page("/jobs/flood");
  await until(async () => (await linesShown(page)) === 1000, "the first lines");
  await pause(1000);
  const rest = await framesOf(page, () => pause(5000));
  let total = await flood(producer, "flood", 1000, 2);
  const worked = await workOf(page);
  const busy = await framesOf(page, async () => (total = await flood(producer, "flood", total, SECONDS)));
  const workMs = (await worked()) / busy.frames.length;
  const shown = await settled(page, total);
  const textless = await page.addStyleTag({ content: ".slot .text, .slot .gutter a { visibility: hidden }" });
  const blank = await framesOf(page, async () => (total = await flood(producer, "flood", total, SHORT_S)));
  await textless.evaluate((style) => style.remove());
  await page.context().close();
  const restMs = percentile(rest.frames, 95);
  const longest = Math.max(0, ...busy.long.map(([, duration]) => duration));
  const what = `10,000 lines/s for ${SECONDS} s`;
  const beside = "the same page at rest";
  const n = busy.frames.length;
  return [
    atMost(17, `${what}, frames, p95`, percentile(busy.frames, 95), "ms", { n, beside, reference: restMs }),
    row(`${what}, frames, p50`, percentile(busy.frames, 50), "ms", {
      beside,
      reference: percentile(rest.frames, 50),
    }),
    row(`the same for ${SHORT_S} s, texts not drawn: frames, p95`, percentile(blank.frames, 95), "ms", {
      beside,
      reference: restMs,
    }),
    row(`${what}, main thread's processor time per frame`, workMs, "ms"),
    row(`${what}, tasks over 50 ms`, busy.long.length, "tasks", { target: "0", met: busy.long.length === 0 }),
    row(`${what}, longest of these`, longest, "ms"),
    row(`${what}, lines shown in the end`, shown.lines, "lines", {
      beside: "written",
      reference: shown.written,
      target: "all, in order",
      met: shown.exact,
    }),
  ];
}

/** Whether the page comes to show as many lines as were written, the last ones as they were written, in their order. */
async function settled(page, written) {
  await until(async () => (await linesShown(page)) >= written, "the last line");
  await pause(300);
  const lines = await linesShown(page);
  const rows = await page.evaluate(() =>
    [...document.querySelectorAll(".slot")].map((slot) => [
      Number(slot.dataset.offset),
      slot.querySelector(".text")?.textContent,
    ]),
  );
  const plain = (number) => lineOf(number).replaceAll(/\x1b\[\d*m/g, "");
  const exact =
    rows.at(-1)?.[0] === written - 1 &&
    rows.every(([offset, text], at) => offset === rows[0][0] + at && text === plain(offset));
  return { written, lines, exact: exact && lines === written };
}
