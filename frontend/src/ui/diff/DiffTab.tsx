/**
 * What a job changes in its worktree, live. Loaded when it is first looked at, and kept from then on: where the reader
 * is, and what is folded, outlasts every update and a look at the log.
 */
import { useCallback, useMemo, useState } from "react";
import { useDiffFiles } from "../../hooks/useDiffStream";
import type { FileDiff } from "../../stream/diff-store";
import { ConnectionMark } from "../ConnectionMark";
import { plural } from "../format";
import { useActions } from "../keys";
import { Counts, DiffFile, drawnRows } from "./DiffFile";
import { FileList } from "./FileList";
import { type DiffStyle, type Section, heightOf, isFoldedAtFirst, layOut, sectionAt } from "./layout";
import { useColours } from "./useColours";
import { useDiffView } from "./useDiffView";
import { useSeen } from "./useSeen";
import "../styles/diff.css";

interface DiffTabProps {
  readonly attemptId: string;
  /** Whether it is the tab that is shown. */
  readonly active: boolean;
  readonly downloadUrl: string;
}

export default function DiffTab({ attemptId, active, downloadUrl }: DiffTabProps) {
  const { files, ready, connection, reconnect } = useDiffFiles(attemptId);
  const [style, setStyle] = useRememberedStyle();
  const [toggled, setToggled] = useState<ReadonlyMap<string, boolean>>(new Map());
  const sections = useMemo(() => {
    const sorted = [...files.values()].toSorted((one, other) => byName(one.file, other.file));
    return layOut(sorted, (file) => toggled.get(file.file) ?? !isFoldedAtFirst(file), style);
  }, [files, toggled, style]);
  const { setScroller, onScroll, top, bottom, visible: inView, show, step } = useDiffView(sections);
  const visible = useMemo(() => inView.map(({ file }) => file), [inView]);
  const open = useMemo(() => inView.filter((one) => one.patch).map(({ file }) => file), [inView]);
  const coloursOf = useColours(open);
  const seen = useSeen(files, ready, visible, active);
  const toggle = useCallback((file: string, isOpen: boolean) => {
    setToggled((before) => new Map(before).set(file, isOpen));
  }, []);
  const shift = useShift();
  const totals = useMemo(() => sums(files.values()), [files]);
  const allOpen = sections.every((section) => section.open);
  const current = sections[sectionAt(sections, Math.max(0, top + OVERSCAN_PX))]?.file.file ?? null;
  useActions({ nextFile: () => step(1), previousFile: () => step(-1) }, active);
  return (
    <section className="diff" aria-label="Diff">
      <div className="log-bar">
        <span className="figures">
          {plural(files.size, "file")} <Counts additions={totals.additions} deletions={totals.deletions} />
          {seen.news > 0 && <span className="d-news">{seen.news} changed</span>}
        </span>
        <ConnectionMark connection={connection} onRetry={reconnect} />
        <button
          type="button"
          className="quiet"
          onClick={() => setToggled(new Map([...files.keys()].map((file) => [file, !allOpen])))}
        >
          {allOpen ? "Fold all" : "Unfold all"}
        </button>
        <button
          type="button"
          className="quiet"
          aria-pressed={style === "split"}
          onClick={() => setStyle(style === "split" ? "unified" : "split")}
        >
          Split
        </button>
        <a className="quiet" href={downloadUrl} download>
          Download
        </a>
      </div>
      <div className="d-body">
        <FileList
          sections={sections}
          current={current}
          isNews={(section) => seen.isNews(section.file)}
          onShow={show}
        />
        <div className="d-frame">
          {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- a scroller hears its scrolling */}
          <section
            className="d-scroller"
            ref={setScroller}
            aria-label="Changes"
            // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard
            tabIndex={0}
            onScroll={onScroll}
            onWheel={shift.onWheel}
            style={{ "--shift": `${shift.px}px`, "--digits": digitsOf(inView) } as React.CSSProperties}
          >
            <div className="d-space" style={{ height: heightOf(sections) }}>
              {inView.map((section) => {
                const [from, to] = drawnRows(section, top, bottom);
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
            {files.size === 0 && (
              <p className="log-empty">
                {ready ? "No file differs from the base." : "Waiting for the diff…"}
              </p>
            )}
          </section>
          <SidewaysBar longest={longestOf(inView)} style={style} shift={shift} />
        </div>
      </div>
    </section>
  );
}

/** As in useDiffView: what is drawn begins this far above the view. */
const OVERSCAN_PX = 240;

interface Shift {
  readonly px: number;
  readonly set: (px: number) => void;
  readonly setBar: (bar: HTMLDivElement | null) => void;
  readonly onWheel: (event: React.WheelEvent) => void;
}

/** How far the code is pushed to the left, on both sides and in all files alike; the numbers stay. */
function useShift(): Shift {
  const [px, set] = useState(0);
  const [bar, setBar] = useState<HTMLDivElement | null>(null);
  const onWheel = (event: React.WheelEvent): void => {
    const by = event.shiftKey && event.deltaX === 0 ? event.deltaY : event.deltaX;
    if (by !== 0) bar?.scrollBy({ left: by });
  };
  return { px, set, setBar, onWheel };
}

/** The scroll bar of the longest line in view. */
function SidewaysBar(props: { readonly longest: number; readonly style: DiffStyle; readonly shift: Shift }) {
  const { longest, style } = props;
  const { set, setBar } = props.shift;
  // Twice the bar stands for a side that has half of the room.
  const width = `calc(${style === "split" ? "50% + " : ""}${Math.min(longest, 5_100) + 16}ch)`;
  return (
    <div
      className="d-sideways"
      ref={setBar}
      aria-hidden="true"
      onScroll={(event) => set(event.currentTarget.scrollLeft)}
    >
      <div style={{ width }} />
    </div>
  );
}

function longestOf(sections: readonly Section[]): number {
  return sections.reduce((longest, { patch }) => Math.max(longest, patch?.longest ?? 0), 0);
}

/** Figures in the largest line number in view: the width of the gutters. */
function digitsOf(sections: readonly Section[]): number {
  let most = 0;
  for (const { patch } of sections) {
    if (!patch) continue;
    const last = patch.lines.length - 1;
    for (let at = last; at >= 0 && at > last - 4; at -= 1)
      most = Math.max(most, patch.before[at] ?? 0, patch.after[at] ?? 0);
  }
  return Math.max(3, String(most).length);
}

function sums(files: Iterable<FileDiff>): { readonly additions: number; readonly deletions: number } {
  let additions = 0;
  let deletions = 0;
  for (const file of files) {
    additions += file.additions;
    deletions += file.deletions;
  }
  return { additions, deletions };
}

/** A folder's own files after its folders' would need a tree; by name, what belongs together stands together. */
function byName(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

const STYLE_KEY = "fantail.diff.style";

function useRememberedStyle(): [DiffStyle, (style: DiffStyle) => void] {
  const [style, set] = useState<DiffStyle>(() => {
    try {
      return localStorage.getItem(STYLE_KEY) === "split" ? "split" : "unified";
    } catch {
      return "unified"; // storage is refused
    }
  });
  const change = (wanted: DiffStyle): void => {
    set(wanted);
    try {
      localStorage.setItem(STYLE_KEY, wanted);
    } catch {
      // It holds until the page is closed.
    }
  };
  return [style, change];
}
