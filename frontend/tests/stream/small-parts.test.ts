/** The small pure parts: positions, backoff, answers, jobs off the wire, the page's initial data. */
import { describe, expect, it } from "vitest";
import { ADVICE_CAP_MS, BACKOFF_CAP_MS, backoffMs } from "../../src/stream/backoff";
import { INITIAL_DATA_ID, readInitialData } from "../../src/api/initial-data";
import { isTerminal, readJob, readOutput, readRow } from "../../src/api/job";
import { parsePosition } from "../../src/stream/position";
import { unreachable } from "../../src/stream/response";

describe("positions", () => {
  it.each([
    ["12-0badcafe", { offset: 12, ended: false }],
    ["12-0badcafe.end", { offset: 12, ended: true }],
    ["0-0.end", { offset: 0, ended: true }],
    ["", null],
    ["12", null],
    ["a-b", null],
    ["1-", null],
    ["9999999999999999-a", null],
    [`1-${"a".repeat(200)}`, null],
  ])("%s", (id, position) => {
    expect(parsePosition(id)).toEqual(position);
  });
});

describe("no answer", () => {
  it.each([
    [new TypeError("Failed to fetch"), "the server cannot be reached"],
    [new TypeError("NetworkError when attempting to fetch resource."), "the server cannot be reached"],
    [new Error("an event is longer than 64 MiB"), "an event is longer than 64 MiB"],
    ["odd", "the connection broke off"],
  ])("%s is told so that nobody takes it for a failed run", (fault, told) => {
    expect(unreachable(fault)).toBe(told);
  });
});

describe("backoff", () => {
  const base = { baseMs: 1000, adviceMs: null, random: 0 };

  it("doubles up to its bound, and adds jitter on top", () => {
    expect([1, 2, 3, 6, 500].map((attempt) => backoffMs({ ...base, attempt }))).toEqual([
      1000,
      2000,
      4000,
      30_000,
      BACKOFF_CAP_MS,
    ]);
    expect(backoffMs({ ...base, attempt: 1, random: 0.999 })).toBeGreaterThan(1200);
  });

  it("never comes before the server's advice, and trusts no advice without bound", () => {
    expect(backoffMs({ ...base, attempt: 1, adviceMs: 20_000 })).toBe(20_000);
    expect(backoffMs({ ...base, attempt: 1, adviceMs: 200 })).toBe(200);
    expect(backoffMs({ ...base, attempt: 3, adviceMs: 200 })).toBe(4000);
    expect(backoffMs({ ...base, attempt: 1, adviceMs: 1e12 })).toBe(ADVICE_CAP_MS);
  });
});

describe("jobs", () => {
  it("are the same from a row of strings and from an object", () => {
    const row = {
      id: "7",
      status: "success",
      branch: "main",
      linesAdded: "3",
      lines_removed: "",
      created_at: "12",
      exit_code: "0",
      prompt: "",
    };
    expect(readRow("7", row)).toEqual(
      readJob({ id: "7", status: "success", branch: "main", linesAdded: 3, createdAt: 12, exitCode: 0 }),
    );
  });

  it("without an id are none; an unknown status is passed through and is not terminal", () => {
    expect(readJob({ status: "running" })).toBeNull();
    expect(readJob("job")).toBeNull();
    expect(readRow("1", { status: "paused" }).status).toBe("paused");
    expect(isTerminal("paused")).toBe(false);
    expect(["success", "failed", "cancelled", "pushed", "archived"].every(isTerminal)).toBe(true);
    expect(["pending", "running", "initializing", "ready"].some(isTerminal)).toBe(false);
  });

  it("have output of any shape", () => {
    expect(readOutput({ timestamp: 1, line: "", stream: "stderr", source: "git" })).toEqual({
      timestamp: 1,
      line: "",
      stream: "stderr",
      source: "git",
    });
    expect(readOutput("bare")).toEqual({ timestamp: 0, line: "bare", stream: "stdout" });
    expect(readOutput({ line: 5 })).toMatchObject({ line: '{"line":5}' });
    expect(readOutput(undefined)).toMatchObject({ line: "null" });
  });
});

describe("initial data", () => {
  function page(data: string): Document {
    const document = new DOMParser().parseFromString("<html><head></head></html>", "text/html");
    const script = document.createElement("script");
    script.type = "application/json";
    script.id = INITIAL_DATA_ID;
    script.textContent = data;
    document.head.append(script);
    return document;
  }

  it("of the jobs page", () => {
    const data = {
      page: "jobs",
      tables: { jobs: { a: {} } },
      position: "3-e",
      user: { name: "ann", admin: true },
      config: { useSSEStatus: false, keepAliveS: 5 },
    };
    expect(readInitialData(page(JSON.stringify(data)))).toEqual({
      view: { page: "jobs", tables: { jobs: { a: {} } }, position: "3-e" },
      user: { name: "ann", admin: true },
      config: { useSSEStatus: false, keepAliveS: 5 },
    });
  });

  it("of a job, and of one that is not there", () => {
    const data = {
      page: "job",
      job: { id: "a", status: "running" },
      output: [{ timestamp: 1, line: "x", stream: "stdout" }],
      from: 9,
      total: 10,
      position: "9-t",
    };
    expect(readInitialData(page(JSON.stringify(data))).view).toMatchObject({
      page: "job",
      job: { id: "a" },
      from: 9,
      total: 10,
      output: [{ line: "x" }],
    });
    expect(readInitialData(page('{"page":"job","job":null}')).view).toMatchObject({
      page: "job",
      job: null,
      output: [],
      position: null,
    });
  });

  it("that is missing or odd counts as absent", () => {
    for (const odd of ["", "not json", "[]", "{}", '{"page":"jobs"}', '{"page":1}']) {
      expect(readInitialData(page(odd))).toMatchObject({
        view: { page: "none" },
        config: { keepAliveS: 30, useSSEStatus: true },
      });
    }
  });
});
