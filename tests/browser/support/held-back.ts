/** Answers that a test holds back, to see what a page does before they come. */
import type { Page } from "playwright-core";

export interface HeldBack {
  /** How often the page has asked so far. */
  readonly asked: () => number;
  /** Lets the answers through, these and all later ones. */
  readonly release: () => void;
}

/** Holds back what a page asks for at addresses of a pattern (that of `page.route`). */
export async function holdBack(page: Page, addresses: string): Promise<HeldBack> {
  let asked = 0;
  const gate: { open?: () => void } = {};
  const opened = new Promise<void>((resolve) => (gate.open = resolve));
  await page.route(addresses, async (route) => {
    asked += 1;
    await opened;
    await route.continue();
  });
  return { asked: () => asked, release: () => gate.open?.() };
}
