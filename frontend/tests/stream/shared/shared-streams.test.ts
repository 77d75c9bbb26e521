import { beforeEach, describe, expect, it } from "vitest";
import { LINGER_MS } from "../../../src/stream/shared/connection-hub";
import { TOPIC_SUBSCRIPTIONS_MAX } from "../../../src/stream/shared/topic-subscriptions";
import { HubBench, array, raw, rest } from "../../support/hub-bench";

const JOB = "/api/jobs/42/stream";
const OTHER = "/api/jobs/43/stream";

let bench: HubBench;

beforeEach(() => {
  bench = new HubBench();
});

describe("one connection", () => {
  it("serves twenty tabs on four jobs with one request", async () => {
    const tabs = Array.from({ length: 20 }, (_, number) =>
      bench.tab().watch(`/api/jobs/${number % 4}/stream`),
    );
    const exchange = await bench.open();
    expect(bench.requests).toBe(1);
    expect(exchange.url).toBe("/api/streams");
    expect(bench.asked).toEqual(
      Object.fromEntries([0, 1, 2, 3].map((number) => [`/api/jobs/${number}/stream`, ""])),
    );
    for (let job = 0; job < 4; job += 1) exchange.send(array([`/api/jobs/${job}/stream`, job, "0-a"]));
    await rest();
    tabs.forEach(({ sink }, number) => {
      expect(sink.data).toEqual([number % 4]);
      expect(sink.opens).toEqual([null]);
      expect(sink.states).toEqual(["connecting", "connected"]);
    });
  });

  it("gathers what comes together, and does not open anew for what goes", async () => {
    const tab = bench.tab();
    const { sink } = tab.watch(JOB);
    await bench.open();
    for (let round = 0; round < 50; round += 1) tab.watch(OTHER).subscription.close();
    await bench.pass(30);
    expect(bench.requests).toBe(1);
    bench.last.send(array([JOB, 1, "0-a"]));
    await rest();
    expect(sink.data).toEqual([1]);
  });

  it("closes when nobody watches any more, after a while", async () => {
    const { subscription } = bench.tab().watch(JOB);
    await bench.open();
    subscription.close();
    await bench.pass(LINGER_MS - 100);
    expect(bench.last.signal?.aborted).toBe(false);
    await bench.pass(200);
    expect(bench.last.signal?.aborted).toBe(true);
    await bench.pass(120_000);
    expect(bench.requests).toBe(1);
  });

  it("gives those who stand elsewhere in the same stream a lane of their own, and one lane once they stand together", async () => {
    const behind = bench.tab().watch(JOB, { position: "3-c" });
    const ahead = bench.tab().watch(JOB, { position: "4-d" });
    const first = await bench.open();
    const topicSubscription = `${JOB}?lane=2`;
    expect(bench.asked).toEqual({ [JOB]: "3-c", [topicSubscription]: "4-d" });
    first.send(array([JOB, 4, "4-d"]) + array([JOB, 5, "5-e"], [topicSubscription, 5, "5-e"]));
    await rest();
    expect(behind.sink.data).toEqual([4, 5]);
    expect(ahead.sink.data).toEqual([5]);
    bench.tab().watch(OTHER);
    await bench.open();
    expect(bench.asked).toEqual({ [JOB]: "5-e", [OTHER]: "" });
    bench.last.send(array([JOB, 6, "6-f"]));
    await rest();
    expect(behind.sink.data).toEqual([4, 5, 6]);
    expect(ahead.sink.data).toEqual([5, 6]);
    expect(ahead.sink.opens).toEqual(["4-d"]);
  });

  it("leaves what is too much to the tab's own connections", async () => {
    const tab = bench.tab();
    for (let number = 0; number <= TOPIC_SUBSCRIPTIONS_MAX; number += 1)
      tab.watch(`/api/jobs/${number}/stream`);
    await bench.open();
    expect(Object.keys(bench.asked)).toHaveLength(TOPIC_SUBSCRIPTIONS_MAX);
    expect(tab.own.subscriptions.map(({ topic }) => topic)).toEqual([
      `/api/jobs/${TOPIC_SUBSCRIPTIONS_MAX}/stream`,
    ]);
    expect(bench.requests).toBe(1);
  });

  it("leaves all to them where the server knows no such thing", async () => {
    const tab = bench.tab();
    tab.watch(JOB, { position: "7-x" });
    await bench.pass(50);
    bench.last.answer(404, '{"error":"Not Found"}', { "Content-Type": "application/json" });
    await rest();
    expect(tab.own.last.topic).toBe(JOB);
    expect(tab.own.last.options.position).toBe("7-x");
  });
});

describe("a change of topics", () => {
  it("asks from where each stands, and neither repeats nor loses what is under way", async () => {
    const tab = bench.tab();
    const job = tab.watch(JOB);
    const old = await bench.open();
    old.send(array([JOB, 0, "0-a"], [JOB, 1, "1-b"]));
    await rest();
    const other = tab.watch(OTHER);
    await bench.pass(50);
    expect(bench.asked).toEqual({ [JOB]: "1-b", [OTHER]: "" });
    expect(old.signal?.aborted).toBe(false);
    old.send(array([JOB, 2, "2-c"]));
    await rest();
    expect(job.sink.data).toEqual([0, 1]);
    const next = bench.last;
    next.open();
    await rest();
    expect(old.signal?.aborted).toBe(true);
    next.send(array([JOB, 2, "2-c"], [OTHER, "x", "0-z"]));
    await rest();
    expect(job.sink.data).toEqual([0, 1, 2]);
    expect(other.sink.data).toEqual(["x"]);
    expect(job.sink.states).toEqual(["connecting", "connected"]);
    expect(job.sink.opens).toEqual([null]);
  });

  it("reads the old connection on where the new one fails, and tries again", async () => {
    const tab = bench.tab();
    const job = tab.watch(JOB);
    const old = await bench.open();
    old.send(array([JOB, 0, "0-a"]));
    await rest();
    const other = tab.watch(OTHER);
    await bench.pass(50);
    old.send(array([JOB, 1, "1-b"]));
    await rest();
    bench.last.answer(503, "later", { "Retry-After": "2" });
    await rest();
    expect(job.sink.data).toEqual([0, 1]);
    expect(job.sink.status?.state).toBe("connected");
    await bench.pass(3_000);
    expect(bench.asked).toEqual({ [JOB]: "1-b", [OTHER]: "" });
    bench.last.open();
    await rest();
    expect(other.sink.status?.state).toBe("connected");
    expect(old.signal?.aborted).toBe(true);
  });

  it("notices what changed while it was being made", async () => {
    const tab = bench.tab();
    tab.watch(JOB);
    await bench.pass(50);
    tab.watch(OTHER);
    await bench.pass(50);
    expect(bench.requests).toBe(1);
    bench.last.open();
    await rest();
    expect(bench.requests).toBe(2);
    expect(bench.asked).toEqual({ [JOB]: "", [OTHER]: "" });
  });

  it("says that all is sent anew to one without a position", async () => {
    const tab = bench.tab();
    const job = tab.watch(JOB);
    const first = await bench.open();
    first.send(array([JOB, "status"]));
    await rest();
    tab.watch(OTHER);
    const second = await bench.open();
    second.send(array([JOB, "status"]));
    await rest();
    expect(job.sink.opens).toEqual([null, null]);
  });

  it("takes a position back with the stream that does", async () => {
    const tab = bench.tab();
    const job = tab.watch(JOB, { position: "9-x" });
    const first = await bench.open();
    first.send(raw({ topic: JOB, event: "reset", id: "", data: { reason: "tag" } }));
    await rest();
    expect(job.sink.events).toEqual([{ event: "reset", id: "", data: { reason: "tag" } }]);
    tab.watch(OTHER);
    await bench.pass(50);
    expect(bench.asked[JOB]).toBe("");
  });
});

describe("a lost connection", () => {
  it("is told to all tabs, and made again once for all of them", async () => {
    const tabs = Array.from({ length: 5 }, () => bench.tab().watch(JOB));
    const first = await bench.open();
    first.send(array([JOB, 0, "0-a"]));
    await rest();
    first.cut();
    await rest();
    for (const { sink } of tabs)
      expect(sink.status).toMatchObject({ state: "reconnecting", attempt: 1, problem: { kind: "network" } });
    expect(tabs[0]?.sink.status?.retryAtMs).toBe(bench.platform.now() + 1_000);
    await bench.pass(1_000);
    expect(bench.requests).toBe(2);
    expect(bench.asked).toEqual({ [JOB]: "0-a" });
    bench.last.open();
    bench.last.send(array([JOB, 1, "1-b"]));
    await rest();
    for (const { sink } of tabs) {
      expect(sink.data).toEqual([0, 1]);
      expect(sink.opens).toEqual([null, "0-a"]);
      expect(sink.status).toMatchObject({ state: "connected", attempt: 0, problem: null });
    }
  });

  it("is made again when the server advised, and no sooner", async () => {
    bench.tab().watch(JOB);
    const first = await bench.open();
    first.send("retry: 8000\n\n");
    await rest();
    first.end();
    await rest();
    await bench.pass(7_999);
    expect(bench.requests).toBe(1);
    await bench.pass(1);
    expect(bench.requests).toBe(2);
  });

  it("is noticed by silence", async () => {
    const { sink } = bench.tab().watch(JOB);
    await bench.open();
    await bench.live(46_000, false);
    expect(sink.status?.state).toBe("reconnecting");
    expect(sink.status?.problem?.kind).toBe("silence");
  });

  it("is tried at once when somebody wishes it", async () => {
    const { subscription } = bench.tab().watch(JOB);
    await bench.open();
    bench.last.cut();
    await rest();
    subscription.reconnect();
    await rest();
    expect(bench.requests).toBe(2);
  });

  it("leads to polling and to giving up where that was asked, and polling ends with it", async () => {
    const polls = bench.tab().watch(JOB, { attemptsMax: 2, pollWhenExhausted: true });
    const gives = bench.tab().watch(JOB, { autoReconnect: false });
    await bench.open();
    bench.last.cut();
    await rest();
    expect(gives.sink.status).toMatchObject({ state: "error", problem: { kind: "network" } });
    for (const waitMs of [1_000, 2_000]) {
      expect(polls.sink.status?.state).toBe("reconnecting");
      await bench.pass(waitMs);
      bench.last.fail();
      await rest();
    }
    expect(polls.sink.status?.state).toBe("polling");
    await bench.live(5_000, false);
    bench.last.open();
    await rest();
    expect(polls.sink.status?.state).toBe("connected");
  });
});

describe("one topic", () => {
  it("that ends is done for all who watch it, and the others go on", async () => {
    const tab = bench.tab();
    const job = tab.watch(JOB);
    const other = tab.watch(OTHER);
    await bench.open();
    bench.last.send(raw({ topic: JOB, event: "output", id: "0-a", data: 0 }, { topic: JOB, event: "end" }));
    bench.last.send(array([OTHER, "on"]));
    await rest();
    expect(job.sink.data).toEqual([0]);
    expect(job.sink.status?.state).toBe("done");
    expect(other.sink.data).toEqual(["on"]);
    await bench.live(60_000);
    expect(bench.requests).toBe(1);
  });

  it("whose last event says so is done with it", async () => {
    const job = bench.tab().watch(JOB);
    await bench.open();
    bench.last.send(raw({ topic: JOB, event: "done", id: "4-a.end", data: {} }));
    await rest();
    expect(job.sink.status?.state).toBe("done");
  });

  it("that is refused is an error of that one alone", async () => {
    const tab = bench.tab();
    const job = tab.watch(JOB);
    const other = tab.watch(OTHER);
    await bench.open();
    bench.last.send(raw({ topic: JOB, event: "refused", status: 404, data: { error: "Job not found" } }));
    await rest();
    expect(job.sink.status).toMatchObject({
      state: "error",
      problem: { kind: "refused", status: 404, message: "Job not found" },
    });
    expect(other.sink.status?.state).toBe("connected");
  });

  it("that is refused for now comes back by itself", async () => {
    const job = bench.tab().watch(JOB);
    await bench.open();
    const refusal = {
      topic: JOB,
      event: "refused",
      status: 503,
      data: { error: "not now", retryAfter: 12 },
    };
    bench.last.send(raw(refusal));
    await rest();
    expect(job.sink.status).toMatchObject({
      state: "reconnecting",
      problem: { kind: "overload", status: 503 },
    });
    await bench.pass(12_000);
    await bench.open();
    expect(job.sink.status?.state).toBe("connected");
  });

  it("starts over from the beginning where its consumer says so", async () => {
    const job = bench.tab().watch(JOB);
    const other = bench.tab().watch(JOB);
    await bench.open();
    bench.last.send(array([JOB, 0, "0-a"]));
    await rest();
    job.subscription.restart("it does not fit");
    await bench.pass(3_000);
    await bench.open();
    expect(bench.asked).toEqual({ [JOB]: "", [`${JOB}?lane=2`]: "0-a" });
    bench.last.send(array([JOB, 0, "0-a"]));
    await rest();
    expect(job.sink.data).toEqual([0, 0]);
    expect(job.sink.opens).toEqual([null, null]);
    expect(other.sink.data).toEqual([0]);
  });
});
