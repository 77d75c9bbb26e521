/** The diff of a real repository in a real browser: `fantail run --diff` beside a command that the test leads. */
import { chmod, readFile, rename, rm } from "node:fs/promises";
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { violations } from "./support/axe";
import { dashboard, keepPicture, reload } from "./support/dashboard";
import type { Job } from "./support/fantail";
import { Worktree } from "./support/worktree";

const { server, open } = dashboard();

/** A job that lasts until the test ends it, its diff published. */
async function follow(worktree: Worktree, name: string): Promise<{ job: Job; end: () => Promise<void> }> {
  const fifo = await server.fifo(name);
  const job = await server.run(name, ["bash", "-c", fifo.untilEnd], ["--diff", worktree.root]);
  return {
    job,
    end: async () => {
      await fifo.end();
      await job.finished();
    },
  };
}

const numbered = (from: number, to: number, word: string): string =>
  Array.from({ length: to - from }, (_, index) => `const ${word}${from + index} = "${word}";\n`).join("");

const lineOf = (word: string, at: number): string => `const ${word}${at} = "${word}";`;

const file = (page: Page, name: string) => page.getByRole("region", { name, exact: true });
/** The files of the tree that are in view. */
const files = (page: Page) => page.locator(".d-item.file");
const scrollTop = (page: Page): Promise<number> =>
  page.locator(".d-scroller").evaluate((scroller) => scroller.scrollTop);

describe("a job that changes its worktree", () => {
  it("shows what differs, live: names, statistics, renames, modes, what has no lines", async () => {
    const worktree = new Worktree(server, "shown");
    await worktree.write("src/kept.ts", numbered(0, 40, "kept"));
    await worktree.write("src/old name.ts", numbered(0, 40, "moved"));
    await worktree.write("package-lock.json", "{}\n");
    await worktree.write("run.sh", "echo\n");
    worktree.commit();
    const { job, end } = await follow(worktree, "shown");
    const page = await open(`/jobs/${job.id}`);
    await page.getByRole("tab", { name: "Diff" }).click();
    await page.getByText("No file differs from the base.").waitFor();

    await worktree.write(
      "src/kept.ts",
      numbered(0, 20, "kept") + numbered(20, 21, "new") + numbered(21, 40, "kept"),
    );
    await file(page, "src/kept.ts").locator(".d-row.added").getByText("new20").waitFor();
    await page.locator(".d-row .k3", { hasText: "const" }).first().waitFor(); // coloured by the worker
    await rename(worktree.path("src/old name.ts"), worktree.path("src/new name.ts"));
    await file(page, "src/new name.ts").getByText("src/old name.ts →").waitFor();
    await file(page, "src/new name.ts").getByText("No line differs.").waitFor();
    await worktree.write("package-lock.json", '{"version": 1}\n');
    await file(page, "package-lock.json").locator('[aria-expanded="false"]').waitFor();
    await worktree.write("image.bin", Buffer.from([0, 1, 2, 255]));
    await file(page, "image.bin").getByText("A binary file").waitFor();
    await chmod(worktree.path("run.sh"), 0o755);
    await file(page, "run.sh").getByText("100644 → 100755").waitFor();
    expect(await page.locator(".d-file script, .d-file img").count()).toBe(0);

    expect(await violations(page)).toEqual([]);
    await page.getByRole("button", { name: "Split" }).click();
    await file(page, "src/kept.ts").locator(".d-side.removed").getByText("kept20").waitFor();
    await page.emulateMedia({ colorScheme: "dark" });
    expect(await violations(page)).toEqual([]);
    expect(await files(page).count()).toBe(5);
    await rm(worktree.path("image.bin"));
    await expect.poll(() => files(page).count()).toBe(4);
    await end();
    await page.locator(".connection").first().getByText("Complete").waitFor();
    await expect.poll(() => page.locator(".diff .connection").count()).toBe(0);
  });

  it("keeps the reader's place, and marks what changed elsewhere", async () => {
    const worktree = new Worktree(server, "kept");
    for (const name of ["a", "b", "c", "d"]) await worktree.write(`${name}.ts`, numbered(0, 60, name));
    worktree.commit();
    for (const name of ["a", "b", "c", "d"]) await worktree.write(`${name}.ts`, numbered(0, 60, `${name}x`));
    const { job, end } = await follow(worktree, "kept");
    const page = await open(`/jobs/${job.id}#diff`);
    await file(page, "a.ts").waitFor();
    await page.getByRole("treeitem", { name: "c.ts" }).click();
    await page.locator(".d-scroller").evaluate((scroller) => scroller.scrollBy({ top: 500 }));
    const top = (): Promise<string | null> =>
      page.locator(".d-scroller").evaluate((scroller) => {
        const { left, top } = scroller.getBoundingClientRect();
        return document.elementFromPoint(left + 200, top + 60)?.closest(".d-row")?.textContent ?? null;
      });
    await expect.poll(top).toContain("const c");
    const line = await top();
    const before = await scrollTop(page);

    await worktree.write("a.ts", numbered(0, 120, "ay"));
    await expect.poll(() => scrollTop(page)).toBeGreaterThan(before);
    expect(await top()).toBe(line);
    const entry = page.getByRole("treeitem", { name: "a.ts" });
    await entry.locator(".d-dot").waitFor();
    await page.getByRole("tab", { name: "Log" }).click();
    await page.getByRole("tab", { name: "Diff" }).click();
    expect(await top()).toBe(line);

    await entry.click();
    await entry.locator(".d-dot").waitFor({ state: "detached" });
    await file(page, "a.ts").getByRole("button", { expanded: true }).click();
    await worktree.write("a.ts", numbered(0, 90, "az"));
    await entry.getByText("+90").waitFor();
    expect(await file(page, "a.ts").getByRole("button").getAttribute("aria-expanded")).toBe("false");
    await end();
  });

  it("is whole again after the server was away, and never empty meanwhile", async () => {
    const worktree = new Worktree(server, "away");
    await worktree.write("a.txt", "one\n");
    worktree.commit();
    await worktree.write("a.txt", "two\n");
    const { job, end } = await follow(worktree, "away");
    const page = await open(`/jobs/${job.id}#diff`);
    await file(page, "a.txt").getByText("two").waitFor();
    await page.evaluate(() => {
      new MutationObserver(() => {
        if (!document.querySelector(".d-file")) document.body.dataset.empty = "yes";
      }).observe(document.body, { childList: true, subtree: true });
    });
    await server.restart("SIGTERM");
    await worktree.write("b.txt", "three\n");
    await file(page, "b.txt").getByText("three").waitFor();
    expect(await page.evaluate(() => document.body.dataset.empty)).toBeUndefined();
    await end();
  });

  it("gives a patch that git takes", async () => {
    const worktree = new Worktree(server, "patch");
    await worktree.write("a b.txt", "one\n");
    worktree.commit();
    await worktree.write("a b.txt", "two");
    const { job, end } = await follow(worktree, "patch");
    await end();
    const page = await open(`/jobs/${job.id}#diff`);
    const downloading = page.waitForEvent("download");
    await page.locator(".diff").getByRole("link", { name: "Download" }).click();
    const path = await (await downloading).path();
    worktree.git("checkout", "-q", ".");
    worktree.git("apply", path);
    expect(await readFile(worktree.path("a b.txt"), "utf8")).toBe("two");
  });
});

/** What is on the clipboard after Ctrl-C. */
async function copied(page: Page): Promise<string> {
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.keyboard.press("Control+c");
  return page.evaluate(() => navigator.clipboard.readText());
}

/** Selects from the start of a line that is drawn to the end of another one; by their texts. */
async function select(page: Page, from: string, to: string): Promise<void> {
  await page.evaluate(
    (ends) => {
      const [start, stop] = ends.map(
        (text) =>
          [...document.querySelectorAll(".d-code")].find(({ textContent }) => textContent === text)
            ?.firstElementChild,
      );
      if (!start || !stop) throw new Error(`${ends.join(" or ")} is not drawn`);
      document.getSelection()?.setBaseAndExtent(start, 0, stop, stop.childNodes.length);
    },
    [from, to],
  );
}

describe("code in a diff", () => {
  it("is wrapped where it is long, in lines that nothing is cut from, and this is remembered", async () => {
    const worktree = new Worktree(server, "wrapped");
    await worktree.write("a.txt", "");
    worktree.commit();
    const odd = ["\t\tif (a) {\t", "漢字かな ", "word ", "🦊🦊", "é̀", "x"];
    const lines = odd.map((part, at) => part.repeat(300 + at * 7));
    await worktree.write("a.txt", `${lines.join("\n")}\nshort\n${"y".repeat(6_000)}\nlast\n`);
    const { job, end } = await follow(worktree, "wrapped");
    const page = await open(`/jobs/${job.id}#diff`);
    await file(page, "a.txt").getByText("short").waitFor();
    const heights = (): Promise<readonly (readonly [number, number])[]> =>
      page
        .locator(".d-row:not(.hunk)")
        .evaluateAll((rows) =>
          rows.map((row) => [
            row.querySelector(".d-text")?.getBoundingClientRect().height ?? 0,
            row.getBoundingClientRect().height,
          ]),
        );
    expect((await heights()).every(([, row]) => row === 20)).toBe(true);
    for (const layout of ["unified", "split"]) {
      if (layout === "unified") await page.locator(".diff").getByRole("button", { name: "Wrap" }).click();
      else await page.getByRole("button", { name: "Split" }).click();
      await expect.poll(async () => (await heights())[0]?.[1] ?? 0).toBeGreaterThan(100);
      for (const [text, row] of await heights()) expect(text).toBeLessThanOrEqual(row);
    }
    await file(page, "a.txt").getByText("more characters").waitFor();
    expect(await violations(page)).toEqual([]);
    await reload(page);
    await expect.poll(async () => (await heights())[0]?.[1] ?? 0).toBeGreaterThan(100);
    await page.keyboard.press("z");
    await expect.poll(async () => (await heights()).every(([, row]) => row === 20)).toBe(true);
    await end();
  });

  it("is copied as it is in the file: no numbers, marks or headers, one side of two, more than is drawn", async () => {
    const worktree = new Worktree(server, "copied");
    await worktree.write("a.ts", numbered(0, 3, "old") + numbered(0, 5_000, "same").replaceAll("same1;", ""));
    await worktree.write("b.ts", "before\n");
    worktree.commit();
    await worktree.write("a.ts", numbered(0, 3, "new") + numbered(0, 5_000, "changed"));
    await worktree.write("b.ts", `after ${"z".repeat(6_000)}\n`);
    const { job, end } = await follow(worktree, "copied");
    const page = await open(`/jobs/${job.id}#diff`);
    await page.getByRole("button", { name: "Split" }).click();
    await file(page, "a.ts").getByText('const new0 = "new";').first().waitFor();
    // Colours that come now would take the end of what is selected into other pieces.
    await page
      .locator(".d-code", { hasText: lineOf("new", 2) })
      .locator(".k3")
      .first()
      .waitFor();
    await select(page, lineOf("new", 0), lineOf("new", 2));
    expect(await copied(page)).toBe([0, 1, 2].map((at) => lineOf("new", at)).join("\n"));

    // Scrolled away, the selection holds; and what it is drawn out to is as long as the file.
    const scroller = page.locator(".d-scroller");
    await scroller.evaluate((element) => element.scrollTo({ top: 1_000 * 20 }));
    await expect
      .poll(() => page.locator(".d-code", { hasText: "const changed1000 " }).count())
      .toBeGreaterThan(0);
    await page.evaluate(
      (last) => {
        const stop = [...document.querySelectorAll(".d-code")].find(
          ({ textContent }) => textContent === last,
        );
        const text = stop?.firstElementChild;
        if (text) document.getSelection()?.extend(text, text.childNodes.length);
      },
      lineOf("changed", 1_000),
    );
    const text = await copied(page);
    expect(text.split("\n").length).toBe(3 + 1_001);
    expect(text.endsWith(lineOf("changed", 1_000))).toBe(true);
    expect(text.includes("old")).toBe(false);

    await page.evaluate(() => document.getSelection()?.removeAllRanges());
    await page.getByRole("treeitem", { name: "b.ts" }).click();
    const long = file(page, "b.ts").locator(".d-side.added .d-text");
    await long.waitFor();
    await long.evaluate((element) => document.getSelection()?.selectAllChildren(element));
    expect(await copied(page)).toBe(`after ${"z".repeat(6_000)}`);
    await end();
  });
});

describe("a large diff", () => {
  it("of a thousand files is a tree that is walked by keys, and narrowed by names", async () => {
    const worktree = new Worktree(server, "thousand");
    await worktree.write("readme", "");
    worktree.commit();
    for (let at = 0; at < 1_000; at += 1)
      await worktree.write(`src/part${Math.floor(at / 100)}/deep/file${at}.ts`, `${at}\n`);
    const { job, end } = await follow(worktree, "thousand");
    const page = await open(`/jobs/${job.id}#diff`);
    await page.locator(".diff").getByText("1,000 files").waitFor();
    const items = page.getByRole("treeitem");
    await expect.poll(() => items.count()).toBeGreaterThan(10);
    expect(await items.count()).toBeLessThan(100);
    await keepPicture(page, "diff-thousand");
    await page.locator("[aria-selected=true]", { hasText: "file0.ts" }).waitFor();
    const tree = page.getByRole("tree");
    await tree.focus();
    await tree.press("End");
    await page.getByRole("treeitem", { name: "file999.ts" }).waitFor();
    await tree.press("Enter");
    await file(page, "src/part9/deep/file999.ts").getByText("999", { exact: true }).first().waitFor();
    await tree.press("ArrowLeft");
    await tree.press("ArrowLeft");
    await page.locator('[role=treeitem][aria-expanded="false"]', { hasText: "part9/deep" }).waitFor();
    expect(await violations(page)).toEqual([]);
    await page.getByRole("searchbox", { name: "Filter files by name" }).fill("file99 part9");
    await page.locator(".diff").getByText("10 of 1,000 files").waitFor();
    await expect.poll(() => files(page).count()).toBe(10);
    await page.getByRole("searchbox").press("]");
    await page.locator(".diff").getByText("No file has such a name.").waitFor();
    await page.getByRole("searchbox").press("Escape");
    await page.locator(".diff").getByText("1,000 files").waitFor();
    await end();
  });

  it("of 40 files, and one of 20,000 lines, is few rows in the page", async () => {
    const worktree = new Worktree(server, "large");
    for (let part = 10; part < 50; part += 1)
      await worktree.write(`part${part}.ts`, numbered(0, 250, "before"));
    await worktree.write("long.ts", "");
    worktree.commit();
    for (let part = 10; part < 50; part += 1)
      await worktree.write(`part${part}.ts`, numbered(0, 250, "after"));
    await worktree.write("long.ts", numbered(0, 20_000, "long"));
    const { job, end } = await follow(worktree, "large");
    const page = await open(`/jobs/${job.id}#diff`);
    await file(page, "long.ts").getByText("long0", { exact: false }).first().waitFor();
    await expect.poll(() => page.locator(".diff").getByText("41 files").count()).toBe(1);
    expect(await page.locator(".d-row").count()).toBeLessThan(200);
    await page.locator(".d-scroller").evaluate((scroller) => scroller.scrollTo({ top: 19_990 * 20 }));
    await file(page, "long.ts").getByText("long19990", { exact: false }).first().waitFor();
    await keepPicture(page, "diff-long");
    await page.keyboard.press("]");
    await file(page, "part10.ts").getByText("before0", { exact: false }).first().waitFor();
    await page.keyboard.press("]");
    await file(page, "part11.ts").getByText("before0", { exact: false }).first().waitFor();
    await page.keyboard.press("[");
    await expect
      .poll(() => page.getByRole("treeitem", { name: "part10.ts" }).getAttribute("aria-selected"))
      .toBe("true");
    await end();
  });
});
