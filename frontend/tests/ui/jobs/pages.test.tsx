import { act, cleanup, fireEvent, render, screen, within } from "@testing-library/react";
import { beforeEach, describe, expect, it } from "vitest";
import { FantailProvider } from "../../../src/hooks/client-context";
import { createClient } from "../../../src/client";
import type { InitialView } from "../../../src/api/initial-data";
import type { JobsApi, OutputPage } from "../../../src/api/jobs-api";
import type { LogApi } from "../../../src/log/log-api";
import { JobPage } from "../../../src/ui/jobs/JobPage";
import { AGAIN_MS } from "../../../src/ui/jobs/useJobDetails";
import { frame, holdClock, pass } from "../../support/held-clock";
import { type Said, ScriptedSource } from "../../support/scripted-source";

let source: ScriptedSource;
let pages: OutputPage[];
const notFound = { ok: false, status: 404, message: "Job not found" } as const;

/** What a question about the job is answered. */
let answer: Awaited<ReturnType<JobsApi["job"]>>;

const api: JobsApi = {
  job: () => Promise.resolve(answer),
  output: () => {
    const value = pages.shift();
    return Promise.resolve(value ? { ok: true, value } : notFound);
  },
  downloadUrl: (id) => `/api/jobs/${id}/output?download=1`,
  patchUrl: (id) => `/api/jobs/${id}/diff?download=1`,
};

/** Nobody answers: what is asked of a whole log comes later than these tests end. */
const logs: LogApi = {
  search: () => new Promise(() => {}),
  outline: () => new Promise(() => {}),
};

holdClock();

beforeEach(() => {
  source = new ScriptedSource();
  pages = [];
  answer = notFound;
});

type JobView = Extract<InitialView, { page: "job" }>;

function showJob(view: Partial<JobView> | null): void {
  const client = createClient({ streams: source, api, logs });
  const initial: JobView | null = view && {
    page: "job",
    job: null,
    output: [],
    from: 0,
    total: 0,
    position: null,
    errorStatus: null,
    ...view,
  };
  render(
    <FantailProvider value={client}>
      <JobPage id="42" initial={initial} />
    </FantailProvider>,
  );
}

const line = (at: number, text = `line ${at}`, stream = "stdout"): Said => [
  "output",
  { timestamp: 1, line: text, stream },
  `${at}-t`,
];

describe("the job page", () => {
  it("shows the job and its lines before any stream, and goes on behind them", () => {
    showJob({
      job: { id: "42", name: "build", status: "running", branch: "main", mrUrl: "https://x.example/1" },
      output: [{ timestamp: 1, line: "from the page", stream: "stdout" }],
      from: 7,
      total: 8,
      position: "7-t",
    });
    expect(screen.getByRole("heading", { name: "build" })).toBeDefined();
    expect(screen.getByText("from the page")).toBeDefined();
    expect(screen.getByRole("link", { name: "Merge request" }).getAttribute("href")).toBe(
      "https://x.example/1",
    );
    expect(source.last).toMatchObject({ topic: "/api/jobs/42/stream", options: { position: "7-t" } });
    frame(() => source.last.open("7-t").say(line(8)));
    expect(screen.getByText("line 8")).toBeDefined();
    expect(screen.getByText("9")).toBeDefined();
  });

  it("without data of the page asks for the tail", () => {
    showJob(null);
    expect(source.last.topic).toBe("/api/jobs/42/stream?tail=1000");
  });

  it("says that there is no such job", async () => {
    showJob({ errorStatus: 404 });
    expect(screen.getByText("There is no such job")).toBeDefined();
    cleanup();
    showJob(null);
    await act(() => Promise.resolve());
    expect(screen.getByText("There is no such job")).toBeDefined();
  });

  it("marks stderr by more than its colour, and shows markup as text", () => {
    showJob({ job: { id: "42", status: "running" } });
    frame(() =>
      source.last.open(null).say(line(0, "<b>\u001b[31mred\u001b[0m</b>"), line(1, "oh no", "stderr")),
    );
    const log = screen.getByRole("log");
    expect(log.querySelector("b")).toBeNull();
    expect(within(log).getByText("red").className).toBe("fg-1");
    expect(log.querySelector(".row.stderr .gutter")?.getAttribute("title")).toBe("standard error");
    expect(log.getAttribute("aria-live")).toBe("off");
  });

  it("draws few rows of many", () => {
    showJob({ job: { id: "42", status: "running" } });
    frame(() => source.last.open(null).say(...Array.from({ length: 20_000 }, (_, at) => line(at))));
    expect(document.querySelectorAll(".row").length).toBeLessThan(80);
    expect(screen.getByText("line 19999")).toBeDefined();
    expect(screen.getByText("20,000 lines")).toBeDefined();
  });

  it("stops following at a sign of reading, counts what is new, and follows again", () => {
    showJob({ job: { id: "42", status: "running" } });
    frame(() => source.last.open(null).say(...Array.from({ length: 100 }, (_, at) => line(at))));
    fireEvent.wheel(screen.getByRole("log"), { deltaY: -10 });
    frame(() => source.last.say(line(100), line(101)));
    const pill = screen.getByRole("button", { name: "↓ 2 new" });
    expect(screen.getByRole("button", { name: "Follow" }).getAttribute("aria-pressed")).toBe("false");
    fireEvent.click(pill);
    expect(screen.getByRole("button", { name: "Follow" }).getAttribute("aria-pressed")).toBe("true");
    fireEvent.keyDown(screen.getByRole("log"), { key: "PageUp" });
    expect(screen.getByRole("button", { name: "Follow" }).getAttribute("aria-pressed")).toBe("false");
    fireEvent.keyDown(screen.getByRole("log"), { key: "End" });
    expect(screen.getByRole("button", { name: "Follow" }).getAttribute("aria-pressed")).toBe("true");
  });

  it("fetches the older lines that are looked at, and puts them in their places", async () => {
    showJob({
      job: { id: "42", status: "running" },
      output: [{ timestamp: 1, line: "tail", stream: "stdout" }],
      from: 2,
      total: 3,
      position: "2-t",
    });
    expect(document.querySelectorAll(".row.unloaded")).toHaveLength(2);
    const output = ["first", "second"].map((text) => ({
      timestamp: 1,
      line: text,
      stream: "stdout" as const,
    }));
    pages = [{ output, from: 0, next: 2, total: 3, position: "1-t" }];
    await pass(500);
    expect([...document.querySelectorAll(".row .text")].map((text) => text.textContent)).toEqual([
      "first",
      "second",
      "tail",
    ]);
    expect(document.querySelectorAll(".row.unloaded")).toHaveLength(0);
  });

  it("shows gaps and resets as rows, and a long line with what it leaves out", () => {
    showJob({ job: { id: "42", status: "running" } });
    frame(() => source.last.open(null).say(line(0, "x".repeat(5000)), ["gap", { from: 1, to: 1200 }]));
    fireEvent.click(screen.getByRole("button", { name: "+1,000 characters" }));
    expect(screen.getByText("x".repeat(5000))).toBeDefined();
    expect(screen.getByText("1,200 lines are gone for good (2 to 1201)")).toBeDefined();
    frame(() => source.last.say(["reset", { reason: "tag" }], line(0, "anew")));
    expect(screen.getByText(/was written anew/)).toBeDefined();
    expect(screen.queryByText(/gone for good/)).toBeNull();
  });

  it("tells a job's failure, a server's error and a lost connection apart", () => {
    showJob({ job: { id: "42", status: "running" } });
    frame(() =>
      source.last.open(null).say(["status", { status: "failed", errorMessage: "tests failed", branch: "" }]),
    );
    expect(screen.getByRole("alert").textContent).toContain("tests failed");
    frame(() =>
      source.last.status({ state: "reconnecting", attempt: 1, problem: { kind: "network", message: "cut" } }),
    );
    expect(screen.getAllByRole("alert")).toHaveLength(1);
    frame(() => source.last.open("0-t").say(["error", { message: "Stream timeout" }]));
    expect(screen.getAllByRole("alert").map((alert) => alert.textContent)).toEqual([
      expect.stringContaining("tests failed"),
      expect.stringContaining("Stream timeout"),
    ]);
  });

  it("of a job that has ended is live again when it runs again, with nothing twice", async () => {
    const ended = { id: "42", name: "build", status: "failed", exitCode: 1 };
    showJob({ job: ended });
    answer = { ok: true, value: ended };
    frame(() =>
      source.last
        .open()
        .say(["status", { status: "failed" }], line(0), ["done", { status: "failed" }, "0-t.end"]),
    );
    await pass(3 * AGAIN_MS);
    expect(source.subscriptions).toHaveLength(1);
    expect(screen.getByText("Complete")).toBeDefined();
    answer = { ok: true, value: { id: "42", name: "build", status: "running" } };
    await pass(AGAIN_MS);
    expect(source.last.options.position).toBe("0-t.end");
    frame(() => source.last.open().say(["status", { status: "running" }], line(1)));
    expect(screen.getByText("Live")).toBeDefined();
    expect(screen.getByText("line 1")).toBeDefined();
    expect(screen.getAllByText("line 0")).toHaveLength(1);
    expect(screen.queryByRole("alert")).toBeNull();
    await pass(3 * AGAIN_MS);
    expect(source.subscriptions).toHaveLength(2);
  });

  it("a merge request that is no web address becomes no link", () => {
    showJob({ job: { id: "42", status: "success", mrUrl: "javascript:alert(1)" } });
    expect(screen.queryByRole("link", { name: "Merge request" })).toBeNull();
  });
});
