/** What a reader of a file's changes is to know, and cannot see in them. */
import type { FileDiff } from "../../stream/diff-store";
import { hasBidi, invisibleCount } from "../../log/terminal/invisible";

export interface Warning {
  readonly text: string;
  /** More, where it is pointed at. */
  readonly title: string;
}

const known = new WeakMap<FileDiff, readonly Warning[]>();

export function warningsOf(file: FileDiff): readonly Warning[] {
  let found = known.get(file);
  if (!found) {
    found = [masked(file), hidden(file), spaces(file.diff)].filter((warning) => warning !== null);
    known.set(file, found);
  }
  return found;
}

function masked(file: FileDiff): Warning | null {
  if (file.masked !== true) return null;
  return {
    text: "Secrets masked",
    title: "What looks like a secret is shown as ***. Do not apply this patch: it would write the masks.",
  };
}

function hidden({ file, oldPath = "", diff }: FileDiff): Warning | null {
  const all = `${file}\n${oldPath}\n${diff}`;
  if (hasBidi(all))
    return {
      text: "Hidden bidirectional text",
      title:
        "This file has characters that change the direction of text: it may be read otherwise than it is run. Each is shown as a box with its code.",
    };
  if (!all.split("\n").some((line) => invisibleCount(line) > 0)) return null;
  return {
    text: "Invisible characters",
    title: "This file has characters that cannot be seen. Each is shown as a box with its code.",
  };
}

/** Only where all that changed is line endings, or white space: other changes can be seen. */
function spaces(diff: string): Warning | null {
  const { removed, added } = changedLines(diff);
  if (removed.length === 0 || added.length === 0) return null;
  const endings = endingsChanged(removed, added);
  const sameText = (cut: (line: string) => string): boolean =>
    removed.map(cut).join("\n") === added.map(cut).join("\n");
  if (endings !== null)
    return {
      text: endings,
      title: sameText(withoutReturn) ? "Nothing else changed." : "There are other changes too.",
    };
  if (withoutSpace(removed) !== withoutSpace(added)) return null;
  return { text: "Only white space changed", title: "Without white space, the text is as before." };
}

function endingsChanged(removed: readonly string[], added: readonly string[]): string | null {
  const before = new Set(removed);
  const after = new Set(added);
  const toCrlf = added.some((line) => line.endsWith("\r") && before.has(withoutReturn(line)));
  const toLf = removed.some((line) => line.endsWith("\r") && after.has(withoutReturn(line)));
  if (toCrlf && toLf) return "Line endings changed";
  if (toCrlf) return "Line endings changed from LF to CRLF";
  return toLf ? "Line endings changed from CRLF to LF" : null;
}

const withoutSpace = (lines: readonly string[]): string => lines.join("").replaceAll(/\s/g, "");

const withoutReturn = (line: string): string => (line.endsWith("\r") ? line.slice(0, -1) : line);

/** The lines between the first hunk's header and the end, by their marks. */
function changedLines(diff: string): { readonly removed: string[]; readonly added: string[] } {
  const removed: string[] = [];
  const added: string[] = [];
  for (const line of diff.slice(Math.max(0, diff.search(/^@@ /m))).split("\n")) {
    if (line.startsWith("-")) removed.push(line.slice(1));
    else if (line.startsWith("+")) added.push(line.slice(1));
  }
  return { removed, added };
}
