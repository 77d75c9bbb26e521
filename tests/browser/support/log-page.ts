/** The log on a job's page, as its reader meets it: lines go by the numbers beside them, from 1 on. */
import type { Locator, Page } from "playwright-core";
import { expect } from "vitest";

export const scroller = (page: Page): Locator => page.getByRole("log");

/** What is drawn: lines, and what stands between them. */
export const rows = (page: Page): Locator => page.locator(".log .row");

export const rowOf = (page: Page, line: number): Locator =>
  page.locator(`.slot[data-offset="${line - 1}"] .row`);

/** The text of a line, once it is loaded. */
export const textOf = (page: Page, line: number): Locator =>
  page.locator(`.slot[data-offset="${line - 1}"] .row:not(.unloaded) .text`);

/** The lines that are drawn: each one's number, and its text. */
export const shown = (page: Page): Promise<(readonly [number: string, text: string])[]> =>
  rows(page).evaluateAll((all) =>
    all.map((row) => [
      row.querySelector(".gutter")?.textContent ?? "",
      row.querySelector(".text")?.textContent ?? "",
    ]),
  );

/** Goes to a line as a link on the page would. */
export async function goTo(page: Page, line: number): Promise<void> {
  await page.evaluate((to) => {
    location.hash = `#L${to}`;
  }, line);
}

/** The first line that is wholly in sight. */
export const firstSeen = (page: Page): Promise<number> =>
  scroller(page).evaluate((log) => {
    const { top } = log.getBoundingClientRect();
    const slots = [...log.querySelectorAll<HTMLElement>(".slot")];
    const first = slots.find((slot) => slot.getBoundingClientRect().top > top - 10);
    return Number(first?.dataset.offset) + 1;
  });

/** The line in the middle of the log, once one is loaded there, and the place behind its text. */
export async function lineInTheMiddle(page: Page): Promise<{ line: number; x: number; y: number }> {
  const look = () =>
    scroller(page).evaluate((log) => {
      const { left, top, width, height } = log.getBoundingClientRect();
      const row = document.elementFromPoint(left + width / 2, top + height / 2)?.closest(".slot");
      const text = row?.querySelector(".row:not(.unloaded) .text")?.getBoundingClientRect();
      const line = Number((row as HTMLElement | null)?.dataset.offset) + 1;
      return text ? { line, x: text.left + 34, y: text.top + 10 } : null;
    });
  await expect.poll(look).not.toBeNull();
  const found = await look();
  if (!found) throw new Error("the line is gone");
  return found;
}

/** How far the log is scrolled, in pixels. */
export const scrollTop = (page: Page): Promise<number> => scroller(page).evaluate((log) => log.scrollTop);

/** How far the log is from its end, in pixels. */
export const distanceToEnd = (page: Page): Promise<number> =>
  scroller(page).evaluate((log) => log.scrollHeight - log.clientHeight - log.scrollTop);

/** Scrolls to a share of the log's length. */
export async function scrollToShare(page: Page, share: number): Promise<void> {
  await scroller(page).evaluate((log, at) => log.scrollTo({ top: at * log.scrollHeight }), share);
}

export const searchField = (page: Page): Locator =>
  page.getByRole("searchbox", { name: "Search the whole log" });

/** Searches as one would who uses keys alone. */
export async function search(page: Page, text: string): Promise<void> {
  await scroller(page).focus();
  await page.keyboard.press("/");
  await searchField(page).fill(text);
}

/** The texts that the browser marks, by its own registry of highlights, in no order. */
export const marked = (page: Page, kind: string): Promise<readonly string[]> =>
  page.evaluate((kind) => {
    const ranges = [...(CSS.highlights.get(kind) ?? [])];
    return ranges.map(({ startContainer, startOffset, endContainer, endOffset }) => {
      const range = document.createRange();
      range.setStart(startContainer, startOffset);
      range.setEnd(endContainer, endOffset);
      return range.toString();
    });
  }, kind);
