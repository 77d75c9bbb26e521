/** A status in words, with a sign and a colour beside. */
import type { JobStatus } from "../../api/job";
import { visible } from "./VisibleText";
import { appearanceOfStatus } from "./status-appearance";

interface StatusBadgeProps {
  readonly status: JobStatus;
  /** Its runner has gone silent. */
  readonly stale?: boolean;
}

export function StatusBadge({ status, stale = false }: StatusBadgeProps) {
  const { tone, sign } = appearanceOfStatus(status, stale);
  return (
    <span className={`badge ${tone}`}>
      <span className="sign" aria-hidden="true">
        {sign}
      </span>
      {visible(status)}
      {stale && <span className="note"> · runner silent</span>}
    </span>
  );
}
