import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Job } from "../../../src/api/job";
import { countStatuses, matchingText, ofStatuses, sorted } from "../../../src/ui/jobs/job-list";
import { type JobQuery, formatQuery, parseQuery } from "../../../src/ui/jobs/useJobQuery";
import { WHOLE_ROWS_MAX, rowsAt } from "../../../src/ui/table/useRowWindow";

const job = fc.record({
  id: fc.string({ minLength: 1 }),
  status: fc.constantFrom("running", "failed", "success", "other"),
  name: fc.option(fc.string(), { nil: undefined }),
  startedAt: fc.option(fc.integer(), { nil: undefined }),
  finishedAt: fc.option(fc.integer(), { nil: undefined }),
});
const KEYS = ["job", "status", "branch", "started", "duration", "changes", "unheard of"];

describe("a list of jobs", () => {
  it("is complete in any order, and the other way round in reverse, but for what has no value", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(job, { selector: ({ id }) => id }),
        fc.constantFrom(...KEYS),
        (jobs: readonly Job[], key) => {
          const up = sorted(jobs, { key, descending: false }, 1000);
          const down = sorted(jobs, { key, descending: true }, 1000);
          expect(new Set(up)).toEqual(new Set(jobs));
          expect(new Set(down)).toEqual(new Set(jobs));
          expect(up).toHaveLength(jobs.length);
        },
      ),
    );
  });

  it("counts each job in one status", () => {
    fc.assert(
      fc.property(fc.array(job), (jobs: readonly Job[]) => {
        const counts = countStatuses(jobs, []);
        expect(counts.reduce((sum, [, count]) => sum + count, 0)).toBe(jobs.length);
        for (const [status, count] of counts) expect(ofStatuses(jobs, [status])).toHaveLength(count);
      }),
    );
  });

  it("keeps a chip for a status that is asked for and has no job, those that want attention first", () => {
    const jobs: readonly Job[] = [
      { id: "a", status: "success" },
      { id: "b", status: "odd" },
      { id: "c", status: "running" },
    ];
    expect(countStatuses(jobs, ["failed"])).toEqual([
      ["running", 1],
      ["failed", 0],
      ["success", 1],
      ["odd", 1],
    ]);
  });

  it("without words is the same list", () => {
    const jobs: readonly Job[] = [{ id: "a", status: "success" }];
    expect(matchingText(jobs, "  ")).toBe(jobs);
  });
});

describe("a query in an address", () => {
  it("comes back as it was", () => {
    fc.assert(
      fc.property(
        fc.record({
          text: fc.string({ unit: "grapheme" }).map((text) => text.trim()),
          statuses: fc.uniqueArray(fc.constantFrom("running", "failed", "a b", "x&y=z")),
          sort: fc.record({ key: fc.constantFrom("job", "started", "duration"), descending: fc.boolean() }),
        }),
        (query: JobQuery) => {
          expect(parseQuery(formatQuery(query))).toEqual(query);
        },
      ),
    );
  });

  it.each(["sort=__proto__", "sort=-", "status=,,", "q=%", "&&=", "sort=started&sort=job"])(
    "that is odd counts as absent: %s",
    (search) => {
      expect(parseQuery(search)).toMatchObject({ statuses: [] });
      expect(["started"]).toContain(parseQuery(search).sort.key);
    },
  );
});

describe("the rows in the page", () => {
  it("cover the window, and are few", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -500, max: 5_000_000 }),
        fc.integer({ min: 100, max: 3000 }),
        (above, height) => {
          const { first, end } = rowsAt(above, height, 50);
          expect(first * 50).toBeLessThanOrEqual(Math.max(0, above));
          expect(end * 50).toBeGreaterThanOrEqual(above + height);
          expect(end - first).toBeLessThanOrEqual(height / 50 + 40);
          expect(WHOLE_ROWS_MAX).toBeGreaterThan(0);
        },
      ),
    );
  });
});
