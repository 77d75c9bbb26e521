/** The client that the hooks of a tree use. Without a provider they share one for the page's own origin. */
import { createContext, use } from "react";
import { type Client, createClient } from "../client";
import { pipelineSSEManager } from "../pipelines/pipeline-sse-manager";

const ClientContext = createContext<Client | null>(null);

/** Gives a tree its client: `<FantailProvider value={createClient({ baseUrl })}>`. */
export const FantailProvider = ClientContext.Provider;

let ownOrigin: Client | null = null;

export function useClient(): Client {
  const given = use(ClientContext);
  if (given) return given;
  ownOrigin ??= createClient({ pipelines: pipelineSSEManager });
  return ownOrigin;
}
