/** The themes that a reader goes through, and their signs. */
import type { Preference } from "./preferences";

export type Theme = Preference<"theme">;

export const NEXT_THEME: Readonly<Record<Theme, Theme>> = { system: "light", light: "dark", dark: "system" };

/** Half a disc, a sun, a moon. */
export const THEME_SHAPES: Readonly<Record<Theme, string>> = {
  system: "M8 2a6 6 0 1 0 0 12zM8 2a6 6 0 0 1 0 12",
  light:
    "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M3 13l1-1M12 4l1-1",
  dark: "M13.5 9.5A6 6 0 0 1 6.5 2.5a6 6 0 1 0 7 7z",
};

export function themeLabel(theme: Theme): string {
  return `Theme: ${theme}. Change to ${NEXT_THEME[theme]}.`;
}
