/** The hooks of pipelines, by stream, by polls, and by whichever there is. */
import { act, renderHook } from "@testing-library/react";
import { type ReactNode, StrictMode } from "react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { FantailProvider } from "../../src/hooks/client-context";
import * as polling from "../../src/hooks/usePipelineState";
import * as adapter from "../../src/hooks/usePipelineStateAdapter";
import * as sse from "../../src/hooks/usePipelineStateSSE";
import { type Client, createClient } from "../../src/client";
import { holdClock, pass } from "../support/held-clock";
import { type Said, ScriptedSource } from "../support/scripted-source";

let source: ScriptedSource;
let client: Client;
let asked: string[];
let health: string;

holdClock("Date");

beforeEach(() => {
  source = new ScriptedSource();
  asked = [];
  health = "running";
  vi.stubGlobal("fetch", (url: string) => {
    asked.push(url);
    return Promise.resolve(Response.json({ success: true, health: { overall_status: health } }));
  });
  client = createClient({ streams: source });
});

function wrapper({ children }: { children: ReactNode }) {
  return (
    <StrictMode>
      <FantailProvider value={client}>{children}</FantailProvider>
    </StrictMode>
  );
}

async function say(...events: Said[]): Promise<void> {
  source.last.say(...events);
  await pass(300);
}

const first = (pipelineId: string, status: string): Said => [
  "batch_update",
  { updates: [{ pipelineId, status }] },
  "1-e",
];

describe("by stream", () => {
  it("one status, live, from one connection for all components", async () => {
    const { result } = renderHook(() => [sse.usePipelineStateSSE("one"), sse.usePipelineStateSSE("one")], {
      wrapper,
    });
    expect(result.current).toEqual([null, null]);
    await pass(10);
    expect(source.subscriptions.map((one) => one.topic)).toEqual([
      "/ui-api/pipeline/status/stream?pipelineIds=one",
    ]);
    expect(source.last.options).toMatchObject({ attemptsMax: 5, reconnectDelayMs: 1000, silenceMs: 45_000 });
    source.last.open();
    await say(first("one", "active"));
    expect(result.current).toEqual(["active", "active"]);
    await say(["status_update", { pipelineId: "one", status: "paused" }]);
    expect(result.current).toEqual(["paused", "paused"]);
    expect(asked).toEqual([]);
  });

  it("several statuses; a list that changes leaves the rest as they are", async () => {
    const { result, rerender } = renderHook(({ ids }) => sse.useMultiplePipelineStateSSE(ids), {
      wrapper,
      initialProps: { ids: ["one", "two"] },
    });
    await pass(10);
    source.last.open();
    await say(first("one", "active"));
    rerender({ ids: ["one", "three"] });
    await pass(10);
    expect(source.last.topic).toMatch(/=one,three$/);
    expect(source.last.options.position).toBe("1-e");
    expect(result.current).toEqual({ one: "active", three: null });
  });

  it("monitoring ends with the component", async () => {
    const { unmount } = renderHook(() => sse.usePipelineMonitoringSSE(["one"]), { wrapper });
    await pass(10);
    unmount();
    await pass(2000);
    expect(source.last.calls).toEqual(["close"]);
  });

  it("connection and fallback, with a way to try again", async () => {
    const { result } = renderHook(
      () => ({
        state: sse.useSSEConnectionState(),
        ...sse.useSSEFallbackState(),
        _: sse.usePipelineStateSSE("one"),
      }),
      { wrapper },
    );
    expect(result.current).toMatchObject({ state: "disconnected", isFallbackActive: false });
    await pass(10);
    act(() => void source.last.status({ state: "polling", attempt: 6 }));
    expect(result.current).toMatchObject({ state: "polling", isFallbackActive: true });
    act(() => result.current.resetFallback());
    expect(source.last.calls).toEqual(["reconnect"]);
    expect(result.current.isFallbackActive).toBe(false);
  });
});

describe("by polls", () => {
  it("statuses, each asked for once however many components want it", async () => {
    const { result, unmount } = renderHook(
      () => {
        polling.usePipelineMonitoring(["one"]);
        return [polling.usePipelineState("one"), polling.useMultiplePipelineState(["one", "two"])];
      },
      { wrapper },
    );
    await pass(300);
    expect(result.current).toEqual(["active", { one: "active", two: "active" }]);
    expect(new Set(asked).size).toBe(2);
    expect(source.subscriptions).toHaveLength(0);
    unmount();
    const { length } = asked;
    await pass(60_000);
    expect(asked).toHaveLength(length);
  });
});

describe("the adapter", () => {
  function useAll() {
    return { info: adapter.useTransportInfo(), status: adapter.usePipelineState("one") };
  }

  it("takes the stream where the configuration says so, and asks nothing", async () => {
    const { result } = renderHook(useAll, { wrapper });
    await pass(10);
    source.last.open();
    await say(first("one", "active"));
    expect(result.current).toMatchObject({
      status: "active",
      info: { transport: "sse", isSSEEnabled: true, isFallbackActive: false, connectionState: "connected" },
    });
    expect(asked).toEqual([]);
  });

  it("polls where the configuration says so, and opens no stream", async () => {
    client = createClient({ streams: source, useSSEStatus: false });
    const { result } = renderHook(useAll, { wrapper });
    await pass(300);
    expect(result.current).toMatchObject({
      status: "active",
      info: { transport: "polling", isSSEEnabled: false },
    });
    expect(source.subscriptions).toHaveLength(0);
  });

  it("polls for as long as the stream fails, and shows no empty moment on the way there and back", async () => {
    const shown: (string | null)[] = [];
    const { result } = renderHook(
      () => {
        const all = useAll();
        shown.push(all.status);
        return all;
      },
      { wrapper },
    );
    await pass(10);
    source.last.open();
    await say(first("one", "active"));
    const known = shown.length;
    act(() => void source.last.status({ state: "polling", attempt: 6 }));
    health = "paused";
    await pass(6000);
    expect(result.current).toMatchObject({ status: "paused", info: { transport: "polling" } });
    expect(source.subscriptions).toHaveLength(1);
    expect(source.last.calls).toEqual([]);
    source.last.open();
    await say(["heartbeat", {}], first("one", "failed"));
    expect(result.current).toMatchObject({ status: "failed", info: { transport: "sse" } });
    const { length } = asked;
    await pass(60_000);
    expect(asked).toHaveLength(length);
    expect(shown.slice(known)).not.toContain(null);
  });

  it("gives several statuses too", async () => {
    const { result } = renderHook(
      () => {
        adapter.usePipelineMonitoring(["one", "two"]);
        return adapter.useMultiplePipelineState(["one", "two"]);
      },
      { wrapper },
    );
    await pass(10);
    expect(source.subscriptions).toHaveLength(1);
    source.last.open();
    await say(first("two", "active"));
    expect(result.current).toEqual({ one: null, two: "active" });
  });
});
