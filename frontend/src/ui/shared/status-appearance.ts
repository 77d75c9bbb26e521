/** How a status is shown: a word, a sign and a colour, so that no one has to tell colours apart. */
import type { JobStatus } from "../../api/job";

type Tone = "idle" | "active" | "good" | "bad" | "warn" | "off";

const TONES: Readonly<Record<string, readonly [tone: Tone, sign: string]>> = {
  pending: ["idle", "○"],
  initializing: ["idle", "○"],
  ready: ["idle", "○"],
  running: ["active", "●"],
  success: ["good", "✓"],
  pushed: ["good", "✓"],
  archived: ["off", "–"],
  failed: ["bad", "✕"],
  cancelled: ["off", "–"],
  // pipelines
  active: ["good", "●"],
  starting: ["active", "●"],
  resuming: ["active", "●"],
  pausing: ["active", "●"],
  stopping: ["active", "●"],
  terminating: ["active", "●"],
  paused: ["warn", "‖"],
  stopped: ["off", "■"],
  // runs
  waiting: ["idle", "○"],
  passed: ["good", "✓"],
  completed: ["good", "✓"],
  error: ["bad", "✕"],
  blocked: ["bad", "✕"],
};

export interface StatusAppearance {
  readonly tone: Tone;
  readonly sign: string;
}

/** A status is a producer's own word, `constructor` if it likes. A `stale` one is that of a runner gone silent. */
export function appearanceOfStatus(status: JobStatus, stale: boolean): StatusAppearance {
  if (stale) return { tone: "warn", sign: "!" };
  const [tone, sign] = (Object.hasOwn(TONES, status) ? TONES[status] : undefined) ?? ["idle", "○"];
  return { tone, sign };
}
