/** One file of a diff: its header, which stays in view while its rows do, and those of its rows that are in view. */
import { memo } from "react";
import { Foreign } from "../shared/VisibleText";
import { SplitRow, UnifiedRow } from "./DiffRow";
import { HEADER_HEIGHT, type Section, rowTop, rowsBetween } from "./layout";
import type { Colours } from "./syntax";
import { warningsOf } from "./warnings";

interface DiffFileProps {
  readonly section: Section;
  /** Which rows are drawn. */
  readonly from: number;
  readonly to: number;
  readonly colours: Colours | null;
  readonly news: boolean;
  readonly onToggle: (file: string, open: boolean) => void;
}

/** The same props for a file that did not change: an update draws only the files that did. */
export const DiffFile = memo(
  function DiffFile({ section, from, to, colours, news, onToggle }: DiffFileProps) {
    const { file, open, patch, split, tops, note, rows, top, height } = section;
    return (
      <section className="d-file" aria-label={file.file} data-file={file.file} style={{ top, height }}>
        <h2 className="d-head">
          <button
            type="button"
            aria-expanded={open}
            onClick={() => onToggle(file.file, !open)}
            title={open ? "Fold" : "Unfold"}
          >
            <span className="d-arrow" aria-hidden="true" />
            <ChangeMark change={file.change} />
            <span className="d-name">
              {file.oldPath !== undefined && file.oldPath !== file.file && (
                <span className="muted">
                  <Foreign>{file.oldPath}</Foreign> →{" "}
                </span>
              )}
              <Foreign>{file.file}</Foreign>
            </span>
          </button>
          {patch?.modes && (
            <span className="muted d-modes">
              {patch.modes[0]} → {patch.modes[1]}
            </span>
          )}
          {warningsOf(file).map(({ text, title }) => (
            <span key={text} className="d-warning" title={title}>
              {text}
            </span>
          ))}
          {news && <span className="d-news">changed</span>}
          <Counts additions={file.additions} deletions={file.deletions} />
        </h2>
        {patch && (
          <div className="d-rows" style={{ top: HEADER_HEIGHT + rowTop(section, from) }}>
            {Array.from({ length: Math.max(0, to - from) }, (_, index) => {
              const row = from + index;
              const rowHeight = tops ? rowTop(section, row + 1) - rowTop(section, row) : undefined;
              return split ? (
                <SplitRow
                  key={row}
                  patch={patch}
                  colours={colours}
                  left={split.left[row] ?? -1}
                  right={split.right[row] ?? -1}
                  height={rowHeight}
                />
              ) : (
                <UnifiedRow key={row} patch={patch} colours={colours} at={row} height={rowHeight} />
              );
            })}
          </div>
        )}
        {note !== null && (
          <p className="d-note" style={{ top: HEADER_HEIGHT + rowTop(section, rows) }}>
            {note.text} {note.command !== null && <code>{note.command}</code>}
          </p>
        )}
      </section>
    );
  },
  (before, after) =>
    before.section.file === after.section.file &&
    before.section.open === after.section.open &&
    before.section.split === after.section.split &&
    before.section.tops === after.section.tops &&
    before.section.rows === after.section.rows &&
    before.section.top === after.section.top &&
    before.from === after.from &&
    before.to === after.to &&
    before.colours === after.colours &&
    before.news === after.news &&
    before.onToggle === after.onToggle,
);

const LETTERS: ReadonlyMap<string, string> = new Map([
  ["added", "A"],
  ["modified", "M"],
  ["deleted", "D"],
  ["renamed", "R"],
  ["copied", "C"],
]);

export function ChangeMark({ change }: { readonly change: string }) {
  return (
    <span className={`d-change ${LETTERS.has(change) ? change : "modified"}`} title={change}>
      <span aria-hidden="true">{LETTERS.get(change) ?? "M"}</span>
      <span className="unseen">{change}</span>
    </span>
  );
}

export function Counts({ additions, deletions }: { readonly additions: number; readonly deletions: number }) {
  return (
    <span className="d-counts figures">
      <span className="plus">+{additions.toLocaleString("en")}</span>{" "}
      <span className="minus">−{deletions.toLocaleString("en")}</span>
    </span>
  );
}

/** Which of a file's rows are drawn for a view from `top` to `bottom`. */
export function drawnRows(section: Section, top: number, bottom: number): readonly [number, number] {
  return section.patch ? rowsBetween(section, top, bottom) : [0, 0];
}
