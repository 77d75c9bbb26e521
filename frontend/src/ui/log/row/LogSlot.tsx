/**
 * The place of a row in the page: as high as the layout says, named so that a selection can be read off it. What is in it
 * is a line or a mark of the log (`LogRow`), or says what is not there.
 */
import { memo, use } from "react";
import type { PlacedRow } from "../../../log/log-layout";
import { type ViewRow, offsetOf } from "../../../log/log-rows";
import { formatCount, plural } from "../../format";
import { ROW_HEIGHT } from "../geometry";
import { LogRow } from "./LogRow";
import { LogKnowledgeContext } from "../log-controls";

interface LogSlotProps {
  readonly placed: PlacedRow;
  /** The timestamp of the line before, where the time between the two is shown. */
  readonly before: number | undefined;
  /** For a row that is out of sight: where it is, in pixels from the first one in sight. */
  readonly heldAt: number | null;
  readonly linked: boolean;
  /** Whether it is the error that the reader stepped to. */
  readonly steppedTo: boolean;
  readonly selected: boolean;
  readonly onRetry: (offset: number) => void;
}

export const LogSlot = memo(function LogSlot(props: LogSlotProps) {
  const { placed, before, heldAt, linked, steppedTo, selected, onRetry } = props;
  const { row, units } = placed;
  const classes = [
    "slot",
    linked && "linked",
    steppedTo && "stepped-to",
    selected && "selected",
    heldAt !== null && "held",
  ];
  return (
    <div
      className={classes.filter(Boolean).join(" ")}
      data-offset={offsetOf(row)}
      data-part={row.kind === "line" ? row.part : 0}
      style={{ height: units * ROW_HEIGHT, ...(heldAt === null ? {} : { top: heldAt }) }}
    >
      <Content row={row} before={before} onRetry={onRetry} />
    </div>
  );
}, sameSlot);

/** Rows are made anew at each look; most are as they were. */
function sameSlot(one: LogSlotProps, other: LogSlotProps): boolean {
  return (
    sameRow(one.placed.row, other.placed.row) &&
    one.placed.units === other.placed.units &&
    one.before === other.before &&
    one.heldAt === other.heldAt &&
    one.linked === other.linked &&
    one.steppedTo === other.steppedTo &&
    one.selected === other.selected
  );
}

function sameRow(one: ViewRow, other: ViewRow): boolean {
  if (one.id !== other.id || one.kind !== other.kind) return false;
  if (one.kind === "line" && other.kind === "line")
    return one.text === other.text && one.style === other.style;
  return !("to" in one && "to" in other) || one.to === other.to;
}

interface ContentProps extends Pick<LogSlotProps, "before" | "onRetry"> {
  readonly row: ViewRow;
}

function Content({ row, before, onRetry }: ContentProps) {
  switch (row.kind) {
    case "unloaded":
      return <Unloaded offset={row.offset} />;
    case "failed":
      return (
        <Mark sign="!">
          {`${plural(row.to - row.from + 1, "line")} could not be loaded: ${row.reason} `}
          <button type="button" className="rest" onClick={() => onRetry(row.from)}>
            Load
          </button>
        </Mark>
      );
    case "fold":
      return <Fold from={row.from} to={row.to + 1} />;
    default:
      return <LogRow row={row} before={before} />;
  }
}

function Unloaded({ offset }: { readonly offset: number }) {
  return (
    <div className="row unloaded">
      <span className="gutter">{offset + 1}</span>
      <span className="text" />
    </div>
  );
}

function Fold({ from, to }: { readonly from: number; readonly to: number }) {
  const { onUnfold } = use(LogKnowledgeContext);
  const words = `${plural(to - from, "line")} hidden`;
  return (
    <div className="row fold">
      <span className="gutter" aria-hidden="true">
        ⋯
      </span>
      <span className="text">
        {onUnfold ? (
          <button type="button" className="rest" onClick={() => onUnfold({ from, to })}>
            {words}
          </button>
        ) : (
          words
        )}
      </span>
    </div>
  );
}

function Mark({ sign, children }: { readonly sign: string; readonly children: React.ReactNode }) {
  return (
    <div className="row mark">
      <span className="gutter" aria-hidden="true">
        {sign}
      </span>
      <span className="text">{children}</span>
    </div>
  );
}

/** What a pill or a summary says of what came: "1,204 new, 2 errors". */
export function newsOf({ lines, errors }: { readonly lines: number; readonly errors: number }): string {
  return errors > 0 ? `${formatCount(lines)} new, ${plural(errors, "error")}` : `${formatCount(lines)} new`;
}
