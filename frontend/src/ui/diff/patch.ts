/**
 * One file's unified patch as rows: what git wrote, in arrays that cost little for 20,000 lines.
 *
 * A hunk's header says how many lines it has, and these are counted: a removed line `-- a` looks like the begin of
 * another file's patch and is none. Whatever the text, it is rows: what cannot be understood is left out.
 */

/** What a line is. */
export const HUNK = 0;
export const SAME = 1;
export const ADDED = 2;
export const REMOVED = 3;
/** Git's remark on the line before: that it has no end. */
export const REMARK = 4;

export interface Patch {
  /** Without the mark in front; of a hunk's header the whole. */
  readonly lines: readonly string[];
  readonly kinds: Uint8Array;
  /** Line numbers before and after; 0 where there is none. */
  readonly before: Uint32Array;
  readonly after: Uint32Array;
  /** Of a removed line the added one that stands in its place, and the other way round; -1: none. */
  readonly partners: Int32Array;
  /** Characters of the longest line. */
  readonly longest: number;
  /** The file's permissions, where they changed. */
  readonly modes: readonly [string, string] | null;
}

const HUNK_HEADER = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/;

export function parsePatch(diff: string): Patch {
  const lines: string[] = [];
  const kinds: number[] = [];
  const before: number[] = [];
  const after: number[] = [];
  let oldLine = 0;
  let newLine = 0;
  let oldLeft = 0;
  let newLeft = 0;
  let longest = 0;
  let oldMode = "";
  let newMode = "";
  const put = (text: string, kind: number, from: number, to: number): void => {
    lines.push(text);
    kinds.push(kind);
    before.push(from);
    after.push(to);
    if (text.length > longest) longest = text.length;
  };
  for (const line of diff.split("\n")) {
    const mark = line.charCodeAt(0);
    if (oldLeft > 0 || newLeft > 0) {
      const text = line.slice(1);
      if (mark === PLUS) put(text, ADDED, 0, newLine);
      else if (mark === MINUS) put(text, REMOVED, oldLine, 0);
      else if (mark === BACKSLASH) {
        put(line.slice(2), REMARK, 0, 0);
        continue;
      } else put(text, SAME, oldLine, newLine);
      if (mark !== PLUS) {
        oldLine += 1;
        oldLeft -= 1;
      }
      if (mark !== MINUS) {
        newLine += 1;
        newLeft -= 1;
      }
      continue;
    }
    const hunk = mark === AT ? HUNK_HEADER.exec(line) : null;
    if (hunk) {
      oldLine = Number(hunk[1]);
      oldLeft = Number(hunk[2] ?? 1);
      newLine = Number(hunk[3]);
      newLeft = Number(hunk[4] ?? 1);
      put(line, HUNK, 0, 0);
    } else if (mark === BACKSLASH) put(line.slice(2), REMARK, 0, 0);
    else if (line.startsWith("old mode ")) oldMode = line.slice("old mode ".length);
    else if (line.startsWith("new mode ")) newMode = line.slice("new mode ".length);
  }
  const known = Uint8Array.from(kinds);
  return {
    lines,
    kinds: known,
    before: Uint32Array.from(before),
    after: Uint32Array.from(after),
    partners: partnersOf(known),
    longest,
    modes: oldMode && newMode ? [oldMode, newMode] : null,
  };
}

/** What must be known of a patch before it is looked at. */
export interface PatchSize {
  /** How many lines `parsePatch` makes of it. */
  readonly lines: number;
  readonly lastLine: number;
}

/** Counts without parsing: of forty files one is in view, and the places of all must be known for the first frame. */
export function measurePatch(diff: string): PatchSize {
  let lines = 0;
  let lastLine = 0;
  let oldNext = 1;
  let newNext = 1;
  let oldLeft = 0;
  let newLeft = 0;
  for (let start = 0; start <= diff.length;) {
    const end = diff.indexOf("\n", start);
    const stop = end < 0 ? diff.length : end;
    const mark = start < stop ? diff.charCodeAt(start) : 0;
    if (mark === BACKSLASH) lines += 1;
    else if (oldLeft > 0 || newLeft > 0) {
      lines += 1;
      if (mark !== PLUS) oldLeft -= 1;
      if (mark !== PLUS) oldNext += 1;
      if (mark !== MINUS) newLeft -= 1;
      if (mark !== MINUS) newNext += 1;
    } else if (mark === AT) {
      const hunk = HUNK_HEADER.exec(diff.slice(start, stop));
      if (hunk) {
        lines += 1;
        lastLine = Math.max(lastLine, oldNext - 1, newNext - 1);
        oldNext = Number(hunk[1]);
        oldLeft = Number(hunk[2] ?? 1);
        newNext = Number(hunk[3]);
        newLeft = Number(hunk[4] ?? 1);
      }
    }
    start = stop + 1;
  }
  return { lines, lastLine: Math.max(lastLine, oldNext - 1, newNext - 1) };
}

/** Of a line that is longer, this much is drawn, and the rest is counted. */
export const DRAWN_CHARS_MAX = 5_000;

/** What is drawn of a line that is too long; empty where all of it is. */
export function moreText(line: string): string {
  const more = line.length - DRAWN_CHARS_MAX;
  return more > 0 ? ` … ${more.toLocaleString("en")} more characters: copy the line, or “Download”` : "";
}

/** All that is drawn of a line. */
export function drawnText({ lines }: Patch, at: number): string {
  const line = lines[at] ?? "";
  return line.length > DRAWN_CHARS_MAX ? line.slice(0, DRAWN_CHARS_MAX) + moreText(line) : line;
}

const PLUS = 43;
const MINUS = 45;
const AT = 64;
const BACKSLASH = 92;

/** The lines removed and added in one place, one by one beside each other. */
function partnersOf(kinds: Uint8Array): Int32Array {
  const partners = new Int32Array(kinds.length).fill(-1);
  for (let at = 0; at < kinds.length; at += 1) {
    if (kinds[at] !== REMOVED) continue;
    const removed: number[] = [];
    for (; kinds[at] === REMOVED || kinds[at] === REMARK; at += 1)
      if (kinds[at] === REMOVED) removed.push(at);
    for (const from of removed) {
      if (kinds[at] !== ADDED) break;
      partners[from] = at;
      partners[at] = from;
      at += 1;
    }
    at -= 1;
  }
  return partners;
}

/** A row's left and right line, as indices into the patch; -1: nothing is there. A hunk's header is on both sides. */
export interface SplitRows {
  readonly left: Int32Array;
  readonly right: Int32Array;
}

export function splitRows(patch: Patch): SplitRows {
  const left: number[] = [];
  const right: number[] = [];
  const { kinds } = patch;
  for (let at = 0; at < kinds.length;) {
    if (kinds[at] !== REMOVED && kinds[at] !== ADDED) {
      left.push(at);
      right.push(at);
      at += 1;
      continue;
    }
    const sides: [number[], number[]] = [[], []];
    let side = sides[0];
    for (; kinds[at] === REMOVED || kinds[at] === ADDED || kinds[at] === REMARK; at += 1) {
      if (kinds[at] !== REMARK) side = sides[kinds[at] === REMOVED ? 0 : 1];
      side.push(at);
    }
    for (let row = 0; row < Math.max(sides[0].length, sides[1].length); row += 1) {
      left.push(sides[0][row] ?? -1);
      right.push(sides[1][row] ?? -1);
    }
  }
  return { left: Int32Array.from(left), right: Int32Array.from(right) };
}

/**
 * The part of a line that differs from its partner's: `[from, to)`; null where nearly all of it does. Where something
 * stands in another's place, whole words are meant: `const` is not `le` and a `t` that stayed.
 */
export function changedPart(line: string, partner: string): readonly [number, number] | null {
  const most = Math.min(line.length, partner.length);
  let head = 0;
  while (head < most && line.charCodeAt(head) === partner.charCodeAt(head)) head += 1;
  let tail = 0;
  while (
    tail < most - head &&
    line.charCodeAt(line.length - 1 - tail) === partner.charCodeAt(partner.length - 1 - tail)
  )
    tail += 1;
  if (head + tail < line.trim().length * LEAST_COMMON) return null;
  if (head === line.length - tail) return null;
  if (head === partner.length - tail) return [head, line.length - tail];
  return widened(line, partner, head, tail);
}

function widened(line: string, partner: string, head: number, tail: number): readonly [number, number] {
  const both = [line, partner];
  let from = head;
  if (both.some((text) => isWord(text, head))) while (isWord(line, from - 1)) from -= 1;
  let to = line.length - tail;
  if (both.some((text) => isWord(text, text.length - tail - 1))) while (isWord(line, to)) to += 1;
  return [from, to];
}

/** Whether a letter, a figure or one of `_` and `$` is at that place. */
function isWord(text: string, at: number): boolean {
  return /[\p{L}\p{N}_$]/u.test(text[at] ?? "");
}

/** Two lines with less than this part in common are two lines, and not one that was changed. */
const LEAST_COMMON = 0.35;
