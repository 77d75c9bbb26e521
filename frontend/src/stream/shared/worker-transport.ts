/**
 * The way to a hub in a SharedWorker.
 *
 * A worker's file must come from the page's own origin. Bundlers that know `new URL(…, import.meta.url)` bring it along;
 * where one does not, the worker fails to load, and each tab has connections of its own. An application may also make it
 * itself.
 */
import { FetchStreams, type FetchStreamsSettings } from "../fetch-streams";
import { type PageVisibility, browserVisibility } from "../page-visibility";
import { type Platform, browserPlatform } from "../platform";
import type { StreamSource } from "../stream-source";
import { HubWatch } from "./hub-watch";
import {
  HUB_NAME,
  type HubLink,
  type HubLinkEvents,
  type OpenHubLink,
  type ToHub,
  type ToTab,
} from "./messages";
import { SharedStreams } from "./shared-streams";

export interface SharedStreamsOptions extends Pick<FetchStreamsSettings, "silenceMs" | "baseUrl"> {
  /** Makes the SharedWorker under this name, for bundlers that do not find its file; `null`: share without one. */
  readonly worker?: ((name: string) => SharedWorker) | null;
}

/**
 * All streams of this origin over one connection for the whole browser, as far as the browser lets tabs share. For
 * servers that need no token: a worker cannot ask a page for one (`createClient({ headers })` has a connection per stream).
 */
export function sharedStreams(
  { worker = ownWorker, ...settings }: SharedStreamsOptions = {},
  platform: Platform = browserPlatform,
): StreamSource {
  const { baseUrl = "" } = settings;
  const transport = worker && workerTransport(() => worker(HUB_NAME + baseUrl), platform);
  return new SharedStreams({
    ...settings,
    transport,
    own: new FetchStreams({ ...settings, platform }),
    platform,
  });
}

function ownWorker(name: string): SharedWorker {
  // oxlint-disable-next-line no-restricted-globals -- bundlers look for this very expression
  return new SharedWorker(new URL("./streams.worker.ts", import.meta.url), { type: "module", name });
}

/** The way by a worker that `make` makes, or finds where another tab has made it; browsers may lack or refuse it. */
export function workerTransport(
  make: () => SharedWorker,
  platform: Platform,
  visibility: PageVisibility = browserVisibility,
): OpenHubLink {
  return (events) => {
    try {
      return linkTo(make(), events, platform, visibility);
    } catch (fault) {
      queueMicrotask(() => events.onBroken(fault instanceof Error ? fault.message : "no shared worker"));
      return { post: () => {}, close: () => {} };
    }
  };
}

function linkTo(
  worker: SharedWorker,
  events: HubLinkEvents,
  platform: Platform,
  visibility: PageVisibility,
): HubLink {
  const { port } = worker;
  const post = (message: ToHub): void => port.postMessage(message, []);
  const watch = new HubWatch({
    platform,
    visibility,
    ask: () => post({ kind: "ask" }),
    onDead: () => events.onLost("the shared worker does not answer any more"),
  });
  worker.addEventListener("error", () => events.onBroken("the shared worker does not run"));
  port.addEventListener("message", ({ data }: MessageEvent<ToTab>) => {
    watch.heard();
    events.onMessage(data);
  });
  port.start();
  queueMicrotask(() => events.onLinked());
  const close = (): void => {
    watch.stop();
    port.close();
  };
  return { post, close };
}
