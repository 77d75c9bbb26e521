import { act, renderHook } from "@testing-library/react";
import { type ReactNode, StrictMode } from "react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { FantailProvider } from "../../src/hooks/client-context";
import { JobProvider, useJobContext } from "../../src/hooks/useJobContext";
import { type Client, createClient } from "../../src/client";
import type { RunEnd } from "../../src/runs/run-registry";
import { holdClock, pass } from "../support/held-clock";
import { ScriptedSource } from "../support/scripted-source";

let source: ScriptedSource;
let client: Client;
let ends: RunEnd[];
const onRunEnd = (end: RunEnd): number => ends.push(end);

holdClock();

beforeEach(() => {
  source = new ScriptedSource();
  ends = [];
  vi.stubGlobal("fetch", () =>
    Promise.resolve(Response.json({ runningJobs: [{ jobId: "j1", name: "Nightly", runId: "r1" }] })),
  );
  client = createClient({ streams: source });
});

function wrapper({ children }: { children: ReactNode }) {
  return (
    <StrictMode>
      <FantailProvider value={client}>
        <JobProvider onRunEnd={onRunEnd}>{children}</JobProvider>
      </FantailProvider>
    </StrictMode>
  );
}

describe("useJobContext", () => {
  it("knows at first which jobs run, and follows them", async () => {
    const { result } = renderHook(useJobContext, { wrapper });
    expect(result.current).toMatchObject({ isAnyJobRunning: false, isLoaded: false });
    await pass(300);
    expect(result.current).toMatchObject({ isAnyJobRunning: true, isLoaded: true });
    expect([...result.current.runningJobs]).toEqual(["j1"]);
    expect(result.current.isJobRunning("j1")).toBe(true);
    expect(result.current.activeRuns.r1).toMatchObject({ jobName: "Nightly", status: "running" });
    expect(source.last.topic).toBe("/api/job-status/events/r1");
  });

  it("starts and ends a run, with one notice", async () => {
    const { result } = renderHook(useJobContext, { wrapper });
    await pass(300);
    act(() => result.current.startJobRun("r2", "j2", "Smoke"));
    source.last.open().say(["message", { status: "running", runId: "r2" }]);
    await pass(300);
    expect(result.current.getJobStatus("j2")).toBe("running");
    source.last.say(["message", { status: "failed", runId: "r2", errorDetails: "2 of 9" }]);
    await pass(300);
    act(() => result.current.completeJobRun(true, "j2", "r2"));
    expect(ends).toMatchObject([{ runId: "r2", outcome: "failed", details: "2 of 9" }]);
    expect(result.current.isJobRunning("j2")).toBe(false);
    expect(result.current.getJobStatus("j2")).toBe("failed");
    expect(result.current.recentEnds).toHaveLength(1);
  });

  it("keeps a status that was set by hand until a worker says another", async () => {
    const { result } = renderHook(useJobContext, { wrapper });
    await pass(300);
    act(() => result.current.setJobStatus("j1", "queued"));
    act(
      () => void source.last.status({ state: "reconnecting", problem: { kind: "network", message: "cut" } }),
    );
    await pass(300);
    expect(result.current.getJobStatus("j1")).toBe("queued");
    expect(result.current.isJobRunning("j1")).toBe(true);
    expect(result.current.getJobStatus("nobody")).toBeNull();
  });

  it("starts a run once, however often it is asked", async () => {
    const { result } = renderHook(useJobContext, { wrapper });
    await pass(300);
    act(() => result.current.startJobRun("r2", "j2"));
    act(() => result.current.startJobRun("r2", "j2"));
    await pass(300);
    expect(source.subscriptions.filter((one) => one.topic.endsWith("/r2"))).toHaveLength(1);
  });

  it("closes all connections when the last component has gone", async () => {
    const { unmount } = renderHook(useJobContext, { wrapper });
    await pass(300);
    unmount();
    await pass(2000);
    expect(source.subscriptions.every((one) => one.calls.includes("close"))).toBe(true);
  });

  it("needs its provider", () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    expect(() => renderHook(useJobContext)).toThrow("within a JobProvider");
    vi.restoreAllMocks();
  });
});
