/**
 * The page begins: with what can be drawn at once of what the server wrote into it, then with all of the dashboard.
 *
 * The dashboard's scripts are fetched meanwhile (the HTML names them), and run when the first screen has been shown: run
 * before, they would hold it up by as long as they take.
 */
import { type InitialData, readInitialData } from "./api/initial-data";
import { onFirstPaint } from "./stream/platform";
import { drawJobScreen } from "./ui/first-screen/job-screen";
import "./ui/styles/tokens.css";
import "./ui/styles/base.css";
import "./ui/styles/pages.css";
import "./ui/styles/table.css";
import "./ui/styles/log.css";
import "./ui/styles/log-slots.css";
import "./ui/styles/find.css";
import "./ui/styles/status.css";
import "./ui/styles/system.css";
import "./ui/styles/overlays.css";

/** How long a page waits for its first paint, in milliseconds: one that is hidden gets none. */
const FRAME_PATIENCE_MS = 200;

const root = document.getElementById("root");
// Not awaited here: the dashboard imports from the file that this is in, and would wait for its end.
if (root) void begin(root, readInitialData(document));

/** What is drawn first can be read, and not used: what is done to it would be lost with it. */
async function begin(into: HTMLElement, initial: InitialData): Promise<void> {
  into.inert = drawFirst(into, initial);
  if (into.inert) await shown();
  // Another version of the server has other files; the browser's console says what it met.
  const dashboard = await import("./dashboard").catch(() => null);
  try {
    if (dashboard) return await dashboard.startDashboard(into, initial);
  } catch (error) {
    reportError(error);
  }
  sayNotLoaded(into);
}

/** What is there stays, and its links lead on. */
function sayNotLoaded(into: HTMLElement): void {
  const place = into.querySelector(".connection output") ?? into.appendChild(document.createElement("p"));
  place.textContent = "The dashboard could not be loaded. Reload the page to try again.";
  into.inert = false;
}

function drawFirst(into: HTMLElement, initial: InitialData): boolean {
  try {
    return document.visibilityState === "visible" && drawJobScreen(into, initial);
  } catch (error) {
    // The page does without; its fault is still one to be seen.
    reportError(error);
    into.replaceChildren();
    return false;
  }
}

/**
 * Settles when what was drawn is on the screen: the browser tells of its first contentful paint once it was presented.
 * Until then the machine's time is better spent on that.
 */
function shown(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, FRAME_PATIENCE_MS);
    onFirstPaint(resolve);
  });
}
