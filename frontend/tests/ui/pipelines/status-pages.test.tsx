import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import type { ReactNode } from "react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { FantailProvider } from "../../../src/hooks/client-context";
import { JobProvider } from "../../../src/hooks/useJobContext";
import { createClient } from "../../../src/client";
import { PipelinesPage } from "../../../src/ui/pipelines/PipelinesPage";
import { NOTICE_MS, RunNotices } from "../../../src/ui/runs/RunNotices";
import { RunsPage } from "../../../src/ui/runs/RunsPage";
import { IDS_MAX, STORAGE_KEY } from "../../../src/ui/pipelines/usePipelineIds";
import { holdClock, pass } from "../../support/held-clock";
import { ScriptedSource, type ScriptedSubscription } from "../../support/scripted-source";

let source: ScriptedSource;
let answers: Record<string, unknown>;

holdClock("Date", "performance");

beforeEach(() => {
  localStorage.clear();
  source = new ScriptedSource();
  answers = { "/api/jobs/status/running": { runningJobs: [] } };
  vi.stubGlobal("fetch", (url: string) => Promise.resolve(Response.json(answers[url] ?? { success: false })));
});

async function show(page: "pipelines" | "runs", useSSEStatus = true): Promise<void> {
  render(
    <FantailProvider value={createClient({ streams: source, useSSEStatus })}>
      <JobProvider>
        {page === "pipelines" ? <PipelinesPage /> : <RunsPage />}
        <RunNotices />
      </JobProvider>
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

  it("takes off a run of the list with how it ended, though nobody said so on its stream", async () => {
    answers["/api/jobs/status/running"] = { runningJobs: [{ jobId: "1", name: "Build", runId: "1" }] };
    answers["/api/runs/1/status"] = { runId: "1", jobId: "1", status: "running" };
    await show("runs");
    stream("/1")
      .open()
      .say(["message", { runId: "1", status: "running" }]);
    answers["/api/jobs/status/running"] = { runningJobs: [] };
    answers["/api/runs/1/status"] = { runId: "1", jobId: "1", status: "passed" };
    await pass(6000);
    expect(screen.getByText("passed")).toBeDefined();
    expect(screen.getAllByText("Build: succeeded")).toHaveLength(1);
    await pass(NOTICE_MS);
    expect(screen.queryByText("Build: succeeded")).toBeNull();
    expect(screen.getByText("passed")).toBeDefined();
  });

  it("says that a connection is lost beside a run that runs on", async () => {
    answers["/api/jobs/status/running"] = { runningJobs: [{ jobId: "j1", name: "Nightly", runId: "r1" }] };
    await show("runs");
    act(() => void stream("/r1").status({ state: "reconnecting" }));
    await pass();
    const row = screen.getByRole("row", { name: /Nightly/ });
    expect(row.textContent).toContain("Connection lost, reconnecting");
    expect(row.textContent).toContain("running");
    const asked = source.subscriptions.at(-1)?.calls ?? [];
    fireEvent.click(screen.getByRole("button", { name: "Try now" }));
    expect(asked).toContain("reconnect");
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

describe("any page", () => {
  it("opens nothing and asks nothing about runs that nobody follows", async () => {
    const asked: string[] = [];
    vi.stubGlobal("fetch", (url: string) => {
      asked.push(url);
      return Promise.resolve(Response.json({ success: false }));
    });
    await show("pipelines");
    await pass(60_000);
    expect(asked.filter((url) => url.startsWith("/api/"))).toEqual([]);
    expect(source.subscriptions.filter((one) => one.topic.includes("job-status"))).toEqual([]);
  });

  it("tells of the end of a run that another page listed", async () => {
    answers["/api/jobs/status/running"] = { runningJobs: [{ jobId: "j1", name: "Nightly", runId: "r1" }] };
    const client = createClient({ streams: source });
    const page = (child: ReactNode) => (
      <FantailProvider value={client}>
        <JobProvider>
          {child}
          <RunNotices />
        </JobProvider>
      </FantailProvider>
    );
    const { rerender } = render(page(<RunsPage />));
    await pass();
    rerender(page(<p>Another page</p>));
    await pass(10_000);
    expect(stream("/r1").calls).toEqual([]);
    stream("/r1")
      .open()
      .say(["message", { runId: "r1", status: "failed" }], ["message", { runId: "r1", status: "failed" }]);
    await pass();
    expect(screen.getAllByText("Nightly: failed")).toHaveLength(1);
    expect(screen.getByText("Nightly: failed").closest("output")).not.toBeNull();
    fireEvent.click(screen.getByRole("button", { name: "Dismiss" }));
    expect(screen.queryByText("Nightly: failed")).toBeNull();
  });
});
