/**
 * A job's page as it is first seen: its head and the last of its lines, drawn from what the server wrote into the HTML,
 * while the scripts that make it live are still being read.
 *
 * It is what React draws first, element by element (a browser test holds the two against each other), so that nothing
 * moves when React puts its own in its place. Where that cannot be promised nothing is drawn here: at an address that
 * names a line, where lines wrap, where lines are missing; and in a log that came whole and has errors or groups, which
 * are then known at once: lines fold away, and a finished log opens at its first error.
 */
import type { InitialData, InitialView, User } from "../../api/initial-data";
import { type Job, type JobOutput, isTerminal } from "../../api/job";
import { jobPath } from "../../api/jobs-api";
import { MarkReader } from "../../log/line-marks";
import { LineStore } from "../../log/line-store";
import { isWebAddress } from "../../log/terminal/links";
import { type PlacedRow, layOut } from "../../log/log-layout";
import type { LineRow } from "../../log/log-rows";
import { EVERYTHING } from "../../log/projection";
import {
  CALENDAR_MS,
  formatAgo,
  formatCount,
  formatDuration,
  formatElapsed,
  formatMoment,
  plural,
} from "../format";
import { nameOf } from "../jobs/job-name";
import { ROW_HEIGHT, bottom, digitsOf, scrollHeight, windowAt } from "../log/geometry";
import { preference } from "../preferences";
import { appearanceOfStatus } from "../shared/status-appearance";
import { THEME_SHAPES, themeLabel } from "../theme-appearance";
import { element, visible } from "./element";
import markup from "./job-screen.html?raw";
import { type RowAppearance, slotOf } from "./rows";

type JobView = Extract<InitialView, { page: "job" }>;

/** Draws it into `root`; says whether it did. */
export function drawJobScreen(root: HTMLElement, { view, user }: InitialData): boolean {
  if (view.page !== "job" || !view.job || location.hash !== "" || preference("wrap")) return false;
  if (view.job.outputExpired === true || Math.abs(view.job.startedAt ?? 0) > CALENDAR_MS) return false;
  const log = logOf(view);
  if (log.end === 0 || (view.from === 0 && hasMarks(view.output))) return false;
  root.replaceChildren(filled(textsOf(view.job, user, log.total)));
  if (drawLines(root, log, view.job)) return true;
  root.replaceChildren();
  return false;
}

function logOf({ output, from, total }: JobView): LineStore {
  const log = new LineStore({ maxLines: output.length });
  output.forEach((entry, at) => log.append({ offset: from + at, output: entry }));
  log.announce(total);
  return log;
}

function hasMarks(output: readonly JobOutput[]): boolean {
  const reader = new MarkReader();
  return (
    output.some((entry, offset) => reader.push({ ...entry, offset }).length > 0) || reader.flush().length > 0
  );
}

/** What stands for `{name}` in the markup; parts with `data-if` are there if what they name is. */
type Texts = Readonly<Record<string, string | undefined>>;

function textsOf(job: Job, user: User, lines: number): Texts {
  const theme = preference("theme");
  const { exitCode, linesAdded = 0, linesRemoved = 0 } = job;
  return {
    ...appearanceOfStatus(job.status, job.stale === true),
    ...timesOf(job, Date.now()),
    ...troublesOf(job),
    admin: when(user.admin),
    user: user.name ?? undefined,
    themeLabel: themeLabel(theme),
    themeShape: THEME_SHAPES[theme],
    systemTheme: when(theme === "system"),
    title: nameOf(job),
    status: job.status,
    branch: job.branch || undefined,
    repository: (job.repoName ?? job.repoUrl) || undefined,
    exitCode: exitCode === undefined ? undefined : `${exitCode}`,
    changes: when(linesAdded + linesRemoved > 0),
    added: formatCount(linesAdded),
    removed: formatCount(linesRemoved),
    environment: job.environment || undefined,
    id: job.id,
    mergeRequest: isWebAddress(job.mrUrl) ? job.mrUrl : undefined,
    command: job.command,
    prompt: job.prompt,
    lines: plural(lines, "line"),
    raw: `${preference("raw")}`,
    download: `${jobPath(job.id)}/output?download=1`,
  };
}

function timesOf({ startedAt, finishedAt, status }: Job, nowMs: number): Texts {
  if (startedAt === undefined) return {};
  const lastedMs = isTerminal(status) ? finishedAt !== undefined && finishedAt - startedAt : null;
  return {
    started: formatAgo(startedAt, nowMs),
    startedExactly: new Date(startedAt).toISOString(),
    startedMoment: formatMoment(startedAt),
    duration:
      lastedMs === null
        ? formatElapsed(nowMs - startedAt)
        : lastedMs === false
          ? "–"
          : formatDuration(lastedMs),
    durationClass: lastedMs === false ? "muted" : "figures",
  };
}

function troublesOf({ status, errorMessage, exitCode, stale, mrWarning }: Job): Texts {
  const failed = status === "failed";
  const ended = exitCode === undefined ? "" : `The command ended with exit code ${exitCode}.`;
  return {
    failure: failed ? "Failed" : errorMessage === undefined ? undefined : "Error",
    reason: errorMessage ?? ended,
    stale: when(stale === true),
    silent: when(stale === true && !isTerminal(status)),
    warning: mrWarning,
  };
}

function when(condition: boolean): string | undefined {
  return condition ? "" : undefined;
}

/**
 * The markup without the white space that only indents it, with the texts in their places. Contents are put in when it
 * has been parsed: a parser drops or changes a NUL, a carriage return, and a line feed that a `<pre>` begins with.
 */
function filled(texts: Texts): DocumentFragment {
  const template = document.createElement("template");
  const textOf = (_: string, name: string): string => texts[name] ?? "";
  template.innerHTML = markup
    .replaceAll(/(>)\s*\n\s*|\s*\n\s*(?=<)/g, "$1")
    .replaceAll(/\s*\n\s*/g, " ")
    .replaceAll(ATTRIBUTE, (all, name: string) => escaped(textOf(all, name)));
  for (const part of template.content.querySelectorAll<HTMLElement>("[data-if]")) {
    if (texts[part.dataset.if ?? ""] === undefined) part.remove();
    else delete part.dataset.if;
  }
  const walker = document.createTreeWalker(template.content, NodeFilter.SHOW_TEXT);
  const places: Text[] = [];
  while (walker.nextNode()) {
    const node = walker.currentNode as Text;
    if (node.data.includes("{")) places.push(node);
  }
  for (const place of places) place.replaceWith(...visible(place.data.replaceAll(/\{(\w+)\}/g, textOf)));
  return template.content;
}

/** A name within a tag. */
const ATTRIBUTE = /\{(\w+)\}(?=[^<>]*>)/g;

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

function escaped(text: string): string {
  return text.replaceAll(/[&<>"]/g, (character) => ENTITIES[character] ?? "");
}

/** Where there are enough of them, the last lines are at the lower edge; all of them must be there. */
function drawLines(root: HTMLElement, log: LineStore, job: Job): boolean {
  const scroller = root.querySelector<HTMLElement>(".log-scroller");
  const whole = root.querySelector<HTMLElement>(".space");
  const times = root.querySelector<HTMLSelectElement>('select[aria-label="Times"]');
  const look: RowAppearance = {
    raw: preference("raw"),
    timestamps: preference("timestamps"),
    startedAt: job.startedAt ?? job.createdAt,
  };
  if (!scroller || !whole || !times) return false;
  times.value = look.timestamps;
  const layout = layOut(log, { projection: EVERYTHING, width: 0, raw: look.raw });
  const space = { units: layout.units, viewHeight: scroller.clientHeight };
  const window = windowAt(space, bottom(space));
  const placed = layout.rows(window.from, window.to);
  if (!placed.every(isLine)) return false;
  const slots = placed.map((one, at) =>
    slotOf(one, look.timestamps === "delta" ? placed[at - 1]?.row.timestamp : undefined, look),
  );
  const rows = element("div", { class: "rows" }, ...slots);
  const y = Math.round(window.offset + ((placed[0]?.top ?? window.from) - window.from) * ROW_HEIGHT);
  rows.style.transform = `translateY(${y}px)`;
  rows.style.setProperty("--digits", `${digitsOf(log.total)}`);
  whole.append(rows);
  whole.style.height = `${scrollHeight(space)}px`;
  scroller.scrollTop = bottom(space);
  return true;
}

function isLine(placed: PlacedRow): placed is PlacedRow & { readonly row: LineRow } {
  return placed.row.kind === "line";
}
