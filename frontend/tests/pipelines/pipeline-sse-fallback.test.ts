/** Where the stream fails for good, and where nobody looks: polling stands in, and the stream comes back by itself. */
import { describe, expect, it } from "vitest";
import { FALLBACK_EVENT } from "../../src/pipelines/pipeline-sse-config";
import { PipelineBench, update, watching } from "../support/pipeline-bench";

describe("the fallback", () => {
  function heardEvents(): { readonly details: unknown[]; readonly stop: () => void } {
    const details: unknown[] = [];
    const listen = (event: Event): number => details.push((event as CustomEvent).detail);
    window.addEventListener(FALLBACK_EVENT, listen);
    return { details, stop: () => window.removeEventListener(FALLBACK_EVENT, listen) };
  }

  it("begins when five tries in a row have failed, and says so once on the window", async () => {
    const heard = heardEvents();
    const bench = await watching({ one: "active" });
    bench.stream.cut();
    await bench.nextTry();
    await bench.refuse(3);
    expect([bench.manager.getConnectionState(), bench.manager.isFallbackActive()]).toEqual([
      "reconnecting",
      false,
    ]);
    await bench.nextTry();
    await bench.refuse(2);
    expect([bench.manager.getConnectionState(), bench.manager.isFallbackActive()]).toEqual(["polling", true]);
    expect(heard.details).toEqual([{ attempts: 6, reason: "connection refused" }]);
    expect(bench.states).toEqual(["connecting", "connected", "reconnecting", "polling"]);
    heard.stop();
  });

  it("ends by itself with the first event of a stream", async () => {
    const bench = await watching({ one: "active" }, { maxReconnectAttempts: 0 });
    bench.stream.cut();
    await bench.nextTry();
    expect(bench.manager.getConnectionState()).toBe("polling");
    await bench.open({ one: "paused" });
    expect([bench.manager.getConnectionState(), bench.manager.isFallbackActive()]).toEqual([
      "connected",
      false,
    ]);
  });

  it("goes on where a server answers and says nothing", async () => {
    const heard = heardEvents();
    const bench = await watching({ one: "active" }, { maxReconnectAttempts: 0 });
    bench.stream.cut();
    await bench.nextTry();
    bench.stream.open();
    await bench.pass(0);
    bench.stream.cut();
    await bench.pass(0);
    expect(bench.states.slice(2)).toEqual(["polling"]);
    expect(heard.details).toHaveLength(1);
    heard.stop();
  });

  it("begins at once where streams are refused, for questions may pass", async () => {
    const bench = new PipelineBench();
    bench.manager.subscribe("one");
    await bench.pass(0);
    bench.stream.answer(200, "<html>", { "Content-Type": "text/html" });
    await bench.pass(0);
    expect(bench.manager.isFallbackActive()).toBe(true);
    await bench.nextTry();
    await bench.open({ one: "active" });
    expect(bench.manager.isFallbackActive()).toBe(false);
  });

  it("is reset by hand: the stream is tried at once, with all its tries", async () => {
    const bench = await watching({ one: "active" }, { maxReconnectAttempts: 1 });
    bench.stream.cut();
    await bench.nextTry();
    await bench.refuse(1);
    bench.manager.resetFallback();
    expect([bench.manager.getConnectionState(), bench.manager.isFallbackActive()]).toEqual([
      "connecting",
      false,
    ]);
    await bench.refuse(0);
    expect(bench.manager.getConnectionState()).toBe("reconnecting");
  });

  it("is an error instead where it is not wished for", async () => {
    const heard = heardEvents();
    const bench = await watching(
      { one: "active" },
      { enablePollingFallback: false, maxReconnectAttempts: 1 },
    );
    bench.stream.cut();
    await bench.nextTry();
    await bench.refuse(0);
    expect([bench.manager.getConnectionState(), bench.manager.isFallbackActive()]).toEqual(["error", false]);
    await bench.pass(600_000);
    expect(bench.streams).toHaveLength(2);
    expect(heard.details).toEqual([]);
    heard.stop();
  });
});

describe("a page that is hidden", () => {
  it("has no stream, and resumes from its position when it is seen again", async () => {
    const bench = await watching({ one: "active" });
    await bench.send(update("one", "paused", "active", "7-e"));
    bench.page.set(true);
    expect(bench.stream.signal?.aborted).toBe(true);
    expect(bench.manager.getConnectionState()).toBe("disconnected");
    await bench.pass(600_000);
    expect(bench.streams).toHaveLength(1);
    bench.page.set(false);
    expect(bench.stream.position).toBe("7-e");
    expect(bench.manager.getPipelineStatus("one")).toBe("paused");
  });

  it("opens none before it is seen", async () => {
    const bench = new PipelineBench();
    bench.page.set(true);
    bench.manager.subscribe("one");
    await bench.pass(1000);
    expect(bench.streams).toHaveLength(0);
    bench.page.set(false);
    expect(bench.streams).toHaveLength(1);
  });

  it("stays in the fallback that it was in", async () => {
    const bench = await watching({ one: "active" }, { maxReconnectAttempts: 0 });
    bench.stream.cut();
    await bench.pass(0);
    bench.page.set(true);
    bench.page.set(false);
    expect([bench.manager.getConnectionState(), bench.manager.isFallbackActive()]).toEqual(["polling", true]);
  });
});
