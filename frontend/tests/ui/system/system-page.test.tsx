import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { parseJson } from "../../../src/stream/json";
import { SAMPLES_MAX, SystemWatch, readSystem } from "../../../src/api/system";
import { SystemPage } from "../../../src/ui/system/SystemPage";
import { formatBytes } from "../../../src/ui/format";
import { CHART_MS, sparkPath } from "../../../src/ui/system/Sparkline";
import { holdClock, pass } from "../../support/held-clock";

const SYSTEM = {
  version: "1.2.3",
  uptimeS: 90,
  draining: false,
  source: { available: true, mode: "tracking" },
  stores: {
    bytes: 2048,
    bytesMax: 268_435_456,
    tablesBytes: 10,
    tablesWatchers: 2,
    jobsTotal: 3,
    watchers: 3,
    lagMax: 7,
  },
  jobs: [
    {
      kind: "job",
      id: "a",
      status: "running",
      retainedBytes: 1024,
      head: 5,
      tail: 25,
      watchers: 3,
      lagMax: 7,
    },
    {
      kind: "work_session",
      id: "b",
      status: "ready",
      retainedBytes: 9,
      head: 0,
      tail: 1,
      watchers: 0,
      lagMax: 99,
    },
  ],
  streams: {
    open: 4,
    byFace: { repobox: 3, tables: 1 },
    openedTotal: 12,
    sentBytes: 1000,
    ended: { complete: 8 },
  },
  pipelines: { known: 2, pollsUnderWay: 1, backendAvailable: true },
  statuses: null,
  cpu: { usedS: 1 },
  settings: { auth: "none", storeBytes: 64 },
  memory: { residentBytes: 84_000_000 },
};

let answers: (() => Response | Promise<Response>)[];
let asked: number;
let lastAsked: string;

holdClock("Date", "performance");

beforeEach(() => {
  asked = 0;
  answers = [];
  vi.stubGlobal("fetch", (url: string) => {
    asked += 1;
    lastAsked = url;
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    return Promise.resolve(answer ? answer() : Response.json(SYSTEM));
  });
});

async function show(): Promise<void> {
  render(<SystemPage />);
  await pass(300);
}

describe("the system page", () => {
  it("shows what the server says of itself", async () => {
    await show();
    expect(screen.getByText("Fantail 1.2.3, up for 1 min 30 s")).toBeDefined();
    expect(screen.getByText("7 behind")).toBeDefined();
    expect(screen.getByText("80.1 MiB")).toBeDefined();
    expect(screen.getByText("0.0 % of 256 MiB; the tables 10 B")).toBeDefined();
    expect(screen.getByText("of jobs and tables; 2 of the tables")).toBeDefined();
    expect(screen.getByText("repobox")).toBeDefined();
    expect(screen.getByText("tracking")).toBeDefined();
    expect(screen.getByRole("link", { name: "a" }).getAttribute("href")).toBe("/jobs/a");
    expect(screen.queryByRole("link", { name: "b" })).toBeNull();
    expect(screen.getByText(/^1 further store not shown/)).toBeDefined();
    expect(screen.getByText("Live")).toBeDefined();
    expect(document.title).toBe("System · Fantail");
  });

  it("sorts the stores by what the server can sort by, which is asked for", async () => {
    await show();
    expect(lastAsked).toBe("/api/system?jobs=100&by=bytes");
    fireEvent.click(screen.getByRole("button", { name: /^Behind/ }));
    await pass(300);
    expect(lastAsked).toBe("/api/system?jobs=100&by=lag");
    expect(screen.getByRole("columnheader", { name: /^Behind/ }).getAttribute("aria-sort")).toBe(
      "descending",
    );
    expect(screen.getByText("polls under way").nextSibling?.textContent).toBe("1");
    expect(screen.queryByText("Tests and runs")).toBeNull();
    expect(screen.getByText("auth").nextSibling?.textContent).toBe("none");
  });

  it("asks every two seconds, not while it is hidden, and not when it is gone", async () => {
    await show();
    await pass(6_000);
    expect(asked).toBe(4);
    const hidden = vi.spyOn(document, "visibilityState", "get").mockReturnValue("hidden");
    await pass(10_000);
    expect(asked).toBeLessThanOrEqual(5);
    const before = asked;
    hidden.mockReturnValue("visible");
    await act(async () => {
      document.dispatchEvent(new Event("visibilitychange"));
      await vi.advanceTimersByTimeAsync(10);
    });
    expect(asked).toBe(before + 1);
    cleanup();
    const last = asked;
    await pass(10_000);
    expect(asked).toBe(last);
  });

  it("shows a rate of what was sent, from two answers", async () => {
    answers = [
      () => Response.json(SYSTEM),
      () => Response.json({ ...SYSTEM, streams: { ...SYSTEM.streams, sentBytes: 5096 } }),
    ];
    await show();
    expect(screen.getAllByText("–", { selector: ".value" })).toBeDefined();
    await pass(2_000);
    expect(screen.getByText("2 KiB/s")).toBeDefined();
  });

  it("tells who is no admin how to become one", async () => {
    answers = [() => Response.json({ error: "Forbidden" }, { status: 403 })];
    await show();
    expect(screen.getByRole("alert").textContent).toContain("For admins only");
    expect(screen.getByRole("alert").textContent).toContain("fantail token --admin");
    expect(screen.queryByText("Live")).toBeNull();
  });

  it("keeps what it was told when the server is away, says so, and asks again", async () => {
    answers = [() => Response.json(SYSTEM), () => Promise.reject(new Error("refused"))];
    await show();
    await pass(2_000);
    expect(screen.getByText(/does not answer/).parentElement?.textContent).toContain("refused");
    expect(screen.getByText("7 behind")).toBeDefined();
    answers = [() => Response.json(SYSTEM)];
    fireEvent.click(screen.getByRole("button", { name: "Try now" }));
    await pass(300);
    expect(screen.queryByText(/does not answer/)).toBeNull();
  });

  it("says why it has nothing to show, and tries again", async () => {
    answers = [() => Response.json({ error: "a fault" }, { status: 500 })];
    await show();
    expect(screen.getByRole("alert").textContent).toContain("a fault");
    answers = [() => Response.json(SYSTEM)];
    fireEvent.click(screen.getByRole("button", { name: "Try again" }));
    await pass(300);
    expect(screen.getByText("Live")).toBeDefined();
  });

  it("says what the lists lack", async () => {
    const tablesLack = "Redis refuses SCAN (NOPERM), so jobs are listed once they change or are opened";
    answers = [() => Response.json({ ...SYSTEM, source: { ...SYSTEM.source, tablesLack } })];
    await show();
    expect(screen.getByText("Lists are incomplete.").parentElement?.textContent).toContain(tablesLack);
  });

  it("alerts where Redis does not answer, and tells of a server about to stop", async () => {
    answers = [
      () => Response.json({ ...SYSTEM, draining: true, source: { available: false, mode: "polling" } }),
    ];
    await show();
    expect(screen.getByRole("alert").textContent).toContain("Redis does not answer");
    expect(screen.getByText("The server is about to stop.")).toBeDefined();
  });
});

describe("an answer", () => {
  it.each(["null", "3", "[]", "{}", '{"streams":3}'])("that is none is refused: %s", (given) => {
    expect(readSystem(parseJson(given))).toBeNull();
  });

  it("with parts missing has zeros there", () => {
    expect(readSystem({ streams: {} })).toMatchObject({
      version: "unknown",
      stores: [],
      residentBytes: null,
    });
  });
});

describe("samples", () => {
  it("are of the last minutes, whatever time passed", async () => {
    const watch = new SystemWatch();
    const stop = watch.start();
    await vi.advanceTimersByTimeAsync(2_000 * (SAMPLES_MAX + 20));
    stop();
    expect(watch.getState().samples).toHaveLength(SAMPLES_MAX);
  });

  it("make a line that breaks where nothing is known, and ends at the right", () => {
    const at = (agoMs: number, value: number | null) => ({ atMs: CHART_MS * 2 - agoMs, value });
    const path = sparkPath(
      [at(CHART_MS + 1, 9), at(100_000, 0), at(98_000, 5), at(2_000, null), at(0, 10)],
      CHART_MS * 2,
    );
    expect(path).toBe("M200.0 40.0h0L202.0 20.0M300.0 0.0h0");
  });
});

describe("bytes", () => {
  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "0.98 KiB"],
    [1536, "1.5 KiB"],
    [102_400, "100 KiB"],
    [1_073_741_824, "1 GiB"],
    [-5, "0 B"],
  ])("%d is %s", (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});
