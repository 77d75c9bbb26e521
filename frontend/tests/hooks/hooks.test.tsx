import { act, render, renderHook } from "@testing-library/react";
import { type ReactNode, StrictMode } from "react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { FantailProvider } from "../../src/hooks/client-context";
import { useDiffStream } from "../../src/hooks/useDiffStream";
import { useEventSourceManager } from "../../src/hooks/useEventSourceManager";
import { useJobStream } from "../../src/hooks/useJobStream";
import { useLogStream } from "../../src/hooks/useLogStream";
import { useTables } from "../../src/hooks/useTables";
import { createClient } from "../../src/client";
import { frame, holdClock } from "../support/held-clock";
import { type Said, ScriptedSource } from "../support/scripted-source";

let source: ScriptedSource;
let wrapper: (props: { children: ReactNode }) => ReactNode;

holdClock();

beforeEach(() => {
  source = new ScriptedSource();
  const client = createClient({ streams: source });
  wrapper = ({ children }) => (
    <StrictMode>
      <FantailProvider value={client}>{children}</FantailProvider>
    </StrictMode>
  );
});

/** Speaks on the live subscription and lets a frame pass. */
const say = (...events: Said[]): void => frame(() => void source.last.say(...events));

const open = (position?: string | null): void => frame(() => void source.last.open(position));

const line = (at: number): Said => ["output", { timestamp: at, line: `${at}`, stream: "stdout" }, `${at}-t`];

describe("useJobStream", () => {
  it("gives what is known before the stream speaks", () => {
    const initialJob = { status: "running", branch: "main" };
    const initialOutput = [{ timestamp: 1, line: "hello", stream: "stdout" as const }];
    const { result } = renderHook(
      () => useJobStream("42", { initialJob, initialOutput, initialPosition: "0-t" }),
      { wrapper },
    );
    expect(result.current).toMatchObject({
      status: "running",
      lines: initialOutput,
      isConnected: false,
      isDone: false,
      error: null,
      metadata: { branch: "main" },
    });
    expect(source.last.topic).toBe("/api/jobs/42/stream");
    expect(source.last.options).toEqual({ position: "0-t", autoReconnect: true, reconnectDelayMs: 3000 });
  });

  it("follows the stream to its end", () => {
    const { result } = renderHook(() => useJobStream("42"), { wrapper });
    open();
    expect(result.current.isConnected).toBe(true);
    say(["status", { status: "running", startedAt: 9 }], line(0), line(1));
    expect(result.current.lines.map((one) => one.line)).toEqual(["0", "1"]);
    expect(result.current.metadata.startedAt).toBe(9);
    say(["done", { status: "failed" }, "1-t.end"]);
    expect(result.current).toMatchObject({ status: "failed", isDone: true, isConnected: false });
    const asked = source.subscriptions.length;
    act(() => result.current.reconnect());
    expect(source.subscriptions).toHaveLength(asked);
  });

  it("renders once per frame, however many lines arrive in it", () => {
    let renders = 0;
    const { result } = renderHook(
      () => {
        renders += 1;
        return useJobStream("42");
      },
      { wrapper },
    );
    open();
    const before = renders;
    say(...Array.from({ length: 5000 }, (_, at) => line(at)));
    expect(result.current.lines).toHaveLength(5000);
    expect(renders - before).toBeLessThanOrEqual(2); // StrictMode renders each twice
  });

  it("keeps maxLines", () => {
    const { result } = renderHook(() => useJobStream("42", { maxLines: 3 }), { wrapper });
    open();
    say(line(0), line(1), line(2), line(3));
    expect(result.current.lines.map((one) => one.line)).toEqual(["1", "2", "3"]);
  });

  it("turns to another job with nothing of the first", () => {
    const { result, rerender } = renderHook(({ id }) => useJobStream(id), {
      wrapper,
      initialProps: { id: "a" },
    });
    open();
    say(line(0));
    const first = source.last;
    rerender({ id: "b" });
    expect(first.calls).toContain("close");
    expect(source.last.topic).toBe("/api/jobs/b/stream");
    expect(result.current.lines).toEqual([]);
  });

  it("leaves no connection behind", () => {
    const { unmount } = renderHook(() => useJobStream("42"), { wrapper });
    unmount();
    expect(source.subscriptions.every((subscription) => subscription.calls.includes("close"))).toBe(true);
  });

  it("reports a server's error, and not a broken connection", () => {
    const { result } = renderHook(() => useJobStream("42"), { wrapper });
    open();
    act(() => {
      source.last.status({ state: "reconnecting", problem: { kind: "network", message: "cut" } });
      vi.advanceTimersByTime(300);
    });
    expect(result.current).toMatchObject({ error: null, isConnected: false });
    say(["error", { message: "Stream timeout" }]);
    expect(result.current.error).toBe("Stream timeout");
    act(() => result.current.disconnect());
    act(() => result.current.reconnect());
    expect(source.last.calls).toEqual(["disconnect", "reconnect"]);
  });
});

describe("useEventSourceManager", () => {
  it("gives the unnamed messages in order, and what stands for the source", () => {
    const { result } = renderHook(() => useEventSourceManager("/api/events/"), { wrapper });
    expect(result.current.eventSource).toMatchObject({ url: "/api/events/", readyState: 2 });
    open();
    expect(result.current.eventSource?.readyState).toBe(1);
    say(["message", { op: "add" }], ["heartbeat", {}], ["message", 2]);
    expect(result.current.messages).toEqual([{ op: "add" }, 2]);
    act(() => result.current.eventSource?.close());
    expect(source.last.calls).toEqual(["close"]);
  });
});

describe("useLogStream", () => {
  it("gives entries with their types and times, and shows a gap as one", () => {
    const { result } = renderHook(() => useLogStream("p 1"), { wrapper });
    expect(source.last.topic).toBe("/api/events/processes/p%201/logs");
    open();
    say(
      ["message", { type: "stderr", content: "oh", timestamp: "2026-01-01T00:00:00Z" }, "0-a"],
      ["gap", { from: 1, to: 3 }],
    );
    expect(result.current).toMatchObject([
      { type: "stderr", content: "oh", timestamp: new Date("2026-01-01T00:00:00Z") },
      { type: "system", content: "Lines 2 to 4 are gone" },
    ]);
    say(["finished", { exitCode: 0 }, "3-a.end"]);
    expect(source.last.calls).toContain("finish");
  });
});

describe("useDiffStream", () => {
  it("is the present diff of all files", () => {
    const { result } = renderHook(() => useDiffStream("42"), { wrapper });
    open();
    say(
      ["snapshot", {}],
      ["message", { file: "a", diff: "A" }],
      ["message", { file: "b", diff: "B" }],
      ["ready", {}],
    );
    say(["message", { file: "a", diff: "A2" }]);
    expect(result.current).toBe("A2\nB");
  });
});

describe("useTables", () => {
  it("shares one connection between components, and gives unchanged rows as the same objects", () => {
    const seen: unknown[] = [];
    function Rows() {
      const { table } = useTables("jobs");
      seen.push(table("jobs").a);
      return null;
    }
    render(
      <>
        <Rows />
        <Rows />
      </>,
      { wrapper },
    );
    expect(source.subscriptions).toHaveLength(1);
    expect(source.last.topic).toBe("/api/events/?tables=jobs&batch=1");
    open();
    say(
      [
        "message",
        [
          { op: "add", path: "/jobs", value: {} },
          { op: "add", path: "/jobs/a", value: { x: 1 } },
        ],
      ],
      ["ready", {}, "1-e"],
    );
    const row = seen.at(-1);
    expect(row).toEqual({ x: 1 });
    say(["message", [{ op: "add", path: "/jobs/b", value: {} }]]);
    expect(seen.at(-1)).toBe(row);
  });

  it("begins with the tables that the page brought", () => {
    const client = createClient({
      streams: source,
      initialTables: { tables: { jobs: { a: {} } }, position: "3-e" },
    });
    const { result } = renderHook(() => useTables("jobs"), {
      wrapper: ({ children }) => <FantailProvider value={client}>{children}</FantailProvider>,
    });
    expect(result.current.ready).toBe(true);
    expect(result.current.table("jobs")).toEqual({ a: {} });
    expect(source.last.options.position).toBe("3-e");
  });
});
