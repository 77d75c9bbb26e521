/** What the package promises: each hook with its name, options, defaults and result, as docs/HOOKS.md says. */
import { readFileSync } from "node:fs";
import { act, renderHook } from "@testing-library/react";
import type { ReactNode } from "react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import * as fantail from "../../src/index";
import { SSE_MANAGER_DEFAULTS } from "../../src/pipelines/pipeline-sse-config";
import { frame, holdClock } from "../support/held-clock";
import { type Said, ScriptedSource } from "../support/scripted-source";

const GUIDE = readFileSync(`${import.meta.dirname}/../../../docs/HOOKS.md`, "utf8");

let source: ScriptedSource;
let wrapper: (props: { children: ReactNode }) => ReactNode;

holdClock();

beforeEach(() => {
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("there is no network")));
  source = new ScriptedSource();
  const client = fantail.createClient({ streams: source });
  const { FantailProvider, JobProvider } = fantail;
  wrapper = ({ children }) => (
    <FantailProvider value={client}>
      <JobProvider>{children}</JobProvider>
    </FantailProvider>
  );
});

const say = (...events: Said[]): void => frame(() => void source.last.say(...events));

/** A call of a hook, and the members of its result; `null` where the result is no object. */
type Row = readonly [call: string, use: () => unknown, result: readonly string[] | null];

const JOB_STREAM = "status lines isConnected isDone error metadata reconnect disconnect".split(" ");
const JOB_CONTEXT =
  "isAnyJobRunning runningJobs isJobRunning getJobStatus setJobStatus activeRuns startJobRun completeJobRun recentEnds isLoaded problem".split(
    " ",
  );

const HOOKS: readonly Row[] = [
  ["useJobStream(jobId, options)", () => fantail.useJobStream("42"), JOB_STREAM],
  [
    "useJobSession(jobId, options)",
    () => fantail.useJobSession("42"),
    "status metadata heard isDone error connection log reconnect disconnect resume".split(" "),
  ],
  [
    "useEventSourceManager(url, options)",
    () => fantail.useEventSourceManager("/api/events/"),
    ["messages", "eventSource", "dropped", "connection", "reconnect"],
  ],
  ["useLogStream(processId)", () => fantail.useLogStream("42"), null],
  ["useDiffStream(attemptId)", () => fantail.useDiffStream("42"), null],
  [
    "useDiffFiles(attemptId)",
    () => fantail.useDiffFiles("42"),
    ["files", "ready", "connection", "reconnect", "resume"],
  ],
  [
    "useTables(...names)",
    () => fantail.useTables("jobs"),
    ["table", "leftOut", "ready", "connection", "reconnect"],
  ],
  ["usePipelineState(pipelineId)", () => fantail.usePipelineState("web"), null],
  ["useMultiplePipelineState(pipelineIds)", () => fantail.useMultiplePipelineState(["web"]), null],
  ["usePipelineMonitoring(pipelineIds)", () => fantail.usePipelineMonitoring(["web"]), null],
  [
    "useTransportInfo()",
    () => fantail.useTransportInfo(),
    ["transport", "isSSEEnabled", "isFallbackActive", "connectionState", "resetFallback"],
  ],
  ["usePipelineStateSSE(pipelineId)", () => fantail.usePipelineStateSSE("web"), null],
  ["useMultiplePipelineStateSSE(pipelineIds)", () => fantail.useMultiplePipelineStateSSE(["web"]), null],
  ["usePipelineMonitoringSSE(pipelineIds)", () => fantail.usePipelineMonitoringSSE(["web"]), null],
  ["useSSEConnectionState()", () => fantail.useSSEConnectionState(), null],
  ["useSSEFallbackState()", () => fantail.useSSEFallbackState(), ["isFallbackActive", "resetFallback"]],
  ["useJobContext()", () => fantail.useJobContext(), JOB_CONTEXT],
];

describe("hooks", () => {
  it.each(HOOKS)("%s gives what it should, and the guide says so", (call, use, result) => {
    const { result: given } = renderHook(use, { wrapper });
    if (result) expect(Object.keys(given.current as object).toSorted()).toEqual(result.toSorted());
    const row = GUIDE.split("\n").find((line) => line.startsWith(`| \`${call}\` |`)) ?? "";
    const said = [...(row.split("|")[3] ?? "").matchAll(/`(\w+)`/g)].map(([, name]) => name);
    expect(row).not.toBe("");
    if (result) expect(said).toEqual(result);
  });

  it("are all in the guide, and nothing else is", () => {
    const exported = Object.keys(fantail).filter((name) => name.startsWith("use"));
    const named = new Set([...GUIDE.matchAll(/`(use[A-Z]\w+)/g)].map(([, name]) => name));
    named.delete("useSSEStatus");
    // For whoever writes a hook of their own.
    named.add("useClient");
    expect(named).toEqual(new Set(exported));
  });
});

describe("defaults", () => {
  it("of useJobStream: 10,000 lines, reconnects by itself, after three seconds", () => {
    const { result } = renderHook(() => fantail.useJobStream("42"), { wrapper });
    expect(source.last.options).toEqual({ position: null, autoReconnect: true, reconnectDelayMs: 3000 });
    act(() => source.last.open() && undefined);
    say(
      ...Array.from({ length: 10_001 }, (_, at): Said => [
        "output",
        { timestamp: at, line: `${at}`, stream: "stdout" },
        `${at}-t`,
      ]),
    );
    expect(result.current.lines).toHaveLength(10_000);
    expect(result.current.lines.at(-1)?.line).toBe("10000");
    for (const [option, value] of [
      ["maxLines", "10000"],
      ["autoReconnect", "`true`"],
      ["reconnectDelay", "3000"],
    ])
      expect(GUIDE).toContain(`| \`${option}\` | ${value} |`);
  });

  it("of useEventSourceManager: 100,000 messages, and what was dropped is counted", () => {
    const { result } = renderHook(() => fantail.useEventSourceManager("/api/events/"), { wrapper });
    act(() => source.last.open() && undefined);
    const events = Array.from({ length: 100_003 }, (_, at): Said => ["message", at, `${at}-t`]);
    for (let from = 0; from < events.length; from += 10_000) say(...events.slice(from, from + 10_000));
    expect(result.current.messages.length + result.current.dropped).toBe(100_003);
    expect(result.current.messages.length).toBeLessThanOrEqual(100_000);
    expect(result.current.eventSource).toMatchObject({ url: "/api/events/", readyState: 1 });
    expect(GUIDE).toContain("| `maxMessages` | 100000 |");
  });

  it("of the pipelines' manager", () => {
    expect(SSE_MANAGER_DEFAULTS).toEqual({
      endpoint: "/ui-api/pipeline/status/stream",
      maxReconnectAttempts: 5,
      reconnectDelay: 1000,
      maxReconnectDelay: 30_000,
      heartbeatTimeout: 45_000,
      enablePollingFallback: true,
    });
    for (const [name, value] of Object.entries(SSE_MANAGER_DEFAULTS))
      expect(GUIDE).toContain(`| \`${name}\` | ${typeof value === "number" ? value : `\`${value}\``} |`);
    expect(fantail.FALLBACK_EVENT).toBe("sse-fallback-triggered");
  });
});

it("metadata has every field that the server sends of a job, by its name", () => {
  const { result } = renderHook(() => fantail.useJobStream("42"), { wrapper });
  const metadata = {
    startedAt: 1,
    finishedAt: 2,
    errorMessage: "no",
    linesAdded: 3,
    linesRemoved: 4,
    mrUrl: "https://example.org/1",
    mrWarning: "conflicts",
    branch: "main",
  };
  say(["status", { status: "failed", ...metadata }]);
  expect(result.current.metadata).toEqual(metadata);
  for (const name of Object.keys(metadata)) expect(GUIDE).toContain(`\`${name}\``);
});

it("a log's entry has type, content and a Date", () => {
  const { result } = renderHook(() => fantail.useLogStream("42"), { wrapper });
  say(["message", { type: "stderr", content: "oh", timestamp: "2024-01-01T00:00:01Z" }, "0-t"]);
  expect(result.current).toEqual([
    { type: "stderr", content: "oh", timestamp: new Date(Date.UTC(2024, 0, 1, 0, 0, 1)) },
  ]);
});

it("a log that is too long says how much of it is not there", () => {
  const { result } = renderHook(() => fantail.useLogStream("42"), { wrapper });
  const events = Array.from({ length: 100_002 }, (_, at): Said => [
    "message",
    { type: "stdout", content: `${at}` },
    `${at}-t`,
  ]);
  for (let from = 0; from < events.length; from += 20_000) say(...events.slice(from, from + 20_000));
  expect(result.current[0]).toMatchObject({ type: "system", content: "2 earlier lines are not kept here" });
  expect(result.current[1]?.content).toBe("2");
  expect(result.current).toHaveLength(100_001);
});

it.each([
  "getPipelineStatus",
  "subscribe",
  "unsubscribe",
  "addStatusListener",
  "addConnectionListener",
  "getConnectionState",
  "isFallbackActive",
  "resetFallback",
  "disconnect",
  "reconnect",
] as const)("the pipelines' manager has %s", (method) => {
  expect(typeof fantail.pipelineSSEManager[method]).toBe("function");
  expect(GUIDE).toContain(`\`${method}\``);
});
