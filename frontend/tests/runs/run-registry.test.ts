/** Runs followed to their ends: each told once, and none failed because a connection was. */
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { FetchStreams } from "../../src/stream/fetch-streams";
import type { Json } from "../../src/stream/json";
import { RUN_STREAMS_MAX, type RunEnd, RunRegistry } from "../../src/runs/run-registry";
import { isTerminalRun, laterStatus, readRunNews } from "../../src/runs/run-status";
import { HideablePage } from "../support/hideable-page";
import { type Exchange, SimulatedPlatform, settle } from "../support/simulated-platform";

let platform: SimulatedPlatform;
let registry: RunRegistry;
let ends: RunEnd[];

const registryOn = (platform: SimulatedPlatform): RunRegistry =>
  new RunRegistry({
    streams: new FetchStreams({ platform }),
    platform,
    visibility: new HideablePage(),
    schedule: (run) => platform.after(16, run),
  });

beforeEach(() => {
  platform = new SimulatedPlatform();
  registry = registryOn(platform);
  ends = [];
  registry.onEnd((end) => ends.push(end));
});

const asked = (part: string): readonly Exchange[] =>
  platform.exchanges.filter((exchange) => exchange.url.includes(part));
const stream = (runId: string): Exchange | undefined => asked(`/job-status/events/${runId}`).at(-1);
const question = (runId: string): Exchange | undefined => asked(`/runs/${runId}/status`).at(-1);
const active = () => Object.keys(registry.getState().activeRuns);

async function list(...runningJobs: Json[]): Promise<void> {
  asked("/status/running").at(-1)?.answer(200, JSON.stringify({ runningJobs }));
  await settle();
}

async function say(runId: string, data: object): Promise<void> {
  stream(runId)?.send(`data: ${JSON.stringify({ runId, ...data })}\n\n`);
  await settle();
}

async function started(runId = "r1", jobId = "j1"): Promise<void> {
  registry.start();
  await list();
  registry.startJobRun(runId, jobId, "Nightly");
  stream(runId)?.open();
  await settle();
}

async function pass(ms: number): Promise<void> {
  platform.pass(ms);
  await settle();
}

/** The transport fails, again and again. */
async function fail(runId: string, forMs: number): Promise<void> {
  stream(runId)?.cut();
  for (let left = forMs; left > 0; left -= 500) {
    stream(runId)?.fail();
    await pass(500);
  }
}

describe("a run", () => {
  it("is followed to its end, which is told once, and its connection is closed", async () => {
    await started();
    await say("r1", { status: "waiting" });
    await say("r1", { status: "running", startedAt: "2026-01-01T00:00:00Z" });
    expect(registry.getState().activeRuns.r1).toMatchObject({
      jobId: "j1",
      jobName: "Nightly",
      status: "running",
      startedAtMs: Date.UTC(2026, 0, 1),
    });
    expect([...registry.getState().runningJobs]).toEqual(["j1"]);
    await say("r1", { status: "passed" });
    await say("r1", { status: "failed" });
    expect(ends).toMatchObject([
      { runId: "r1", jobId: "j1", jobName: "Nightly", outcome: "succeeded", status: "passed" },
    ]);
    expect(active()).toEqual([]);
    expect(registry.getState().jobStatuses.get("j1")).toBe("passed");
    expect(stream("r1")?.signal?.aborted).toBe(true);
  });

  it.each(["completed", "passed", "failed", "error", "cancelled", "blocked", "PASSED", "canceled"])(
    "ends with %s",
    async (status) => {
      await started();
      await say("r1", { status });
      expect(ends).toHaveLength(1);
    },
  );

  it("does not end with a word that nobody knows", async () => {
    await started();
    await say("r1", { status: "uploading" });
    expect(ends).toEqual([]);
    expect(registry.getState().activeRuns.r1?.status).toBe("uploading");
  });

  it("that has ended is not started again, by nobody", async () => {
    await started();
    await say("r1", { status: "passed" });
    const before = platform.exchanges.length;
    registry.startJobRun("r1", "j1");
    registry.completeJobRun(false, "j1", "r1");
    await pass(6000);
    await list({ jobId: "j1", name: "Nightly", runId: "r1" });
    expect(ends).toHaveLength(1);
    expect(active()).toEqual([]);
    expect(asked("/events/").length).toBe(asked("/events/").filter((one) => one.url.includes("r1")).length);
    expect(platform.exchanges.length - before).toBeLessThanOrEqual(2);
  });

  it("is completed by hand, once", async () => {
    await started();
    registry.completeJobRun(true, "j1", "r1");
    registry.completeJobRun(false, "j1", "r1");
    expect(ends).toMatchObject([{ outcome: "succeeded", jobName: "Nightly" }]);
    expect(active()).toEqual([]);
  });

  it("started twice is one", async () => {
    await started();
    registry.startJobRun("r1", "j1");
    expect(asked("/job-status/events/r1")).toHaveLength(1);
  });
});

describe("a broken connection", () => {
  it("is never a failed job: the run stays as it was, and is asked about after the tries", async () => {
    await started();
    await say("r1", { status: "running" });
    await fail("r1", 60_000);
    expect(ends).toEqual([]);
    expect(registry.getState().activeRuns.r1).toMatchObject({
      status: "running",
      connection: "polling",
      trouble: "connection refused",
    });
    expect(registry.getState().jobStatuses.get("j1")).toBe("running");
    while (question("r1")?.signal?.aborted) await pass(500);
    question("r1")?.answer(200, '{"runId":"r1","status":"passed","errorDetails":null}');
    await settle();
    expect(ends).toMatchObject([{ runId: "r1", outcome: "succeeded" }]);
  });

  it("comes back by itself, and the polling ends", async () => {
    await started();
    await fail("r1", 60_000);
    const before = asked("/job-status/events/r1").length;
    while (asked("/job-status/events/r1").length === before) await pass(500);
    stream("r1")?.open();
    await settle();
    const polls = asked("/runs/r1").length;
    await pass(20_000);
    expect(registry.getState().activeRuns.r1).toMatchObject({ connection: "connected", trouble: null });
    expect(asked("/runs/r1")).toHaveLength(polls);
  });

  it("and the server's own trouble are told as trouble, and end with the next state", async () => {
    await started();
    await say("r1", { status: "running" });
    stream("r1")?.send('event: stream-error\ndata: {"message":"Live updates are interrupted"}\n\n');
    await settle();
    expect(registry.getState().activeRuns.r1).toMatchObject({
      status: "running",
      trouble: "Live updates are interrupted",
    });
    await say("r1", { status: "running" });
    expect(registry.getState().activeRuns.r1?.trouble).toBeNull();
  });

  it.each([401, 403, 500, 503])("or an answer %i fails no run", async (status) => {
    registry.start();
    registry.startJobRun("r1", "j1");
    for (let turn = 0; turn < 100; turn += 1) {
      stream("r1")?.answer(status, "no");
      question("r1")?.answer(status, "no");
      await pass(1000);
    }
    expect(ends).toEqual([]);
    expect(active()).toEqual(["r1"]);
  });

  it("of a run that the server does not know: lost, which is not failed", async () => {
    await started();
    registry.startJobRun("r2", "j2");
    stream("r2")?.answer(404, "Run not found");
    await settle();
    expect(ends).toMatchObject([{ runId: "r2", outcome: "lost", details: "Run not found" }]);
    expect(registry.getState().jobStatuses.get("j2")).toBe("waiting");
  });

  it("that has said all it had to say (204) is asked about once more", async () => {
    registry.start();
    registry.startJobRun("r1", "j1");
    stream("r1")?.answer(204);
    await settle();
    question("r1")?.answer(200, '{"status":"error","errorDetails":"boom"}');
    await settle();
    expect(ends).toMatchObject([{ outcome: "failed", details: "boom" }]);
  });
});

describe("the list of running jobs", () => {
  it("is read at first, and its runs are followed", async () => {
    registry.start();
    await list({ jobId: "j1", name: "Nightly", runId: "r1" }, { odd: true });
    expect(registry.getState()).toMatchObject({ loaded: true, problem: null });
    expect(registry.getState().activeRuns.r1).toMatchObject({ jobName: "Nightly", status: "running" });
  });

  it("is asked for again where there was no answer, which is told", async () => {
    registry.start();
    asked("/status/running")[0]?.answer(503, '{"error":"The store is away"}');
    await settle();
    expect(registry.getState()).toMatchObject({ loaded: false, problem: "The store is away" });
    await pass(10_000);
    await list();
    expect(registry.getState()).toMatchObject({ loaded: true, problem: null });
  });

  it("that names a run no more has it asked about, and told with its end, once", async () => {
    registry.start();
    const listed = ["r1", "r2", "r3"].map((runId) => ({ jobId: `j-${runId}`, name: null, runId }));
    await list(...listed);
    for (const runId of ["r1", "r2"]) stream(runId)?.open();
    await settle();
    for (const runId of ["r1", "r2"]) await say(runId, { status: "running" });
    question("r3")?.answer(200, '{"status":"running"}');
    await pass(6000);
    await list();
    expect(active()).toEqual(["r1", "r2", "r3"]);
    for (const before = asked("/runs/r3/").length; asked("/runs/r3/").length === before;) await pass(500);
    question("r1")?.answer(200, '{"status":"failed","errorDetails":"exit 1"}');
    question("r2")?.answer(200, '{"status":"running"}');
    question("r3")?.answer(404, '{"error":"Run not found"}');
    await settle();
    await say("r1", { status: "failed" });
    expect(active()).toEqual(["r2"]);
    expect(ends.map((end) => [end.runId, end.outcome, end.details])).toEqual([
      ["r1", "failed", "exit 1"],
      ["r3", "lost", "Run not found"],
    ]);
  });

  it("is not asked for by who only follows what is known", async () => {
    const stop = registry.follow();
    await pass(60_000);
    expect(platform.exchanges).toEqual([]);
    registry.startJobRun("r1", "j1");
    stream("r1")?.open();
    await settle();
    await say("r1", { status: "passed" });
    expect(ends).toHaveLength(1);
    expect(asked("/status/running")).toEqual([]);
    stop();
  });

  it("ends with the component that asked for it, and the runs it named are followed on", async () => {
    registry.follow();
    const stop = registry.start();
    await list({ jobId: "j1", name: "Nightly", runId: "r1" });
    stream("r1")?.open();
    await settle();
    stop();
    await pass(20_000);
    expect(asked("/status/running").length).toBeLessThanOrEqual(2);
    await say("r1", { status: "passed" });
    expect(ends).toMatchObject([{ runId: "r1", outcome: "succeeded" }]);
  });
});

describe("many runs", () => {
  it("share few streams; the others are asked about, and get a stream when one is free", async () => {
    registry.start();
    const runs = Array.from({ length: 5 }, (_, at) => `r${at}`);
    for (const runId of runs) registry.startJobRun(runId, `j-${runId}`);
    expect(asked("/job-status/events/")).toHaveLength(RUN_STREAMS_MAX);
    expect(runs.slice(RUN_STREAMS_MAX).every((runId) => question(runId))).toBe(true);
    stream("r0")?.open();
    await settle();
    await say("r0", { status: "passed" });
    expect(stream("r2")).toBeDefined();
    question("r4")?.answer(200, '{"status":"blocked"}');
    await settle();
    expect(ends.map((end) => [end.runId, end.outcome])).toEqual([
      ["r0", "succeeded"],
      ["r4", "failed"],
    ]);
  });

  it("in any order of frames, answers and faults end once each, as their workers said", async () => {
    const words = ["waiting", "running", "passed", "failed"] as const;
    const step = fc.record({
      run: fc.constantFrom("r0", "r1", "r2"),
      what: fc.constantFrom("say", "answer", "cut", "fail", "open", "pass"),
      status: fc.constantFrom(...words),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        platform = new SimulatedPlatform();
        registry = registryOn(platform);
        const told: string[] = [];
        registry.onEnd((end) => told.push(`${end.runId} ${end.status}`));
        registry.start();
        for (const runId of ["r0", "r1", "r2"]) registry.startJobRun(runId, runId);
        const said = new Set<string>();
        for (const { run, what, status } of steps) {
          said.add(`${run} ${status}`);
          if (what === "say") await say(run, { status });
          else if (what === "answer") question(run)?.answer(200, JSON.stringify({ status }));
          else if (what === "cut") stream(run)?.cut();
          else if (what === "fail") stream(run)?.fail();
          else if (what === "open") stream(run)?.open();
          else await pass(3000);
          await settle();
        }
        expect(new Set(told.map((end) => end.split(" ")[0])).size).toBe(told.length);
        for (const end of told) expect(said).toContain(end);
        for (const runId of active()) expect(told.join()).not.toContain(runId);
      }),
      { numRuns: 60 },
    );
  });
});

it("leaves nothing behind when the last component has gone", async () => {
  await started();
  const stop = registry.start();
  stop();
  stop();
  expect(stream("r1")?.signal?.aborted).toBe(false);
  registry = new RunRegistry({
    streams: new FetchStreams({ platform }),
    platform,
    visibility: new HideablePage(),
    schedule: (run) => platform.after(16, run),
  });
  const end = registry.start();
  registry.startJobRun("r9", "j9");
  end();
  await pass(2000);
  expect(stream("r9")?.signal?.aborted).toBe(true);
});

describe("statuses of runs", () => {
  it("go forward only: terminal over running over waiting", () => {
    const order = ["waiting", "running", "passed"];
    for (const known of order)
      for (const heard of order)
        expect(laterStatus(known, heard)).toBe(
          order[Math.max(order.indexOf(known), order.indexOf(heard))] ?? "",
        );
    expect(isTerminalRun("running")).toBe(false);
    expect(isTerminalRun("constructor")).toBe(false);
  });

  it.each([[null], [[]], ["passed"], [{ status: 3 }], [{ status: "" }]])("are not read off %j", (data) => {
    expect(readRunNews(data as Json)).toBeNull();
  });
});
