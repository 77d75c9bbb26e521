/**
 * The files that differ as a tree: folders first, then files, both by name; a folder that holds one folder alone is one
 * row with it (`src/broker`). The diff itself stands in the same order, so the tree is its table of contents.
 *
 * Without a page: what is folded comes in, rows come out. Of a tree of any size only the rows in view are drawn.
 */
import type { FileDiff } from "../../stream/diff-store";

export interface Folder {
  /** The whole path, with its `/` at the end; empty for the root. */
  readonly path: string;
  /** What is shown: the path from the folder above. */
  readonly name: string;
  readonly folders: readonly Folder[];
  readonly files: readonly FileDiff[];
  /** Sums over all files below. */
  readonly count: number;
  readonly additions: number;
  readonly deletions: number;
}

interface Place {
  /** 0 at the top. */
  readonly depth: number;
  /** The row's number among those beside it, from 1, and how many these are. */
  readonly at: number;
  readonly of: number;
  /** Unique in the tree: the path. */
  readonly key: string;
  /** The key of the folder that it is in; null at the top. */
  readonly parent: string | null;
}

export type TreeRow =
  | (Place & { readonly kind: "folder"; readonly folder: Folder; readonly open: boolean })
  | (Place & { readonly kind: "file"; readonly file: FileDiff; readonly name: string });

interface Growing {
  readonly folders: Map<string, Growing>;
  readonly files: FileDiff[];
}

const sprout = (): Growing => ({ folders: new Map(), files: [] });

export function treeOf(files: Iterable<FileDiff>): Folder {
  const root = sprout();
  for (const file of files) {
    let at = root;
    for (const name of file.file.split("/").slice(0, -1)) {
      let next = at.folders.get(name);
      if (!next) at.folders.set(name, (next = sprout()));
      at = next;
    }
    at.files.push(file);
  }
  return grown(root, "", "");
}

function grown(growing: Growing, path: string, name: string): Folder {
  const [only] = growing.folders;
  if (path !== "" && only && growing.folders.size === 1 && growing.files.length === 0)
    return grown(only[1], `${path}${only[0]}/`, `${name}/${only[0]}`);
  const folders = [...growing.folders]
    .toSorted(([one], [other]) => byCharacters(one, other))
    .map(([below, one]) => grown(one, `${path}${below}/`, below));
  const files = growing.files.toSorted((one, other) => byCharacters(one.file, other.file));
  const all = [...folders, ...files];
  return {
    path,
    name,
    folders,
    files,
    count: folders.reduce((sum, one) => sum + one.count, files.length),
    additions: all.reduce((sum, one) => sum + one.additions, 0),
    deletions: all.reduce((sum, one) => sum + one.deletions, 0),
  };
}

/** By code units and not by a language's rules: the same on every machine, and a hundred times as fast. */
function byCharacters(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

/** All files, in the order in which the tree shows them. */
export function filesInOrder(folder: Folder): readonly FileDiff[] {
  return [...folder.folders.flatMap(filesInOrder), ...folder.files];
}

/** The rows of a tree of which some folders are folded, by their paths. */
export function rowsOf(root: Folder, folded: ReadonlySet<string>): readonly TreeRow[] {
  const rows: TreeRow[] = [];
  const put = (folder: Folder, depth: number, parent: string | null): void => {
    const of = folder.folders.length + folder.files.length;
    for (const [index, below] of folder.folders.entries()) {
      const open = !folded.has(below.path);
      rows.push({ kind: "folder", folder: below, open, depth, at: index + 1, of, key: below.path, parent });
      if (open) put(below, depth + 1, below.path);
    }
    for (const [index, file] of folder.files.entries()) {
      const name = file.file.slice(file.file.lastIndexOf("/") + 1);
      const at = folder.folders.length + index + 1;
      rows.push({ kind: "file", file, name, depth, at, of, key: file.file, parent });
    }
  };
  put(root, 0, null);
  return rows;
}

/** Whether a file is meant: its name, or its old one, holds every word, in any case. */
export function isNamed(file: FileDiff, words: string): boolean {
  const names = `${file.file}\n${file.oldPath ?? ""}`.toLowerCase();
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => names.includes(word));
}

/**
 * What a key does in a tree (WAI-ARIA Authoring Practices, "Tree View"): the row to go to, or a folder to fold or
 * unfold; null: nothing.
 */
export function treeStep(
  rows: readonly TreeRow[],
  active: string | null,
  key: string,
): { readonly goTo: string } | { readonly toggle: string } | null {
  const at = rows.findIndex((row) => row.key === active);
  const row = rows[at];
  const goTo = (other: TreeRow | undefined) => (other ? { goTo: other.key } : null);
  switch (key) {
    case "ArrowDown":
      return goTo(rows[at + 1]);
    case "ArrowUp":
      return goTo(rows[Math.max(0, at - 1)]);
    case "Home":
      return goTo(rows[0]);
    case "End":
      return goTo(rows.at(-1));
    case "ArrowRight":
      if (row?.kind !== "folder") return null;
      return row.open ? goTo(rows[at + 1]) : { toggle: row.key };
    case "ArrowLeft":
      if (row?.kind === "folder" && row.open) return { toggle: row.key };
      return row?.parent ? { goTo: row.parent } : null;
    default:
      return null;
  }
}
