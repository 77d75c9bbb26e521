import { beforeEach, expect, it } from "vitest";
import { LineStore } from "../../src/log/line-store";
import { provenOutput } from "../../src/log/proven-output";
import { ServedLog } from "../support/served-log";

let served: ServedLog;
let log: LineStore;

/** A log of which the last line is here, and whose list has 10,000. */
beforeEach(() => {
  served = new ServedLog(10_000);
  log = new LineStore({ maxLines: 1e6, schedule: () => () => {} });
  log.append({ offset: 9_999, output: served.outputAt(9_999) });
});

const ask = (from: number) => provenOutput(served, log).output("42", from, 512);

it("asks nothing more while the stream is open: that would tell", async () => {
  served.tag = "other";
  expect(await ask(0)).toMatchObject({ ok: true, value: { from: 0, next: 512 } });
  expect(served.asked).toHaveLength(1);
});

it("gives the pages of the list that the stream was about", async () => {
  log.settle("9999-tag.end");
  expect(await ask(0)).toMatchObject({ ok: true, value: { from: 0, next: 512 } });
  expect(served.asked).toEqual([
    { from: 0, limit: 512 },
    { from: 9_999, limit: 1 },
  ]);
  await ask(9_700);
  expect(served.asked.slice(2)).toEqual([{ from: 9_700, limit: 512 }]);
});

it("gives nothing of a list that was written anew once the stream was over, be it longer or shorter", async () => {
  log.settle("9999-tag.end");
  served.tag = "other";
  const refused = { ok: false, message: expect.stringContaining("written anew") as unknown };
  expect(await ask(0)).toMatchObject(refused);
  expect(await ask(9_900)).toMatchObject(refused);
  served.total = 600;
  expect(await ask(0)).toMatchObject(refused);
  served.total = 0;
  expect(await ask(0)).toMatchObject(refused);
});

it("gives nothing where the proof cannot be had", async () => {
  log.settle("9999-tag.end");
  let asked = 0;
  served.failureOf = () => ((asked += 1) === 2 ? "Redis does not answer" : null);
  expect(await ask(0)).toMatchObject({ ok: false, message: "Redis does not answer" });
});
