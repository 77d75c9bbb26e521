/**
 * What a job changes in its worktree, live. Loaded when it is first looked at, and kept from then on: where the reader
 * is, and what is folded, outlasts every update and a look at the log.
 */
import { useCallback, useDeferredValue, useEffect, useMemo, useState } from "react";
import { useDiffFiles } from "../../hooks/useDiffStream";
import type { FileDiff } from "../../stream/diff-store";
import { useActions } from "../keys";
import { usePreference } from "../usePreference";
import { DiffBar } from "./DiffBar";
import { DiffFile, drawnRows } from "./DiffFile";
import { FileTree } from "./FileTree";
import { SidewaysBar, useShift } from "./Sideways";
import { digitsOf, heightOf, isFoldedAtFirst, layOut, sectionsBetween } from "./layout";
import { filesInOrder, isNamed, treeOf } from "./tree";
import { useColours } from "./useColours";
import { useColumns } from "./useColumns";
import { useCopying } from "./useCopying";
import { useDiffView } from "./useDiffView";
import { useSeen } from "./useSeen";
import "../styles/diff-tree.css";
import "../styles/diff.css";

interface DiffTabProps {
  readonly attemptId: string;
  /** Whether it is the tab that is shown. */
  readonly active: boolean;
  /** Whether the job runs, maybe once more after its end. */
  readonly running: boolean;
  readonly downloadUrl: string;
}

export default function DiffTab({ attemptId, active, running, downloadUrl }: DiffTabProps) {
  const { files, ready, connection, reconnect, resume } = useDiffFiles(attemptId);
  useEffect(() => {
    if (running) resume();
  }, [running, resume]);
  const [style] = usePreference("diffLayout");
  const [wrap, setWrap] = usePreference("wrap");
  const [filter, setFilter] = useState("");
  const words = useDeferredValue(filter).trim();
  const [toggled, setToggled] = useState<ReadonlyMap<string, boolean>>(new Map());
  const [scroller, setScroller] = useState<HTMLElement | null>(null);

  const tree = useMemo(
    () => treeOf([...files.values()].filter((file) => isNamed(file, words))),
    [files, words],
  );
  const shown = useMemo(() => filesInOrder(tree), [tree]);
  const isOpen = useCallback(
    (file: FileDiff): boolean => toggled.get(file.file) ?? !isFoldedAtFirst(file),
    [toggled],
  );
  const digits = useMemo(() => digitsOf(shown, isOpen), [shown, isOpen]);
  const fitting = useColumns(scroller, digits, style);
  const columns = wrap ? fitting : null;
  const sections = useMemo(() => layOut(shown, isOpen, style, columns), [shown, isOpen, style, columns]);

  const { onScroll, top, bottom, current, show, step } = useDiffView(scroller, sections);
  const copying = useCopying(scroller, sections, { top, bottom });
  const { drawn } = copying;
  const inView = useMemo(() => sectionsBetween(sections, top, bottom), [sections, top, bottom]);
  const drawnSections =
    drawn.top === top && drawn.bottom === bottom
      ? inView
      : sectionsBetween(sections, drawn.top, drawn.bottom);
  const visible = useMemo(() => inView.map(({ file }) => file), [inView]);
  const coloursOf = useColours(
    useMemo(() => inView.filter((one) => one.patch).map(({ file }) => file), [inView]),
  );
  const seen = useSeen(files, ready, visible, active);
  const shift = useShift();

  const toggle = useCallback((file: string, open: boolean) => {
    setToggled((before) => new Map(before).set(file, open));
  }, []);
  const totals = useMemo(() => treeOf(files.values()), [files]);
  const keys = { nextFile: () => step(1), previousFile: () => step(-1), wrap: () => setWrap(!wrap) };
  useActions(keys, active);
  return (
    <section className="diff" aria-label="Diff">
      <DiffBar
        files={files.size}
        shown={shown.length}
        additions={totals.additions}
        deletions={totals.deletions}
        news={seen.news}
        connection={connection}
        reconnect={reconnect}
        allOpen={sections.every((section) => section.open)}
        onOpenAll={(open) => setToggled(new Map([...files.keys()].map((file) => [file, open])))}
        downloadUrl={downloadUrl}
      />
      <div className={files.size === 1 ? "d-body single" : "d-body"}>
        {files.size > 0 && (
          <FileTree
            root={tree}
            filter={filter}
            onFilter={setFilter}
            current={current?.file.file ?? null}
            isNews={seen.isNews}
            onShow={(file) => show(sections.find((section) => section.file.file === file))}
          />
        )}
        <div className="d-frame">
          {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- a scroller hears its scrolling */}
          <section
            className={wrap ? "d-scroller wrapped" : "d-scroller"}
            ref={setScroller}
            aria-label="Changes"
            // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard
            tabIndex={0}
            data-side={copying.side}
            onScroll={onScroll}
            onWheel={shift.onWheel}
            onMouseDown={copying.onMouseDown}
            onCopy={copying.onCopy}
            style={
              {
                "--shift": `${wrap ? 0 : shift.px}px`,
                "--digits": digits,
                "--columns": columns,
              } as React.CSSProperties
            }
          >
            <div className="d-space" style={{ height: heightOf(sections) }}>
              {drawnSections.map((section) => {
                const [from, to] = drawnRows(section, drawn.top, drawn.bottom);
                return (
                  <DiffFile
                    key={section.file.file}
                    section={section}
                    from={from}
                    to={to}
                    colours={section.patch ? coloursOf(section.file) : null}
                    news={seen.isNews(section.file)}
                    onToggle={toggle}
                  />
                );
              })}
            </div>
            {shown.length === 0 && <p className="log-empty">{emptyText(files.size, ready)}</p>}
          </section>
          {!wrap && <SidewaysBar sections={inView} style={style} shift={shift} />}
        </div>
      </div>
    </section>
  );
}

function emptyText(files: number, ready: boolean): string {
  if (files > 0) return "No file has such a name.";
  return ready ? "No file differs from the base." : "Waiting for the diff…";
}
