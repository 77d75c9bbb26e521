import { describe, expect, it } from "vitest";
import { formatAgo, formatDuration, plural } from "../../src/ui/format";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

describe("durations", () => {
  it.each([
    [-5, "0.0 s"],
    [840, "0.8 s"],
    [42 * SECOND, "42 s"],
    [3 * MINUTE + 7 * SECOND, "3 min 07 s"],
    [2 * HOUR + 5 * MINUTE, "2 h 05 min"],
    [75 * HOUR, "3 d 3 h"],
  ])("%d ms", (ms, words) => {
    expect(formatDuration(ms)).toBe(words);
  });
});

describe("moments", () => {
  it.each([
    [0, "just now"],
    [25 * SECOND, "20 sec. ago"],
    [3 * MINUTE, "3 min. ago"],
    [5 * HOUR, "5 hr. ago"],
    [25 * HOUR, "yesterday"],
  ])("%d ms ago", (agoMs, words) => {
    expect(formatAgo(1e12 - agoMs, 1e12)).toBe(words);
  });
});

it("counts with the right form of the noun", () => {
  expect([plural(1, "line"), plural(1234, "line")]).toEqual(["1 line", "1,234 lines"]);
});
