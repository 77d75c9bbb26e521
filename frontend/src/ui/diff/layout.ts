/**
 * Where files and their rows are, by arithmetic: a header, then rows of one line, or of several where long lines are
 * wrapped. Only what is in view is drawn, and the place of everything else is known without drawing it.
 */
import type { FileDiff } from "../../stream/diff-store";
import { ROW_HEIGHT, SCROLL_HEIGHT_MAX } from "../log/geometry";
import {
  HUNK,
  type Patch,
  type PatchSize,
  type SplitRows,
  drawnText,
  measurePatch,
  parsePatch,
  splitRows,
} from "./patch";
import { linesOf } from "./wrap";

/** In CSS pixels; diff.css says the same. */
export const HEADER_HEIGHT = 40;
export const GAP = 12;
export const NOTE_HEIGHT = 2 * ROW_HEIGHT;

/** Rows of one file that are laid out; a longer patch says how much is left out, and where it is. */
export const ROWS_MAX = 200_000;

export type DiffStyle = "unified" | "split";

export interface Section {
  readonly file: FileDiff;
  readonly open: boolean;
  /** Null while it is folded away, or where there is none. Parsed when it is first asked for. */
  readonly patch: Patch | null;
  readonly split: SplitRows | null;
  /** Where each row begins, in lines of the screen, and where the last ends; null: each row is one line. */
  readonly tops: Uint32Array | null;
  /** Why there are no rows, or no more. */
  readonly note: Note | null;
  readonly rows: number;
  readonly top: number;
  readonly height: number;
}

/** Files that people rarely read: written by a program out of another file. */
const GENERATED =
  /(?:^|\/)(?:package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|bun\.lockb?|deno\.lock|Cargo\.lock|poetry\.lock|uv\.lock|pdm\.lock|Pipfile\.lock|Gemfile\.lock|composer\.lock|go\.sum|flake\.lock|mix\.lock|Podfile\.lock|packages\.lock\.json|gradle\.lockfile|pubspec\.lock)$|\.min\.(?:js|css)$|\.(?:js|css)\.map$/;

/** Whether a file is folded until somebody wants to see it. */
export function isFoldedAtFirst(file: FileDiff): boolean {
  return GENERATED.test(file.file);
}

/** A sentence in place of rows, or behind them, and the command that shows what is left out. */
export interface Note {
  readonly text: string;
  readonly command: string | null;
}

const OMITTED: ReadonlyMap<string, string> = new Map([
  ["size", "Past the limit of size (--diff-file-bytes, --diff-total-bytes); in the worktree:"],
  ["binary", "A binary file: there are no lines to show; in the worktree:"],
  ["encoding", "Not UTF-8 text: its lines cannot be shown here; in the worktree:"],
  ["filter", "A git filter would have to convert it, and those programs do not run here; in the worktree:"],
  ["missing", "Its content in the repository is missing or damaged; in the worktree:"],
  ["unreadable", "Git could not compare it; in the worktree:"],
]);

function noteOf(file: FileDiff, known: Parsed | null, rows: number, all: number): Note | null {
  if (file.omitted !== undefined) {
    const text = OMITTED.get(file.omitted) ?? `The patch is left out (${file.omitted}); in the worktree:`;
    return { text, command: commandFor(file) };
  }
  if (!known) return null;
  if (all > rows)
    return said(`${(all - rows).toLocaleString("en")} more rows: “Download” above has the whole patch.`);
  if (all > 0) return null;
  const { modes } = known.patch;
  return said(
    modes ? `Its mode changed from ${modes[0]} to ${modes[1]}; no line differs.` : "No line differs.",
  );
}

function said(text: string): Note {
  return { text, command: null };
}

/** What shows the rest in a shell; the base is the one that the job was given. */
function commandFor({ file, omitted }: FileDiff): string {
  // A name in git's quotes holds bytes that are no text; a shell writes those in its own way.
  const name = file.startsWith('"') ? `$'${file.slice(1, -1)}'` : `'${file.replaceAll("'", `'\\''`)}'`;
  const flag = omitted === "binary" ? "--binary " : omitted === "encoding" ? "--text " : "";
  return `git diff ${flag}--merge-base BASE -- ${name}`;
}

/** Parsed once for each content: a file that did not change keeps its object. */
class Parsed {
  readonly size: PatchSize;
  readonly #diff: string;
  #patch: Patch | null = null;
  #split: SplitRows | null = null;
  #tops: Uint32Array | null = null;
  /** What the tops were counted for. */
  #topsFor = "";

  constructor(diff: string) {
    this.#diff = diff;
    this.size = measurePatch(diff);
  }

  get patch(): Patch {
    return (this.#patch ??= parsePatch(this.#diff));
  }

  get split(): SplitRows {
    return (this.#split ??= splitRows(this.patch));
  }

  /** Where rows begin, in lines of the screen of so many columns. */
  tops(style: DiffStyle, columns: number): Uint32Array {
    const wanted = `${style} ${columns}`;
    if (!this.#tops || this.#topsFor !== wanted) {
      this.#tops = countTops(this.patch, style === "split" ? this.split : null, columns);
      this.#topsFor = wanted;
    }
    return this.#tops;
  }
}

const parsed = new WeakMap<FileDiff, Parsed>();

function patchOf(file: FileDiff): Parsed {
  let known = parsed.get(file);
  if (!known) parsed.set(file, (known = new Parsed(file.diff)));
  return known;
}

function countTops(patch: Patch, split: SplitRows | null, columns: number): Uint32Array {
  const lines = patch.lines.map((_, at) =>
    patch.kinds[at] === HUNK ? 1 : linesOf(drawnText(patch, at), columns),
  );
  const rows = split?.left.length ?? lines.length;
  const tops = new Uint32Array(rows + 1);
  for (let row = 0; row < rows; row += 1) {
    const left = lines[split ? (split.left[row] ?? -1) : row] ?? 1;
    const right = split ? (lines[split.right[row] ?? -1] ?? 1) : 1;
    tops[row + 1] = (tops[row] ?? 0) + Math.max(left, right);
  }
  return tops;
}

/** Figures in the largest line number of the files that are open: the width of the gutters. */
export function digitsOf(files: Iterable<FileDiff>, isOpen: (file: FileDiff) => boolean): number {
  let most = 0;
  for (const file of files)
    if (file.omitted === undefined && isOpen(file)) most = Math.max(most, patchOf(file).size.lastLine);
  return Math.max(3, String(most).length);
}

/**
 * Puts files below each other.
 *
 * `columns`: where a line is broken, on each side alike; null: nowhere.
 */
export function layOut(
  files: Iterable<FileDiff>,
  isOpen: (file: FileDiff) => boolean,
  style: DiffStyle,
  columns: number | null = null,
): readonly Section[] {
  const sections: Section[] = [];
  let top = 0;
  for (const file of files) {
    const section = laidOut(file, isOpen(file), style, columns, top);
    sections.push(section);
    top += section.height + GAP;
  }
  return sections;
}

function laidOut(
  file: FileDiff,
  open: boolean,
  style: DiffStyle,
  columns: number | null,
  top: number,
): Section {
  const known = open && file.omitted === undefined ? patchOf(file) : null;
  const split = style === "split" ? (known?.split ?? null) : null;
  const tops = columns === null ? null : (known?.tops(style, columns) ?? null);
  const all = split?.left.length ?? known?.size.lines ?? 0;
  // The room that a browser has below: a file past it keeps its header.
  const roomPx = Math.max(0, SCROLL_HEIGHT_MAX - top);
  const rows = Math.min(all, ROWS_MAX, rowAt({ tops, rows: all }, roomPx));
  const note = open ? noteOf(file, known, rows, all) : null;
  const height = HEADER_HEIGHT + rowTop({ tops }, rows) + (note === null ? 0 : NOTE_HEIGHT);
  return {
    file,
    open,
    get patch() {
      return known?.patch ?? null;
    },
    split,
    tops,
    note,
    rows,
    top,
    height,
  };
}

/** Where a row begins, in pixels from the file's first. */
export function rowTop({ tops }: Pick<Section, "tops">, row: number): number {
  return (tops ? (tops[Math.min(row, tops.length - 1)] ?? 0) : row) * ROW_HEIGHT;
}

/** The row that is at a height, below the file's header; below 0 there is row -1, below the last there are more. */
export function rowAt({ tops, rows }: Pick<Section, "tops" | "rows">, px: number): number {
  const line = Math.floor(px / ROW_HEIGHT);
  if (!tops || line < 0) return line;
  let low = 0;
  let high = rows;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((tops[middle] ?? 0) <= line) low = middle;
    else high = middle - 1;
  }
  return low;
}

export function heightOf(sections: readonly Section[]): number {
  const last = sections.at(-1);
  return last ? last.top + last.height + GAP : 0;
}

/** The index of the file that is at a height: the last that begins there or above. */
export function sectionAt(sections: readonly Section[], y: number): number {
  let low = 0;
  let high = sections.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((sections[middle]?.top ?? 0) <= y) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The files between two heights. */
export function sectionsBetween(
  sections: readonly Section[],
  top: number,
  bottom: number,
): readonly Section[] {
  return sections.slice(sectionAt(sections, top), sectionAt(sections, bottom) + 1);
}

/** Which of a file's rows are between two heights, with some to spare. */
export function rowsBetween(section: Section, top: number, bottom: number): readonly [number, number] {
  const first = section.top + HEADER_HEIGHT;
  const from = rowAt(section, top - first) - OVERSCAN_ROWS;
  const to = rowAt(section, bottom - first) + 1 + OVERSCAN_ROWS;
  return [Math.min(Math.max(0, from), section.rows), Math.min(Math.max(0, to), section.rows)];
}

const OVERSCAN_ROWS = 12;

/** What is at the upper edge, in words that hold while the diff changes. */
export interface Anchor {
  readonly file: string;
  /** The row; below 0: the header. */
  readonly row: number;
  /** Pixels from the row's top, or the header's. */
  readonly rest: number;
  /** The line's number after the change, where the edge is in a line that has one. */
  readonly line: number;
}

export function anchorAt(sections: readonly Section[], scrollTop: number): Anchor | null {
  const section = sections[sectionAt(sections, scrollTop)];
  if (!section) return null;
  const within = scrollTop - section.top;
  if (within < HEADER_HEIGHT) return { file: section.file.file, row: -1, rest: within, line: 0 };
  const row = rowAt(section, within - HEADER_HEIGHT);
  const rest = within - HEADER_HEIGHT - rowTop(section, row);
  return { file: section.file.file, row, rest, line: lineAt(section, row) };
}

/** The `scrollTop` at which the anchor is at the upper edge again; null: its file is gone. */
export function scrollTopOf(sections: readonly Section[], anchor: Anchor): number | null {
  const section = sections.find(({ file }) => file.file === anchor.file);
  if (!section) return null;
  if (anchor.row < 0) return section.top + anchor.rest;
  const moved = anchor.line > 0 && lineAt(section, anchor.row) !== anchor.line;
  const row = moved ? rowOfLine(section, anchor.line) : anchor.row;
  const top = rowTop(section, row);
  const rest = Math.min(anchor.rest, Math.max(0, rowTop(section, row + 1) - top - 1));
  return section.top + Math.min(HEADER_HEIGHT + top + rest, section.height);
}

function lineAt({ patch, split, rows }: Section, row: number): number {
  if (!patch || row < 0 || row >= rows) return 0;
  return patch.after[split ? (split.right[row] ?? -1) : row] ?? 0;
}

/** The row of a line, or of the first one behind it. */
function rowOfLine(section: Section, line: number): number {
  for (let row = 0; row < section.rows; row += 1) if (lineAt(section, row) >= line) return row;
  return section.rows;
}

/** Where the next or the last change of files begins, for keys: the file's index. */
export function neighbour(sections: readonly Section[], scrollTop: number, step: 1 | -1): Section | null {
  const at = sectionAt(sections, scrollTop + 1);
  const here = sections[at];
  const inside = here !== undefined && scrollTop > here.top + 1;
  return sections[step === -1 && inside ? at : at + step] ?? null;
}
