/**
 * The first screen of a job's page is drawn before the scripts that make the page live have come, and is what they draw
 * first: nothing moves, nothing flashes, and no line waits for them.
 */
import type { BrowserContextOptions, Page } from "playwright-core";
import { beforeAll, describe, expect, it } from "vitest";
import { type Dashboard, dashboard, withChoices } from "./support/dashboard";
import { holdBack } from "./support/held-back";
import { writeEntries } from "./support/stored-job";

const { server, newPage } = dashboard();

const DAY_MS = 86_400_000;

function linesOf(count: number, text: (at: number) => string): readonly object[] {
  return Array.from({ length: count }, (_, at) => ({
    timestamp: Date.now() - DAY_MS + at * 700,
    line: text(at),
    stream: (["stdout", "stdout", "stderr", "system"] as const)[at % 4],
  }));
}

const marked = (mark: string): readonly object[] => linesOf(60, (at) => (at === 20 ? mark : `line ${at}`));

const TEXTS = [
  "plain",
  "\u001b[1;32mgreen\u001b[0m and \u001b[38;2;200;80;10mtrue\u001b[0m, \u001b[44;97mon blue\u001b[0m, \u001b[7mturned\u001b[0m",
  "see https://example.org/a?b=1&c=<d>, \u001b]8;;https://example.org/hidden\u001b\\here\u001b]8;;\u001b\\",
  "two\nrows of \u0007one entry",
  "<b>no markup</b> & 日本語 \t tab",
  "::error::it broke",
  "##[endgroup]",
  `long ${"0123456789".repeat(450)}`,
];

beforeAll(() => {
  const startedAt = Date.now() - 3 * DAY_MS;
  writeEntries(
    server,
    "live",
    { status: "running", created_at: startedAt },
    linesOf(900, (at) => TEXTS[at % 8] ?? ""),
  );
  writeEntries(
    server,
    "short",
    { status: "running", created_at: startedAt },
    linesOf(5, (at) => `line ${at}`),
  );
  writeEntries(
    server,
    "done",
    {
      status: "success",
      name: "Build <all> & more",
      created_at: startedAt,
      started_at: startedAt,
      finished_at: startedAt + 125_000,
      exit_code: 0,
      branch: "main",
      repo_name: "fantail",
      environment: "ci",
      lines_added: 1200,
      lines_removed: 3,
      command: 'make "all" && <x>',
      prompt: "Do it",
      mr_url: "https://example.org/merge/1?a=1&b=2",
    },
    linesOf(2_000, (at) => TEXTS[at % 8] ?? ""),
  );
  const trouble = { error_message: "It went\nwrong <b>", mr_warning: "No & merge" };
  writeEntries(
    server,
    "warned",
    { status: "running", created_at: startedAt, ...trouble },
    linesOf(5, (at) => `line ${at}`),
  );
  const lease = { lease_s: 10 };
  writeEntries(
    server,
    "silent",
    { status: "running", created_at: startedAt, ...lease },
    linesOf(5, (at) => `line ${at}`),
  );
  writeEntries(
    server,
    "failed",
    { status: "failed", exit_code: 2, created_at: startedAt },
    linesOf(50, (at) => `line ${at}`),
  );
  writeEntries(
    server,
    "odd",
    {
      status: "constructor",
      name: "{id} $& </h1><script>alert(1)</script> \"'&amp; \u202eabc\r\0 __proto__",
      created_at: startedAt,
      started_at: -5_000,
      finished_at: 8e18,
      branch: "{title}",
      repo_name: "constructor",
      environment: "  two  blanks  ",
      command: "\n\nmake\r\nall\0 {prompt}",
      prompt: "",
      mr_url: 'https://example.org/{id}?"<>&amp;',
      mr_warning: "{warning}",
      error_message: "\r\0{reason}",
    },
    linesOf(60, (at) => ["{id}\0", "", "\r", "\u202eabc"][at % 4] ?? ""),
  );
});

beforeAll(() => {
  const fields = { status: "running", created_at: Date.now() - DAY_MS };
  writeEntries(server, "grouped", fields, marked("##[group]Build"));
  writeEntries(server, "wrong", fields, marked("##[error]it broke"));
});

/** What is in the page, a line for each element and each text, and where the rows are. Runs in the page. */
function recordPage(): void {
  const root = document.getElementById("root");
  if (!root) return;
  const written = (node: Node, depth: number): string => {
    const indent = " ".repeat(depth);
    const text = node.textContent ?? "";
    if (!(node instanceof HTMLElement || node instanceof SVGElement))
      return `${indent}${JSON.stringify(text.length < 200 ? text : `${text.slice(0, 100)}… ${text.length}`)}`;
    const names = node.getAttributeNames().toSorted();
    const valueOf = (name: string) => (name === "style" ? node.style.cssText : node.getAttribute(name));
    const attributes = names.map((name) => ` ${name}=${JSON.stringify(valueOf(name))}`).join("");
    const chosen = node instanceof HTMLSelectElement ? ` (${node.value})` : "";
    const children = [...node.childNodes].map((child) => `\n${written(child, depth + 1)}`).join("");
    return `${indent}${node.localName}${attributes}${chosen}${children}`;
  };
  /** As it is on the screen: React has several text nodes where a sentence has several parts. */
  const whole = (): Node => {
    const copy = root.cloneNode(true) as HTMLElement;
    copy.normalize();
    copy.inert = false;
    const chosen = root.querySelectorAll("select");
    copy.querySelectorAll("select").forEach((select, at) => (select.value = chosen[at]?.value ?? ""));
    return copy;
  };
  const places = (): string[] =>
    [...root.querySelectorAll(".slot, h1, .log-bar > *, .facts dd")].map((part) => {
      const { left, top, width, height } = part.getBoundingClientRect();
      return `${part.className} ${[left, top, width, height].map(Math.round).join(" ")}`;
    });
  const look = (): object => ({ written: written(whole(), 0), places: places(), isUsable: !root.inert });
  Object.assign(globalThis, { lookAtPage: look });
  // React puts its own in the place of what is there in one step.
  const observer = new MutationObserver(() => {
    const article = root.querySelector("article");
    const known = (globalThis as { firstArticle?: Element | null }).firstArticle;
    if (!article || !known || article === known) return;
    observer.disconnect();
    Object.assign(globalThis, { takenOver: look() });
  });
  observer.observe(root, { childList: true, subtree: true });
}

interface Appearance {
  readonly written: string;
  readonly places: readonly string[];
  readonly isUsable: boolean;
}

/** A page whose dashboard is held back until `release`. */
async function openHeld(
  newPage: Dashboard["newPage"],
  path: string,
  options: BrowserContextOptions,
  chosen: Readonly<Record<string, unknown>>,
): Promise<{ page: Page; release: () => void }> {
  const page = await newPage(options);
  await withChoices(chosen)(page);
  const { release } = await holdBack(page, "**/assets/dashboard-*.js");
  await page.goto(path, { waitUntil: "commit" });
  return { page, release };
}

async function firstLook(page: Page): Promise<Appearance> {
  await page.locator(".slot .text").last().waitFor();
  await page.evaluate(recordPage);
  return page.evaluate(() => {
    const known = document.querySelector("article");
    Object.assign(globalThis, { firstArticle: known });
    return (globalThis as unknown as { lookAtPage: () => Appearance }).lookAtPage();
  });
}

/** Looks before the dashboard has come, and in the step in which it has; the two are alike. */
async function checkTakeOver(
  { page, release }: { readonly page: Page; readonly release: () => void },
  words: string,
): Promise<void> {
  const first = await firstLook(page);
  expect(first.written).toContain(words);
  release();
  await page.waitForFunction(() => "takenOver" in globalThis);
  const then = await page.evaluate(() => (globalThis as unknown as { takenOver: Appearance }).takenOver);
  expect(first.written).toBe(then.written);
  expect(first.places).toEqual(then.places);
  expect([first.isUsable, then.isUsable]).toEqual([false, true]);
}

const NAME = 'o"hara <{id}> & co';

const PHONE = { viewport: { width: 390, height: 844 } };

describe("the first screen of a job", () => {
  it.each([
    ["a job that runs", "900 lines", "/jobs/live", {}, {}],
    ["a job of a few lines", "5 lines", "/jobs/short", {}, {}],
    ["a finished job with all that can be known of it", "Merge request", "/jobs/done", {}, {}],
    ["a job that failed", "exit code 2", "/jobs/failed", {}, {}],
    ["a job with an error of its own, and a warning", "No & merge", "/jobs/warned", {}, {}],
    ["a job whose runner has gone silent", "runner silent", "/jobs/silent", {}, {}],
    [
      "a reader's choices",
      "Theme: dark",
      "/jobs/live",
      {},
      { timestamps: "delta", raw: true, theme: "dark" },
    ],
    ["times since the start", "2,000 lines", "/jobs/done", {}, { timestamps: "relative", theme: "light" }],
    ["a phone", "2 min 05 s", "/jobs/done", PHONE, {}],
    ["a window of a few lines", "2,000 lines", "/jobs/done", { viewport: { width: 320, height: 180 } }, {}],
    [
      "texts that look like markup, and a status and times that are none",
      "{id} $& </h1>",
      "/jobs/odd",
      {},
      {},
    ],
  ])("is what the page draws then, in the same places: %s", async (_, words, path, options, stored) => {
    await checkTakeOver(await openHeld(newPage, path, options, stored), words);
  });

  it.each([
    ["at the address of a line", "/jobs/live#L10", {}],
    ["at the address of the diff", "/jobs/live#diff", {}],
    ["where lines wrap", "/jobs/live", { wrap: true }],
    ["of a job that is not there", "/jobs/nowhere", {}],
    ["at an address that is no text", "/jobs/%ff", {}],
    ["of a log that came whole, with a group", "/jobs/grouped", {}],
    ["of a log that came whole, with an error", "/jobs/wrong", {}],
  ])("is not drawn %s", async (_, path, stored) => {
    const { page, release } = await openHeld(newPage, path, {}, stored);
    // The first script has run by then.
    await page.waitForLoadState("domcontentloaded");
    expect(await page.locator("#root > *").count()).toBe(0);
    release();
    await page.locator("main h1").waitFor();
  });

  it("stays, and its links lead on, where the rest does not come", async () => {
    const page = await newPage();
    await page.route("**/assets/dashboard-*.js", (route) => route.abort());
    await page.goto("/jobs/live");
    await page.getByText("could not be loaded").waitFor();
    expect(await page.locator(".slot").count()).toBeGreaterThan(10);
    await page.unroute("**/assets/dashboard-*.js");
    await page.getByRole("link", { name: "Runs" }).click();
    await page.getByRole("heading", { name: "Runs" }).waitFor();
  });

  it("is what the page draws then where the browser keeps nothing", async () => {
    const held = await openHeld(newPage, "/jobs/short", {}, {});
    await held.page.addInitScript(() =>
      Object.defineProperty(globalThis, "localStorage", {
        get: () => {
          throw new DOMException("refused", "SecurityError");
        },
      }),
    );
    await held.page.reload({ waitUntil: "commit" });
    await checkTakeOver(held, "5 lines");
  });

  it("can be used, and says what happened, where the rest does not start", async () => {
    const page = await newPage();
    await page.addInitScript(() => {
      const listen = globalThis.addEventListener.bind(globalThis);
      const listenUnlessStorage = (type: string, listener: () => void, options?: boolean): void => {
        if (type === "storage") throw new Error("not in this browser");
        listen(type, listener, options);
      };
      Object.assign(globalThis, { addEventListener: listenUnlessStorage });
      // It is told as any fault is; here it is meant.
      listen("error", (event) => event.preventDefault());
    });
    await page.goto("/jobs/live");
    await page.getByText("could not be loaded").waitFor();
    expect(await page.locator("#root[inert]").count()).toBe(0);
    expect(await page.locator(".slot").count()).toBeGreaterThan(10);
  });
});

describe("the first screen of a job, for a user whom a proxy names", () => {
  const { server, newPage } = dashboard(() => ({
    FANTAIL_AUTH: "proxy",
    FANTAIL_PROXY_ADDRESSES: "127.0.0.1",
    FANTAIL_PROXY_ADMINS: "root",
  }));

  beforeAll(() => {
    const fields = { status: "running", created_at: Date.now() - DAY_MS, user_id: NAME };
    writeEntries(
      server,
      "own",
      fields,
      linesOf(60, (at) => `line ${at}`),
    );
  });

  it.each([
    ["a user", NAME],
    ["an admin", "root"],
  ])("is what the page draws then, in the same places: %s", async (_, name) => {
    const options = { extraHTTPHeaders: { "X-Forwarded-User": name } };
    await checkTakeOver(await openHeld(newPage, "/jobs/own", options, {}), JSON.stringify(name));
  });
});
