/**
 * Light, dark, or as the system is: the reader's choice as an attribute of the document, where the style sheets find it.
 *
 * `first-paint.js` sets it before anything is drawn, so that a page never flashes in the other theme; from then on this
 * keeps it up with the preference, whoever changes it: a button here, or another tab.
 */
import { preference, subscribe } from "./preferences";

/** Follows the preference for as long as the page lives. */
export function followTheme(): () => void {
  applyTheme();
  return subscribe(applyTheme);
}

function applyTheme(): void {
  const theme = preference("theme");
  const root = document.documentElement;
  if (theme === "system") delete root.dataset.theme;
  else root.dataset.theme = theme;
  // The colour of the page before its style sheets are there, and of the browser's own parts.
  document
    .querySelector('meta[name="color-scheme"]')
    ?.setAttribute("content", theme === "system" ? "light dark" : theme);
}
