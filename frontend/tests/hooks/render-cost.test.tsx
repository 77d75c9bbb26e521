/**
 * What a hundred thousand lines cost a page, counted and not timed (trap 27): how often React commits, and how many
 * elements are copied for the arrays that components are given.
 */
import { render } from "@testing-library/react";
import { Profiler } from "react";
import { beforeEach, expect, it, vi } from "vitest";
import { FantailProvider } from "../../src/hooks/client-context";
import { useEventSourceManager } from "../../src/hooks/useEventSourceManager";
import { useJobSession } from "../../src/hooks/useJobSession";
import { useJobStream } from "../../src/hooks/useJobStream";
import { useLogStream } from "../../src/hooks/useLogStream";
import { createClient } from "../../src/client";
import { holdClock } from "../support/held-clock";
import { type Said, ScriptedSource } from "../support/scripted-source";

const LINES = 100_000;
const FRAMES = 200;
/** Most of a few lines, one large; all together what a frame brings. */
const BURSTS = [1, 1, 2, 1, 5, 1, 9, 80, 150, 250];
const FRAME_MS = 16;

let source: ScriptedSource;
let commits: number;
let copied: number;
let last: readonly unknown[];

holdClock();

beforeEach(() => {
  // React is to commit when it would in a page, and not when a test lets it.
  vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", false);
  source = new ScriptedSource();
  commits = copied = 0;
  last = [];
});

/** Counts each array that a component is given, once. */
function given(list: readonly unknown[]): null {
  if (list !== last) copied += list.length;
  last = list;
  return null;
}

const Job = () => given(useJobStream("42").lines);
const Log = () => given(useLogStream("42"));
const Messages = () => given(useEventSourceManager("/api/events/processes/42/logs").messages);
function Session() {
  useJobSession("42", { maxLines: LINES });
  return null;
}

const output = (at: number): Said => [
  "output",
  { timestamp: at, line: `${at}`, stream: "stdout" },
  `${at}-t`,
];
const entry = (at: number): Said => ["message", { type: "stdout", content: `${at}` }, `${at}-t`];

/** A turn of the event loop: what React does at once, it has done. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function follow(Component: () => null, say: (at: number) => Said): Promise<void> {
  render(
    <FantailProvider value={createClient({ streams: source })}>
      <Profiler id="hook" onRender={() => void (commits += 1)}>
        <Component />
      </Profiler>
    </FantailProvider>,
  );
  await turn();
  source.last.open();
  await turn();
  commits = copied = 0;
  let at = 0;
  for (let frame = 0; frame < FRAMES; frame += 1) {
    for (const burst of BURSTS) {
      source.last.say(...Array.from({ length: burst }, (_, index) => say(at + index)));
      at += burst;
      await turn();
    }
    vi.advanceTimersByTime(FRAME_MS);
    await turn();
  }
  vi.advanceTimersByTime(1_000);
  await turn();
  expect(at).toBe(LINES);
}

it.each([
  ["useJobStream", Job, output, 10_000],
  ["useLogStream", Log, entry, LINES],
  ["useEventSourceManager", Messages, entry, LINES],
  ["useJobSession", Session, output, 0],
] as const)(
  "%s: no more commits than frames, and copies that grow with the lines alone",
  async (_, Component, say, kept) => {
    await follow(Component, say);
    expect(last).toHaveLength(kept);
    expect(commits).toBeLessThanOrEqual(FRAMES + 2);
    // One array per line would be some 5,000,000,000; one per frame of a list without bound 10,000,000.
    expect(copied).toBeLessThanOrEqual(20 * LINES);
  },
  60_000,
);
