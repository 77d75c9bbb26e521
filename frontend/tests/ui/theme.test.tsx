import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ThemeSwitch } from "../../src/ui/ThemeSwitch";
import { act as doAction } from "../../src/ui/keys";
import { setPreference } from "../../src/ui/preferences";
import FIRST_PAINT from "../../src/ui/first-paint.js?raw";
import { followTheme } from "../../src/ui/theme";

const root = document.documentElement;
const ground = (): string | null | undefined =>
  document.querySelector('meta[name="color-scheme"]')?.getAttribute("content");

beforeEach(() => {
  localStorage.clear();
  delete root.dataset.theme;
  document.head.innerHTML = '<meta name="color-scheme" content="light dark" />';
});

afterEach(cleanup);

/** As the browser runs it: a script in the page's head. */
function firstPaint(): void {
  // oxlint-disable-next-line typescript/no-implied-eval -- the file is ours, and this is how it runs
  new Function(FIRST_PAINT)();
}

describe("before the first paint", () => {
  it.each(["light", "dark"] as const)("the remembered theme is set: %s", (theme) => {
    setPreference("theme", theme);
    firstPaint();
    expect(root.dataset.theme).toBe(theme);
    expect(ground()).toBe(theme);
  });

  it.each(["{", "null", '"pink"', "3", '{"a":1}'])("what is no theme is the system's: %s", (stored) => {
    localStorage.setItem("fantail.theme", stored);
    firstPaint();
    expect(root.dataset.theme).toBeUndefined();
    expect(ground()).toBe("light dark");
  });
});

describe("the switch", () => {
  it("goes from the system's to light to dark and back, and is remembered", () => {
    const stop = followTheme();
    render(<ThemeSwitch />);
    const press = (): void => void fireEvent.click(screen.getByRole("button"));
    expect(screen.getByRole("button", { name: /^Theme: system/ })).toBeDefined();
    press();
    expect(root.dataset.theme).toBe("light");
    press();
    expect(root.dataset.theme).toBe("dark");
    expect(ground()).toBe("dark");
    expect(localStorage.getItem("fantail.theme")).toBe('"dark"');
    press();
    expect(root.dataset.theme).toBeUndefined();
    expect(ground()).toBe("light dark");
    stop();
  });

  it("is an action too, which the palette offers", () => {
    const stop = followTheme();
    render(<ThemeSwitch />);
    act(() => void doAction("theme"));
    expect(root.dataset.theme).toBe("light");
    stop();
  });

  it("follows another tab", () => {
    const stop = followTheme();
    render(<ThemeSwitch />);
    act(() => {
      localStorage.setItem("fantail.theme", '"dark"');
      globalThis.dispatchEvent(new Event("storage"));
    });
    expect(root.dataset.theme).toBe("dark");
    expect(screen.getByRole("button", { name: /^Theme: dark/ })).toBeDefined();
    stop();
  });
});
