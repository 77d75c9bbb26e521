import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { LineStore } from "../../src/stream/line-store";
import { around, without } from "../../src/stream/projection";
import { LogController } from "../../src/ui/log/log-controller";
import { ServedLog } from "../support/served-log";

let controller: LogController;

beforeEach(() => {
  vi.useFakeTimers();
  const served = new ServedLog(5);
  const log = new LineStore({ maxLines: 1e6, schedule: () => () => {} });
  for (let offset = 0; offset < 5; offset += 1) log.append({ offset, output: served.outputAt(offset) });
  controller = new LogController(log, "42", served);
});

afterEach(() => vi.useRealTimers());

it("copies the lines that the address names", () => {
  controller.openHash("#L2-L3");
  expect(controller.copied()).toBe("1\n2");
  expect(controller.notice).toBe("2 lines copied");
});

it("copies of those only what is there, and leaves a copy to the browser where nothing is", () => {
  controller.openHash("#L4-L999999999999999");
  expect(controller.copied()).toBe("3\n4");
  expect(controller.notice).toBe("2 lines copied");
  controller.say(null);
  controller.openHash("#L6");
  expect(controller.copied()).toBeUndefined();
  expect(controller.notice).toBeNull();
});

it("copies of a selection what a filter displays of it, and all of a group that is folded", () => {
  controller.selectAll();
  controller.setProjection(around([1, 4], 0, 5));
  expect(controller.copied()).toBe("1\n4");
  expect(controller.notice).toBe("2 lines copied");
  controller.setProjection(without([{ from: 2, to: 4 }]));
  expect(controller.copied()).toBe("0\n1\n2\n3\n4");
  expect(controller.notice).toBe("5 lines copied");
});
