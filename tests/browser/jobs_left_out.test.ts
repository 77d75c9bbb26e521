/** More jobs than the server's table holds: the page has the newest, and says how many are left out. */
import { expect, it } from "vitest";
import { violations } from "./support/axe";
import { dashboard } from "./support/dashboard";

const { server, open } = dashboard(() => ({ FANTAIL_TABLE_ROWS: "3" }));

it("the newest are listed, the others counted, in view also on a phone, and a new one comes in", async () => {
  for (let number = 0; number < 5; number += 1) {
    await server.send("POST", "/api/jobs", {
      id: `job-${number}`,
      name: `job number ${number}`,
      createdAt: 1000 + number,
    });
  }
  const page = await open("/", { viewport: { width: 390, height: 844 } });
  const note = page.getByRole("note");
  await page.getByText("job number 4", { exact: true }).waitFor();
  await note.getByText("2 older jobs are left out").waitFor();
  expect(await page.getByText("job number 0", { exact: true }).count()).toBe(0);
  const box = await note.boundingBox();
  expect(box && box.x >= 0 && box.x + box.width <= 390 && box.y + box.height <= 844).toBe(true);
  expect(await violations(page)).toEqual([]);
  await server.send("POST", "/api/jobs", { id: "fresh", name: "a fresh job" });
  await page.getByText("a fresh job", { exact: true }).waitFor();
  await note.getByText("3 older jobs are left out").waitFor();
  await open("/jobs/job-0").then((old) => old.getByRole("heading", { name: "job number 0" }).waitFor());
});
