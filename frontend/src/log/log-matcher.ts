/**
 * Where a line matches, for marking it: what the server's search finds, found again in the few lines on the screen.
 *
 * A text is looked for as it is. A pattern is RE2's on the server, whose time is linear; here it would run on an engine
 * that goes back over what it tried, and could stand still for minutes. So a pattern is run here only where that cannot
 * happen: with at most one repetition of a single character, none of a group, and nothing that the two engines read
 * differently. Another one marks nothing within lines; what is found, counted and stepped to is the same.
 *
 * Decided against: the matches that the server gives with its hits. They would come after the lines that were scrolled
 * to, and only the first of each line.
 */
import type { SearchQuestion } from "./log-api";

/** Where a text matches: `[start, end)` in UTF-16 code units, in order, not overlapping. */
type Matches = readonly (readonly [start: number, end: number])[];

/** Matches marked in one line: more would be one colour. */
const MARKED_MAX = 200;

/** The part of a line that is looked through: what is shown of a long one. In UTF-16 code units. */
const LOOKED_MAX = 4_000;

/** A function that finds the matches of a text, or null where they are not to be had here. */
export function matcherOf(question: SearchQuestion | null): ((plain: string) => Matches) | null {
  const pattern = question && patternOf(question);
  if (!pattern) return null;
  return (plain) => {
    const found: [number, number][] = [];
    for (const match of plain.slice(0, LOOKED_MAX).matchAll(pattern)) {
      if (match[0] === "") continue;
      found.push([match.index, match.index + match[0].length]);
      if (found.length >= MARKED_MAX) break;
    }
    return found;
  };
}

function patternOf({ text, regex, case: capitals }: SearchQuestion): RegExp | null {
  if (text === "" || (regex && !isHarmless(text))) return null;
  try {
    return new RegExp(regex ? text : escaped(text), capitals ? "gu" : "giu");
  } catch {
    return null;
  }
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}

/** Each may double the ways to go back. */
const OPTIONS_MAX = 8;

/** Classes and escapes stand for one character, whatever is in them. */
const ATOMS = /\\.|\[\^?\]?(?:\\.|[^\]\\])*\]/g;

/** Whether the pattern costs no more than the square of what it is run on. */
function isHarmless(text: string): boolean {
  if (/\(\?(?!:)|\\[1-9pPkACzQ]|\[\[:/.test(text)) return false;
  const bare = text.replace(ATOMS, "x");
  if (/\)[*+{]/.test(bare)) return false;
  const repetitions = bare.match(/[*+]|\{\d*,\}|\{\d+,\d+\}/g) ?? [];
  const options = bare.match(/\?/g) ?? [];
  return repetitions.length <= 1 && options.length <= OPTIONS_MAX;
}
