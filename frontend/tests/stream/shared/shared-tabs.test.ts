import { beforeEach, describe, expect, it } from "vitest";
import {
  BEHIND_BYTES_MAX,
  ConnectionHub,
  LINGER_MS,
  PATIENCE_MS,
  PINGS_MAX,
  PING_MS,
} from "../../../src/stream/shared/connection-hub";
import { HUB_ANSWER_MS } from "../../../src/stream/shared/hub-watch";
import { SILENT_HUB_MS, WELCOME_MS } from "../../../src/stream/shared/shared-streams";
import { HubBench, array, rest } from "../../support/hub-bench";

const JOB = "/api/jobs/42/stream";
const OTHER = "/api/jobs/43/stream";

/** After so long a tab that does not answer is gone, and its topics too. */
const GONE_MS = (PINGS_MAX + 2) * PING_MS + LINGER_MS;

let bench: HubBench;

beforeEach(() => {
  bench = new HubBench();
});

describe("a tab", () => {
  it("that crashed is noticed, and what only it watched is let go", async () => {
    const crashing = bench.tab();
    crashing.watch(OTHER);
    const { sink } = bench.tab().watch(JOB);
    await bench.open();
    crashing.crash();
    await bench.live(GONE_MS);
    expect(bench.asked).toEqual({ [JOB]: "" });
    bench.last.open();
    bench.last.send(array([JOB, "on"]));
    await rest();
    expect(sink.data).toEqual(["on"]);
  });

  it("that was frozen costs nothing meanwhile, and then has everything once", async () => {
    const frozen = bench.tab();
    const { sink } = frozen.watch(JOB);
    const live = bench.tab().watch(JOB);
    const first = await bench.open();
    frozen.frozen = true;
    const big = "x".repeat(300_000);
    const sent = Math.ceil(BEHIND_BYTES_MAX / big.length) + 1;
    for (let number = 0; number < sent; number += 1) {
      first.send(array([JOB, `${number}${big}`, `${number}-a`]));
      await rest();
    }
    await bench.pass(PATIENCE_MS);
    first.send(array([JOB, "last", `${sent}-a`]));
    await rest();
    expect(live.sink.data).toHaveLength(sent + 1);
    expect(sink.data).toEqual([]);
    frozen.thaw();
    await rest();
    await bench.open();
    // It comes back from where it was set aside, whatever the others had meanwhile.
    const taken = sink.data.length;
    expect(taken * big.length).toBeLessThan(BEHIND_BYTES_MAX + 2 * big.length);
    expect(bench.asked[JOB]).toBe(`${taken - 1}-a`);
    for (let number = taken; number <= sent; number += 1)
      bench.last.send(array([JOB, number, `${number}-a`]));
    await rest();
    expect(sink.data).toHaveLength(sent + 1);
    expect(live.sink.data).toHaveLength(sent + 1);
  });

  it("that was taken for gone says anew what it watches", async () => {
    const frozen = bench.tab();
    const { sink } = frozen.watch(JOB, { position: "3-c" });
    bench.tab().watch(OTHER);
    const first = await bench.open();
    first.send(array([JOB, 4, "4-d"]));
    await rest();
    frozen.frozen = true;
    await bench.live(GONE_MS);
    expect(bench.asked).toEqual({ [OTHER]: "" });
    bench.last.open();
    await rest();
    frozen.thaw();
    await rest();
    await bench.open();
    expect(bench.asked).toEqual({ [JOB]: "4-d", [OTHER]: "" });
    bench.last.send(array([JOB, 5, "5-e"]));
    await rest();
    expect(sink.data).toEqual([4, 5]);
  });

  it("finds another hub when its own is dead, and goes on from where it was", async () => {
    const { sink } = bench.tab().watch(JOB);
    const first = await bench.open();
    await bench.pass(SILENT_HUB_MS / 2);
    first.send(array([JOB, 0, "0-a"]));
    await rest();
    bench.hub.close();
    bench.hub = new ConnectionHub(bench.platform);
    await bench.pass(SILENT_HUB_MS);
    await bench.pass(HUB_ANSWER_MS);
    await bench.open();
    expect(bench.asked).toEqual({ [JOB]: "0-a" });
    bench.last.send(array([JOB, 1, "1-b"]));
    await rest();
    expect(sink.data).toEqual([0, 1]);
    expect(sink.states).not.toContain("error");
  });

  it("goes its own way where no hub answers", async () => {
    const mute = bench.tab(() => ({ post: () => {}, close: () => {} }));
    const early = mute.watch(JOB, { position: "1-a" });
    await bench.pass(WELCOME_MS + 10);
    mute.watch(OTHER);
    expect(mute.own.subscriptions.map(({ topic }) => topic)).toEqual([JOB, OTHER]);
    expect(mute.own.subscriptions[0]?.options.position).toBe("1-a");
    mute.own.subscriptions[0]?.open().say(["output", 2, "2-b"]);
    expect(early.sink.data).toEqual([2]);
    early.subscription.close();
    expect(mute.own.subscriptions[0]?.calls).toEqual(["close"]);
    expect(bench.requests).toBe(0);
  });
});
