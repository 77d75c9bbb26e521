/** The browser's own EventSource against the server: what other dashboards use, with none of our code in between. */
import { expect, it } from "vitest";
import { dashboard } from "./support/dashboard";

const { server, open } = dashboard();

it("a native EventSource has every line once and in order over restarts of the server, and stops at the end", async () => {
  const fifo = await server.fifo("native");
  const job = await server.shell("native", fifo.untilEnd);
  const page = await open(`/jobs/${job.id}`);
  await page.evaluate((id) => {
    const heard = {
      lines: [] as string[],
      opens: 0,
      done: 0,
      source: new EventSource(`/api/jobs/${id}/stream`),
    };
    heard.source.addEventListener("open", () => (heard.opens += 1));
    heard.source.addEventListener("output", (event) =>
      heard.lines.push((JSON.parse(event.data) as { line: string }).line),
    );
    heard.source.addEventListener("done", () => (heard.done += 1));
    Object.assign(globalThis, { heard });
  }, job.id);
  const heard = () =>
    page.evaluate(() => {
      const { lines, opens, done, source } = (
        globalThis as unknown as {
          heard: { lines: string[]; opens: number; done: number; source: EventSource };
        }
      ).heard;
      return { lines, opens, done, state: source.readyState };
    });

  let next = 1;
  async function write(count: number): Promise<void> {
    const until = next + count;
    let text = "";
    for (; next < until; next += 1) text += `${next}\n`;
    await fifo.write(text);
  }
  const count = async (): Promise<number> => (await heard()).lines.length;

  await write(500);
  await expect.poll(count).toBe(500);
  for (const signal of ["SIGKILL", "SIGTERM", "SIGKILL"] as const) {
    await write(200);
    await server.end(signal);
    await write(200);
    await server.launch();
    await write(200);
    const expected = next - 1;
    await expect.poll(count).toBe(expected);
  }
  await fifo.end();
  await expect.poll(async () => (await heard()).done).toBe(1);
  // EventSource asks again after the end, is answered 204, and stops for good.
  await expect.poll(async () => (await heard()).state).toBe(2);
  const { lines, opens } = await heard();
  expect(lines).toEqual(Array.from({ length: next - 1 }, (_, at) => String(at + 1)));
  expect(opens).toBeGreaterThanOrEqual(4);
});
