/** What must be fetched before the first line, and before the first diff: scripts as the server sends them, packed by the build. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { atMost, row } from "./figures.mjs";

const DASHBOARD = fileURLToPath(new URL("../../src/web/dashboard/", import.meta.url));

const read = (name) => readFileSync(DASHBOARD + name);
const sent = (name) => read(existsSync(`${DASHBOARD}${name}.gz`) ? `${name}.gz` : name);
const kilobytes = (names) => names.reduce((sum, name) => sum + sent(name).length, 0) / 1000;

/** A script and what it imports at once. */
function withImports(name, found = new Set()) {
  if (found.has(name)) return found;
  found.add(name);
  const text = read(name).toString();
  for (const [, , file] of text.matchAll(/\b(import|from)\s*["']\.\/([^"']+\.js)["']/g))
    withImports(`assets/${file}`, found);
  return found;
}

const sumOf = (all, without = new Set()) => kilobytes([...all].filter((name) => !without.has(name)));

export function measureSizes() {
  const html = read("index.html").toString();
  const names = readdirSync(`${DASHBOARD}assets`).filter((name) => name.endsWith(".js"));
  const chunk = (name) => names.filter((file) => file.startsWith(`${name}-`)).map((file) => `assets/${file}`);
  const first = new Set();
  for (const [, name] of html.matchAll(/(?:src|href)="\/?([^"]+\.js)"/g)) withImports(name, first);
  const job = new Set(first);
  for (const name of chunk("JobPage")) withImports(name, job);
  const diff = new Set();
  for (const name of chunk("DiffTab")) withImports(name, diff);
  const worker = names.filter((name) => name.startsWith("syntax.worker"));
  return [
    atMost(120, "first script, gzip", sumOf(first), "kB"),
    row("all scripts of a job's page, gzip", sumOf(job), "kB"),
    atMost(100, "diff viewer, gzip, beside its worker", sumOf(diff, job), "kB"),
    row("its worker, gzip", kilobytes(worker.map((name) => `assets/${name}`)), "kB"),
  ];
}
