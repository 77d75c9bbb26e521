/** A log that folds its entries a stretch at a time, as a store does, with nothing clever about it. */
import type { OutputStream } from "../../src/api/job";
import { type Carry, type FoldedRow, START, foldEntries } from "../../src/log/terminal/terminal-lines";

interface KeptRow extends FoldedRow {
  readonly stream: OutputStream;
}

export class FoldedLog {
  rows: KeptRow[] = [];
  carry: Carry = START;
  missed = false;
  readonly shownAt = new Map<number, number>();
  #next = 0;

  /** Folds lines in one go. */
  add(lines: readonly string[], stream: OutputStream = "stdout"): void {
    this.addMixed(lines.map((line) => [stream, line]));
  }

  addMixed(lines: readonly (readonly [OutputStream, string])[]): void {
    const entries = lines.map(([stream, line], at) => ({
      offset: this.#next + at,
      output: { stream, line },
    }));
    this.#next += lines.length;
    const fold = foldEntries(entries, this.carry, (stream) =>
      this.rows.filter((row) => row.stream === stream).toReversed(),
    );
    const streamOf = new Map(entries.map(({ offset, output }) => [offset, output.stream]));
    for (const rewrite of fold.rewrites) {
      const at = this.rows.findIndex(
        ({ offset, part }) => offset === rewrite.offset && part === rewrite.part,
      );
      this.rows[at] = { ...rewrite, stream: this.rows[at]?.stream ?? "stdout" };
    }
    this.rows.push(...fold.rows.map((row) => ({ ...row, stream: streamOf.get(row.offset) ?? "stdout" })));
    this.carry = fold.carry;
    this.missed ||= fold.missed;
    for (const [entry, row] of fold.shownAt) this.shownAt.set(entry, row);
  }
}
