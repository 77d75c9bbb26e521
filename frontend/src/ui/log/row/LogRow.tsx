/**
 * One row of the log: a line with its number, or a mark that says what is missing.
 *
 * A row is drawn again only when what it shows has changed: rows are made anew at each look, and most are as they were.
 */
import { memo, useState } from "react";
import type { LineRow, LogRow as Row } from "../../../log/log-rows";
import { formatCount } from "../../format";
import { GroupHead, useGroupHeaded, useIsError } from "./GroupHead";
import { LineText } from "./LineText";
import { useLogAppearance } from "./log-appearance-context";
import { STREAM_NAMES, rowClasses } from "./row-appearance";
import { LENGTH_SHOWN, plainOf } from "../../../log/terminal/row-text";
import { formatStamp, isPause, isoMoment } from "./timestamps";

interface LogRowProps {
  readonly row: Row;
  /** The timestamp of the line before, for the time between the two. */
  readonly before?: number | undefined;
}

export const LogRow = memo(
  function LogRow({ row, before }: LogRowProps) {
    switch (row.kind) {
      case "line":
        return <Line row={row} before={before} />;
      case "gap":
        return (
          <Mark
            words={`${formatCount(row.to - row.from + 1)} lines are gone for good (${row.from + 1} to ${row.to + 1})`}
          />
        );
      case "reset":
        return <Mark words="The output was written anew; what follows is the new one" />;
      default:
        return row satisfies never;
    }
  },
  (one, other) => one.before === other.before && sameRow(one.row, other.row),
);

/** What of a row is copied; `null` where it is no line. Numbers and times are never part of it. */
export function copyTextOf(row: Row, raw = false): string | null {
  return row.kind === "line" ? plainOf(row, raw) : null;
}

function sameRow(one: Row, other: Row): boolean {
  if (one === other) return true;
  const names = Object.keys(one) as (keyof Row)[];
  return (
    names.length === Object.keys(other).length && names.every((name) => Object.is(one[name], other[name]))
  );
}

function Line({ row, before }: { readonly row: LineRow; readonly before: number | undefined }) {
  const { raw } = useLogAppearance();
  const [whole, setWhole] = useState(false);
  const isLong = !whole && row.text.length > LENGTH_SHOWN;
  const left = isLong ? plainOf(row, raw).length - LENGTH_SHOWN : 0;
  const group = useGroupHeaded(row);
  return (
    <div className={rowClasses(row, { raw, isError: useIsError(row) })}>
      <LineNumber row={row} />
      <Stamp row={row} before={before} />
      <span className="text">
        {group && !raw ? (
          <GroupHead group={group} row={row} />
        ) : (
          <LineText
            text={row.text}
            style={row.style}
            offset={row.by}
            length={whole ? row.text.length : LENGTH_SHOWN}
          />
        )}
        {left > 0 && (
          <button type="button" className="rest" onClick={() => setWhole(true)}>
            +{formatCount(left)} characters
          </button>
        )}
      </span>
    </div>
  );
}

/** The line's number leads to the line. Tab passes over it: there would be a stop for each row of the screen. */
function LineNumber({ row }: { readonly row: LineRow }) {
  const title = STREAM_NAMES[row.stream];
  if (row.continued) return <span className="gutter" title={title} />;
  const number = row.offset + 1;
  return (
    <span className="gutter" title={title}>
      <a
        href={`#L${number}`}
        tabIndex={-1}
        draggable={false}
        aria-label={title === undefined ? undefined : `${number}, ${title}`}
      >
        {number}
      </a>
    </span>
  );
}

function Stamp({ row, before }: { readonly row: LineRow; readonly before: number | undefined }) {
  const { timestamps, startedAt } = useLogAppearance();
  if (timestamps === "off") return null;
  const { timestamp, continued } = row;
  const pause = !continued && isPause(timestamps, timestamp, before) ? " pause" : "";
  return (
    <span className={`stamp ${timestamps}${pause}`} title={isoMoment(timestamp)}>
      {continued ? "" : formatStamp(timestamps, timestamp, { startedAt, before })}
    </span>
  );
}

function Mark({ words }: { readonly words: string }) {
  return (
    <div className="row mark">
      <span className="gutter" aria-hidden="true">
        ⋯
      </span>
      <span className="text">{words}</span>
    </div>
  );
}
