/** Pages that come when they are first asked for, so that the first page need not wait for their script. */
import { type ComponentType, lazy } from "react";
import { Trouble } from "./PageHead";

export function lazyPage(load: () => Promise<ComponentType>): ComponentType {
  return lazy(async () => {
    try {
      return { default: await load() };
    } catch {
      // Another version of the server has other files.
      return { default: NotLoaded };
    }
  });
}

function NotLoaded() {
  return (
    <Trouble title="This page could not be loaded" onRetry={() => globalThis.location.reload()}>
      The server may have been updated, or is away.
    </Trouble>
  );
}
