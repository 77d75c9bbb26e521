// @vitest-environment node
/** Folding against a real terminal emulator: for any sequence of the controls that we know, the same picture. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type FoldedRow, REACH_ROWS } from "../../../src/log/terminal/terminal-lines";
import { FoldedLog } from "../../support/folded-log";
import { seenIn } from "../../support/seen";
import { type Seen, terminalLines, withoutBlankEnd } from "../../support/xterm-screen";

/** What can be seen of our rows, in the terms of the emulator. */
function seenOf(rows: readonly FoldedRow[]): readonly (readonly Seen[])[] {
  return withoutBlankEnd(rows.map(seenIn));
}

/** Folds a text whose lines are entries, `stretch` of them at a time. */
function folded(text: string, stretch: number): FoldedLog {
  const log = new FoldedLog();
  log.add(Array.from({ length: REACH_ROWS - 1 }, () => ""));
  const lines = text.split("\n");
  for (let at = 0; at < lines.length; at += stretch) log.add(lines.slice(at, at + stretch));
  return log;
}

const E = "\x1b";
const count = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 4 }) },
  { weight: 1, arbitrary: fc.constant("") },
  { weight: 1, arbitrary: fc.integer({ min: 190, max: 2_000_000_000 }) },
);
const short = fc.oneof(fc.integer({ min: 0, max: 12 }), fc.constant(""));
const piece = fc.oneof(
  { weight: 6, arbitrary: fc.stringMatching(/^[a-zA-Z #=>]{1,6}$/) },
  { weight: 1, arbitrary: fc.constantFrom("漢字", "e\u0301x", "한", "\t", "█▌", "▸") },
  { weight: 5, arbitrary: fc.constant("\n") },
  { weight: 3, arbitrary: fc.constantFrom("\r", "\b", "\b\b\b", "\r\n") },
  {
    weight: 4,
    arbitrary: fc.tuple(count, fc.constantFrom("A", "B", "E", "F")).map(([n, final]) => `${E}[${n}${final}`),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(short, fc.constantFrom("C", "D", "G", "`")).map(([n, final]) => `${E}[${n}${final}`),
  },
  { weight: 3, arbitrary: fc.constantFrom(`${E}[K`, `${E}[0K`, `${E}[1K`, `${E}[2K`, `${E}[J`, `${E}[0J`) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(`${E}[31m`, `${E}[0m`, `${E}[1;32m`, `${E}[m`, `${E}[22m`, `${E}[38;5;99m`),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(`${E}]0;title\x07`, `${E}[?25l`, `${E}]8;;https://x.example/${E}\\`, `${E}=`),
  },
);
const text = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(""));

describe("against a real terminal", () => {
  it("any sequence of what is understood gives the same picture, whatever stretches it is folded in", async () => {
    await fc.assert(
      fc.asyncProperty(text, fc.constantFrom(1, 3, 1000), async (text, stretch) => {
        const [ours, theirs] = [seenOf(folded(text, stretch).rows), await terminalLines(text, REACH_ROWS)];
        expect(ours).toEqual(theirs);
      }),
      { numRuns: 300 },
    );
  }, 60_000);
});
