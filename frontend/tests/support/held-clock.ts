/**
 * The clock of what is rendered, in the hands of a test: timers and frames come when it says so, while promises and
 * React's own work go on by themselves.
 */
import { act, cleanup } from "@testing-library/react";
import { afterEach, beforeEach, vi } from "vitest";

const HELD = [
  "setTimeout",
  "clearTimeout",
  "setInterval",
  "clearInterval",
  "requestAnimationFrame",
  "cancelAnimationFrame",
] as const;

/** Long enough for a frame and for what is put off for a moment, in milliseconds. */
const MOMENT_MS = 500;

/**
 * Holds the clock in each test of a file, `Date` and `performance` only where they are named. After each test nothing is
 * rendered any more, and globals that it replaced are what they were.
 */
export function holdClock(...also: readonly ("Date" | "performance")[]): void {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: [...HELD, ...also] });
  });
  afterEach(() => {
    cleanup();
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });
}

/** Lets something happen, and what is shown of it come. */
export function frame(happen: () => void = () => {}, ms = MOMENT_MS): void {
  act(happen);
  act(() => void vi.advanceTimersByTime(ms));
}

/** Lets time pass, and come what was promised in it. */
export function pass(ms = MOMENT_MS): Promise<void> {
  return act(async () => {
    await vi.advanceTimersByTimeAsync(ms);
  });
}
