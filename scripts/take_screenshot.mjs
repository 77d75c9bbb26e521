// Takes the picture in the README: a real job, followed live in a real browser.
//
//     node scripts/take_screenshot.mjs           writes docs/images/job.png
//
// It starts a server on a free port with a data directory of its own, runs this repository's unit tests as a job, and
// photographs the page while the lines come.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { chromium } = createRequire(join(root, "frontend/package.json"))("playwright-core");
const fantail = join(root, ".venv/bin/fantail");
const picture = join(root, "docs/images/job.png");
const data = mkdtempSync(join(tmpdir(), "fantail-picture-"));
const children = [];

function start(...args) {
  const env = { ...process.env, PATH: `${dirname(fantail)}:${process.env.PATH}` };
  const child = spawn(fantail, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  return child;
}

function said(stream, pattern) {
  return new Promise((resolve, reject) => {
    let text = "";
    stream.on("data", (chunk) => {
      text += chunk;
      const found = pattern.exec(text);
      if (found) resolve(found[1]);
    });
    stream.on("end", () => reject(new Error(`it ended without ${pattern}: ${text}`)));
  });
}

try {
  const server = start("serve", "--port", "0", "--data-dir", data, "--log-level", "warning");
  await said(server.stdout, /ready on (\S+)/);
  const tests = ["python", "-m", "pytest", "tests/unit", "-v", "--color=yes", "-p", "no:cacheprovider"];
  const job = start("run", "--data-dir", data, "--name", "Unit tests", "--", ...tests);
  const address = await said(job.stderr, /(http:\S+)/);
  job.stdout.resume();
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
  });
  const page = await browser.newPage({ viewport: { width: 1200, height: 640 }, deviceScaleFactor: 1.5 });
  await page.goto(address);
  await page.getByText("PASSED").nth(20).waitFor({ timeout: 60_000 });
  mkdirSync(dirname(picture), { recursive: true });
  await page.screenshot({ path: picture });
  await browser.close();
  console.log(picture);
} finally {
  for (const child of children.reverse()) child.kill("SIGTERM");
  await Promise.all(children.map((child) => child.exitCode ?? new Promise((done) => child.on("exit", done))));
  rmSync(data, { recursive: true, force: true });
}
