/** Which theme: the system's, light or dark, each a press further. Remembered, and the same in all tabs. */
import { useActions } from "./keys";
import { NEXT_THEME, THEME_SHAPES, themeLabel } from "./theme-appearance";
import { usePreference } from "./usePreference";

export function ThemeSwitch() {
  const [theme, setTheme] = usePreference("theme");
  const next = NEXT_THEME[theme];
  useActions({ theme: () => setTheme(next) });
  const label = themeLabel(theme);
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
          d={THEME_SHAPES[theme]}
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
