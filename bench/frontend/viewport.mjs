/**
 * The log's viewport beside those that one would take instead: TanStack Virtual, react-virtuoso and xterm.js, each in a
 * page of its own of the same build.
 *
 * They have the lines in an array; ours has the last thousand and asks for the others, as it does with a finished job,
 * and is the whole viewer: numbers, links, colours, groups, errors. The packages are installed by the first run.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { median, percentile, row } from "./figures.mjs";
import { packages } from "./stage.mjs";

const FOLDER = fileURLToPath(new URL("viewport/", import.meta.url));
const LINES = 1_000_000;
const WRITTEN = 100_000;
const ROUNDS = 3;
const FRAMES = 90;
const KINDS = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

async function built() {
  if (!existsSync(join(FOLDER, "node_modules")))
    execFileSync("npm", ["ci", "--loglevel=error"], { cwd: FOLDER, stdio: ["ignore", 2, 2] });
  const outDir = await mkdtemp(join(tmpdir(), "fantail-viewport-"));
  const { build } = await import(pathToFileURL(packages.resolve("vite")).href);
  const { default: react } = await import(pathToFileURL(packages.resolve("@vitejs/plugin-react")).href);
  // One React for all, that of the dashboard.
  const alias = Object.fromEntries(
    ["react", "react-dom"].map((name) => [name, join(packages.resolve(`${name}/package.json`), "..")]),
  );
  // Who reads the tests' TypeScript has made this a process of development, which React would heed.
  process.env.NODE_ENV = "production";
  await build({
    root: FOLDER,
    mode: "production",
    configFile: false,
    logLevel: "error",
    plugins: [react()],
    resolve: { alias },
    build: { outDir, emptyOutDir: true, chunkSizeWarningLimit: 5000 },
  });
  return outDir;
}

async function served(folder) {
  const server = createServer(async ({ url }, response) => {
    const path = url === "/" ? "/index.html" : url;
    const body = await readFile(join(folder, path)).catch(() => null);
    response.writeHead(body ? 200 : 404, { "content-type": KINDS[extname(path)] ?? "text/plain" }).end(body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

export async function measureViewport(stage) {
  const folder = await built();
  const server = await served(folder);
  const url = `http://127.0.0.1:${server.address().port}/`;
  const inPage = async (run, ...given) => {
    const page = await (await stage.browser.newContext({ viewport: { width: 1280, height: 700 } })).newPage();
    await page.goto(url);
    await page.waitForFunction(() => globalThis.viewport);
    const found = await page.evaluate(run, given);
    await page.context().close();
    return found;
  };
  try {
    const found = {};
    for (const name of ["ours", "tanstack", "virtuoso"]) {
      const mounts = [];
      for (let round = 0; round < ROUNDS; round += 1)
        mounts.push(await inPage(([name, count]) => globalThis.viewport.mount(name, count), name, LINES));
      const { append, scroll } = await inPage(
        async ([name, count, frames]) => {
          await globalThis.viewport.mount(name, count);
          const append = await globalThis.viewport.append(frames, count);
          return { append, scroll: await globalThis.viewport.scroll(frames) };
        },
        name,
        LINES,
        FRAMES,
      );
      found[name] = { mount: median(mounts), append: percentile(append, 95), scroll: percentile(scroll, 95) };
    }
    const write = (name) => inPage(([name, count]) => globalThis.viewport.write(name, count), name, WRITTEN);
    const [own, terminal] = [await write("ours"), await write("xterm")];
    return [
      ...beside(found, "mount", "1,000,000 lines: viewport mounted and drawn", ROUNDS),
      ...beside(found, "append", "200 more lines in each frame: frames, p95", FRAMES),
      ...beside(found, "scroll", "scrolled by 20 rows in each frame: frames, p95", FRAMES),
      row(`${WRITTEN.toLocaleString("en")} lines at once, until drawn`, own, "ms", {
        beside: "xterm.js",
        reference: terminal,
      }),
    ];
  } finally {
    server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function beside({ ours, tanstack, virtuoso }, key, what, n) {
  return [
    row(what, ours[key], "ms", { beside: "TanStack Virtual", reference: tanstack[key], n }),
    row(what, ours[key], "ms", { beside: "react-virtuoso", reference: virtuoso[key], n }),
  ];
}
