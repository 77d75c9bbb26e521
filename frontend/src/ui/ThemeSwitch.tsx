/** Which theme: the system's, light or dark, each a press further. Remembered, and the same in all tabs. */
import { useActions } from "./keys";
import { type Preference, usePreference } from "./preferences";

type Theme = Preference<"theme">;

const NEXT: Readonly<Record<Theme, Theme>> = { system: "light", light: "dark", dark: "system" };

/** Half a disc, a sun, a moon. */
const SHAPES: Readonly<Record<Theme, string>> = {
  system: "M8 2a6 6 0 1 0 0 12zM8 2a6 6 0 0 1 0 12",
  light:
    "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M3 13l1-1M12 4l1-1",
  dark: "M13.5 9.5A6 6 0 0 1 6.5 2.5a6 6 0 1 0 7 7z",
};

export function ThemeSwitch() {
  const [theme, setTheme] = usePreference("theme");
  const next = NEXT[theme];
  useActions({ theme: () => setTheme(next) });
  const label = `Theme: ${theme}. Change to ${next}.`;
  return (
    <button
      type="button"
      className="quiet icon"
      aria-label={label}
      title={label}
      onClick={() => setTheme(next)}
    >
      <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
        <path
          d={SHAPES[theme]}
          fill="none"
          stroke="currentColor"
          strokeWidth="1.4"
          strokeLinecap="round"
          strokeLinejoin="round"
        />
        {theme === "system" && <path d="M8 2a6 6 0 1 0 0 12z" fill="currentColor" />}
      </svg>
    </button>
  );
}
