/** The cases that the server's twin holds too; src/web/logscan/line_marks.py says why they are as they are. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { OutputStream } from "../../src/api/job";
import { type LineMark, MarkReader, isErrorLine } from "../../src/log/line-marks";

interface Cases {
  readonly errors: readonly string[];
  readonly fine: readonly string[];
  readonly logs: readonly {
    readonly name: string;
    readonly log: readonly (readonly [line: string, stream?: OutputStream])[];
    readonly marks: readonly (readonly unknown[])[];
  }[];
}

const cases = JSON.parse(
  readFileSync(`${import.meta.dirname}/../../../tests/conformance/line-marks.json`, "utf8"),
) as Cases;

function isError(text: string): boolean {
  return text.split("\n").some((line) => isErrorLine(line, "stdout"));
}

function marksOf(log: Cases["logs"][number]["log"]): readonly LineMark[] {
  const reader = new MarkReader();
  return log.flatMap(([line, stream = "stdout"], offset) =>
    reader.push({ offset, timestamp: offset, line, stream }),
  );
}

function shown(mark: LineMark): readonly unknown[] {
  const kind = mark.kind + (mark.kind !== "error" && mark.header ? "*" : "");
  return mark.kind === "open" ? [mark.offset, kind, mark.title] : [mark.offset, kind];
}

describe("an error line", () => {
  it.each(cases.errors)("is %j", (line) => {
    expect(isError(line)).toBe(true);
  });

  it.each(cases.fine)("is not %j", (line) => {
    expect(isError(line)).toBe(false);
  });
});

describe("marks", () => {
  it.each(cases.logs.map((log) => [log.name, log] as const))("%s", (_, { log, marks }) => {
    expect(marksOf(log).map(shown)).toEqual(marks);
  });

  it("of a header that stands last come when nothing more does", () => {
    const reader = new MarkReader();
    expect(reader.push({ offset: 0, timestamp: 7, line: "--- T", stream: "stdout" })).toEqual([]);
    const mark = { kind: "open", offset: 0, timestamp: 7, title: "T", header: true };
    expect(reader.flush()).toEqual([mark]);
    expect(reader.flush()).toEqual([]);
  });

  it("go on with the groups that are open", () => {
    const reader = new MarkReader([true, false]);
    const end = { offset: 9, timestamp: 1, line: "::endgroup::", stream: "stdout" } as const;
    expect(reader.push(end)).toEqual([{ kind: "close", offset: 9, timestamp: 1 }]);
    expect(reader.push(end)).toEqual([]);
  });

  it("are bounded for each entry", () => {
    const line = "::group::x\n::endgroup::\n".repeat(1000);
    expect(new MarkReader().push({ offset: 0, timestamp: 1, line, stream: "stdout" })).toHaveLength(64);
  });

  it("never go back, and every end has its beginning", () => {
    const word = fc.constantFrom(
      "--- a",
      "+++ b",
      "~~~ c",
      "::group::d",
      "::endgroup::",
      "@@ -1 +1 @@",
      "-x",
      "",
      "error: e",
      "++ t",
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 30 }), (lines) => {
        const marks = marksOf(lines.map((line) => [line] as const));
        let depth = 0;
        for (const [at, mark] of marks.entries()) {
          expect(mark.offset).toBeGreaterThanOrEqual(marks[at - 1]?.offset ?? 0);
          depth += { open: 1, close: -1, error: 0 }[mark.kind];
          expect(depth).toBeGreaterThanOrEqual(0);
        }
      }),
    );
  });
});

it.each([
  "a::",
  "1: ",
  "[x] ",
  "(1",
  "a: Assertion ",
  "\x1b[",
  "\x1b]",
  "\r",
  "+ ",
  "A",
  "A.",
  "=",
  "a: ",
  "not ok 1 ",
])("a line of nothing but %j takes no more time than its length", (part) => {
  const began = performance.now();
  for (let at = 0; at < 20; at += 1) isErrorLine(part.repeat(100_000), "stdout");
  expect(performance.now() - began).toBeLessThan(2000);
});
