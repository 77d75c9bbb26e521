import { expect, it } from "vitest";
import { keyStep, wheelStep } from "../../../src/ui/log/scroll-steps";

const key = (name: string, shiftKey = false) => keyStep({ key: name, shiftKey }, 30.5);

it("a page is what is seen, but for a row", () => {
  expect([key("PageDown"), key("PageUp"), key(" "), key(" ", true)]).toEqual([29, -29, 29, -29]);
  expect(keyStep({ key: "PageDown", shiftKey: false }, 0.5)).toBe(1);
});

it("other keys are none, nor are those that select", () => {
  expect([key("Home"), key("a"), key("PageDown", true), key("ArrowUp", true)]).toEqual([0, 0, 0, 0]);
});

it("a turn of the wheel is pixels, rows or pages", () => {
  expect([0, 1, 2].map((deltaMode) => wheelStep({ deltaY: -3, deltaMode }, 30))).toEqual([-0.15, -3, -90]);
});
