/**
 * A page of another origin than the server's: `?server=http://127.0.0.1:8765`, which that server must allow
 * (`FANTAIL_CORS_ORIGINS`). Without a token all tabs share one connection; with one, each stream has its own.
 */
import { FantailProvider, JobProvider, type RunEnd, createClient, sharedStreams } from "fantail-dashboard";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";

const baseUrl = new URLSearchParams(location.search).get("server") ?? "http://127.0.0.1:8765";
const client = createClient({ baseUrl, streams: sharedStreams({ baseUrl }) });

const tell = ({ runId, outcome }: RunEnd): void => {
  document.title = `${runId}: ${outcome}`;
};

const root = document.getElementById("root");
if (root)
  createRoot(root).render(
    <StrictMode>
      <FantailProvider value={client}>
        <JobProvider onRunEnd={tell}>
          <App />
        </JobProvider>
      </FantailProvider>
    </StrictMode>,
  );
