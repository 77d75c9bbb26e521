/**
 * The SharedWorker: a hub for all tabs of this origin that run this very build. It ends with the last of them. Its name
 * says where the server is.
 */
import { browserPlatform } from "../platform";
import { ConnectionHub } from "./connection-hub";
import { HUB_NAME, type ToHub } from "./messages";

const { name } = globalThis as unknown as { readonly name: string };
const hub = new ConnectionHub(browserPlatform, name.slice(HUB_NAME.length));

globalThis.addEventListener("connect", (event) => {
  const port = (event as MessageEvent).ports[0];
  if (!port) return;
  const hear = hub.connect({ post: (message) => port.postMessage(message) });
  port.addEventListener("message", ({ data }: MessageEvent<ToHub>) => hear(data));
  port.start();
});
