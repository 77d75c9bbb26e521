/**
 * A job's page is opened: from the start of the navigation to the presentation of the first row.
 *
 * The tab has something of the same server in it before, as when a link is followed: what is measured is the page, and
 * not how fast the system starts another process for the browser.
 */
import { atMost, median, row } from "./figures.mjs";

const ROUNDS = 7;

async function firstRowMs(page, url) {
  await page.goto(url, { waitUntil: "commit" });
  const handle = await page.waitForFunction(() => globalThis.bench?.painted.first);
  return handle.jsonValue();
}

export async function measureOpening(stage, million) {
  await stage.producer.job("live");
  await stage.producer.fill("live", 0, 2000);
  const rows = [];
  for (const [what, id, bound] of [
    ["live job", "live", 150],
    ["finished job of 1,000,000 lines", million, 300],
  ]) {
    const url = `${stage.url}/jobs/${id}`;
    const [cold, warm] = [[], []];
    for (let round = 0; round < ROUNDS; round += 1) {
      const context = await stage.context();
      const page = await context.newPage();
      for (const taken of [cold, warm]) {
        await page.goto(`${stage.url}/healthz`);
        taken.push(await firstRowMs(page, url));
      }
      await context.close();
    }
    rows.push(
      atMost(bound, `first line on screen, ${what}, nothing cached`, median(cold), "ms", { n: ROUNDS }),
      atMost(bound, `first line on screen, ${what}, scripts cached`, median(warm), "ms", { n: ROUNDS }),
    );
  }
  return rows;
}
