import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FantailProvider } from "../../src/hooks/client-context";
import { createClient } from "../../src/stream/client";
import { PipelinesPage } from "../../src/ui/PipelinesPage";
import { RunsPage } from "../../src/ui/RunsPage";
import { IDS_MAX, STORAGE_KEY } from "../../src/ui/usePipelineIds";
import { ScriptedSource, type ScriptedSubscription } from "../support/scripted-source";

let source: ScriptedSource;
let answers: Record<string, unknown>;

beforeEach(() => {
  vi.useFakeTimers({
    toFake: [
      "setTimeout",
      "clearTimeout",
      "setInterval",
      "clearInterval",
      "requestAnimationFrame",
      "cancelAnimationFrame",
    ],
  });
  localStorage.clear();
  source = new ScriptedSource();
  answers = { "/api/jobs/status/running": { runningJobs: [] } };
  vi.stubGlobal("fetch", (url: string) => Promise.resolve(Response.json(answers[url] ?? { success: false })));
});

afterEach(() => {
  cleanup();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const pass = (ms = 300): Promise<void> =>
  act(async () => {
    await vi.advanceTimersByTimeAsync(ms);
  });

async function show(page: "pipelines" | "runs", useSSEStatus = true): Promise<void> {
  render(
    <FantailProvider value={createClient({ streams: source, useSSEStatus })}>
      {page === "pipelines" ? <PipelinesPage /> : <RunsPage />}
    </FantailProvider>,
  );
  await pass();
}

function stream(part: string): ScriptedSubscription {
  const found = source.subscriptions.findLast((one) => one.topic.includes(part));
  if (!found) throw new Error(`no stream of ${part}`);
  return found;
}

function add(typed: string): void {
  fireEvent.change(screen.getByLabelText("Pipeline ids to add"), { target: { value: typed } });
  fireEvent.click(screen.getByRole("button", { name: "Add" }));
}

describe("the pipelines page", () => {
  it("follows what was added, and remembers it", async () => {
    await show("pipelines");
    expect(screen.getByText("No pipelines yet")).toBeDefined();
    add("one, two No");
    await pass();
    expect(screen.getByText(/An id is 2 to 40/)).toBeDefined();
    stream("/status/stream").open();
    stream("/status/stream").say([
      "batch_update",
      { updates: [{ pipelineId: "one", status: "active" }] },
      "1-e",
    ]);
    stream("/status/stream").say([
      "error",
      { pipelineId: "two", message: "Pipeline not found", code: "PIPELINE_NOT_FOUND" },
    ]);
    await pass();
    const rows = screen.getAllByRole("row").map((row) => row.textContent);
    expect(rows[1]).toContain("one");
    expect(rows[1]).toContain("active");
    expect(rows[2]).toContain("Pipeline not found");
    expect(screen.getByText("Live")).toBeDefined();
    cleanup();
    await show("pipelines");
    expect(screen.getAllByRole("row")).toHaveLength(3);
  });

  it("shows what the server's table names, and takes off what the reader does not want", async () => {
    await show("pipelines");
    stream("/api/events/").open();
    stream("/api/events/").say(
      ["message", [{ op: "add", path: "/pipelines", value: {} }]],
      ["message", [{ op: "add", path: "/pipelines/one", value: { status: "active" } }]],
      ["ready", {}, "1-e"],
    );
    await pass();
    expect(stream("/status/stream").topic).toContain("pipelineIds=one");
    fireEvent.click(screen.getByRole("button", { name: "Remove one" }));
    await pass(3000);
    expect(screen.getByText("No pipelines yet")).toBeDefined();
    expect(stream("/status/stream").calls).toContain("close");
    add("one");
    await pass();
    expect(screen.getByText("one")).toBeDefined();
  });

  it("says why statuses may be old, and never of a pipeline what is the connection's", async () => {
    localStorage.setItem(STORAGE_KEY, '["one"]');
    await show("pipelines");
    stream("/status/stream").open();
    stream("/status/stream").say(["batch_update", { updates: [{ pipelineId: "one", status: "active" }] }]);
    stream("/status/stream").say(["error", { message: "The pipeline backend cannot be reached" }]);
    await pass();
    expect(screen.getByText("The pipeline backend cannot be reached.")).toBeDefined();
    act(
      () =>
        void stream("/status/stream").status({
          state: "polling",
          attempt: 6,
          problem: { kind: "network", message: "refused" },
        }),
    );
    await pass();
    expect(screen.getByText("No live updates")).toBeDefined();
    expect(screen.getByText("Polling")).toBeDefined();
    expect(screen.getByText("active")).toBeDefined();
    fireEvent.click(screen.getByRole("button", { name: "Try now" }));
    expect(stream("/status/stream").calls).toEqual(["reconnect"]);
  });

  it("asks every few seconds where the server's configuration says so", async () => {
    localStorage.setItem(STORAGE_KEY, '["one"]');
    answers["/ui-api/pipeline/one/health"] = { success: true, health: { overall_status: "paused" } };
    await show("pipelines", false);
    expect(screen.getByText("paused")).toBeDefined();
    expect(screen.getByText("Asked every few seconds")).toBeDefined();
  });

  it("follows only the rows it shows, and says how many it does not", async () => {
    const many = Array.from({ length: 250 }, (_, at) => `p-${at}`);
    localStorage.setItem(STORAGE_KEY, JSON.stringify(many));
    await show("pipelines");
    expect(stream("/status/stream").topic.split(",")).toHaveLength(200);
    expect(screen.getByText("50 pipelines not shown.")).toBeDefined();
  });

  it.each(["{", '"one"', "[1,2]", "null", JSON.stringify(Array(IDS_MAX).fill("A"))])(
    "takes what it kept for nothing where it is %s",
    async (kept) => {
      localStorage.setItem(STORAGE_KEY, kept.slice(0, 50));
      await show("pipelines");
      expect(screen.getByText("No pipelines yet")).toBeDefined();
    },
  );
});

describe("the runs page", () => {
  it("shows the runs under way, then how they ended", async () => {
    answers["/api/jobs/status/running"] = { runningJobs: [{ jobId: "j1", name: "Nightly", runId: "r1" }] };
    await show("runs");
    expect(screen.getByText("Nightly")).toBeDefined();
    expect(screen.getByText("running")).toBeDefined();
    expect(document.title).toBe("(1) Runs · Fantail");
    stream("/r1")
      .open()
      .say(["message", { runId: "r1", status: "failed", errorDetails: "2 of 9 failed" }]);
    await pass();
    expect(screen.getByText("Ended since this page was opened")).toBeDefined();
    expect(screen.getByText("2 of 9 failed")).toBeDefined();
    expect(screen.getByText("Nightly: failed")).toBeDefined();
  });

  it("says that a connection is lost beside a run that runs on", async () => {
    answers["/api/jobs/status/running"] = { runningJobs: [{ jobId: "j1", name: "Nightly", runId: "r1" }] };
    await show("runs");
    act(() => void stream("/r1").status({ state: "reconnecting" }));
    await pass();
    expect(screen.getByText("Connection lost, reconnecting")).toBeDefined();
    expect(screen.getByText("running")).toBeDefined();
  });

  it("says that nothing runs, or that the server does not say", async () => {
    await show("runs");
    expect(screen.getByText("Nothing is running")).toBeDefined();
    cleanup();
    answers = {};
    await show("runs");
    expect(screen.getByText(/does not say which runs/)).toBeDefined();
  });
});
