/** Entries that are drawn over the rows of older ones: found, jumped to, marked and filtered where they stand. */
import { expect, it } from "vitest";
import { LineStore } from "../../src/log/line-store";
import { layOut } from "../../src/log/log-layout";
import type { ViewRow } from "../../src/log/log-rows";
import { EVERYTHING, type Projection, around, without } from "../../src/log/projection";

const E = "\x1b";

/** A message over a bar of two lines, which is drawn anew below it: as pip and rich do. */
const LINES = [
  "before",
  "bar one 10%",
  "bar two 10%",
  `${E}[2A${E}[2Kerror: no space left`,
  `${E}[2Kbar one 99%`,
  "bar two 99%",
  "after",
];

const log = new LineStore({ maxLines: 1_000 });
for (const [offset, line] of LINES.entries())
  log.append({ offset, output: { timestamp: 1, line, stream: "stdout" } });

function rows(projection: Projection): readonly ViewRow[] {
  const layout = layOut(log, { projection, width: 0, raw: false });
  return layout.rows(0, layout.units).map(({ row }) => row);
}

const said = (row: ViewRow): string =>
  row.kind === "line" ? row.text : row.kind === "fold" ? `${row.to - row.from + 1} hidden` : row.kind;

it("a row knows whose text it shows, and an entry without a row whose row shows it", () => {
  expect(rows(EVERYTHING).map(said)).toEqual([
    "before",
    "error: no space left",
    "bar one 99%",
    "bar two 99%",
    "after",
  ]);
  expect(rows(EVERYTHING).map((row) => row.kind === "line" && [row.offset, row.by])).toEqual([
    [0, 0],
    [1, 3],
    [2, 4],
    [5, 5],
    [6, 6],
  ]);
  expect([0, 3, 4, 5].map((offset) => log.shownAt(offset))).toEqual([0, 1, 2, 5]);
});

it("a filter displays the row that shows what it let through", () => {
  expect(rows(around([3], 0, 7)).map(said)).toEqual([
    "1 hidden",
    "error: no space left",
    "1 hidden",
    "3 hidden",
  ]);
});

it("a folded group stays folded, whatever was drawn into it", () => {
  expect(rows(without([{ from: 1, to: 3 }])).map(said)).toEqual(["before", "bar two 99%", "after"]);
});

it("raw, each entry has its own row", () => {
  const layout = layOut(log, { projection: EVERYTHING, width: 0, raw: true });
  expect(layout.units).toBe(LINES.length);
  expect(log.shownAt(3)).toBe(3);
});
