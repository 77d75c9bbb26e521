/**
 * Where files and their rows are, by arithmetic: a header, then rows of one height. Only what is in view is drawn, and
 * the place of everything else is known without drawing it.
 */
import type { FileDiff } from "../../stream/diff-store";
import { ROW_HEIGHT } from "../log/geometry";
import { HUNK, type Patch, type SplitRows, parsePatch, splitRows } from "./patch";

/** In CSS pixels; diff.css says the same. */
export const HEADER_HEIGHT = 40;
export const GAP = 12;

/** Rows of one file that are laid out; a longer patch says how much is left out, and where it is. */
export const ROWS_MAX = 200_000;

export type DiffStyle = "unified" | "split";

export interface Section {
  readonly file: FileDiff;
  readonly open: boolean;
  /** Null while it is folded away, or where there is none. */
  readonly patch: Patch | null;
  readonly split: SplitRows | null;
  /** A sentence in place of rows, or behind them. */
  readonly note: string | null;
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

const OMITTED: ReadonlyMap<string, string> = new Map([
  ["size", "Too large to be shown here: `git diff` in the worktree has it."],
  ["binary", "A binary file: there are no lines to show."],
  ["encoding", "Not UTF-8 text: its lines cannot be shown here."],
]);

function noteOf(file: FileDiff, patch: Patch | null): string | null {
  if (file.omitted !== undefined)
    return OMITTED.get(file.omitted) ?? `The patch is left out: ${file.omitted}.`;
  if (!patch) return null;
  if (patch.lines.length > ROWS_MAX)
    return `${(patch.lines.length - ROWS_MAX).toLocaleString("en")} more rows: “Download” above has the whole patch.`;
  if (patch.lines.length > 0) return null;
  if (patch.modes) return `Its mode changed from ${patch.modes[0]} to ${patch.modes[1]}; no line differs.`;
  return "No line differs.";
}

/** Parsed once for each content: a file that did not change keeps its object. */
const parsed = new WeakMap<FileDiff, { readonly patch: Patch; split: SplitRows | null }>();

function patchOf(file: FileDiff): { readonly patch: Patch; split: SplitRows | null } {
  let known = parsed.get(file);
  if (!known) {
    known = { patch: parsePatch(file.diff), split: null };
    parsed.set(file, known);
  }
  return known;
}

export function layOut(
  files: Iterable<FileDiff>,
  isOpen: (file: FileDiff) => boolean,
  style: DiffStyle,
): readonly Section[] {
  const sections: Section[] = [];
  let top = 0;
  for (const file of files) {
    const open = isOpen(file);
    const known = open && file.omitted === undefined ? patchOf(file) : null;
    if (known && style === "split") known.split ??= splitRows(known.patch);
    const split = style === "split" ? (known?.split ?? null) : null;
    const note = open ? noteOf(file, known?.patch ?? null) : null;
    const rows = known ? Math.min(split?.left.length ?? known.patch.lines.length, ROWS_MAX) : 0;
    const height = HEADER_HEIGHT + (rows + (note === null ? 0 : 2)) * ROW_HEIGHT;
    sections.push({ file, open, patch: known?.patch ?? null, split, note, rows, top, height });
    top += height + GAP;
  }
  return sections;
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

/** Which of a file's rows are between two heights, with some to spare. */
export function rowsBetween(section: Section, top: number, bottom: number): readonly [number, number] {
  const first = section.top + HEADER_HEIGHT;
  const from = Math.floor((top - first) / ROW_HEIGHT) - OVERSCAN_ROWS;
  const to = Math.ceil((bottom - first) / ROW_HEIGHT) + OVERSCAN_ROWS;
  return [Math.min(Math.max(0, from), section.rows), Math.min(Math.max(0, to), section.rows)];
}

const OVERSCAN_ROWS = 12;

/** What is at the upper edge, in words that hold while the diff changes. */
export interface Anchor {
  readonly file: string;
  /** Pixels from the file's top. */
  readonly within: number;
  /** The line's number after the change, where the edge is in a line that has one. */
  readonly line: number;
}

export function anchorAt(sections: readonly Section[], scrollTop: number): Anchor | null {
  const section = sections[sectionAt(sections, scrollTop)];
  if (!section) return null;
  const within = scrollTop - section.top;
  const row = Math.floor((within - HEADER_HEIGHT) / ROW_HEIGHT);
  return { file: section.file.file, within, line: lineAt(section, row) };
}

/** The `scrollTop` at which the anchor is at the upper edge again; null: its file is gone. */
export function scrollTopOf(sections: readonly Section[], anchor: Anchor): number | null {
  const section = sections.find(({ file }) => file.file === anchor.file);
  if (!section) return null;
  const row = Math.floor((anchor.within - HEADER_HEIGHT) / ROW_HEIGHT);
  const rest = anchor.within - HEADER_HEIGHT - row * ROW_HEIGHT;
  const moved =
    anchor.line > 0 && lineAt(section, row) !== anchor.line ? rowOfLine(section, anchor.line) : row;
  return section.top + Math.min(HEADER_HEIGHT + moved * ROW_HEIGHT + rest, section.height);
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

/** Whether a row is a hunk's header, which goes over both sides. */
export function isHunk(section: Section, row: number): boolean {
  const line = section.split ? section.split.left[row] : row;
  return line !== undefined && line >= 0 && section.patch?.kinds[line] === HUNK;
}
