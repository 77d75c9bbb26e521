/**
 * What the Diff tab costs a browser: 40 files of 500 changed lines, and one file of 20,000, in Chromium, over a real
 * server and a real repository.
 *
 *     node bench/frontend/diff_page.mjs [--rounds N] [--screenshots FOLDER]
 *
 * A frame's time is taken where the browser has drawn it: in a task after the animation frame in which the rows are in
 * the page. Three beginnings are told apart: the data has arrived (the stream's last message before the rows), the tab
 * was pressed, and the page's scripts began. `measureDiffPage` returns rows as bench/report.py has them.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fromTests, launchChromium } from "./stage.mjs";

const FILES = 40;
const LINES = 250; // each taken out and another put in its place: 500 changed lines
const LONG = 20_000;

/** Notes in the page when messages came, when scripts began, and which tasks were long. */
function watchPage() {
  const seen = { messageMs: 0, scriptMs: 0, long: [], drawnMs: 0 };
  Object.assign(globalThis, { seen });
  const listen = MessagePort.prototype.addEventListener;
  MessagePort.prototype.addEventListener = function (type, listener, options) {
    const noted = (event) => {
      if (seen.drawnMs === 0 && JSON.stringify(event.data ?? "").includes("diff --git"))
        seen.messageMs = performance.now();
      return listener.call(this, event);
    };
    return listen.call(this, type, type === "message" ? noted : listener, options);
  };
  addEventListener("readystatechange", () => (seen.scriptMs ||= performance.now()), { capture: true });
  new PerformanceObserver((list) =>
    seen.long.push(...list.getEntries().map(({ duration }) => duration)),
  ).observe({
    type: "longtask",
    buffered: true,
  });
  const afterPaint = (done) => requestAnimationFrame(() => setTimeout(done));
  globalThis.drawn = (what) =>
    new Promise((resolve) => {
      const look = () => {
        if (!document.querySelector(what)) return;
        watching.disconnect();
        afterPaint(() => resolve((seen.drawnMs = performance.now())));
      };
      const watching = new MutationObserver(look);
      watching.observe(document, { childList: true, subtree: true });
      look();
    });
}

const numbered = (count, word) =>
  Array.from(
    { length: count },
    (_, at) => `const ${word}${at} = "${word} number ${at}"; // a line of ordinary length\n`,
  ).join("");

function repository(root, files) {
  const git = (...words) =>
    execFileSync("git", ["-C", root, "-c", "user.name=Ada", "-c", "user.email=ada@example.org", ...words]);
  mkdirSync(root);
  git("init", "-q", "-b", "main");
  for (const [name, before] of files) {
    mkdirSync(join(root, name, ".."), { recursive: true });
    writeFileSync(join(root, name), before);
  }
  git("add", "-A");
  git("commit", "-q", "-m", "base");
  for (const [name, , after] of files) writeFileSync(join(root, name), after);
}

async function job(server, name, files) {
  const root = join(server.dataDir, name);
  repository(root, files);
  const fifo = await server.fifo(name);
  const { id } = await server.run(name, ["bash", "-c", fifo.untilEnd], ["--diff", root]);
  const url = `${server.url}/api/jobs/${id}/diff`;
  for (;;) {
    const { files: there } = await (await fetch(url, { headers: { accept: "application/json" } })).json();
    if (Object.keys(there).length === files.length) return { id, root };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function opened(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  await page.addInitScript(watchPage);
  await page.goto(url);
  return page;
}

/** From the press of the tab, in a page that is already there. */
async function pressed(browser, url) {
  const page = await opened(browser, url);
  await page.locator("#root:not([inert]) .connection").first().waitFor();
  const found = await page.evaluate(async () => {
    const { seen } = globalThis;
    const startMs = performance.now();
    seen.long.length = 0;
    document.querySelector("#tab-diff").click();
    const drawnMs = await globalThis.drawn(".d-row");
    return {
      pressMs: drawnMs - startMs,
      dataMs: drawnMs - seen.messageMs,
      longMs: Math.max(0, ...seen.long),
    };
  });
  return { page, found };
}

/** From the first script, in a page that opens at the diff. */
async function cold(browser, url) {
  const page = await opened(browser, `${url}#diff`);
  const found = await page.evaluate(async () => {
    const drawnMs = await globalThis.drawn(".d-row");
    return drawnMs - globalThis.seen.scriptMs;
  });
  await page.context().close();
  return found;
}

/** One file is saved: from the message to the frame, and which files' parts of the page were touched. */
async function updated(page, root, name, lines) {
  const waiting = page.evaluate(
    ({ mark }) =>
      new Promise((resolve) => {
        const { seen } = globalThis;
        seen.drawnMs = 0;
        const touched = new Set();
        const watching = new MutationObserver((changes) => {
          for (const { target } of changes) {
            const file = target.parentElement?.closest(".d-file") ?? target.closest?.(".d-file");
            if (file) touched.add(file.dataset.file);
          }
          if (document.querySelector(".d-file .plus").textContent !== mark) return;
          watching.disconnect();
          requestAnimationFrame(() =>
            setTimeout(() =>
              resolve({ updateMs: performance.now() - seen.messageMs, touched: [...touched] }),
            ),
          );
        });
        watching.observe(document.querySelector(".d-space"), {
          childList: true,
          subtree: true,
          characterData: true,
          attributes: true,
          attributeFilter: ["class"],
        });
      }),
    { mark: `+${lines}` },
  );
  writeFileSync(join(root, name), numbered(lines, "saved"));
  return waiting;
}

const median = (all) => all.toSorted((one, other) => one - other)[Math.floor(all.length / 2)];
const row = (what, value, unit = "ms", target = "", met = null) => ({ what, value, unit, target, met });

/** All figures, as rows. */
export async function measureDiffPage(browser, server, { rounds = 7, screenshots = null } = {}) {
  const many = Array.from({ length: FILES }, (_, at) => [
    `src/part${at % 5}/module${at}.ts`,
    numbered(LINES, "before"),
    numbered(LINES, "after"),
  ]);
  const shapes = [
    ["40 files of 500 changed lines", await job(server, "many", many)],
    ["one file of 20,000 lines", await job(server, "long", [["long.ts", "", numbered(LONG, "long")]])],
  ];
  const rows = [];
  for (const [what, { id, root }] of shapes) {
    const url = `${server.url}/jobs/${id}`;
    const found = [];
    const colds = [];
    let update = null;
    for (let round = 0; round < rounds; round += 1) {
      const one = await pressed(browser, url);
      found.push(one.found);
      if (round === 0 && what.startsWith("40"))
        update = await updated(one.page, root, "src/part0/module0.ts", LINES - 1);
      await one.page.context().close();
      colds.push(await cold(browser, url));
    }
    const dataMs = median(found.map((one) => one.dataMs));
    rows.push(
      row(`${what}: data arrived to first frame`, dataMs, "ms", "≤ 100 ms", dataMs <= 100),
      row(`${what}: tab pressed to first frame`, median(found.map((one) => one.pressMs))),
      row(`${what}: scripts begin to first frame, page opened at the diff`, median(colds)),
      row(`${what}: longest task meanwhile`, median(found.map((one) => one.longMs))),
    );
    if (update) {
      const only = update.touched.length === 1;
      rows.push(row("one of 40 files saved: message to frame", update.updateMs));
      rows.push(row("files touched in the page by that", update.touched.length, "files", "1", only));
    }
    if (screenshots) await pictures(browser, url, join(screenshots, what.startsWith("40") ? "many" : "long"));
  }
  return rows;
}

async function pictures(browser, url, name) {
  for (const colorScheme of ["light", "dark"])
    for (const [size, viewport] of [
      ["desktop", { width: 1280, height: 800 }],
      ["phone", { width: 390, height: 844 }],
    ]) {
      const page = await opened(browser, `${url}#diff`, { colorScheme, viewport });
      await page.locator(".d-row .k3").first().waitFor();
      await page.screenshot({ path: `${name}-${size}-${colorScheme}.png` });
      await page.context().close();
    }
}

function option(name) {
  const at = process.argv.indexOf(name);
  return at < 0 ? null : (process.argv[at + 1] ?? null);
}

async function main() {
  const { Server } = await fromTests("fantail.ts");
  const server = await Server.start();
  const browser = await launchChromium();
  try {
    const rounds = Number(option("--rounds") ?? 7);
    const rows = await measureDiffPage(browser, server, { rounds, screenshots: option("--screenshots") });
    for (const { what, value, unit, target, met } of rows) {
      const verdict = met === null ? "" : met ? "yes" : "NO";
      process.stdout.write(
        `${what.padEnd(80)} ${value.toFixed(0).padStart(6)} ${unit.padEnd(6)} ${target} ${verdict}\n`,
      );
    }
  } finally {
    await browser.close();
    await server.close();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
