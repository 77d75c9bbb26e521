/** Moments and durations that keep themselves up to date. */
import { CALENDAR_MS, formatAgo, formatDuration, formatElapsed, formatMoment } from "../format";
import { useNow } from "./useNow";

/** How long ago, with the full date on hover. A number too large for any calendar (ECMA-262, 21.4.1.1) is no moment. */
export function Ago({ atMs }: { readonly atMs: number | undefined }) {
  const nowMs = useNow();
  const date = new Date(atMs ?? Number.NaN);
  const ms = date.getTime();
  if (Number.isNaN(ms)) return <span className="muted">–</span>;
  return (
    <time dateTime={date.toISOString()} title={formatMoment(ms)}>
      {formatAgo(ms, nowMs)}
    </time>
  );
}

interface DurationProps {
  readonly startedAt: number | undefined;
  readonly finishedAt: number | undefined;
  /** Whether it still grows. A job that is over, but says not when, has no duration. */
  readonly running: boolean;
}

export function Duration({ startedAt, finishedAt, running }: DurationProps) {
  if (startedAt !== undefined && finishedAt !== undefined && !running) {
    return <span className="figures">{formatDuration(finishedAt - startedAt)}</span>;
  }
  if (startedAt === undefined || !running || startedAt < -CALENDAR_MS)
    return <span className="muted">–</span>;
  return <Elapsed sinceMs={startedAt} />;
}

function Elapsed({ sinceMs }: { readonly sinceMs: number }) {
  const nowMs = useNow();
  return <span className="figures">{formatElapsed(nowMs - sinceMs)}</span>;
}
