/** axe, the checker of accessibility, in a page under test. */
import axe from "axe-core";
import type { Page } from "playwright-core";

/** What it finds wrong with the page as it is, or with the part that a selector names. */
export async function violations(page: Page, within = "html"): Promise<readonly string[]> {
  await page.evaluate(axe.source);
  return page.evaluate(async (part) => {
    const { violations } = await (globalThis as unknown as { axe: typeof axe }).axe.run(part);
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
    );
  }, within);
}
