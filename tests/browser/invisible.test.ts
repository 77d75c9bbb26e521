/**
 * Characters that nobody sees and that reorder what is read: in names, in a log and in a diff each is a box with its code,
 * what is copied is the real text, and nothing around it moves (trap 66).
 */
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { violations } from "./support/axe";
import { dashboard, keepPicture, withChoices } from "./support/dashboard";
import { Worktree } from "./support/worktree";

const { server, open } = dashboard();

const NAME = "\u202eabc.txt";
const CODE = 'if (level != "user\u202e \u2066// only admins\u2069 \u2066") {\n';

const boxes = (page: Page, within: string): Promise<string[]> =>
  page
    .locator(`${within} .invisible`)
    .evaluateAll((found) => found.map((box) => box.getAttribute("data-code") ?? ""));

async function followed(theme: string): Promise<{ readonly id: string; readonly end: () => Promise<void> }> {
  const worktree = new Worktree(server, `trojan ${theme}`);
  await worktree.write("access.js", `${CODE.replaceAll(/[\u202e\u2066\u2069]/g, "")}}\n`);
  await worktree.write("windows.txt", "one\ntwo\n");
  worktree.commit();
  await worktree.write("access.js", `${CODE}}\n`);
  await worktree.write("windows.txt", "one\r\ntwo\r\n");
  await worktree.write(NAME, "a\u200bb\n");
  const fifo = await server.fifo(`trojan-${theme}`);
  const job = await server.run(`job ${NAME}`, ["bash", "-c", fifo.untilEnd], ["--diff", worktree.root]);
  await fifo.write(`${CODE}seen\u200b twice\na family 👨\u200d👩\u200d👧 is one\n`);
  return {
    id: job.id,
    end: async () => {
      await fifo.end();
      await job.finished();
    },
  };
}

describe.for(["light", "dark"])("in the %s theme", (theme) => {
  it("a log, a diff and names show what is invisible, copy it as it is, and are accessible", async () => {
    const { id, end } = await followed(theme);
    const page = await open(`/jobs/${id}`, { prepare: withChoices({ theme }) });
    await page.getByText("is one").waitFor();
    expect(await boxes(page, ".log-scroller")).toEqual(["U+202E", "U+2066", "U+2069", "U+2066", "U+200B"]);
    expect(await boxes(page, "h1")).toEqual(["U+202E"]);
    expect(await page.title()).toContain("[U+202E]abc.txt");
    const lines = await page.locator(".log-scroller .text").allTextContents();
    expect(lines.join("\n")).toContain(CODE.trimEnd());
    const heights = await page
      .locator(".log-scroller .row")
      .evaluateAll((rows) => rows.map((row) => row.getBoundingClientRect().height));
    expect(new Set(heights).size).toBe(1);
    expect(await violations(page)).toEqual([]);
    await keepPicture(page, `invisible-log-${theme}`);

    await page.getByRole("tab", { name: "Diff" }).click();
    await page.locator(".d-warning").first().waitFor();
    await expect.poll(() => page.locator(".d-file").count()).toBe(3);
    const warnings = await page.locator(".d-warning").allTextContents();
    expect(warnings.toSorted()).toEqual([
      "Hidden bidirectional text",
      "Hidden bidirectional text",
      "Line endings changed from LF to CRLF",
    ]);
    expect(await boxes(page, ".d-head")).toEqual(["U+202E"]);
    expect(await boxes(page, ".d-path")).toEqual(["U+202E"]);
    const added = page.locator('.d-file[data-file="access.js"] .d-row.added .d-text');
    expect(await added.textContent()).toBe(CODE.trimEnd());
    for (const wrap of [false, true]) {
      if (wrap) await page.locator(".diff").getByRole("button", { name: "Wrap" }).click();
      const cut = await page
        .locator(".d-row:not(.hunk)")
        .evaluateAll(
          (rows) =>
            rows.filter(
              (row) =>
                (row.querySelector(".d-text")?.getBoundingClientRect().height ?? 0) >
                row.getBoundingClientRect().height,
            ).length,
        );
      expect(cut).toBe(0);
    }
    expect(await violations(page)).toEqual([]);
    await keepPicture(page, `invisible-diff-${theme}`);
    await end();
  });
});
