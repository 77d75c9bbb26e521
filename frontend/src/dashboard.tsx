/** The page comes alive: what the server wrote into it, a client for its streams, and the first view. */
import { type ReactNode, StrictMode, useLayoutEffect } from "react";
import { createRoot } from "react-dom/client";
import { FantailProvider } from "./hooks/client-context";
import { createClient } from "./client";
import type { InitialData } from "./api/initial-data";
import { sharedStreams } from "./stream/shared/worker-transport";
import { App, pageReady } from "./ui/App";
import { followTheme } from "./ui/theme";

/** Tells in the step in which what is in it has come into the page. */
function Live({ onLive, children }: { readonly onLive: () => void; readonly children: ReactNode }) {
  useLayoutEffect(onLive, [onLive]);
  return children;
}

/** Takes the place of whatever is in `root`, all at once when the first view can be drawn whole. */
export async function startDashboard(root: HTMLElement, initial: InitialData): Promise<void> {
  followTheme();
  // One missed keep-alive may be chance; half as long again is not.
  const silenceMs = initial.config.keepAliveS * 1500;
  const client = createClient({
    silenceMs,
    streams: sharedStreams({ silenceMs }),
    useSSEStatus: initial.config.useSSEStatus,
    ...(initial.view.page === "jobs" ? { initialTables: initial.view } : {}),
  });
  const allowUse = (): void => {
    root.inert = false;
  };
  await pageReady(location.pathname);
  createRoot(root).render(
    <StrictMode>
      <Live onLive={allowUse}>
        <FantailProvider value={client}>
          <App initial={initial} />
        </FantailProvider>
      </Live>
    </StrictMode>,
  );
}
