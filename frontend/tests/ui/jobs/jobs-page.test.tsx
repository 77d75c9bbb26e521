import { act, fireEvent, render, screen, within } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { FantailProvider } from "../../../src/hooks/client-context";
import { createClient } from "../../../src/client";
import type { JsonObject } from "../../../src/stream/json";
import { JobsPage } from "../../../src/ui/jobs/JobsPage";
import { frame, holdClock } from "../../support/held-clock";
import { ScriptedSource } from "../../support/scripted-source";

let source: ScriptedSource;

holdClock();

beforeEach(() => {
  globalThis.history.replaceState(null, "", "/");
  source = new ScriptedSource();
});

function show(jobs?: JsonObject): void {
  const client = createClient({
    streams: source,
    ...(jobs ? { initialTables: { tables: { jobs }, position: "1-e" } } : {}),
  });
  render(
    <FantailProvider value={client}>
      <JobsPage />
    </FantailProvider>,
  );
}

const SOME: JsonObject = {
  a: { name: "Docs", status: "success", created_at: "1", started_at: "1", finished_at: "42001" },
  b: { name: "Lint", status: "failed", created_at: "2", branch: "main", command: "ruff check" },
  c: { name: "Tests", status: "running", created_at: "3", repo_name: "orders" },
  d: { name: "Types", status: "success", created_at: "4", started_at: "4", finished_at: "1004" },
};

const names = (): readonly (string | null)[] => screen.getAllByRole("link").map((link) => link.textContent);
const chip = (name: RegExp): HTMLElement => screen.getByRole("button", { name });
const field = (): HTMLElement => screen.getByRole("searchbox");
const type = (value: string): void => frame(() => fireEvent.change(field(), { target: { value } }));

describe("jobs that the server leaves out", () => {
  it("are counted above the list, also when the number changes, and not at all when there are none", () => {
    show(SOME);
    expect(screen.queryByRole("note")).toBeNull();
    frame(() => source.last.open("1-e").say(["left-out", { jobs: 12_345 }], ["ready", {}, "1-e"]));
    expect(screen.getByRole("note").textContent).toBe(
      "The newest 4 are listed and searched; 12,345 older jobs are left out. Each is still at its own address.",
    );
    frame(() => source.last.say(["left-out", { jobs: 1 }]));
    expect(screen.getByRole("note").textContent).toContain("1 older job is left out");
    frame(() => source.last.say(["left-out", {}]));
    expect(screen.queryByRole("note")).toBeNull();
  });
});

describe("the rows", () => {
  it("are there before any stream, newest first", () => {
    show({
      a: {
        name: "older",
        status: "success",
        created_at: "1",
        started_at: "1",
        finished_at: "42001",
        lines_added: "12",
        lines_removed: "3",
      },
      b: { name: "newer", status: "running", created_at: "2", branch: "main" },
    });
    const rows = screen
      .getAllByRole("row")
      .slice(1)
      .map((row) => row.textContent);
    expect(rows).toHaveLength(2);
    expect(rows[0]).toContain("newer");
    expect(rows[0]).toContain("running");
    expect(rows[1]).toMatch(/older.*success.*42 s.*\+12 −3/);
    expect(screen.getByRole("link", { name: "older" }).getAttribute("href")).toBe("/jobs/a");
    expect(document.title).toBe("(1) Jobs · Fantail");
  });

  it("with a time beyond every calendar, or a status like no other, are among the others", () => {
    show({
      odd: { id: "odd", status: "__proto__", created_at: "99999999999999999", started_at: "-1e300" },
      queer: { id: "queer", status: "constructor", created_at: "8640000000000001" },
      plain: { id: "plain", status: "running", created_at: "2" },
    });
    expect(names()).toEqual(expect.arrayContaining(["odd", "queer", "plain"]));
    const table = within(screen.getByRole("table"));
    expect(table.getByText("__proto__")).toBeDefined();
    expect(table.getByText("constructor")).toBeDefined();
  });

  it("follow the stream, and the page says how the connection stands", () => {
    show({});
    expect(screen.getByText("Not connected")).toBeDefined();
    frame(() =>
      source.last
        .open("1-e")
        .say([
          "message",
          [{ op: "add", path: "/jobs/x", value: { name: "fresh", status: "pending" } }],
          "2-e",
        ]),
    );
    expect(screen.getByText("fresh")).toBeDefined();
    expect(screen.getByText("Live")).toBeDefined();
    frame(() =>
      source.last.status({ state: "reconnecting", attempt: 1, problem: { kind: "network", message: "cut" } }),
    );
    expect(screen.getByText("fresh")).toBeDefined();
    fireEvent.click(screen.getByRole("button", { name: "Try now" }));
    expect(source.last.calls).toContain("reconnect");
  });

  it("of five thousand are a few dozen, and the table tells of all", () => {
    show(
      Object.fromEntries(
        Array.from({ length: 5000 }, (_, at) => [`j${at}`, { status: "success", created_at: String(at) }]),
      ),
    );
    const table = screen.getByRole("table");
    expect(table.getAttribute("aria-rowcount")).toBe("5001");
    expect(document.querySelectorAll(".t-row").length).toBeLessThan(60);
    const [first] = document.querySelectorAll(".t-row");
    expect(first?.getAttribute("aria-rowindex")).toBe("2");
    expect(first?.textContent).toContain("j4999");
  });

  it("that did not change are not touched when another one does", async () => {
    show(SOME);
    const touched: string[] = [];
    const observer = new MutationObserver((records) => {
      for (const { target } of records) {
        const row = (target instanceof Element ? target : target.parentElement)?.closest(".t-row");
        if (row) touched.push(row.querySelector("a")?.textContent ?? "");
      }
    });
    observer.observe(screen.getByRole("table"), {
      subtree: true,
      childList: true,
      characterData: true,
      attributes: true,
    });
    frame(() =>
      source.last
        .open("1-e")
        .say(["message", [{ op: "replace", path: "/jobs/c/status", value: "failed" }], "2-e"]),
    );
    await act(() => Promise.resolve());
    observer.disconnect();
    expect([...new Set(touched)]).toEqual(["Tests"]);
  });
});

describe("a page without jobs", () => {
  it("tells how to start a first one, and copies the command", async () => {
    show({});
    expect(screen.getByText("fantail run -- make")).toBeDefined();
    const writeText = vi.spyOn(navigator.clipboard, "writeText").mockResolvedValue();
    fireEvent.click(screen.getByRole("button", { name: "Copy the command" }));
    await act(() => Promise.resolve());
    expect(writeText).toHaveBeenCalledWith("fantail run -- make");
    expect(screen.getByText("Copied")).toBeDefined();
  });

  it("says that it loads, or why it cannot, and tries again", () => {
    show();
    expect(screen.getByText("Loading jobs…")).toBeDefined();
    frame(() =>
      source.last.status({ state: "error", problem: { kind: "refused", status: 403, message: "Forbidden" } }),
    );
    expect(screen.getByRole("alert").textContent).toContain("Forbidden");
    fireEvent.click(screen.getByRole("button", { name: "Try again" }));
    expect(source.last.calls).toContain("reconnect");
  });
});

describe("the filters", () => {
  it("by status count, toggle, add up, and are kept in the address", () => {
    show(SOME);
    expect(chip(/^All/).textContent).toBe("All 4");
    expect(chip(/^success/).textContent).toBe("success 2");
    frame(() => fireEvent.click(chip(/^failed/)));
    expect(names()).toEqual(["Lint"]);
    expect(globalThis.location.search).toBe("?status=failed");
    frame(() => fireEvent.click(chip(/^running/)));
    expect(names()).toEqual(["Tests", "Lint"]);
    expect(chip(/^running/).getAttribute("aria-pressed")).toBe("true");
    frame(() => fireEvent.click(chip(/^All/)));
    expect(names()).toHaveLength(4);
    expect(globalThis.location.search).toBe("");
  });

  it.each([
    ["lint", ["Lint"]],
    ["RUFF", ["Lint"]],
    ["main", ["Lint"]],
    ["orders", ["Tests"]],
    ["check main", ["Lint"]],
    ["  t  ", ["Types", "Tests", "Lint"]],
  ])("by text find %j in name, command, branch and repository", (text, found) => {
    show(SOME);
    type(text);
    expect(names()).toEqual(found);
  });

  it("by text count the chips anew, say when nothing matches, and are cleared with one press", () => {
    show(SOME);
    type("ty");
    expect(chip(/^All/).textContent).toBe("All 1");
    type("nothing like it");
    expect(screen.getByText("No job matches")).toBeDefined();
    expect(globalThis.location.search).toBe("?q=nothing%20like%20it");
    frame(() => fireEvent.click(screen.getByRole("button", { name: "Show all jobs" })));
    expect(names()).toHaveLength(4);
  });

  it("come from the address, and again when it changes", () => {
    globalThis.history.replaceState(null, "", "/?status=success&q=t&sort=job");
    show(SOME);
    expect(names()).toEqual(["Types"]);
    expect((field() as HTMLInputElement).value).toBe("t");
    frame(() => globalThis.history.pushState(null, "", "/"));
    expect(names()).toHaveLength(4);
  });

  it("a live change of a row takes it in or out", () => {
    globalThis.history.replaceState(null, "", "/?status=running");
    show(SOME);
    expect(names()).toEqual(["Tests"]);
    frame(() =>
      source.last.open("1-e").say([
        "message",
        [
          { op: "replace", path: "/jobs/c/status", value: "success" },
          { op: "replace", path: "/jobs/b/status", value: "running" },
        ],
        "2-e",
      ]),
    );
    expect(names()).toEqual(["Lint"]);
    expect(chip(/^success/).textContent).toBe("success 3");
  });

  it("the slash goes to the field, except where somebody types; Escape clears it", () => {
    show(SOME);
    fireEvent.keyDown(document.body, { key: "/" });
    expect(document.activeElement).toBe(field());
    expect(fireEvent.keyDown(field(), { key: "/" })).toBe(true);
    type("lint");
    frame(() => fireEvent.keyDown(field(), { key: "Escape" }));
    expect(names()).toHaveLength(4);
    fireEvent.keyDown(field(), { key: "ArrowDown" });
    expect(document.activeElement?.textContent).toBe("Types");
    fireEvent.keyDown(document.activeElement ?? document.body, { key: "ArrowDown" });
    expect(document.activeElement?.textContent).toBe("Tests");
    fireEvent.keyDown(document.activeElement ?? document.body, { key: "ArrowUp" });
    expect(document.activeElement?.textContent).toBe("Types");
  });
});

describe("the order", () => {
  const head = (name: string): HTMLElement => screen.getByRole("columnheader", { name: new RegExp(name) });
  const sort = (name: string): void => frame(() => fireEvent.click(within(head(name)).getByRole("button")));

  it("changes with a press on a column, and turns round with a second", () => {
    show(SOME);
    expect(head("Started").getAttribute("aria-sort")).toBe("descending");
    sort("Job");
    expect(names()).toEqual(["Docs", "Lint", "Tests", "Types"]);
    expect(head("Job").getAttribute("aria-sort")).toBe("ascending");
    expect(head("Started").getAttribute("aria-sort")).toBe("none");
    sort("Job");
    expect(names()).toEqual(["Types", "Tests", "Lint", "Docs"]);
    expect(globalThis.location.search).toBe("?sort=-job");
  });

  it("by duration begins with the longest, and what has none comes last either way", () => {
    show(SOME);
    sort("Duration");
    expect(names()).toEqual(["Docs", "Types", "Tests", "Lint"]);
    sort("Duration");
    expect(names()).toEqual(["Types", "Docs", "Tests", "Lint"]);
  });
});
