/**
 * The dashboard through the proxies of docs/OPERATIONS.md: users sign in, the page is drawn, and lines are live (trap 64).
 *
 * Over plain HTTP, a browser says to no host but this machine's own whether a page is the server's: there the server has
 * the Host header only.
 */
import { afterEach, expect, it } from "vitest";
import { NAME_IN_A_LAN } from "./support/chromium";
import { dashboard, visit } from "./support/dashboard";
import { DocumentedProxy } from "./support/documented-proxy";
import { fantail } from "./support/fantail";

const SECRET = "a secret of more than thirty-two bytes";
const SETTINGS = { FANTAIL_AUTH: "jwt", FANTAIL_JWT_SECRET: SECRET, FANTAIL_PROXY_ADDRESSES: "127.0.0.1" };

const { server, newPage } = dashboard(() => SETTINGS);

let proxy: DocumentedProxy | null = null;

afterEach(async () => {
  await proxy?.close();
  proxy = null;
});

const CASES = [
  { name: "nginx", host: "localhost", protocol: "http/1.1" },
  { name: "nginx", host: NAME_IN_A_LAN, protocol: "http/1.1" },
  { name: "nginx-tls", host: "localhost", protocol: "h2" },
  { name: "caddy", host: "localhost", protocol: "http/1.1" },
  { name: "caddy-tls", host: "localhost", protocol: "h2" },
];

it.for(CASES)(
  "through $name as $host a user signs in and sees live lines, over $protocol",
  async (one, test) => {
    proxy = await DocumentedProxy.start(one.name, server.port);
    if (!proxy) {
      test.skip(`PROXY TEST SKIPPED: ${one.name} is not installed, and apt-get cannot fetch it`);
      return;
    }
    const fifo = await server.fifo(`${one.name}-${one.host}`);
    const job = await server.shell("behind a proxy", fifo.untilEnd);
    const token = await fantail(["token", "--user", "ada", "--admin"], SETTINGS);
    const url = proxy.url.replace("localhost", one.host);

    const page = await newPage({ ignoreHTTPSErrors: true });
    // With a slash at its end, as people write addresses.
    await page.goto(`${url}/jobs/${job.id}/`);
    await page.getByLabel("Token").fill(token.trim());
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.locator("body:not(:has(> #root[inert]))").waitFor();
    await fifo.write("a live line\n");
    await page.getByText("a live line").waitFor();
    await expect.poll(() => page.locator(".connection output").textContent()).toBe("Live");
    expect(await page.evaluate(() => location.origin)).toBe(url);
    const protocol = await page.evaluate(
      () => (performance.getEntriesByType("navigation")[0] as PerformanceNavigationTiming).nextHopProtocol,
    );
    expect(protocol).toBe(one.protocol);

    await visit(page, `${url}/`);
    await page.getByText("behind a proxy").first().waitFor();
    await fifo.end();
  },
);
