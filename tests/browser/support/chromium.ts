/** Chromium as Debian packs it, fresh for each test file, with nothing in it that calls home. */
import { type Browser, chromium } from "playwright-core";

/** A name that leads to this machine, and that browsers do not know as such: to them, plain HTTP to it is not secure. */
export const NAME_IN_A_LAN = "fantail.test";

export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.FANTAIL_CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      "--disable-component-update",
      `--host-resolver-rules=MAP ${NAME_IN_A_LAN} 127.0.0.1`,
    ],
  });
}
