/** The page begins: what the server wrote into it, a client for its streams, and the first view. */
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { FantailProvider } from "./hooks/client-context";
import { createClient } from "./stream/client";
import { readInitialData } from "./stream/initial-data";
import { App } from "./ui/App";
import "./ui/styles/tokens.css";
import "./ui/styles/base.css";
import "./ui/styles/pages.css";
import "./ui/styles/log.css";
import "./ui/styles/status.css";

const initial = readInitialData(document);
const client = createClient({
  // One missed keep-alive may be chance; half as long again is not.
  silenceMs: initial.config.keepAliveS * 1500,
  useSSEStatus: initial.config.useSSEStatus,
  ...(initial.view.page === "jobs" ? { initialTables: initial.view } : {}),
});

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <FantailProvider value={client}>
        <App initial={initial} />
      </FantailProvider>
    </StrictMode>,
  );
}
