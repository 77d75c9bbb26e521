/** The page that is measured: one contender, named by the address; what is done to it is told from outside. */
import type { Contender } from "./lines";
import { ours } from "./ours";
import { tanstack } from "./tanstack";
import { virtuoso } from "./virtuoso";
import { xterm } from "./xterm";
import "./page.css";

const contenders: Record<string, () => Contender> = { ours, tanstack, virtuoso };

const place = document.getElementById("place") as HTMLElement;
const frame = (): Promise<number> => new Promise((resolve) => requestAnimationFrame(resolve));
/** A task behind the frame that is being made. */
const afterFrame = async (): Promise<number> => {
  await frame();
  await new Promise((resolve) => setTimeout(resolve));
  return performance.now();
};

/** How long a line may take to be shown, in milliseconds: one that is not followed never is. */
const PATIENCE_MS = 20_000;

async function drawn(text: string): Promise<number> {
  const endMs = performance.now() + PATIENCE_MS;
  while (!place.textContent?.includes(text)) {
    if (performance.now() > endMs) throw new Error(`not drawn: ${text}`);
    await frame();
  }
  return afterFrame();
}

async function frames(count: number, each: () => void): Promise<number[]> {
  const taken: number[] = [];
  let before = await frame();
  for (let at = 0; at < count; at += 1) {
    each();
    const now = await frame();
    taken.push(now - before);
    before = now;
  }
  return taken;
}

let shown: Contender | null = null;

const bench = {
  /** Milliseconds from the call of its rendering until the last line is drawn. */
  async mount(name: string, count: number): Promise<number> {
    shown = contenders[name]?.() ?? null;
    shown?.fill(count);
    await afterFrame();
    const beganMs = performance.now();
    shown?.mount(place);
    return (await drawn(`batch ${count - 1} in`)) - beganMs;
  },
  /** Appends in each of so many frames, from a last line on; the new last line must come to be shown. */
  async append(count: number, from: number): Promise<number[]> {
    const taken = await frames(count, () => shown?.append(200));
    await drawn(`batch ${from + 200 * count - 1} in`);
    return taken;
  },
  scroll: (count: number): Promise<number[]> =>
    frames(count, () => {
      const scroller = shown?.scroller();
      if (scroller) scroller.scrollTop -= 400;
    }),
  /** Milliseconds until so many lines, given at once, are taken and the last ones drawn. */
  async write(name: string, count: number): Promise<number> {
    const own = ours();
    if (name === "ours") own.mount(place);
    const run = name === "xterm" ? xterm(place, count) : null;
    await afterFrame();
    const beganMs = performance.now();
    if (run) await run();
    else {
      own.append(count);
      await drawn(`batch ${count - 1} in`);
    }
    return (await afterFrame()) - beganMs;
  },
};

Object.assign(globalThis, { viewport: bench });
