import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CONNECTION_STATES, type ConnectionState } from "../../../src/stream/connection-state";
import { type ConnectionStatus, IDLE } from "../../../src/stream/stream-source";
import { ConnectionMark } from "../../../src/ui/shared/ConnectionMark";

beforeEach(() => vi.useFakeTimers());

afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

const show = (
  change: Partial<ConnectionStatus>,
  more: { behind?: number; onRetry?: () => void } = {},
): string => {
  const { container } = render(
    <ConnectionMark connection={{ ...IDLE, ...change }} onRetry={more.onRetry ?? (() => {})} {...more} />,
  );
  return container.textContent ?? "";
};

describe("how a stream stands", () => {
  const WORDS: Readonly<Record<ConnectionState, string>> = {
    disconnected: "Not connectedConnect",
    connecting: "Connecting…",
    connected: "Live",
    reconnecting: "Connection lost, reconnectingTry now",
    polling: "PollingTry now",
    error: "Not connectedTry now",
    done: "Complete",
  };

  it.each(CONNECTION_STATES)("is said of %s", (state) => {
    expect(show({ state })).toBe(WORDS[state]);
  });

  it("is how far it is behind while it catches up, and nothing of a few lines", () => {
    expect(show({ state: "connected" }, { behind: 1204 })).toBe("Catching up1,204 behind");
    cleanup();
    expect(show({ state: "connected" }, { behind: 9 })).toBe("Live");
    cleanup();
    expect(show({ state: "reconnecting" }, { behind: 1204 })).toBe("Connection lost, reconnectingTry now");
  });

  it("counts down to the next try, and does not speak each second", () => {
    show({ state: "reconnecting", retryAtMs: Date.now() + 4_000 });
    for (const seconds of [4, 3, 2, 1]) {
      expect(screen.getByText(`in ${seconds} s`).closest("output")).toBe(null);
      act(() => void vi.advanceTimersByTime(1_000));
    }
    expect(screen.queryByText(/^in \d/)).toBe(null);
  });

  it("can be tried now wherever a try would help", () => {
    for (const state of ["reconnecting", "polling", "error", "disconnected"] as const) {
      const onRetry = vi.fn();
      show({ state }, { onRetry });
      fireEvent.click(screen.getByRole("button"));
      expect(onRetry).toHaveBeenCalledTimes(1);
      cleanup();
    }
  });

  it("says why it was refused, and where to sign in", () => {
    show({ state: "error", problem: { kind: "refused", status: 401, message: "Unauthorized" } });
    expect(screen.getByText("Unauthorized")).toBeDefined();
    expect(screen.getByRole("link", { name: "Sign in" }).getAttribute("href")).toBe("/login");
  });
});
