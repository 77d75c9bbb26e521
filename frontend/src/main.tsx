/** The page begins: what the server wrote into it, a client for its streams, and the first view. */
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { FantailProvider } from "./hooks/client-context";
import { createClient } from "./stream/client";
import { readInitialData } from "./stream/initial-data";
import { sharedStreams } from "./stream/shared/worker-way";
import { App, pageReady } from "./ui/App";
import { followTheme } from "./ui/theme";
import "./ui/styles/tokens.css";
import "./ui/styles/base.css";
import "./ui/styles/pages.css";
import "./ui/styles/table.css";
import "./ui/styles/log.css";
import "./ui/styles/log-slots.css";
import "./ui/styles/find.css";
import "./ui/styles/status.css";
import "./ui/styles/system.css";

followTheme();
const initial = readInitialData(document);
// One missed keep-alive may be chance; half as long again is not.
const silenceMs = initial.config.keepAliveS * 1500;
const client = createClient({
  silenceMs,
  streams: sharedStreams({ silenceMs }),
  useSSEStatus: initial.config.useSSEStatus,
  ...(initial.view.page === "jobs" ? { initialTables: initial.view } : {}),
});

const root = document.getElementById("root");
if (root) {
  const draw = (): void =>
    createRoot(root).render(
      <StrictMode>
        <FantailProvider value={client}>
          <App initial={initial} />
        </FantailProvider>
      </StrictMode>,
    );
  void pageReady(location.pathname).then(draw);
}
