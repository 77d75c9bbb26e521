/** The theme in a real browser: remembered, the same in all tabs, and there before anything is drawn. */
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { dashboard } from "./support/dashboard";

const { open } = dashboard();

const LIGHT = "rgb(250, 250, 248)";
const DARK = "rgb(19, 20, 22)";

const ground = (page: Page): Promise<string> =>
  page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);

const change = async (page: Page, to: string): Promise<void> => {
  await page.getByRole("button", { name: new RegExp(`Change to ${to}`) }).click();
};

describe("the theme", () => {
  it.each([
    ["light", LIGHT],
    ["dark", DARK],
  ] as const)("is the system's at first: %s", async (colorScheme, colour) => {
    const page = await open("/", { colorScheme });
    expect(await ground(page)).toBe(colour);
  });

  it("that was chosen is remembered, in other tabs too, against the system's", async () => {
    const page = await open("/", { colorScheme: "light" });
    const other = await page.context().newPage();
    await other.goto("/runs");
    await change(page, "light");
    await change(page, "dark");
    expect(await ground(page)).toBe(DARK);
    await expect.poll(() => ground(other)).toBe(DARK);
    await other.getByRole("button", { name: /^Theme: dark/ }).waitFor();
    await change(other, "system");
    await expect.poll(() => ground(page)).toBe(LIGHT);
  });

  it("is there before the page's script has run: nothing flashes", async () => {
    const page = await open("/", { colorScheme: "light" });
    await change(page, "light");
    await change(page, "dark");
    // The page without its application: what is drawn first.
    await page.route("**/assets/index-*.js", (route) => route.abort());
    await page.reload();
    expect(await page.evaluate(() => document.documentElement.dataset.theme)).toBe("dark");
    expect(await ground(page)).toBe(DARK);
    expect(await page.locator("#root").innerHTML()).toBe("");
    expect(await page.locator('meta[name="color-scheme"]').getAttribute("content")).toBe("dark");
  });
});
