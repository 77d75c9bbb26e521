/** The last minutes of one number as a line. What it says is in words beside it, so it is hidden from screen readers. */

export interface Point {
  readonly atMs: number;
  readonly value: number | null;
}

/** What a chart shows, in milliseconds. */
export const CHART_MS = 300_000;

/** Longer than this between two answers, and nothing is known of the time between (the page was hidden). */
const BREAK_MS = 15_000;

const WIDTH = 300;
const HEIGHT = 40;

interface SparklineProps {
  readonly points: readonly Point[];
  readonly nowMs: number;
}

export function Sparkline({ points, nowMs }: SparklineProps) {
  const line = sparkPath(points, nowMs);
  return (
    <svg
      className="spark"
      viewBox={`0 -2 ${WIDTH} ${HEIGHT + 4}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      <path className="floor" d={`M0 ${HEIGHT}H${WIDTH}`} />
      <path className="line" d={line} />
    </svg>
  );
}

/** The line's path: time to the right, larger values higher, the largest at the upper edge; broken where nothing is known. */
export function sparkPath(points: readonly Point[], nowMs: number): string {
  const top = Math.max(1, ...points.map((point) => point.value ?? 0));
  let path = "";
  let lastMs: number | null = null;
  for (const { atMs, value } of points) {
    if (value === null || nowMs - atMs > CHART_MS) continue;
    const x = WIDTH * (1 - (nowMs - atMs) / CHART_MS);
    const y = HEIGHT * (1 - Math.min(1, value / top));
    const joined = lastMs !== null && atMs - lastMs <= BREAK_MS;
    path += `${joined ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    // A dot, where nothing follows or precedes: a line of no length with round ends.
    if (!joined) path += "h0";
    lastMs = atMs;
  }
  return path;
}
