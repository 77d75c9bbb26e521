/** What a reader chooses about the look of the lines: their times, and whether control characters are obeyed. */
import { usePreference } from "../usePreference";
import type { TimestampMode } from "./row/timestamps";

const TIMES: readonly (readonly [mode: TimestampMode, words: string])[] = [
  ["off", "No times"],
  ["relative", "Relative"],
  ["absolute", "Clock"],
  ["delta", "Delta"],
];

export function AppearanceControls() {
  const [timestamps, setTimestamps] = usePreference("timestamps");
  const [raw, setRaw] = usePreference("raw");
  return (
    <>
      <select
        className="quiet"
        aria-label="Times"
        value={timestamps}
        onChange={(event) => setTimestamps(TIMES[event.target.selectedIndex]?.[0] ?? "off")}
      >
        {TIMES.map(([mode, words]) => (
          <option key={mode} value={mode}>
            {words}
          </option>
        ))}
      </select>
      <button
        type="button"
        className="quiet"
        aria-pressed={raw}
        title="Show control characters, and lines that were drawn over"
        onClick={() => setRaw(!raw)}
      >
        Raw
      </button>
    </>
  );
}
