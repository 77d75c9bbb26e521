/**
 * The dashboard's numbers, in a real browser: the production build, the installed program, a real Valkey.
 *
 *     node bench/frontend/main.mjs [part …]
 *
 * Rows come as JSON on standard output, progress on standard error. `bench/dashboard.py` runs this as a scenario.
 */
import { measureDiffPage } from "./diff_page.mjs";
import { row } from "./figures.mjs";
import { measureFinding } from "./finding.mjs";
import { measureFlood } from "./flood.mjs";
import { measureHeap } from "./heap.mjs";
import { measureOpening } from "./opening.mjs";
import { measurePixels } from "./pixels.mjs";
import { measureReconnect } from "./reconnect.mjs";
import { measureSizes } from "./sizes.mjs";
import { Stage } from "./stage.mjs";
import { measureTabs } from "./tabs.mjs";
import { measureViewport } from "./viewport.mjs";

const LINES = 1_000_000;
const MILLION = "million";

const PARTS = {
  sizes: () => measureSizes(),
  opening: (stage) => measureOpening(stage, MILLION),
  pixels: measurePixels,
  flood: measureFlood,
  heap: measureHeap,
  tabs: measureTabs,
  reconnect: measureReconnect,
  diffs: (stage) => measureDiffPage(stage.browser, stage.server, { rounds: 3 }),
  finding: (stage) => measureFinding(stage, MILLION, LINES),
  viewport: measureViewport,
};

/** How long a part may take, in milliseconds: the longest takes a minute and a half on a machine that is free. */
const PATIENCE_MS = 240_000;

/** One part's rows; where it breaks off, a row that says so, and the others go on. */
async function part(name, stage) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("it takes too long")), PATIENCE_MS);
  });
  try {
    return await Promise.race([PARTS[name](stage), late]);
  } catch (fault) {
    say(`  ${name}: ${fault.stack}`);
    return [row(`dashboard, ${name}: BROKEN OFF`, 0, "figures", { target: "some", met: false })];
  } finally {
    clearTimeout(timer);
  }
}

const say = (text) => process.stderr.write(`${text}\n`);

async function main(names) {
  const unknown = names.filter((name) => !(name in PARTS));
  if (unknown.length > 0)
    throw new Error(`no such part: ${unknown.join(", ")}; there are ${Object.keys(PARTS).join(", ")}`);
  const chosen = names.length > 0 ? names : Object.keys(PARTS);
  const stage = await Stage.set();
  const rows = [];
  try {
    if (chosen.includes("opening") || chosen.includes("finding")) {
      await stage.producer.fill(MILLION, 0, LINES);
      await stage.producer.job(MILLION, "success");
    }
    for (const name of chosen) {
      const beganMs = performance.now();
      rows.push(...(await part(name, stage)));
      say(`  ${name}: ${((performance.now() - beganMs) / 1000).toFixed(0)} s`);
    }
  } finally {
    await stage.close();
  }
  process.stdout.write(`${JSON.stringify(rows)}\n`);
}

await main(process.argv.slice(2));
