/** A stream that is over stays over, whatever brings it (trap 4): no timer, no event and no call asks for it again. */
import { describe, expect, it } from "vitest";
import { FetchStreams } from "../../src/stream/fetch-streams";
import { JobSession } from "../../src/log/job-session";
import { HubBench, array, rest } from "../support/hub-bench";
import { type Exchange, SimulatedPlatform, settle } from "../support/simulated-platform";

const JOB = "/api/jobs/42/stream";
const ready = (): Response => Response.json({ status: "ok" });

/** With the id that says it is the end, and without, as a server of another kind sends it. */
const ENDS: readonly (readonly [what: string, id: string])[] = [
  ["a position of the end", "0-a.end"],
  ["no position", ""],
];

describe.each(ENDS)("a connection of its own, at an end with %s", (_, id) => {
  it("is not made again", async () => {
    const platform = new SimulatedPlatform();
    platform.readinessProbe = ready;
    const session = new JobSession({
      source: new FetchStreams({ platform }),
      jobId: "42",
      reconnectDelay: 10,
    });
    session.start();
    platform.last.open();
    await settle();
    platform.last.send(
      `retry: 10\n\nid: 0-a\nevent: output\ndata: {"line":"x"}\n\n${id && `id: ${id}\n`}event: done\ndata: {"status":"success"}\n\n`,
    );
    await settle();
    platform.last.end();
    await settle();
    expect(session.getState()).toMatchObject({
      isDone: true,
      status: "success",
      connection: { state: "done" },
    });
    await disturb(session, platform, platform.last);
    expect(platform.exchanges).toHaveLength(1);
    expect(platform.probes).toEqual([]);
    expect(platform.timers + platform.wakers).toBe(0);
  });
});

describe.each(ENDS)("the one connection of all tabs, at an end with %s", (_, id) => {
  it("is not asked for it again", async () => {
    const bench = new HubBench();
    bench.platform.readinessProbe = ready;
    const session = new JobSession({ source: bench.tab().streams, jobId: "42" });
    session.start();
    const other = bench.tab().watch("/other");
    await bench.open();
    const done = { topic: JOB, event: "done", data: { status: "success" }, ...(id && { id }) };
    bench.last.send(
      array([JOB, { line: "x" }, "0-a"]) +
        `data: ${JSON.stringify([done, { topic: JOB, event: "end" }])}\n\n`,
    );
    await rest();
    expect(session.getState()).toMatchObject({ isDone: true, connection: { state: "done" } });
    const before = bench.requests;
    await disturb(session, bench.platform, bench.last);
    for (let second = 0; second < 20; second += 1) await bench.pass(1_000);
    const asked = bench.platform.exchanges.slice(before).map(({ body }) => body);
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.join("\n")).not.toContain(JOB);
    expect(other.sink.statuses.length).toBeGreaterThan(0);
  });
});

/** All that has ever brought a stream back: a broken connection, time, the network, a wish, another page. */
async function disturb(session: JobSession, platform: SimulatedPlatform, exchange: Exchange): Promise<void> {
  exchange.cut();
  await settle();
  for (let round = 0; round < 3; round += 1) {
    platform.pass(30_000);
    platform.wake();
    session.reconnect();
    await settle();
  }
  session.stop();
  session.start();
  await settle();
}
