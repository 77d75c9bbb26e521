/** The keys: what they mean, when they count, and that the sheet and the palette say the same. */
import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { HelpSheet } from "../../src/ui/HelpSheet";
import { ACTION_NAMES, type Actions, actionsOf, keyLine, labelOf, useActions } from "../../src/ui/keys";
import { actionChoices, jobChoices, pageChoices, ranked } from "../../src/ui/palette/choices";

afterEach(cleanup);

function Able({ actions, active = true }: { readonly actions: Actions; readonly active?: boolean }) {
  useActions(actions, active);
  return (
    <>
      <input aria-label="field" />
      <button type="button">button</button>
    </>
  );
}

const press = (key: string, modifiers: KeyboardEventInit = {}, target: Element = document.body): boolean =>
  fireEvent.keyDown(target, { key, ...modifiers });

describe("a key", () => {
  it("does what the table says, and is taken from the browser only then", () => {
    const nextError = vi.fn();
    render(<Able actions={{ nextError }} />);
    expect(press("e")).toBe(false);
    expect(nextError).toHaveBeenCalledTimes(1);
    expect(press("n")).toBe(true);
  });

  it("counts neither in a field nor with modifiers; on a button it does", () => {
    const nextError = vi.fn();
    render(<Able actions={{ nextError }} />);
    expect(press("e", {}, screen.getByLabelText("field"))).toBe(true);
    for (const modifier of ["ctrlKey", "altKey", "metaKey"])
      expect(press("e", { [modifier]: true })).toBe(true);
    expect(nextError).not.toHaveBeenCalled();
    press("e", {}, screen.getByText("button"));
    expect(nextError).toHaveBeenCalledTimes(1);
  });

  it("that one leaves goes to the next one, and at last to the browser", () => {
    const first = vi.fn(() => false);
    const second = vi.fn(() => false);
    render(<Able actions={{ nextGroup: first, nextFile: second }} />);
    expect(press("]")).toBe(true);
    expect(first).toHaveBeenCalledTimes(1);
    expect(second).toHaveBeenCalledTimes(1);
  });

  it("does nothing for one that is not active, or gone", () => {
    const help = vi.fn();
    const { rerender, unmount } = render(<Able actions={{ help }} active={false} />);
    press("?");
    rerender(<Able actions={{ help }} />);
    press("?");
    unmount();
    press("?");
    expect(help).toHaveBeenCalledTimes(1);
  });

  it("waits while a dialog is open", () => {
    const nextError = vi.fn();
    render(
      <>
        <Able actions={{ nextError }} />
        <dialog open>…</dialog>
      </>,
    );
    press("e");
    expect(nextError).not.toHaveBeenCalled();
  });

  it("with Ctrl, on a Mac with Cmd, opens the search and the palette", () => {
    const event = (change: Partial<KeyboardEvent>) =>
      ({
        key: "f",
        ctrlKey: false,
        metaKey: false,
        altKey: false,
        shiftKey: false,
        ...change,
      }) as KeyboardEvent;
    expect(actionsOf(event({ ctrlKey: true }), false, false)).toEqual(["search"]);
    expect(actionsOf(event({ metaKey: true }), false, true)).toEqual(["search"]);
    expect(actionsOf(event({ ctrlKey: true }), false, true)).toEqual([]);
    expect(actionsOf(event({ ctrlKey: true, shiftKey: true }), false, false)).toEqual([]);
    expect(actionsOf(event({ key: "K", ctrlKey: true }), false, false)).toEqual(["palette"]);
    expect(actionsOf(event({ key: "k", ctrlKey: true }), true, false)).toEqual([]);
    expect(actionsOf(event({ key: "Escape" }), true, false)).toEqual(["close"]);
    expect(labelOf("Mod+k", true)).toBe("⌘K");
  });
});

describe("the sheet", () => {
  it("has a line for every key of the table", () => {
    act(() => void render(<HelpSheet onClose={() => {}} />));
    const keyed = ACTION_NAMES.filter((name) => keyLine(name).keys.length > 0);
    const others = ACTION_NAMES.filter((name) => !keyed.includes(name));
    for (const name of keyed) screen.getByText(keyLine(name).says);
    expect(others).toEqual(["raw", "theme"]);
    for (const name of others) expect(screen.queryByText(keyLine(name).says)).toBe(null);
  });
});

describe("the palette", () => {
  const jobs = jobChoices({
    a: { name: "build the site", status: "success", created_at: "1" },
    b: { name: "site checks", status: "running", created_at: "2" },
    c: { status: "failed", command: "make", created_at: "3" },
  });

  it("offers jobs, the newest first, and finds them by any word of their name or id", () => {
    expect(jobs.map(({ name }) => name)).toEqual(["make", "site checks", "build the site"]);
    expect(ranked(jobs, "site").map(({ name }) => name)).toEqual(["site checks", "build the site"]);
    expect(ranked(jobs, "THE buil").map(({ name }) => name)).toEqual(["build the site"]);
    expect(ranked(jobs, "nothing")).toEqual([]);
  });

  it("offers what can be done now, and every page", () => {
    const choices = actionChoices(
      new Map([
        ["wrap", () => {}],
        ["nextHit", () => {}],
      ]),
    );
    expect(choices.map(({ name }) => name)).toEqual([keyLine("wrap").says]);
    expect(pageChoices().length).toBeGreaterThan(3);
  });
});
