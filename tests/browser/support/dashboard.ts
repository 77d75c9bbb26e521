/**
 * What a test of the dashboard stands on: a server and a browser for its file, and pages in which nothing goes wrong.
 *
 * `dashboard()` is called once where a file, or a part of it, begins. The server and the browser run from the first hook
 * to the last; what a test opens is closed when it ends, and then no page may have met an error of its script or have
 * been refused something by its security policy, also where the test looked at something else.
 *
 * How long to wait for what a busy machine is late with is said here, once: tests name no times of their own.
 */
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, vi } from "vitest";
import { launchChromium } from "./chromium";
import { Server, type Settings } from "./fantail";

/** How long one thing may keep a test waiting, in milliseconds. */
export const PATIENCE_MS = 60_000;

/** How long a whole test may take, or a hook; most waits in it are short. */
const TEST_MS_MAX = 4 * PATIENCE_MS;

vi.setConfig({
  testTimeout: TEST_MS_MAX,
  hookTimeout: TEST_MS_MAX,
  expect: { poll: { timeout: PATIENCE_MS } },
});

export interface Opening extends BrowserContextOptions {
  /** What is done with the page before it goes to its address. */
  readonly prepare?: (page: Page) => Promise<unknown>;
}

export interface Dashboard {
  readonly server: Server;
  /** A profile of its own, in which several tabs can be opened. Addresses without a host are the server's. */
  readonly newContext: (options?: BrowserContextOptions) => Promise<BrowserContext>;
  /** A page in a profile of its own, which has been nowhere yet. */
  readonly newPage: (options?: BrowserContextOptions) => Promise<Page>;
  /** A page at an address, in a profile of its own. */
  readonly open: (address: string, opening?: Opening) => Promise<Page>;
}

/** `settings` are the server's, asked for when it starts: hooks that come before `dashboard()` have run by then. */
export function dashboard(settings: () => Settings = () => ({})): Dashboard {
  const server = new Server();
  const contexts: BrowserContext[] = [];
  const faults: string[] = [];
  let browser: Browser | null = null;

  beforeAll(async () => {
    await server.start(settings());
    browser = await launchChromium();
  });

  afterAll(async () => {
    await browser?.close();
    await server.close();
  });

  afterEach(async () => {
    for (const context of contexts.splice(0)) await context.close();
    expect(faults.splice(0)).toEqual([]);
  });

  async function newContext(options: BrowserContextOptions = {}): Promise<BrowserContext> {
    if (!browser) throw new Error("the browser runs in hooks and tests only");
    const viewport = { width: 1280, height: 800 };
    const context = await browser.newContext({ baseURL: server.url, viewport, ...options });
    context.setDefaultTimeout(PATIENCE_MS);
    noteFaults(context, faults);
    contexts.push(context);
    return context;
  }

  const newPage = async (options?: BrowserContextOptions): Promise<Page> =>
    (await newContext(options)).newPage();

  async function open(address: string, { prepare, ...options }: Opening = {}): Promise<Page> {
    const page = await newPage(options);
    await prepare?.(page);
    await visit(page, address);
    return page;
  }

  return { server, newContext, newPage, open };
}

/** Goes to an address, and waits until the page there is live: a first screen can be seen, and not used. */
export async function visit(page: Page, address: string): Promise<void> {
  await page.goto(address);
  await becomesLive(page);
}

export async function reload(page: Page): Promise<void> {
  await page.reload();
  await becomesLive(page);
}

const becomesLive = (page: Page): Promise<void> => page.locator("body:not(:has(> #root[inert]))").waitFor();

/** Leaves a page with what it brought: nothing that it asks the server for comes. For `prepare`. */
export async function withoutStreams(page: Page): Promise<void> {
  await page.route("**/api/**", (route) => route.abort());
}

/** Has a page remember what its reader chose before: names of preferences and their values. For `prepare`. */
export const withChoices = (chosen: Readonly<Record<string, unknown>>) => (page: Page) =>
  page.addInitScript((chosen) => {
    for (const [name, value] of Object.entries(chosen))
      localStorage.setItem(`fantail.${name}`, JSON.stringify(value));
  }, chosen);

/** Keeps a picture of a page, for people to look at, where FANTAIL_SCREENSHOTS names a folder for it. */
export async function keepPicture(page: Page, name: string): Promise<void> {
  const folder = process.env.FANTAIL_SCREENSHOTS;
  if (folder) await page.screenshot({ path: `${folder}/${name}.png` });
}

/** Notes what goes wrong in any page: uncaught errors, and what the security policy refused. */
function noteFaults(context: BrowserContext, faults: string[]): void {
  context.on("weberror", (fault) => faults.push(fault.error().message));
  context.on("console", (message) => {
    if (message.type() === "error" && /Content.Security.Policy/i.test(message.text()))
      faults.push(message.text());
  });
}
