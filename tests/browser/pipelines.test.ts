/**
 * The manager of pipelines in a real browser, against a server that is stopped, restarted, slow, or answers 500: the
 * states it passes through, the fallback, the recovery. The page's clock is moved on by hand, since tries take minutes.
 */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { violations } from "./support/axe";
import { PATIENCE_MS, dashboard, keepPicture } from "./support/dashboard";
import { PipelineBackend } from "./support/pipeline-backend";

const STREAM = "**/ui-api/pipeline/status/stream?*";

let backend: PipelineBackend;
let page: Page;
let states: string[];

beforeAll(async () => {
  backend = await PipelineBackend.start({ orders: "running", billing: "paused" });
});

afterAll(() => backend?.close());

const { server, newPage } = dashboard(() => ({
  FANTAIL_PIPELINE_URL: backend.url,
  FANTAIL_PIPELINE_POLL_S: "0.3",
}));

beforeEach(async () => {
  backend.failing = false;
  backend.statuses.set("orders", "running");
  backend.statuses.set("billing", "paused");
  page = await newPage();
  states = [];
  await page.clock.install();
  await page.addInitScript(() => {
    // A connection of the page's own: no clock and no route of a test reaches into a worker (see many-tabs.test.ts).
    Reflect.deleteProperty(globalThis, "SharedWorker");
    Reflect.deleteProperty(globalThis, "BroadcastChannel");
    localStorage.setItem("fantail.pipelines", '["orders","billing"]');
    // oxlint-disable-next-line no-console -- how the page tells the test
    globalThis.addEventListener("sse-fallback-triggered", () => console.debug("heard: the fallback"));
  });
  page.on("console", (message) => {
    const moved = /pipeline\/status\/stream.*: \w+ → (\w+) /.exec(message.text())?.[1];
    if (moved) states.push(moved);
    if (message.text() === "heard: the fallback") states.push("(event)");
  });
});

const live = () => page.getByText("Live", { exact: true });
const row = (name: string, status: string) =>
  page.getByRole("row", { name: new RegExp(name) }).filter({ hasText: status });

async function visit(): Promise<void> {
  await page.goto("/pipelines");
}

/**
 * Moves the page's clock until something is there. The server and the network go on in real time beside it, so each
 * step leaves them some: a page whose clock runs away gives up every answer before it can come.
 */
async function passUntil(there: () => Promise<boolean>, stepMs = 1000): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  while (Date.now() < end) {
    if (await there()) return;
    await page.clock.runFor(stepMs);
    await page.waitForTimeout(stepMs / 10);
  }
  throw new Error(`it did not come about; states: ${states.join(", ")}`);
}

describe("a sound server", () => {
  it("is shown as it is, change by change, over one stream", async () => {
    await visit();
    await row("orders", "active").waitFor();
    await row("billing", "paused").waitFor();
    await live().waitFor();
    backend.statuses.set("orders", "failed");
    await row("orders", "failed").waitFor();
    expect(states).toEqual(["connecting", "connected"]);
  });
});

describe("a backend that answers with errors, and then again as before", () => {
  it("is told of beside the statuses, which stay, until it is over", async () => {
    await visit();
    await row("orders", "active").waitFor();
    backend.failing = true;
    const trouble = page.getByText("The pipeline backend answers with an error");
    await row("orders", "answers with an error").filter({ hasText: "active" }).waitFor();
    await row("billing", "answers with an error").filter({ hasText: "paused" }).waitFor();
    backend.failing = false;
    await expect.poll(() => trouble.count()).toBe(0);
    await row("orders", "active").waitFor();
    expect(states).toEqual(["connecting", "connected"]);
  });
});

describe("a server that is stopped", () => {
  it("is tried for again, replaced by polling, and found again by itself", async () => {
    await visit();
    await live().waitFor();
    await row("orders", "active").waitFor(); // live may come before the first status
    await server.end("SIGKILL");
    await page.getByText("Connection lost, reconnecting").waitFor();
    await row("orders", "active").waitFor();
    await passUntil(() => page.getByText("No live updates").isVisible());
    expect(states).toEqual(["connecting", "connected", "reconnecting", "polling", "(event)"]);
    await row("orders", "active").waitFor();
    backend.statuses.set("orders", "failed");
    await server.launch();
    await passUntil(() => row("orders", "failed").isVisible());
    await passUntil(() => live().isVisible());
    expect(states.at(-1)).toBe("connected");
    expect(await page.getByText("No live updates").count()).toBe(0);
  });

  it("and back soon is not missed for long, and no change with it", async () => {
    await visit();
    await live().waitFor();
    await server.end("SIGTERM");
    await page.getByText("Connection lost, reconnecting").waitFor();
    backend.statuses.set("billing", "stopped");
    await server.launch();
    await passUntil(() => live().isVisible(), 500);
    await row("billing", "stopped").waitFor();
    expect(states).toEqual(["connecting", "connected", "reconnecting", "connected"]);
  });
});

describe("a server that answers 500", () => {
  it("is polled instead, and streams again when it is sound", async () => {
    await page.route(STREAM, (route) => route.fulfill({ status: 500, body: "oh no" }));
    await visit();
    await passUntil(() => page.getByText("No live updates: oh no").isVisible());
    await passUntil(() => row("orders", "active").isVisible());
    expect(states).toEqual(["connecting", "reconnecting", "polling", "(event)"]);
    backend.statuses.set("orders", "pausing");
    await passUntil(() => row("orders", "pausing").isVisible());
    await page.unroute(STREAM);
    await page.getByRole("button", { name: "Try now" }).click();
    await live().waitFor();
    await row("orders", "pausing").waitFor();
  });
});

describe("a server that is slow", () => {
  it("is given up after 20 s, and taken when it answers", async () => {
    let held = 0;
    await page.route(STREAM, (route) => {
      held += 1;
      return held > 1 ? route.continue() : undefined;
    });
    await visit();
    await page.getByText("Connecting…").waitFor();
    await page.clock.runFor(19_000);
    expect(states).toEqual(["connecting"]);
    await passUntil(() => live().isVisible());
    expect(states).toEqual(["connecting", "reconnecting", "connected"]);
  });
});

describe("a page that is hidden", () => {
  it("closes its stream, and goes on from where it was when it is seen", async () => {
    const positions: (string | undefined)[] = [];
    page.on("request", (request) => {
      if (request.url().includes("/status/stream")) positions.push(request.headers()["last-event-id"]);
    });
    await visit();
    await live().waitFor();
    await row("orders", "active").waitFor();
    await setHidden(true);
    await page.getByText("Not connected").waitFor();
    backend.statuses.set("orders", "stopped");
    await setHidden(false);
    await live().waitFor();
    await row("orders", "stopped").waitFor();
    expect(positions[0]).toBeUndefined();
    expect(positions[1]).toMatch(/^\d+-[0-9a-z]+$/);
  });
});

/** Chromium without a screen shows all of its pages, so the page is told otherwise. */
async function setHidden(hidden: boolean): Promise<void> {
  await page.evaluate(
    (state) => {
      Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    },
    hidden ? "hidden" : "visible",
  );
}

describe.each(["light", "dark"] as const)("accessibility, %s", (colorScheme) => {
  it.each([1280, 390])("no violation at %d pixels", async (width) => {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 900 });
    await visit();
    await row("orders", "active").waitFor();
    expect(await violations(page)).toEqual([]);
    await keepPicture(page, `pipelines-${colorScheme}-${width}`);
  });
});

// Last, since the server names what was asked for to whoever comes next, for a while.
describe("a pipeline that there is not", () => {
  it("is told of, and no other is the worse for it", async () => {
    await visit();
    await page.getByLabel("Pipeline ids to add").fill("ghost");
    await page.getByRole("button", { name: "Add", exact: true }).click();
    await row("ghost", "Pipeline not found").waitFor();
    await row("orders", "active").waitFor();
  });
});
