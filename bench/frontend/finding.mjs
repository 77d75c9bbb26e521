/** In a finished job of a million lines: any line by its number, and all hits of a search. */
import { median, percentile, row, until } from "./figures.mjs";
import { lineOf } from "./redis.mjs";
import { linesShown } from "./stage.mjs";

const JUMPS = 20;
const SEARCHES = 5;

/** How long since the page's address was given a line's number until that line was drawn. */
function jumped(page, number) {
  return page.evaluate(
    (number) =>
      new Promise((resolve) => {
        const beganMs = performance.now();
        const look = () => {
          const slot = document.querySelector(`.slot[data-offset="${number - 1}"]`);
          if (slot && !slot.querySelector(".unloaded"))
            requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - beganMs)));
          else requestAnimationFrame(look);
        };
        location.hash = `#L${number}`;
        look();
      }),
    number,
  );
}

/** From the last key of what is searched for to the total. */
function searched(page, text, total) {
  return page.evaluate(
    ({ text, total }) =>
      new Promise((resolve) => {
        const field = document.querySelector(".search-field");
        const beganMs = performance.now();
        const look = () => {
          const said = document.querySelector(".search-status")?.textContent ?? "";
          if (said.includes(total))
            requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - beganMs)));
          else requestAnimationFrame(look);
        };
        Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(field, text);
        field.dispatchEvent(new InputEvent("input", { bubbles: true }));
        look();
      }),
    { text, total },
  );
}

export async function measureFinding(stage, million, lines) {
  const page = await stage.page(`/jobs/${million}`);
  await until(async () => (await linesShown(page)) === lines, "the job's length");
  const jumps = [];
  for (let round = 0; round < JUMPS; round += 1) {
    const number = Math.floor(((round * 0.618) % 1) * (lines - 2000)) + 1;
    jumps.push(await jumped(page, number));
  }
  await page.locator(".log-scroller").focus();
  await page.keyboard.press("/");
  await page.locator(".search-field").waitFor();
  const searches = [];
  for (let round = 0; round < SEARCHES; round += 1) {
    const text = `panel-${round + 1}`;
    const count = Array.from({ length: lines }, (_, number) => number).filter((number) =>
      lineOf(number).includes(text),
    ).length;
    searches.push(await searched(page, text, count.toLocaleString("en")));
  }
  await page.context().close();
  return [
    row("any line of a million by its number, p50", median(jumps), "ms", { n: JUMPS }),
    row("any line of a million by its number, slowest", percentile(jumps, 100), "ms", { n: JUMPS }),
    row("search of a million lines, key to exact total, p50", median(searches), "ms", { n: SEARCHES }),
  ];
}
