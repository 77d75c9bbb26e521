// Photographs the dashboard: real jobs and pipelines, in a real browser, against a real server.
//
//     node scripts/take_screenshot.mjs               the picture in the README: docs/images/job.png
//     node scripts/take_screenshot.mjs --all DIR [PAGE…]
//                                                    every page (or those named), light and dark, 1280 and 390
//                                                    pixels wide, into DIR
//
// It starts a server on a free port with a data directory of its own, and ends it. FANTAIL_PROGRAM, PYTHON and CHROMIUM
// name other programs than this checkout's and Debian's.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { chromium } = createRequire(join(root, "frontend/package.json"))("playwright-core");
const fantail = process.env.FANTAIL_PROGRAM ?? join(root, ".venv/bin/fantail");
const bin = dirname(process.env.PYTHON ?? join(root, ".venv/bin/python"));
const data = mkdtempSync(join(tmpdir(), "fantail-picture-"));
const children = [];

function start(program, args, settings = {}) {
  const env = { ...process.env, PATH: `${bin}:${process.env.PATH}`, ...settings };
  delete env.FANTAIL_PROGRAM; // ours, and no setting of the server's
  const child = spawn(program, args, { cwd: root, env, stdio: ["pipe", "pipe", "pipe"] });
  children.push(child);
  return child;
}

function said(stream, pattern) {
  return new Promise((answer, reject) => {
    let text = "";
    stream.on("data", (chunk) => {
      text += chunk;
      const found = pattern.exec(text);
      if (found) answer(found[1]);
    });
    stream.on("end", () => reject(new Error(`it ended without ${pattern}: ${text}`)));
  });
}

const ended = (child) =>
  child.exitCode === null && child.signalCode === null ? new Promise((done) => child.on("exit", done)) : null;

/** Starts the server; gives its address. */
async function serve(settings) {
  const server = start(fantail, ["serve", "--port", "0", "--data-dir", data, "--log-level", "warning"], settings);
  server.stderr.pipe(process.stderr);
  return said(server.stdout, /ready on (\S+)/);
}

/** Starts a job; gives its process, and the address of its page. */
async function run(name, command, ...flags) {
  const child = start(fantail, ["run", "--data-dir", data, "--name", name, ...flags, "--", ...command]);
  child.stdout.resume();
  return { child, address: await said(child.stderr, /(http:\S+)/) };
}

function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
  });
}

const TESTS = ["python", "-m", "pytest", "tests/broker/log", "tests/broker/documents", "-v", "--color=yes", "-p", "no:cacheprovider"];

/** This repository's unit tests as a job, while the lines come. */
async function takeOne(picture) {
  await serve();
  const { address } = await run("Unit tests", TESTS);
  const browser = await launch();
  const page = await browser.newPage({ viewport: { width: 1200, height: 640 }, deviceScaleFactor: 1.5 });
  await page.goto(address);
  await page.getByText("PASSED").nth(20).waitFor({ timeout: 60_000 });
  mkdirSync(dirname(picture), { recursive: true });
  await page.screenshot({ path: picture });
  await browser.close();
  console.log(picture);
}

const FAILING = `echo "Linking 14 objects"; echo "ld: symbol not found: _fantail_flush" >&2; exit 2`;
const COUNTING = `n=0; while sleep 0.2; do n=$((n+1)); printf '\\033[32m ok\\033[0m %s: item %d of many\\n' "$(date +%T)" $n; done`;
const COMMITTED = `cd "$0" && git init -q . && printf 'one\\ntwo\\nthree\\n' > notes.txt && git add . &&
  git -c user.name=a -c user.email=a@b commit -qm first`;
const EDITING = `cd "$0" && printf 'one\\nTWO\\nthree\\nfour\\n' > notes.txt &&
  printf 'export const answer = 42;\\n' > answer.ts && echo edited && sleep 600`;

/** Jobs of every kind; gives the addresses of those that have pictures of their own. */
async function fill() {
  const worktree = mkdtempSync(join(data, "worktree-"));
  await ended(start("sh", ["-c", COMMITTED, worktree]));
  await ended((await run("Lint", ["sh", "-c", "echo all clean"])).child);
  await ended((await run("Type check of everything there is, with a name as long as some names are", ["true"])).child);
  const failed = await run("Build the release", ["sh", "-c", FAILING]);
  await ended(failed.child);
  await ended((await run("Nightly", ["sh", "-c", "sleep 1; exit 1"])).child);
  const edited = await run("Refactor notes", ["sh", "-c", EDITING, worktree], "--diff", worktree);
  const counted = await run("Import of the catalogue", ["sh", "-c", COUNTING]);
  const tests = await run("Tests of the core", [...TESTS, "-k", "position or pointer"]);
  await ended(tests.child);
  return { running: counted.address, failed: failed.address, tests: tests.address, diff: `${edited.address}#diff` };
}

async function takeAll(folder, wanted) {
  mkdirSync(folder, { recursive: true });
  const status = start(join(bin, "python"), [join(root, "scripts/demo_status.py"), data]);
  status.stderr.pipe(process.stderr);
  const { pipelines, database } = JSON.parse(await said(status.stdout, /(\{.*\})\n/));
  const url = await serve({ FANTAIL_PIPELINE_URL: pipelines, FANTAIL_DATABASE_URL: database });
  status.stdin.write(`${url}\n`);
  const browser = await launch();
  await photograph(browser, folder, wanted, { "jobs-empty": url, "not-found": `${url}/jobs/no-such-job` });
  const jobs = await fill();
  await photograph(browser, folder, wanted, {
    jobs: url,
    "jobs-filtered": `${url}/?status=failed&sort=-duration`,
    "jobs-no-match": `${url}/?q=nothing+like+it`,
    "job-running": jobs.running,
    "job-failed": jobs.failed,
    "job-tests": jobs.tests,
    "job-diff": jobs.diff,
    pipelines: `${url}/pipelines`,
    runs: `${url}/runs`,
    system: `${url}/system`,
  });
  await browser.close();
}

async function photograph(browser, folder, wanted, addresses) {
  for (const colorScheme of ["light", "dark"])
    for (const width of [1280, 390]) {
      const height = width > 500 ? 800 : 780;
      const context = await browser.newContext({ colorScheme, viewport: { width, height } });
      await context.addInitScript(() => {
        localStorage.setItem("fantail.pipelines", '["no-such-pipeline"]');
      });
      for (const [name, address] of Object.entries(addresses)) {
        if (wanted.length > 0 && !wanted.includes(name)) continue;
        const page = await context.newPage();
        await page.goto(address);
        await page.locator("h1").waitFor();
        // Statuses, samples, ends of runs come within some seconds of the page.
        await page.waitForTimeout(name === "system" || name === "runs" ? 8_000 : 1_500);
        const path = join(folder, `${name}-${colorScheme}-${width}.png`);
        await page.screenshot({ path });
        console.log(path);
        await page.close();
      }
      await context.close();
    }
}

const [option, folder, ...wanted] = process.argv.slice(2);
try {
  if (option === undefined) await takeOne(join(root, "docs/images/job.png"));
  else if (option === "--all" && folder) await takeAll(resolve(folder), wanted);
  else throw new Error("give nothing, or: --all DIR [PAGE…]");
} finally {
  for (const child of children.reverse()) child.kill("SIGTERM");
  await Promise.all(children.map(ended));
  rmSync(data, { recursive: true, force: true });
}
