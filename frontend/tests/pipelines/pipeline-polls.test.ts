/** Polling: what is asked, when, and what answers mean. */
import { beforeEach, describe, expect, it } from "vitest";
import { PipelineBoard } from "../../src/pipelines/pipeline-board";
import { PipelinePolls } from "../../src/pipelines/pipeline-polls";
import { isPipelineId, pipelineStatusOf } from "../../src/pipelines/pipeline-status";
import {
  ANSWER_TIMEOUT_MS,
  QUESTIONS_MAX,
  ROUND_FAILED_MS,
  ROUND_MS,
  ROUND_STEADY_MS,
} from "../../src/stream/polling";
import { HideablePage } from "../support/hideable-page";
import { type Exchange, SimulatedPlatform, settle } from "../support/simulated-platform";

let platform: SimulatedPlatform;
let page: HideablePage;
let board: PipelineBoard;
let polls: PipelinePolls;

beforeEach(() => {
  platform = new SimulatedPlatform();
  page = new HideablePage();
  board = new PipelineBoard(platform, (run) => platform.after(16, run));
  polls = new PipelinePolls({ board, platform, visibility: page });
});

async function answer(status: string, exchange: Exchange = platform.last): Promise<void> {
  exchange.answer(200, JSON.stringify({ success: true, health: { overall_status: status } }));
  await settle();
}

async function pass(ms: number): Promise<void> {
  platform.pass(ms);
  await settle();
}

describe("a pipeline that is polled", () => {
  it("is asked at once, soon after a change, and less often while it stays", async () => {
    polls.subscribe(["one"]);
    expect(platform.last.url).toBe("/ui-api/pipeline/one/health");
    const waits: number[] = [];
    for (const status of ["Running", "Running", "Running", "Running", "Paused", "Paused"]) {
      await answer(status);
      const asked = platform.exchanges.length;
      const before = platform.now();
      while (platform.exchanges.length === asked) await pass(100);
      waits.push(platform.now() - before);
    }
    expect(waits).toEqual([ROUND_MS, 3000, 4500, ROUND_STEADY_MS, ROUND_MS, 3000]);
    expect(board.getPipeline("one").status).toBe("paused");
  });

  it("is never asked twice at a time, however slow the answer is", async () => {
    polls.subscribe(["one"]);
    await pass(ANSWER_TIMEOUT_MS - 1);
    polls.subscribe(["one", "two"]);
    page.set(true);
    page.set(false);
    const asked = platform.exchanges.map((exchange) => exchange.url);
    expect(asked).toEqual(["/ui-api/pipeline/one/health", "/ui-api/pipeline/two/health"]);
  });

  it("is counted: one question for all who watch, until the last one goes", async () => {
    polls.subscribe(["one"]);
    polls.subscribe(["one"]);
    polls.unsubscribe(["one"]);
    await answer("active");
    await pass(ROUND_MS);
    expect(platform.exchanges).toHaveLength(2);
    polls.unsubscribe(["one"]);
    expect(platform.last.signal?.aborted).toBe(true);
    await pass(600_000);
    expect(platform.exchanges).toHaveLength(2);
    expect([platform.timers, page.listeners]).toEqual([0, 0]);
  });

  it("keeps its status while the server is away, and is asked less and less often", async () => {
    polls.subscribe(["one"]);
    await answer("active");
    const asked = platform.exchanges.length;
    for (let turn = 0; turn < 600; turn += 1) {
      await pass(500);
      platform.last.fail();
      await settle();
    }
    expect(board.getPipeline("one")).toMatchObject({ status: "active", problem: null });
    expect(platform.exchanges.length - asked).toBeLessThanOrEqual(5 + 300_000 / ROUND_FAILED_MS);
  });

  it("keeps its status too where something in between answers", async () => {
    polls.subscribe(["one"]);
    await answer("active");
    await pass(ROUND_MS);
    platform.last.answer(502, "<html>Bad gateway</html>");
    await settle();
    expect(board.getPipeline("one")).toMatchObject({ status: "active", problem: null });
  });

  it("that does not exist is told so, by the server's words", async () => {
    polls.subscribe(["ghost", "Not An Id"]);
    expect(platform.exchanges).toHaveLength(1);
    platform.last.answer(404, '{"success":false,"error":"Pipeline not found"}');
    await settle();
    expect(board.getPipeline("ghost").problem?.message).toBe("Pipeline not found");
    expect(board.getPipeline("Not An Id").problem?.message).toBe("Invalid pipeline ID");
  });
});

describe("many pipelines", () => {
  it("are asked together within a bound, and one that never answers delays no other for long", async () => {
    polls.subscribe(["dead", ...Array.from({ length: 20 }, (_, at) => `p-${at}`)]);
    expect(platform.exchanges).toHaveLength(QUESTIONS_MAX);
    for (let at = 1; at <= 20; at += 1) await answer("active", platform.exchanges[at]);
    const known = Array.from({ length: 20 }, (_, at) => board.getPipeline(`p-${at}`).status);
    expect(new Set(known)).toEqual(new Set(["active"]));
    await pass(ANSWER_TIMEOUT_MS);
    expect(platform.exchanges[0]?.signal?.aborted).toBe(true);
  });
});

describe("a hidden page", () => {
  it("asks nothing, and all that is due as soon as it is seen", async () => {
    polls.subscribe(["one"]);
    await answer("active");
    page.set(true);
    await pass(60_000);
    expect(platform.exchanges).toHaveLength(1);
    page.set(false);
    expect(platform.exchanges).toHaveLength(2);
  });
});

describe("words", () => {
  it.each([
    ["Running", "active"],
    ["unknown", "active"],
    ["no_configuration", "active"],
    ["created", "starting"],
    ["deploying", "starting"],
    ["deleted", "stopped"],
    ["deleting", "terminating"],
    ["deploy_failed", "failed"],
    ["error", "failed"],
    ["paused", "paused"],
    ["constructor", "constructor"],
  ])("%s is %s", (said, shown) => {
    expect(pipelineStatusOf(said)).toBe(shown);
  });

  it.each([
    ["a1", true],
    ["a-b-c", true],
    ["a".repeat(40), true],
    ["a", false],
    ["a--b", false],
    ["a-", false],
    ["1a", false],
    ["A1", false],
    ["a,b", false],
    ["a".repeat(41), false],
  ])("%s as an id: %s", (id, valid) => {
    expect(isPipelineId(id)).toBe(valid);
  });
});
