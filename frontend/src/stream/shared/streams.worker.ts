/** The SharedWorker: a hub for all tabs of this origin that run this very build. It ends with the last of them. */
import { browserPlatform } from "../platform";
import { Hub } from "./hub";
import type { ToHub } from "./messages";

const hub = new Hub(browserPlatform);

globalThis.addEventListener("connect", (event) => {
  const port = (event as MessageEvent).ports[0];
  if (!port) return;
  const hear = hub.connect({ post: (message) => port.postMessage(message) });
  port.addEventListener("message", ({ data }: MessageEvent<ToHub>) => hear(data));
  port.start();
});
