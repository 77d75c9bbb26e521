/** A status in words, with a sign and a colour beside: no one has to tell colours apart. */
import type { JobStatus } from "../stream/job";

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

interface StatusBadgeProps {
  readonly status: JobStatus;
  /** Its runner has gone silent. */
  readonly stale?: boolean;
}

export function StatusBadge({ status, stale = false }: StatusBadgeProps) {
  // A status is a producer's own word, `constructor` if it likes.
  const [tone, sign] = (Object.hasOwn(TONES, status) ? TONES[status] : undefined) ?? ["idle", "○"];
  return (
    <span className={`badge ${stale ? "warn" : tone}`}>
      <span className="sign" aria-hidden="true">
        {stale ? "!" : sign}
      </span>
      {status}
      {stale && <span className="note"> · runner silent</span>}
    </span>
  );
}
