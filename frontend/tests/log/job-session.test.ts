import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Json } from "../../src/stream/json";
import { JobSession, type JobSessionSettings } from "../../src/log/job-session";
import { layOut } from "../../src/log/log-layout";
import { EVERYTHING } from "../../src/log/projection";
import { Frames, type Said, ScriptedSource } from "../support/scripted-source";

let frames: Frames;
let source: ScriptedSource;

function start(settings: Partial<JobSessionSettings> = {}): JobSession {
  const session = new JobSession({ source, jobId: "42", schedule: frames.schedule, ...settings });
  session.start();
  return session;
}

const entry = (line: string): Json => ({ timestamp: 1, line, stream: "stdout" });
const output = (offset: number): Said => ["output", entry(`${offset}`), `${offset}-tag${offset}`];
const rows = (session: JobSession) =>
  layOut(session.log, { projection: EVERYTHING, width: 0, raw: false })
    .rows(0, 100)
    .map(({ row }) => row);
const lines = (session: JobSession): string[] => session.log.records().map((record) => record.line);

beforeEach(() => {
  frames = new Frames();
  source = new ScriptedSource();
});

describe("events", () => {
  it("bring status, metadata and lines with their offsets", () => {
    const session = start();
    source.last.open().say(
      [
        "status",
        {
          status: "running",
          startedAt: 5,
          linesAdded: 3,
          linesRemoved: 0,
          branch: "main",
          mrWarning: "draft",
        },
      ],
      output(7),
    );
    expect(session.getState()).toMatchObject({
      status: "running",
      metadata: { startedAt: 5, linesAdded: 3, linesRemoved: 0, branch: "main", mrWarning: "draft" },
      isDone: false,
    });
    expect(session.log.entry(7)).toMatchObject({ line: "7" });
  });

  it("of an unknown name or an odd shape end nothing", () => {
    const session = start();
    source.last.open().say(["novelty", 1], ["output", "not an object", "0-a"], ["status", null], output(1));
    expect(lines(session)).toEqual(["not an object", "1"]);
  });

  it("an absent field of a later status is absent", () => {
    const session = start();
    source.last
      .open()
      .say(["status", { status: "failed", errorMessage: "no" }], ["status", { status: "running" }]);
    expect(session.getState().metadata.errorMessage).toBeUndefined();
  });
});

describe("reconnecting", () => {
  it("goes on from the position that the page brought, and adds nothing twice", () => {
    const initialOutput = [{ timestamp: 1, line: "8", stream: "stdout" as const }];
    const session = start({ initialOutput, initialFrom: 8, initialPosition: "8-tag8" });
    expect(source.last.options.position).toBe("8-tag8");
    source.last.open().say(output(9));
    source.last.status({ state: "reconnecting" }).open("9-tag9").say(output(10));
    expect(lines(session)).toEqual(["8", "9", "10"]);
    expect(session.log.end).toBe(11);
  });

  it("without a position replaces the initial lines by the replay, which are shown until then", () => {
    const session = start({ initialOutput: [{ timestamp: 1, line: "0", stream: "stdout" }] });
    source.last.open();
    expect(lines(session)).toEqual(["0"]);
    source.last.say(output(0), output(1));
    expect(lines(session)).toEqual(["0", "1"]);
  });

  it("to a server without ids replaces instead of adding again", () => {
    const session = start();
    source.last.open().say(["output", entry("a")], ["output", entry("b")]);
    source.last.status({ state: "reconnecting" }).open(null);
    expect(lines(session)).toEqual(["a", "b"]);
    source.last.say(["output", entry("a")], ["output", entry("b")], ["output", entry("c")]);
    expect(lines(session)).toEqual(["a", "b", "c"]);
  });

  it("after a stop goes on where it was", () => {
    const session = start();
    source.last.open().say(output(0), output(1));
    session.stop();
    session.start();
    expect(source.last.options.position).toBe("1-tag1");
  });
});

describe("reset and gap", () => {
  it("a reset replaces the lines by a mark and what follows, never mixing old and new", () => {
    const session = start();
    source.last.open().say(output(0), output(1));
    source.last.say(["reset", { reason: "tag" }]);
    expect(lines(session)).toEqual(["0", "1"]);
    source.last.say(["output", entry("new"), "0-other"]);
    expect(rows(session)).toMatchObject([{ kind: "reset", reason: "tag" }, { text: "new" }]);
  });

  it("a reset that nothing follows clears the lines after a moment", () => {
    vi.useFakeTimers();
    const session = start();
    source.last.open().say(output(0), ["reset", { reason: "offset" }]);
    vi.advanceTimersByTime(1000);
    expect(rows(session)).toMatchObject([{ kind: "reset" }]);
    vi.useRealTimers();
  });

  it("of two resets close to each other the second waits as long for its lines as the first", () => {
    vi.useFakeTimers();
    const session = start();
    source.last.open().say(output(0), ["reset", { reason: "tag" }]);
    vi.advanceTimersByTime(900);
    source.last.say(["output", entry("second"), "0-other"], ["reset", { reason: "tag" }]);
    vi.advanceTimersByTime(900);
    expect(lines(session)).toEqual(["second"]);
    vi.advanceTimersByTime(100);
    expect(lines(session)).toEqual([]);
    vi.useRealTimers();
  });

  it("a gap is a row", () => {
    const session = start();
    source.last.open().say(output(0), ["gap", { from: 1, to: 3 }], output(4));
    expect(rows(session)).toMatchObject([{ text: "0" }, { kind: "gap", from: 1, to: 3 }, { offset: 4 }]);
  });
});

describe("the end", () => {
  it("is final: nothing later is heard and nothing reopens it", () => {
    const session = start();
    const subscription = source.last.open().say(output(0), ["done", { status: "success" }, "0-tag0.end"]);
    subscription.say(output(1), ["status", { status: "running" }], ["error", { message: "late" }]);
    session.reconnect();
    session.start();
    session.stop();
    session.start();
    expect(source.subscriptions).toHaveLength(1);
    expect(session.getState()).toMatchObject({
      status: "success",
      isDone: true,
      error: null,
      connection: { state: "done" },
    });
    expect(lines(session)).toEqual(["0"]);
  });

  it("is left where the job is known to run again: behind it, with nothing twice, until the next", () => {
    const session = start();
    source.last.open().say(output(0), ["done", { status: "failed" }, "0-tag0.end"]);
    session.reconnect();
    expect(source.subscriptions).toHaveLength(1);
    session.resume();
    expect(source.last.options.position).toBe("0-tag0.end");
    expect(session.getState()).toMatchObject({ isDone: false, status: "failed" });
    source.last.open().say(["status", { status: "running" }], output(1));
    expect(session.log.proof).toBeNull();
    expect(session.getState()).toMatchObject({ isDone: false, status: "running", error: null });
    source.last.say(["done", { status: "success" }, "1-tag1.end"]);
    expect(session.getState()).toMatchObject({ isDone: true, status: "success" });
    expect(lines(session)).toEqual(["0", "1"]);
  });

  it("is still the end where the server says so, and was never left by who was not there", () => {
    const session = start();
    session.resume();
    expect(source.subscriptions).toHaveLength(1);
    source.last.open().say(output(0), ["done", { status: "failed" }, "0-tag0.end"]);
    session.resume();
    source.last.status({ state: "done" });
    expect(session.getState()).toMatchObject({ isDone: true, status: "failed" });
    expect(session.log.proof).toEqual({ offset: 0, position: "0-tag0" });
    expect(lines(session)).toEqual(["0"]);
  });

  it("leaves a position by which older lines can be proven, and so does a refusal, until it is tried again", () => {
    const done = start();
    source.last.open().say(output(0), output(1), ["done", { status: "success" }, "1-tag1.end"]);
    expect(done.log.proof).toEqual({ offset: 1, position: "1-tag1" });
    const refused = start();
    source.last.open().say(output(0));
    expect(refused.log.proof).toBeNull();
    source.last.status({
      state: "error",
      problem: { kind: "refused", status: 404, message: "Job not found" },
    });
    expect(refused.log.proof).toEqual({ offset: 0, position: "0-tag0" });
    source.last.status({ state: "connecting", problem: null });
    expect(refused.log.proof).toBeNull();
  });
});

describe("errors", () => {
  it("of the server are told apart from the transport's", () => {
    const session = start();
    source.last.open().say(["error", { message: "Job no longer exists" }]);
    expect(session.getState()).toMatchObject({
      error: "Job no longer exists",
      connection: { state: "connected" },
    });
    source.last.status({ state: "reconnecting", problem: { kind: "network", message: "cut" } });
    expect(session.getState().error).toBe("Job no longer exists");
  });

  it("a broken connection is no error of the job's", () => {
    const session = start();
    source.last.open().say(["status", { status: "running" }]);
    source.last.status({ state: "reconnecting", problem: { kind: "network", message: "cut" } });
    expect(session.getState()).toMatchObject({ error: null, status: "running" });
  });

  it("a refusal says why, and a server's last word says it better", () => {
    const session = start();
    source.last.status({
      state: "error",
      problem: { kind: "refused", status: 404, message: "Job not found" },
    });
    expect(session.getState().error).toBe("Job not found");
    const other = start();
    source.last.open().say(["error", { message: "Job no longer exists" }]);
    source.last.status({
      state: "error",
      problem: { kind: "refused", status: 404, message: "Job not found" },
    });
    expect(other.getState().error).toBe("Job no longer exists");
  });

  it("go when the connection is there again", () => {
    const session = start();
    source.last.open().say(["error", { message: "Stream timeout" }]);
    source.last.status({ state: "reconnecting" }).open("0-a");
    expect(session.getState().error).toBeNull();
  });
});

it("asks for the tail where that was wished, and escapes the id", () => {
  start({ jobId: "a.b", tail: 100 });
  expect(source.last.topic).toBe("/api/jobs/a.b/stream?tail=100");
});
