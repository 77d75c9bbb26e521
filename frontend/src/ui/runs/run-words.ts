/** How a run's end is said to people. */
import type { RunEnd } from "../../runs/run-registry";

export const END_WORDS: Readonly<Record<RunEnd["outcome"], string>> = {
  succeeded: "succeeded",
  failed: "failed",
  stopped: "stopped",
  lost: "no longer known to the server",
};
