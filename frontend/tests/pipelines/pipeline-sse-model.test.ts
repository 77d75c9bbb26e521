/** The manager of pipelines against a naive model: a count per pipeline, and a server that knows every status. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FORGET_MS } from "../../src/pipelines/pipeline-board";
import { LINGER_MS } from "../../src/pipelines/pipeline-sse-config";
import { HEARTBEAT, PipelineBench, batch, update } from "../support/pipeline-bench";
import type { Exchange } from "../support/simulated-platform";

const IDS = ["one", "two", "three", "four"] as const;
const STATUSES = ["active", "paused", "failed"] as const;

type Step =
  | { readonly do: "subscribe" | "unsubscribe"; readonly ids: readonly string[] }
  | { readonly do: "change"; readonly id: string; readonly status: string }
  | { readonly do: "pass"; readonly ms: number }
  | { readonly do: "cut" | "answer" | "fail" | "hide" | "show" | "reconnect" };

const ids = fc.uniqueArray(fc.constantFrom(...IDS), { minLength: 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant("subscribe" as const), ids }),
  fc.record({ do: fc.constant("unsubscribe" as const), ids }),
  fc.record({
    do: fc.constant("change" as const),
    id: fc.constantFrom(...IDS),
    status: fc.constantFrom(...STATUSES),
  }),
  fc.record({ do: fc.constant("pass" as const), ms: fc.constantFrom(0, 1, 100, 1999, 2000, 31_000) }),
  fc.record({ do: fc.constantFrom("cut", "answer", "answer", "fail", "hide", "show", "reconnect") }),
);

/** The server and the model in one: what it sends, and what must be true at the end. */
class World {
  readonly bench = new PipelineBench();
  readonly counts = new Map<string, number>();
  readonly statuses = new Map<string, string>(IDS.map((id) => [id, "active"]));
  #answered: Exchange | null = null;

  async take(step: Step): Promise<void> {
    const { manager, page } = this.bench;
    switch (step.do) {
      case "subscribe":
        for (const id of step.ids) this.counts.set(id, (this.counts.get(id) ?? 0) + 1);
        manager.subscribe(step.ids);
        break;
      case "unsubscribe":
        for (const id of step.ids) this.counts.set(id, Math.max(0, (this.counts.get(id) ?? 0) - 1));
        manager.unsubscribe(step.ids);
        break;
      case "change":
        await this.#change(step.id, step.status);
        break;
      case "pass":
        await this.bench.pass(step.ms);
        break;
      case "cut":
        this.#answered?.cut();
        break;
      case "answer":
        await this.#answer();
        break;
      case "fail":
        if (this.#live && this.#live !== this.#answered) this.#live.fail();
        break;
      case "hide":
      case "show":
        page.set(step.do === "hide");
        break;
      case "reconnect":
        manager.reconnect();
    }
    await this.bench.pass(0);
    this.check();
  }

  get wanted(): readonly string[] {
    return IDS.filter((id) => (this.counts.get(id) ?? 0) > 0).toSorted();
  }

  get #live(): Exchange | undefined {
    return this.bench.streams.findLast((stream) => !stream.signal?.aborted);
  }

  /** What holds at every moment. */
  check(): void {
    const live = this.bench.streams.filter((stream) => !stream.signal?.aborted);
    expect(live.length).toBeLessThanOrEqual(1);
    if (this.bench.page.hidden()) expect(live).toHaveLength(0);
    const told = new Map<string, string>();
    for (const change of this.bench.changes) {
      const [id = "", before = "", status = ""] = change.split(" ");
      // Forgotten in between, it begins anew; else each change begins where the last one ended.
      if (before !== "null") expect([change, before]).toEqual([change, told.get(id)]);
      expect(status).not.toBe(before);
      told.set(id, status);
    }
  }

  /** What holds when all is quiet: the page is seen, the server answers, and time has passed. */
  async settle(): Promise<void> {
    this.bench.page.set(false);
    await this.bench.pass(LINGER_MS + FORGET_MS + 100);
    this.bench.manager.reconnect();
    await this.bench.pass(0);
    await this.#answer();
    const live = this.#live;
    expect(live === undefined ? [] : idsOf(live)).toEqual(this.wanted);
    for (const id of IDS) {
      const known = this.bench.manager.getPipelineStatus(id);
      expect([id, known]).toEqual([id, this.wanted.includes(id) ? this.statuses.get(id) : null]);
    }
    expect(this.bench.manager.getConnectionState()).toBe(live ? "connected" : "disconnected");
    expect(this.bench.questions).toHaveLength(0);
  }

  async #answer(): Promise<void> {
    const live = this.#live;
    if (!live || live === this.#answered) return;
    live.open();
    this.#answered = live;
    await this.bench.pass(0);
    const shown = idsOf(live).map((id) => [id, this.statuses.get(id) ?? ""]);
    live.send(HEARTBEAT + batch(Object.fromEntries(shown), "1-e"));
    await this.bench.pass(0);
  }

  async #change(id: string, status: string): Promise<void> {
    const before = this.statuses.get(id);
    if (before === status) return;
    this.statuses.set(id, status);
    const live = this.#answered;
    if (live && live === this.#live && idsOf(live).includes(id)) live.send(update(id, status, before));
    await this.bench.pass(0);
  }
}

function idsOf(stream: Exchange): readonly string[] {
  return (new URL(stream.url, "http://server").searchParams.get("pipelineIds") ?? "").split(",");
}

describe("any order of wishes, changes and faults", () => {
  it("leaves one stream about what is wished for, and what the server knows", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const world = new World();
        for (const one of steps) await world.take(one);
        await world.settle();
      }),
      { numRuns: 150 },
    );
  });

  it("opens no more streams than there are bursts of wishes", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(ids, { minLength: 1, maxLength: 8 }), { maxLength: 6 }),
        async (bursts) => {
          const bench = new PipelineBench();
          for (const burst of bursts) {
            for (const wish of burst) bench.manager.subscribe(wish);
            await bench.pass(0);
          }
          expect(bench.streams.length).toBeLessThanOrEqual(bursts.length);
        },
      ),
      { numRuns: 60 },
    );
  });
});
