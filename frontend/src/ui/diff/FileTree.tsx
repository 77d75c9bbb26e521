/**
 * The files that differ, as a tree with their statistics, and a field that narrows it. Only the rows in view are drawn;
 * the keyboard walks it as the WAI-ARIA practices say, by `aria-activedescendant`, for a row out of view is not there.
 */
import { type KeyboardEvent, useEffect, useId, useMemo, useState } from "react";
import type { FileDiff } from "../../stream/diff-store";
import { onResize } from "../../stream/platform";
import { withCodes } from "../../log/terminal/invisible";
import { Foreign } from "../shared/VisibleText";
import { plural } from "../format";
import { ChangeMark, Counts } from "./DiffFile";
import { type Folder, type TreeRow, filesInOrder, rowsOf, treeStep } from "./tree";

const ROW_PX = 28;
const OVERSCAN = 10;

interface FileTreeProps {
  readonly root: Folder;
  readonly filter: string;
  readonly onFilter: (words: string) => void;
  /** The file at the upper edge of the diff. */
  readonly current: string | null;
  readonly isNews: (file: FileDiff) => boolean;
  readonly onShow: (file: string) => void;
}

export function FileTree({ root, filter, onFilter, current, isNews, onShow }: FileTreeProps) {
  const [folded, setFolded] = useState<ReadonlySet<string>>(NONE);
  // What was looked for is shown, folded away or not.
  const rows = useMemo(() => rowsOf(root, filter ? NONE : folded), [root, folded, filter]);
  const [chosen, setChosen] = useState<string | null>(null);
  const active = rows.some(({ key }) => key === chosen) ? chosen : current;
  const { setTree, from, to, reveal, onScroll } = useTreeView(rows, current);
  const id = useId();
  const toggle = (key: string): void => setFolded(toggled(folded, key));
  const choose = (row: TreeRow): void => {
    setChosen(row.key);
    if (row.kind === "folder") toggle(row.key);
    else onShow(row.key);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const row = rows.find(({ key }) => key === active);
    const step = treeStep(rows, active, event.key);
    if ((event.key === "Enter" || event.key === " ") && row) choose(row);
    else if (step === null) return;
    else if ("toggle" in step) toggle(step.toggle);
    else {
      setChosen(step.goTo);
      reveal(step.goTo);
    }
    event.preventDefault();
  };
  return (
    <nav className="d-list" aria-label="Files">
      <input
        type="search"
        className="d-filter"
        placeholder="Filter files"
        aria-label="Filter files by name"
        value={filter}
        onChange={(event) => onFilter(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape" && filter) {
            event.stopPropagation();
            onFilter("");
          }
        }}
      />
      <div
        className="d-tree"
        role="tree"
        aria-label="Files"
        tabIndex={0}
        aria-activedescendant={idOf(id, rows, active, from, to)}
        ref={setTree}
        onScroll={onScroll}
        onKeyDown={onKeyDown}
      >
        <div role="none" style={{ height: rows.length * ROW_PX }}>
          {rows.slice(from, to).map((row, index) => (
            <Row
              key={row.key}
              id={`${id}${from + index}`}
              row={row}
              top={(from + index) * ROW_PX}
              active={row.key === active}
              current={row.key === current}
              news={
                row.kind === "file" ? isNews(row.file) : !row.open && filesInOrder(row.folder).some(isNews)
              }
              onChoose={choose}
            />
          ))}
        </div>
      </div>
    </nav>
  );
}

const NONE: ReadonlySet<string> = new Set();

function toggled(folded: ReadonlySet<string>, key: string): ReadonlySet<string> {
  const next = new Set(folded);
  if (!next.delete(key)) next.add(key);
  return next;
}

/** The id of the active row, while it is in the page. */
function idOf(
  id: string,
  rows: readonly TreeRow[],
  active: string | null,
  from: number,
  to: number,
): string | undefined {
  const at = rows.findIndex(({ key }) => key === active);
  return at >= from && at < to ? `${id}${at}` : undefined;
}

interface RowProps {
  readonly id: string;
  readonly row: TreeRow;
  readonly top: number;
  readonly active: boolean;
  readonly current: boolean;
  readonly news: boolean;
  readonly onChoose: (row: TreeRow) => void;
}

function Row({ id, row, top, active, current, news, onChoose }: RowProps) {
  const { depth, at, of } = row;
  return (
    // oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/interactive-supports-focus -- the tree hears keys and has the focus
    <div
      role="treeitem"
      id={id}
      className={`d-item ${row.kind}${active ? " active" : ""}`}
      aria-level={depth + 1}
      aria-posinset={at}
      aria-setsize={of}
      aria-expanded={row.kind === "folder" ? row.open : undefined}
      aria-selected={row.kind === "file" ? current : undefined}
      title={titleOf(row)}
      style={{ top, "--depth": depth } as React.CSSProperties}
      onClick={() => onChoose(row)}
    >
      {row.kind === "folder" ? (
        <span className="d-arrow" aria-hidden="true" />
      ) : (
        <ChangeMark change={row.file.change} />
      )}
      <span className="d-path">
        <Foreign>{row.kind === "folder" ? row.folder.name : row.name}</Foreign>
      </span>
      {news && (
        <span className="d-dot">
          <span className="unseen">changed</span>
        </span>
      )}
      {row.kind === "file" ? <Counts {...row.file} /> : !row.open && <Counts {...row.folder} />}
    </div>
  );
}

function titleOf(row: TreeRow): string {
  if (row.kind === "folder") return `${withCodes(row.folder.path)} (${plural(row.folder.count, "file")})`;
  const { file, oldPath } = row.file;
  return withCodes(oldPath === undefined ? file : `${oldPath} → ${file}`);
}

/** Which rows are in view; the file that is being read is kept among them. */
function useTreeView(rows: readonly TreeRow[], current: string | null) {
  const [tree, setTree] = useState<HTMLElement | null>(null);
  const [scrollTop, setScrollTop] = useState(0);
  const [height, setHeight] = useState(600);
  useEffect(() => {
    if (!tree) return undefined;
    return onResize(tree, () => setHeight(tree.clientHeight));
  }, [tree]);
  const reveal = (key: string | null): void => {
    const at = rows.findIndex((row) => row.key === key);
    if (!tree || at < 0) return;
    const top = at * ROW_PX;
    if (top < tree.scrollTop) tree.scrollTo({ top });
    else if (top + ROW_PX > tree.scrollTop + tree.clientHeight)
      tree.scrollTo({ top: top + ROW_PX - tree.clientHeight });
  };
  useEffect(() => {
    // Whoever has the pointer or the focus in the tree is looking for something else in it.
    if (tree && !tree.matches(":hover, :focus-within")) reveal(current);
    // oxlint-disable-next-line react-hooks/exhaustive-deps -- when the reader comes to another file, and only then
  }, [tree, current]);
  return {
    setTree,
    from: Math.max(0, Math.floor(scrollTop / ROW_PX) - OVERSCAN),
    to: Math.ceil((scrollTop + height) / ROW_PX) + OVERSCAN,
    reveal,
    onScroll: (event: React.UIEvent<HTMLElement>): void => setScrollTop(event.currentTarget.scrollTop),
  };
}
