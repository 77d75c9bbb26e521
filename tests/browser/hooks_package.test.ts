/** The example (examples/dashboard), built with the packed hooks, in a page of another origin than its server's. */
import { readFile } from "node:fs/promises";
import { once } from "node:events";
import { type Server as HttpServer, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { PackedHooks } from "../../frontend/tests/support/packed-hooks";
import { dashboard } from "./support/dashboard";
import type { Job } from "./support/fantail";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
};

let packed: PackedHooks;
let site: HttpServer;

/** What the site does not have, for the time being, and how often it was asked for that. */
let absent: RegExp | null = null;
let missed = 0;

beforeAll(async () => {
  packed = PackedHooks.make();
  site = await serveFiles(packed.build());
});

afterAll(() => {
  site?.close();
  packed?.remove();
});

const { server, open } = dashboard(() => ({ FANTAIL_CORS_ORIGINS: siteUrl() }));

/** Files and nothing else, as any web server would. */
async function serveFiles(folder: string): Promise<HttpServer> {
  const http = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://site");
    if (absent?.test(pathname)) {
      missed += 1;
      response.writeHead(404).end();
      return;
    }
    const file = join(folder, normalize(pathname === "/" ? "/index.html" : pathname));
    readFile(file).then(
      (bytes) =>
        response.setHeader("Content-Type", TYPES[extname(file)] ?? "application/octet-stream").end(bytes),
      () => response.writeHead(404).end(),
    );
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  return http;
}

const siteUrl = (): string => `http://127.0.0.1:${(site.address() as AddressInfo).port}`;

/** The example's page, which shows a job of the server's. */
const openExample = (job: Job): Promise<Page> =>
  open(`${siteUrl()}/?server=${encodeURIComponent(server.url)}&job=${job.id}`);

it("shows lines live, from another origin, over one connection, also after the server was restarted", async () => {
  const fifo = await server.fifo("example");
  const job = await server.shell("example", fifo.untilEnd);
  const page = await openExample(job);
  await page.getByText("(live)").waitFor();
  await page.getByRole("button", { name: job.id }).waitFor();
  await fifo.write("a line of this moment\n");
  await page.locator("#lines", { hasText: "a line of this moment" }).waitFor();
  await expect.poll(() => server.openStreams()).toEqual({ multiplex: 1 });

  await server.restart("SIGKILL");
  await fifo.write("and one after\n");
  await expect.poll(() => page.locator("#lines").textContent()).toBe("a line of this moment\nand one after");
});

it("shares through a tab that leads where the worker's file is not there", async () => {
  const fifo = await server.fifo("alone");
  const job = await server.shell("alone", fifo.untilEnd);
  absent = /streams\.worker/;
  const page = await openExample(job);
  await page.getByText("(live)").waitFor();
  await fifo.write("without a worker\n");
  await page.locator("#lines", { hasText: "without a worker" }).waitFor();
  expect(missed).toBeGreaterThan(0);
});
