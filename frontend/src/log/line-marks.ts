/**
 * What lines of output say of the log they are in: that something went wrong, that a group begins or ends.
 *
 * The twin of src/web/logscan/line_marks.py, which says why it is so, for lines that are here before the server was asked about
 * them; tests/conformance/line-marks.json holds both. Pure; time linear in the first 4,000 characters of a line.
 */
import type { OutputStream } from "../api/job";
import {
  BETWEEN,
  CERTAIN,
  COMMAND,
  COMMAND_END,
  GROUP,
  HEADER,
  HUNK,
  LEAD,
  LIKELY,
  NO_HEADER,
  TIME,
  TRACE,
  UNLESS,
} from "./line-patterns";

/** What one entry says. Its offset and time are those of the entry. */
export type LineMark =
  | { readonly kind: "error"; readonly offset: number; readonly timestamp: number }
  | {
      readonly kind: "open";
      readonly offset: number;
      readonly timestamp: number;
      readonly title: string;
      /** Whether it comes of a header (`--- T`), which the next header closes. */
      readonly header?: true;
    }
  | {
      readonly kind: "close";
      readonly offset: number;
      readonly timestamp: number;
      /** Whether a header closes it: that line is not in the group, while the line of a command is. */
      readonly header?: true;
    };

/** An entry of output, and its place. */
export interface MarkedEntry {
  readonly offset: number;
  readonly timestamp: number;
  readonly line: string;
  readonly stream: OutputStream;
}

const LINE_CHARS_MAX = 4000;
const TITLE_CHARS_MAX = 200;
const DEPTH_MAX = 32;
const PER_ENTRY_MAX = 64;

const ESCAPES =
  // oxlint-disable-next-line no-control-regex
  /\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)|[ -/]+[0-~]|[0-OQ-WYZ\\`-~])?/g;

/** To the first column, as npm and others say for a carriage return (ECMA-48, CHA). */
// oxlint-disable-next-line no-control-regex
const FIRST_COLUMN = /\x1b\[[01]?G/g;

function compiled(...patterns: readonly string[]): RegExp {
  const source = patterns.map((pattern) => `(?:${pattern})`).join("|");
  return new RegExp(
    source.replaceAll("<LEAD>", LEAD).replaceAll("<BETWEEN>", BETWEEN).replaceAll("<TIME>", TIME),
  );
}

const certain = compiled(...CERTAIN);
const likely = compiled(...LIKELY);
const unless = compiled(...UNLESS);
const group = compiled(GROUP);
const command = compiled(COMMAND);
const commandEnd = compiled(COMMAND_END);
const header = compiled(HEADER);
const noHeader = compiled(NO_HEADER);
const trace = compiled(TRACE);
const hunkStart = compiled(HUNK);

/** Whether a line (one row of an entry, escapes and all) says that something went wrong. */
export function isErrorLine(text: string, stream: OutputStream): boolean {
  return stream === "error" || isErrorText(finalText(text));
}

/** Whether a line is nothing but the command that closes a group. */
export function isGroupEnd(text: string): boolean {
  return text.length < LINE_CHARS_MAX && text.includes("endgroup") && commandEnd.test(finalText(text));
}

function isErrorText(text: string): boolean {
  return certain.test(text) || (likely.test(text) && !unless.test(text));
}

/** What is left of a line to be looked at: no escapes, and of a progress bar, its last state. */
function finalText(line: string): string {
  let seen = line.length > 4 * LINE_CHARS_MAX ? line.slice(0, 4 * LINE_CHARS_MAX) : line;
  if (seen.includes("\x1b")) seen = seen.replace(FIRST_COLUMN, "\r").replace(ESCAPES, "");
  if (seen.includes("\r")) {
    let end = seen.length;
    while (seen[end - 1] === "\r") end -= 1;
    seen = seen.slice(seen.lastIndexOf("\r", end - 1) + 1, end);
  }
  return seen.slice(0, LINE_CHARS_MAX);
}

interface Waiting {
  readonly offset: number;
  readonly timestamp: number;
  readonly title: string;
  readonly text: string;
}

/**
 * Reads a log entry by entry and says what its lines mark. A header is told of when the line behind it is there; marks
 * come in the order of their offsets all the same.
 */
export class MarkReader {
  #waiting: Waiting | null = null;
  #before = "";
  #hunkOld = 0;
  #hunkNew = 0;
  /** Whether each open group is a header's. */
  readonly #groups: boolean[];
  #deeper = 0;

  /** @param open the groups that are open where the reading begins, outermost first: whether each is a header's. */
  constructor(open: readonly boolean[] = []) {
    this.#groups = open.slice(0, DEPTH_MAX);
  }

  /** What the next entry marks, after what the one before it does, if that waited for this one. */
  push(entry: MarkedEntry): readonly LineMark[] {
    const marks: LineMark[] = [];
    const { offset, timestamp, line, stream } = entry;
    const rows = line.includes("\n") ? line.split("\n").map(finalText) : [finalText(line)];
    const error = stream === "error" || rows.some(isErrorText);
    let before = 0;
    for (const [at, text] of rows.entries()) {
      this.#resolve(marks, text);
      if (at === 0) {
        before = marks.length;
        if (error) marks.push({ kind: "error", offset, timestamp });
      }
      this.#row(marks, entry, text);
      this.#before = text;
    }
    return marks.slice(0, before + PER_ENTRY_MAX);
  }

  /** What the last line marks where no more will come. */
  flush(): readonly LineMark[] {
    const marks: LineMark[] = [];
    if (this.#waiting) this.#header(marks, this.#waiting);
    this.#waiting = null;
    return marks;
  }

  #resolve(marks: LineMark[], next: string): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting && !deniedByNext(waiting.text, next)) this.#header(marks, waiting);
  }

  #row(marks: LineMark[], { offset, timestamp, stream }: MarkedEntry, text: string): void {
    if (this.#inHunk(text) || stream === "error" || !group.test(text)) return;
    const hunk = hunkStart.exec(text);
    const opened = hunk ? null : command.exec(text);
    if (hunk) {
      this.#hunkOld = countOf(hunk[1]);
      this.#hunkNew = countOf(hunk[2]);
    } else if (opened) this.#open(marks, { offset, timestamp, title: titleOf(opened), text }, false);
    else if (commandEnd.test(text)) this.#closeCommand(marks, offset, timestamp);
    else {
      const title = headerTitle(this.#before, text);
      if (title !== null) this.#waiting = { offset, timestamp, title, text };
    }
  }

  #header(marks: LineMark[], waiting: Waiting): void {
    const { offset, timestamp } = waiting;
    while (this.#groups.includes(true)) {
      marks.push({ kind: "close", offset, timestamp, header: true });
      if (this.#groups.pop()) break;
    }
    this.#deeper = 0;
    this.#open(marks, waiting, true);
  }

  #open(marks: LineMark[], { offset, timestamp, title }: Waiting, isHeader: boolean): void {
    if (this.#groups.length === DEPTH_MAX) {
      this.#deeper += 1;
      return;
    }
    this.#groups.push(isHeader);
    const mark = { kind: "open", offset, timestamp, title: title.slice(0, TITLE_CHARS_MAX) } as const;
    marks.push(isHeader ? { ...mark, header: true } : mark);
  }

  #closeCommand(marks: LineMark[], offset: number, timestamp: number): void {
    if (this.#deeper > 0) {
      this.#deeper -= 1;
      return;
    }
    while (this.#groups.includes(false)) {
      marks.push({ kind: "close", offset, timestamp });
      if (!this.#groups.pop()) break;
    }
  }

  /** Whether the line is one of a diff's hunk, which says how many of the old file's and of the new one's it has. */
  #inHunk(text: string): boolean {
    if (this.#hunkOld <= 0 && this.#hunkNew <= 0) return false;
    const sign = text.slice(0, 1);
    if (sign !== "" && !" -+\\".includes(sign)) {
      this.#hunkOld = 0;
      this.#hunkNew = 0;
      return false;
    }
    if (sign === "" || sign === " " || sign === "-") this.#hunkOld -= 1;
    if (sign === "" || sign === " " || sign === "+") this.#hunkNew -= 1;
    return true;
  }
}

/** A hunk's number of lines, which is left out where it is one. */
function countOf(given: string | undefined): number {
  return given === undefined ? 1 : Number(given.slice(0, 9));
}

/** The title without the spaces around it; by steps, as ` +$` tries at each of a thousand spaces in the middle. */
function titleOf(match: RegExpExecArray): string {
  const title = match[1] ?? "";
  let start = 0;
  let end = title.length;
  while (title[start] === " ") start += 1;
  while (end > start && title[end - 1] === " ") end -= 1;
  return title.slice(start, end);
}

/** The title of a header, if the line is one as far as the line before tells. */
function headerTitle(before: string, text: string): string | null {
  const match = header.exec(text);
  if (!match || noHeader.test(text)) return null;
  if (text.startsWith("+++") && (before.startsWith("--- ") || trace.test(before))) return null;
  return titleOf(match);
}

/** Whether the line behind says that what looks like a header is none. */
function deniedByNext(text: string, after: string): boolean {
  if (text.startsWith("---")) return after.startsWith("+++ ");
  return text.startsWith("+++") && trace.test(after);
}
