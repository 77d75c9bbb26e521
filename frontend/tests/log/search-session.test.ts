/** A search of a log by a server that is simulated: it lists a few hits at a time, as the real one lists thousands. */
import { beforeEach, describe, expect, it } from "vitest";
import type { SearchPage, SearchQuestion, SearchReach } from "../../src/log/log-api";
import type { Fetched } from "../../src/api/questions";
import { SearchSession } from "../../src/log/search-session";
import { SimulatedPlatform, settle } from "../support/simulated-platform";

const LISTED = 3;

let platform: SimulatedPlatform;
let lines: string[];
let generation: number;
let asked: [string, number][];
let trouble: Fetched<SearchPage> | null;
/** Lines looked through in one answer. */
let reachMax: number;
let session: SearchSession;

function answer(question: SearchQuestion, { from, stops }: SearchReach): Fetched<SearchPage> {
  if (trouble) return trouble;
  const found = lines.flatMap((line, at) => (at >= from && line.includes(question.text) ? [at] : []));
  const last = stops ? (found[LISTED - 1] ?? lines.length) + 1 : lines.length;
  const through = Math.min(lines.length, from + reachMax, last);
  const hits = lines.flatMap((line, at) =>
    at >= from && at < through && line.includes(question.text) ? [at] : [],
  );
  const next = hits.length > LISTED ? (hits[LISTED - 1] ?? 0) + 1 : null;
  const value = {
    offsets: hits.slice(0, LISTED),
    total: hits.length,
    next,
    through,
    complete: through === lines.length,
    ticks: [],
  };
  return { ok: true, value };
}

beforeEach(() => {
  platform = new SimulatedPlatform();
  lines = Array.from({ length: 20 }, (_, at) => (at % 2 === 0 ? `even ${at}` : `odd ${at}`));
  asked = [];
  generation = 0;
  trouble = null;
  reachMax = Number.POSITIVE_INFINITY;
  session = new SearchSession({
    ask: (question, reach, signal) => {
      asked.push([question.text, reach.from]);
      return new Promise((resolve) => {
        setImmediate(() =>
          resolve(signal.aborted ? { ok: false, status: 0, message: "aborted" } : answer(question, reach)),
        );
      });
    },
    lines: {
      get end() {
        return lines.length;
      },
      get generation() {
        return generation;
      },
    },
    platform,
    schedule: (run) => {
      run();
      return () => {};
    },
  });
});

const look = (text: string): void => session.look({ text, regex: false, case: false });

async function found(text: string): Promise<void> {
  look(text);
  platform.pass(200);
  await settle();
}

describe("typing", () => {
  it("asks once it rests, and keeps what was found until the answer is there", async () => {
    await found("even");
    expect(session.getState().total).toBe(10);
    look("od");
    platform.pass(50);
    look("odd 1");
    expect(session.getState().total).toBe(10);
    platform.pass(200);
    expect(session.getState().total).toBe(10);
    await settle();
    expect(session.getState().total).toBe(6);
    expect(asked).toEqual([
      ["even", 0],
      ["odd 1", 0],
    ]);
  });

  it("over a question under way: its answer is never taken", async () => {
    look("even");
    platform.pass(200);
    look("odd 19");
    platform.pass(200);
    await settle();
    expect(session.getState()).toMatchObject({ total: 1, question: { text: "odd 19" } });
  });

  it("nothing clears at once, and asks nothing", async () => {
    await found("even");
    look("");
    expect(session.getState()).toMatchObject({ question: null, total: 0 });
    platform.pass(5_000);
    expect(asked.length).toBe(1);
  });

  it("and Enter asks without waiting", async () => {
    look("even");
    const place = await session.step(-1, 1);
    expect(place).toEqual({ offset: 0, index: 0, wrapped: false });
  });
});

describe("the total", () => {
  it("is exact though few hits are listed", async () => {
    await found("even");
    expect(session.getState()).toMatchObject({ total: 10, offsets: [0, 2, 4], listedTo: 5 });
    expect(session.isListed).toBe(false);
    expect(await session.list(100)).toBe(true);
    expect(session.getState()).toMatchObject({ total: 10, listedTo: 20 });
    expect(session.getState().offsets).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
  });

  it("grows with the log, by looking through what is new, once a second at most", async () => {
    await found("even");
    for (let at = 20; at < 26; at += 1) {
      lines.push(`even ${at}`);
      session.grown();
    }
    expect(asked.length).toBe(1);
    platform.pass(1_000);
    await settle();
    expect(asked.at(-1)).toEqual(["even", 20]);
    expect(session.getState().total).toBe(16);
    await session.list(100);
    expect(session.getState().offsets.length).toBe(16);
    lines.push("even at last");
    session.grown();
    platform.pass(1_000);
    await settle();
    expect(session.getState()).toMatchObject({ total: 17, listedTo: 27 });
    expect(session.getState().offsets.at(-1)).toBe(26);
  });

  it("begins anew with a log that was written anew", async () => {
    await found("even");
    lines = ["even", "x"];
    session.grown();
    await settle();
    expect(session.getState()).toMatchObject({ total: 1, through: 2 });
    expect(session.getState().offsets).toEqual([0]);
    lines = ["x", "even", "even"];
    generation += 1;
    session.grown();
    await settle();
    expect(session.getState()).toMatchObject({ total: 2, through: 3 });
  });

  it("of a part says so, and goes on when asked to", async () => {
    reachMax = 8;
    await found("odd");
    expect(session.getState()).toMatchObject({ total: 4, through: 8, complete: false });
    session.grown();
    platform.pass(5_000);
    expect(asked.length).toBe(1);
    await session.goOn();
    expect(session.getState()).toMatchObject({ total: 8, through: 16, complete: false });
    await session.goOn();
    expect(session.getState()).toMatchObject({ total: 10, through: 20, complete: true });
  });
});

describe("stepping", () => {
  it("goes through all hits, lists more where they are needed, and says when it went round", async () => {
    await found("even");
    const places: (number | undefined)[] = [];
    let at = -1;
    for (let turn = 0; turn < 11; turn += 1) {
      const place = await session.step(at, 1);
      places.push(place?.offset);
      expect(place?.wrapped).toBe(turn === 10);
      at = place?.offset ?? 0;
    }
    expect(places).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 0]);
  });

  it("backwards from the first hit comes to the very last", async () => {
    await found("even");
    expect(await session.step(0, -1)).toEqual({ offset: 18, index: 9, wrapped: true });
    expect(session.indexOf(18)).toBe(9);
    expect(session.indexOf(17)).toBe(null);
  });

  it("from behind what is listed does not take an earlier hit for the one before", async () => {
    await found("even");
    expect(await session.step(13, -1)).toEqual({ offset: 12, index: 6, wrapped: false });
  });

  it("where there is no hit comes to none", async () => {
    await found("neither");
    expect(await session.step(3, 1)).toBe(null);
  });
});

describe("trouble", () => {
  it("of a pattern is said, with nothing of the search before", async () => {
    await found("even");
    trouble = { ok: false, status: 400, message: "`q` is no pattern: missing )" };
    await found("odd(");
    expect(session.getState()).toMatchObject({
      problem: "`q` is no pattern: missing )",
      total: 0,
      offsets: [],
    });
    trouble = null;
    await found("odd");
    expect(session.getState()).toMatchObject({ problem: null, total: 10 });
  });

  it("while going on leaves what was found, and Enter tries again", async () => {
    await found("even");
    lines.push("even");
    trouble = { ok: false, status: 503, message: "busy" };
    session.grown();
    platform.pass(1_000);
    await settle();
    expect(session.getState()).toMatchObject({ problem: "busy", total: 10 });
    trouble = null;
    await session.now();
    expect(session.getState()).toMatchObject({ problem: null, total: 11 });
  });

  it("of waiting is said after a while", async () => {
    look("even");
    platform.pass(700);
    expect(session.getState().slow).toBe(true);
    await settle();
    expect(session.getState()).toMatchObject({ slow: false, total: 10 });
  });

  it("leaves no timer behind", async () => {
    await found("even");
    lines.push("even");
    session.grown();
    session.clear();
    expect(platform.timers).toBe(0);
  });
});
