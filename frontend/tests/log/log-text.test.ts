import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LineStore } from "../../src/log/line-store";
import { type TextPoint, fetchText, ordered, textInMemory, wholeLines } from "../../src/log/log-text";
import { around } from "../../src/log/projection";
import { ServedLog } from "../support/served-log";

const E = "\x1b";

function loaded(served: ServedLog, from = 0): LineStore {
  const log = new LineStore({ maxLines: 1e6, schedule: () => () => {} });
  for (let offset = from; offset < served.total; offset += 1)
    log.append({ offset, output: served.outputAt(offset) });
  return log;
}

const source = (served: ServedLog, raw = false) => ({
  jobId: "42",
  api: served,
  raw,
  signal: new AbortController().signal,
});

describe("the text of lines", () => {
  it("is what is shown: without colours, with a bar's last state", () => {
    const served = new ServedLog(3);
    const lines = [`${E}[32mgreen${E}[0m`, "10%\r100%", "two\nlines"];
    served.lineOf = (offset) => lines[offset] ?? "";
    expect(textInMemory(loaded(served), wholeLines(0, 3), false)).toBe("green\n100%\ntwo\nlines");
    expect(textInMemory(loaded(served), wholeLines(0, 1), true)).toBe("␛[32mgreen␛[0m");
  });

  it("says which lines are gone", () => {
    const log = loaded(new ServedLog(2));
    log.appendGap(2, 11);
    expect(textInMemory(log, wholeLines(0, 12), false)).toBe("0\n1\n[10 lines are gone]");
  });

  it("is not known where a line is not loaded; then it is fetched, in few requests", async () => {
    const served = new ServedLog(100_000);
    const log = loaded(served, 99_000);
    expect(textInMemory(log, wholeLines(0, 100_000), false)).toBeNull();
    const fetched = await fetchText(wholeLines(0, 100_000), source(served));
    expect(fetched).toEqual({
      ok: true,
      value: Array.from({ length: 100_000 }, (_, at) => `${at}`).join("\n"),
    });
    expect(served.asked).toHaveLength(20);
  });

  it("has of what is filtered nothing else, and asks for little else", async () => {
    const served = new ServedLog(1_000_000);
    const log = loaded(new ServedLog(20));
    const offsets = [3, 5, 7_000, 500_000, 999_999];
    const filter = around(offsets, 0, 1_000_000);
    expect(textInMemory(log, wholeLines(4, 10), false, filter)).toBe("5");
    expect(textInMemory(log, wholeLines(6, 10), false, filter)).toBe("");
    const fetched = await fetchText(wholeLines(0, 1_000_000), { ...source(served), filter });
    expect(fetched).toEqual({ ok: true, value: offsets.join("\n") });
    expect(served.asked.map(({ from, limit }) => [from, limit])).toEqual([
      [3, 3],
      [7_000, 1],
      [500_000, 1],
      [999_999, 1],
    ]);
  });

  it("says why it could not be had", async () => {
    const served = new ServedLog(10);
    served.failure = "no";
    expect(await fetchText(wholeLines(0, 10), source(served))).toMatchObject({ ok: false, message: "no" });
  });

  it("ends where the server has no more", async () => {
    const served = new ServedLog(10);
    expect(await fetchText(wholeLines(5, 50), source(served))).toEqual({ ok: true, value: "5\n6\n7\n8\n9" });
  });

  it("has a bound", async () => {
    const served = new ServedLog(1_000);
    const line = "x".repeat(1_000_000);
    served.lineOf = () => line;
    served.pageMax = 10;
    expect(await fetchText(wholeLines(0, 1_000), source(served))).toMatchObject({ ok: false });
    expect(served.asked.length).toBeLessThan(20);
  });
});

it("between any two places is that of the plain text between them", () => {
  const served = new ServedLog(1_200);
  served.lineOf = (offset) =>
    Array.from({ length: 1 + (offset % 3) }, (_, part) => `${offset}.${part}`).join("\n");
  const log = loaded(served);
  const rows: { text: string; offset: number; part: number }[] = [];
  for (let offset = 0; offset < served.total; offset += 1)
    for (const [part, text] of served.lineOf(offset).split("\n").entries()) rows.push({ text, offset, part });
  const at = fc.record({ row: fc.nat(rows.length - 1), char: fc.nat(8) });
  const pointOf = ({ row, char }: { row: number; char: number }): TextPoint => ({
    offset: rows[row]?.offset ?? 0,
    part: rows[row]?.part ?? 0,
    char: Math.min(char, rows[row]?.text.length ?? 0),
  });
  fc.assert(
    fc.property(at, at, (one, other) => {
      const [first, last] = [one, other].toSorted((a, b) => a.row - b.row || a.char - b.char) as [
        typeof one,
        typeof one,
      ];
      const texts = rows.slice(first.row, last.row + 1).map(({ text }) => text);
      texts[texts.length - 1] = (texts.at(-1) ?? "").slice(0, last.char);
      texts[0] = (texts[0] ?? "").slice(first.char);
      const range = ordered(pointOf(one), pointOf(other));
      expect(textInMemory(log, range, false)).toBe(texts.join("\n"));
    }),
  );
});
