import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { PAGE_ENTRIES } from "../../../src/log/line-page";
import { LineStore } from "../../../src/log/line-store";
import { around, without } from "../../../src/log/projection";
import { LogController } from "../../../src/ui/log/log-controller";
import { ServedLog } from "../../support/served-log";

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

it("says once that a line is not there, and only when none can come any more", () => {
  controller.openHash("#L9");
  expect(controller.notice).toBeNull();
  controller.log.settle("5-0badc0de.end");
  controller.openHash("#L9");
  expect(controller.notice).toBe("There is no line 9: the log ends with line 5");
  controller.say(null);
  controller.toStart();
  expect(controller.notice).toBeNull();
  controller.openHash("#L5");
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

it("says why rows stay empty while a server in trouble is left alone", async () => {
  const served = new ServedLog(100_000);
  const log = new LineStore({ maxLines: 1e6, schedule: () => () => {} });
  log.append({ offset: 99_999, output: served.outputAt(99_999) });
  controller = new LogController(log, "42", served);
  controller.open();
  served.failure = "Unauthorized";
  controller.jumpTo(20 * PAGE_ENTRIES);
  expect(controller.notice).toBeNull();
  await vi.advanceTimersByTimeAsync(1_000);
  controller.jumpTo(90 * PAGE_ENTRIES);
  expect(controller.notice).toBe("Not loaded: Unauthorized. It is tried again within a minute");
  served.failure = null;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(log.entry(90 * PAGE_ENTRIES)).toBeDefined();
  expect(controller.notice).toBeNull();
  controller.close();
});
