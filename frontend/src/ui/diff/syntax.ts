/**
 * Colours for code, good enough to read a diff by: comments, strings, words of the language, numbers, names in capitals.
 *
 * One scanner for all languages, and a few facts for each. A grammar for every language is megabytes and knows what
 * stands before a hunk no better than this does; what it would colour more finely does not help to see what changed.
 */
import { ADDED, HUNK, type Patch, REMARK, REMOVED } from "./patch";

export const COMMENT = 1;
export const STRING = 2;
export const WORD = 3;
export const NUMBER = 4;
export const NAME = 5;

interface Language {
  /** What begins a comment to the end of its line. */
  readonly line: readonly string[];
  /** What lasts over lines: begin, end, and which colour. */
  readonly spans: readonly (readonly [string, string, number])[];
  /** What begins and ends a string within a line. */
  readonly quotes: string;
  readonly words: ReadonlySet<string>;
}

function language(line: string, spans: Language["spans"], quotes: string, words: string): Language {
  return { line: line ? line.split(" ") : [], spans, quotes, words: new Set(words.split(" ")) };
}

const C_COMMENT = ["/*", "*/", COMMENT] as const;
const C_WORDS =
  "abstract alignas alignof as async auto await bool boolean break byte case catch char class const constexpr continue def default defer delete do double dyn else enum explicit export extends extern false final finally float fn for foreach from fun func function get go goto guard if impl implements import in init inline instanceof int interface internal is lateinit let long loop macro map match mod move mut mutable namespace new nil noexcept none null nullptr object of operator out override package private protected pub public readonly ref require return sealed select self set short signed sizeof static string struct super switch template this throw throws trait true try type typedef typeof typename undefined union unless unsafe unsigned unsized until use using val var virtual void volatile when where while with yield";
const CURLY = language("//", [C_COMMENT], "\"'", C_WORDS);
const SCRIPT = language("//", [C_COMMENT, ["`", "`", STRING]], "\"'", C_WORDS);
const PYTHON = language(
  "#",
  [
    ['"""', '"""', STRING],
    ["'''", "'''", STRING],
  ],
  "\"'",
  "and as assert async await break case class continue def del elif else except finally for from global if import in is lambda match nonlocal not or pass raise return self try while with yield None True False",
);
const RUBY = language(
  "#",
  [["=begin", "=end", COMMENT]],
  "\"'",
  "alias and begin break case class def defined? do else elsif end ensure false for if in module next nil not or redo rescue retry return self super then true undef unless until when while yield require",
);
const SHELL = language(
  "#",
  [],
  "\"'",
  "case do done elif else esac export fi for function if in local readonly return select set shift source then trap until while",
);
const DATA = language("#", [], "\"'", "true false null yes no on off");
const JSON_WORDS = language("//", [C_COMMENT], '"', "true false null");
const SQL = language(
  "--",
  [C_COMMENT],
  "\"'",
  "add all alter and as asc between by case cascade check column commit constraint create cross database default delete desc distinct drop else end exists foreign from full group having if in index inner insert into is join key left like limit not null on or order outer primary references returning right rollback row select set table then transaction union unique update using values view when where with",
);
const MARKUP = language("", [["<!--", "-->", COMMENT]], "\"'", "");
const STYLES = language(
  "//",
  [C_COMMENT],
  "\"'",
  "important media supports import keyframes layer container from to",
);
const LUA = language(
  "--",
  [
    ["--[[", "]]", COMMENT],
    ["[[", "]]", STRING],
  ],
  "\"'",
  "and break do else elseif end false for function goto if in local nil not or repeat return then true until while",
);

const BY_ENDING: ReadonlyMap<string, Language> = new Map(
  (
    [
      ["js mjs cjs jsx ts mts cts tsx vue svelte", SCRIPT],
      [
        "c h cc cpp cxx hpp hh java kt kts swift cs go rs scala dart php groovy gradle zig proto m mm glsl wgsl",
        CURLY,
      ],
      ["py pyi pyx", PYTHON],
      ["rb rake ex exs cr jl nim", RUBY],
      ["sh bash zsh fish dockerfile makefile mk tf hcl nix pl r", SHELL],
      ["yml yaml toml ini cfg conf properties env editorconfig gitignore", DATA],
      ["json jsonc json5", JSON_WORDS],
      ["sql", SQL],
      ["html htm xml svg md markdown", MARKUP],
      ["css scss sass less", STYLES],
      ["lua", LUA],
    ] as const
  ).flatMap(([endings, made]) => endings.split(" ").map((ending) => [ending, made] as const)),
);

/** The language of a file, by its name; null: it is shown as it is. */
export function languageOf(file: string): Language | null {
  const name = (file.split("/").at(-1) ?? "").toLowerCase();
  return BY_ENDING.get(name.split(".").at(-1) ?? "") ?? null;
}

/** The colours of a patch: of line `i`, the triples (from, to, colour) from `starts[i]` to `starts[i + 1]`. */
export interface Colours {
  readonly starts: Uint32Array;
  readonly spans: Uint32Array;
}

/** Colours each side as the text that it is: what lasts over lines lasts to the end of its hunk. */
export function colour(patch: Patch, made: Language): Colours {
  const starts = new Uint32Array(patch.lines.length + 1);
  const spans: number[] = [];
  const open = { before: 0, after: 0 };
  for (const [at, text] of patch.lines.entries()) {
    starts[at] = spans.length;
    const kind = patch.kinds[at];
    if (kind === HUNK) open.before = open.after = 0;
    else if (kind === REMOVED) open.before = scan(made, text, open.before, spans);
    else if (kind !== REMARK) {
      open.after = scan(made, text, open.after, spans);
      if (kind !== ADDED) open.before = open.after;
    }
  }
  starts[patch.lines.length] = spans.length;
  return { starts, spans: Uint32Array.from(spans) };
}

const WORD_OR_NUMBER = /[\p{L}_$][\p{L}\p{N}_$?]*|\d[\w.]*/uy;
/** A line longer than this was written by a program, for a program. */
const COLOURED_CHARS_MAX = 5_000;

/** Colours one line; `open` is the number of the span that it begins in, 0 for none, and what is returned the same of the next. */
function scan(made: Language, text: string, open: number, spans: number[]): number {
  if (text.length > COLOURED_CHARS_MAX) return open;
  let at = 0;
  let within = open;
  while (at < text.length) {
    if (within > 0) {
      const [, end, kind] = made.spans[within - 1] ?? C_COMMENT;
      const found = text.indexOf(end, at);
      const to = found < 0 ? text.length : found + end.length;
      spans.push(at, to, kind);
      if (found < 0) return within;
      at = to;
      within = 0;
      continue;
    }
    const begun = made.spans.findIndex(([begin]) => text.startsWith(begin, at));
    if (begun >= 0) {
      const [begin, end, kind] = made.spans[begun] ?? C_COMMENT;
      const found = text.indexOf(end, at + begin.length);
      const to = found < 0 ? text.length : found + end.length;
      spans.push(at, to, kind);
      if (found < 0) return begun + 1;
      at = to;
    } else if (made.line.some((begin) => text.startsWith(begin, at))) {
      spans.push(at, text.length, COMMENT);
      return 0;
    } else at = scanOne(made, text, at, spans);
  }
  return within;
}

/** Colours the string, word, number or character at a place; returns the place behind it. */
function scanOne(made: Language, text: string, at: number, spans: number[]): number {
  const first = text.charAt(at);
  if (made.quotes.includes(first)) {
    let to = at + 1;
    while (to < text.length && text.charAt(to) !== first) to += text.charAt(to) === "\\" ? 2 : 1;
    to = Math.min(to + 1, text.length);
    spans.push(at, to, STRING);
    return to;
  }
  WORD_OR_NUMBER.lastIndex = at;
  const found = WORD_OR_NUMBER.exec(text)?.[0];
  if (found === undefined) return at + 1;
  const to = at + found.length;
  if (first >= "0" && first <= "9") spans.push(at, to, NUMBER);
  else if (made.words.has(found)) spans.push(at, to, WORD);
  else if (first !== first.toLowerCase()) spans.push(at, to, NAME);
  return to;
}
