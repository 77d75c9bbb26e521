/** The community's RFC 6902 records, and the two promises beyond them: nothing given is changed, nothing idle is copied. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Json, JsonObject } from "../../src/stream/json";
import { applyPatch, parsePointer, sameJson } from "../../src/stream/json-patch";

interface Record {
  readonly comment?: string;
  readonly doc: Json;
  readonly patch: readonly Json[];
  readonly expected?: Json;
  readonly error?: string;
  readonly disabled?: boolean;
}

function records(file: string): readonly Record[] {
  const path = `${import.meta.dirname}/../../../tests/conformance/json-patch-tests/${file}`;
  return (JSON.parse(readFileSync(path, "utf8")) as Record[]).filter((record) => record.disabled !== true);
}

const all = ["tests.json", "spec_tests.json"].flatMap((file) =>
  records(file).map((record, at) => ({ file, at, record })),
);

describe("json-patch-tests", () => {
  it("has the 108 enabled records", () => {
    expect(all).toHaveLength(108);
  });

  it.each(all)("$file #$at $record.comment", ({ record }) => {
    const before = structuredClone(record.doc);
    const outcome = applyPatch(record.doc, record.patch);
    expect(record.doc).toEqual(before);
    if (record.error !== undefined) expect(outcome.ok).toBe(false);
    else
      expect(outcome).toEqual(
        "expected" in record
          ? { ok: true, document: record.expected }
          : { ok: true, document: expect.anything() },
      );
  });
});

function check(document: Json, patch: readonly Json[]): Json {
  const outcome = applyPatch(document, patch);
  if (!outcome.ok) throw new Error(`operation ${outcome.index}: ${outcome.reason}`);
  return outcome.document;
}

describe("applyPatch", () => {
  it("shares what a patch does not touch", () => {
    const document = { jobs: { a: { status: "running" }, b: { status: "running" } }, tasks: {} };
    const after = check(document, [
      { op: "replace", path: "/jobs/a/status", value: "success" },
    ]) as typeof document;
    expect(after.jobs.b).toBe(document.jobs.b);
    expect(after.tasks).toBe(document.tasks);
    expect(after.jobs.a).not.toBe(document.jobs.a);
    expect(document.jobs.a.status).toBe("running");
  });

  it("copies a touched object once per batch, however many operations pass through it", () => {
    let copies = 0;
    const rows = new Proxy<JsonObject>(
      { a: {}, b: {} },
      {
        ownKeys(target) {
          copies += 1;
          return Reflect.ownKeys(target);
        },
      },
    );
    const patch = Array.from({ length: 50 }, (_, at) => ({ op: "add", path: `/jobs/${at}`, value: {} }));
    check({ jobs: rows }, patch);
    expect(copies).toBe(1);
  });

  it("is all or nothing", () => {
    const document = { a: 1 };
    const outcome = applyPatch(document, [
      { op: "replace", path: "/a", value: 2 },
      { op: "remove", path: "/b" },
    ]);
    expect(outcome).toMatchObject({ ok: false, index: 1 });
    expect(document).toEqual({ a: 1 });
  });

  it("treats __proto__ as a name like any other", () => {
    const after = check({ rows: {} }, [
      { op: "add", path: "/rows/__proto__", value: { polluted: true } },
      { op: "replace", path: "/rows/__proto__/polluted", value: "yes" },
    ]) as { rows: object };
    expect(Object.getPrototypeOf(after.rows)).toBe(Object.prototype);
    expect(JSON.stringify(after)).toBe('{"rows":{"__proto__":{"polluted":"yes"}}}');
    expect(applyPatch({}, [{ op: "remove", path: "/toString" }]).ok).toBe(false);
  });

  it("refuses what is no operation", () => {
    const oddities: Json[] = [
      null,
      1,
      "add",
      [],
      {},
      { op: "add" },
      { op: "add", path: 1, value: 1 },
      { op: "spam", path: "/a" },
    ];
    for (const odd of oddities) {
      expect(applyPatch({}, [odd]).ok).toBe(false);
    }
  });

  it("gives the same in one batch as one by one, and never changes what it is given", () => {
    const key = fc.constantFrom("a", "b", "c/d", "e~f");
    const path = fc.array(key, { minLength: 1, maxLength: 3 }).map(pointer);
    const operation = fc.oneof(
      fc.record({ op: fc.constant("add"), path, value: fc.jsonValue({ maxDepth: 1 }) }),
      fc.record({ op: fc.constant("replace"), path, value: fc.jsonValue({ maxDepth: 1 }) }),
      fc.record({ op: fc.constant("remove"), path }),
      fc.record({ op: fc.constantFrom("move", "copy"), path, from: path }),
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 12 }), (operations) => {
        const start: Json = { a: { b: {} }, b: [1, 2], "c/d": { a: 1 } };
        const frozen = JSON.stringify(start);
        let oneByOne: Json = start;
        const applied: Json[] = [];
        for (const next of operations as Json[]) {
          const outcome = applyPatch(oneByOne, [next]);
          if (!outcome.ok) continue;
          oneByOne = outcome.document;
          applied.push(next);
        }
        expect(sameJson(check(start, applied), oneByOne)).toBe(true);
        expect(JSON.stringify(start)).toBe(frozen);
      }),
      { numRuns: 300 },
    );
  });
});

describe("parsePointer", () => {
  it("gives back the tokens that were escaped into it", () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { minLength: 1 }), (tokens) => {
        expect(parsePointer(pointer(tokens))).toEqual(tokens);
      }),
    );
    expect(parsePointer("")).toEqual([]);
    expect(parsePointer("a")).toBeNull();
    expect(parsePointer("/~2")).toBeNull();
  });
});

function pointer(tokens: readonly string[]): string {
  return tokens.map((token) => `/${token.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}
