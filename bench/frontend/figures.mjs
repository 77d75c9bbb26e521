/**
 * Figures and rows: what each measurement returns, in the shape that bench/report.py has (`what`, `value`, `unit`,
 * `beside`, `reference`, `target`, `met`).
 */

/** One row. `met` is null where nothing is asked; `n` is how often it was measured. */
export function row(
  what,
  value,
  unit,
  { beside = "", reference = null, target = "", met = null, n = null } = {},
) {
  return { what: n === null ? what : `${what} (n = ${n})`, value, unit, beside, reference, target, met };
}

/** A row with an upper bound as its target. */
export function atMost(bound, what, value, unit, more = {}) {
  return row(what, value, unit, { target: `≤ ${bound} ${unit}`, met: value <= bound, ...more });
}

/** The value below which `percent` per cent lie; the nearest rank, so it is one that was measured. */
export function percentile(values, percent) {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)] ?? Number.NaN;
}

export const median = (values) => percentile(values, 50);

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until a condition holds, looking every `everyMs`; throws where it does not within `patienceMs`. */
export async function until(holds, what, { everyMs = 20, patienceMs = 60_000 } = {}) {
  const endMs = performance.now() + patienceMs;
  for (;;) {
    const value = await holds();
    if (value) return value;
    if (performance.now() > endMs) throw new Error(`waited in vain: ${what}`);
    await pause(everyMs);
  }
}
