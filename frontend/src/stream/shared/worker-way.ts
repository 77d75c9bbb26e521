/** The best way to a hub: a SharedWorker. Also the choice of ways that a page has. */
import { FetchStreams, type FetchStreamsSettings } from "../fetch-streams";
import { type Platform, browserPlatform } from "../platform";
import type { StreamSource } from "../stream-source";
import { leaderWay } from "./leader-way";
import type { HubLink, HubLinkEvents, OpenHubLink, ToTab } from "./messages";
import { SharedStreams } from "./shared-streams";

/** All streams of this origin over one connection for the whole browser, as far as the browser lets tabs share. */
export function sharedStreams(
  settings: Pick<FetchStreamsSettings, "silenceMs"> = {},
  platform: Platform = browserPlatform,
): StreamSource {
  const ways: OpenHubLink[] = [];
  if (typeof SharedWorker !== "undefined") ways.push(openWorker);
  if (typeof BroadcastChannel !== "undefined") ways.push(leaderWay(platform));
  return new SharedStreams({ ...settings, ways, own: new FetchStreams({ ...settings, platform }), platform });
}

function openWorker(events: HubLinkEvents): HubLink {
  let worker: SharedWorker;
  try {
    worker = new SharedWorker(new URL("./streams.worker.ts", import.meta.url), {
      type: "module",
      name: "fantail streams",
    });
  } catch (fault) {
    queueMicrotask(() => events.onBroken(fault instanceof Error ? fault.message : "no shared worker"));
    return { post: () => {}, close: () => {} };
  }
  const { port } = worker;
  worker.addEventListener("error", () => events.onBroken("the shared worker does not run"));
  port.addEventListener("message", ({ data }: MessageEvent<ToTab>) => events.onMessage(data));
  port.start();
  queueMicrotask(() => events.onLinked());
  return { post: (message) => port.postMessage(message, []), close: () => port.close() };
}
