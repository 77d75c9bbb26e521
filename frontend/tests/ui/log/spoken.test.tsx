import { act, cleanup, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Outline } from "../../../src/log/outline";
import { LineStore } from "../../../src/log/line-store";
import { SPOKEN_MS, Spoken } from "../../../src/ui/log/Spoken";
import { type LogOutline, LogOutlineContext } from "../../../src/ui/log/find/outline-context";

let log: LineStore;
let errors: number[];
let spoken: string[];
let observer: MutationObserver;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "setTimeout", "clearTimeout"] });
  log = new LineStore({ maxLines: 100_000 });
  errors = [];
  spoken = [];
  const outline = {
    get errors() {
      return errors;
    },
  } as unknown as Outline;
  render(
    <LogOutlineContext value={{ outline } as unknown as LogOutline}>
      <Spoken log={log} />
    </LogOutlineContext>,
  );
  observer = new MutationObserver(() => spoken.push(screen.getByRole("status").textContent ?? ""));
  observer.observe(screen.getByRole("status"), { childList: true, characterData: true, subtree: true });
});

afterEach(() => {
  observer.disconnect();
  cleanup();
  vi.useRealTimers();
});

function come(count: number): void {
  for (let line = 0; line < count; line += 1)
    log.append({ offset: log.nextOffset, output: { timestamp: 0, line: "x", stream: "stdout" } });
}

const pass = (ms: number): Promise<void> => act(() => vi.advanceTimersByTimeAsync(ms).then(() => undefined));

it("says how many lines came, and how many of them are errors", async () => {
  come(42);
  errors = [7];
  await pass(SPOKEN_MS);
  expect(spoken).toEqual(["42 new lines, 1 error"]);
  come(3);
  await pass(SPOKEN_MS);
  expect(spoken.at(-1)).toBe("3 new lines");
});

it("speaks at most every five seconds, whatever comes, and not at all while nothing does", async () => {
  for (let tenth = 0; tenth < 300; tenth += 1) {
    come(1 + (tenth % 3));
    await pass(100);
  }
  expect(spoken.length).toBeLessThanOrEqual(6);
  const before = spoken.length;
  await pass(10 * SPOKEN_MS);
  expect(spoken).toHaveLength(before);
});
