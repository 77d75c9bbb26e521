/** From the producer's RPUSH to the presentation of the frame that has the row, one line at a time. */
import { atMost, pause, percentile, until } from "./figures.mjs";
import { clockDifference, linesShown } from "./stage.mjs";

const LINES = 300;
const WARM = 20;

export async function measurePixels(stage) {
  const { producer } = stage;
  await producer.job("pixels");
  await producer.fill("pixels", 0, 200);
  const page = await stage.page("/jobs/pixels");
  await until(async () => (await linesShown(page)) === 200, "the first lines");
  await page.evaluate(() => (globalThis.bench.marking = true));
  const before = await clockDifference(page);
  const pushedMs = [];
  for (let number = 0; number < LINES + WARM; number += 1) {
    pushedMs.push(performance.now());
    await producer.push("pixels", [`line ${number} to be seen`]);
    await pause(15 + Math.random() * 40);
  }
  await pause(500);
  const painted = await page.evaluate(() => globalThis.bench.painted);
  const difference = (before + (await clockDifference(page))) / 2;
  await page.context().close();
  const taken = pushedMs
    .map((atMs, number) => painted[`line ${number} to be seen`] + difference - atMs)
    .slice(WARM)
    .filter(Number.isFinite);
  if (taken.length < LINES * 0.98)
    throw new Error(`only ${taken.length} of ${LINES} lines were seen painted`);
  const n = taken.length;
  return [
    atMost(60, "producer to pixel, p50", percentile(taken, 50), "ms", { n }),
    atMost(250, "producer to pixel, p99", percentile(taken, 99), "ms", { n }),
  ];
}
