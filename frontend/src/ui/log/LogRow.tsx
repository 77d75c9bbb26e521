/** One row of the log: a line with its number, or a mark that says what is missing. */
import { memo, useState } from "react";
import { PLAIN, spansOf } from "../../stream/ansi";
import type { LineRow, LogRow as Row } from "../../stream/line-chunk";
import { formatCount } from "../format";
import { lookOf } from "./ansi-colour";

/** Characters of a line shown at once: many screens wide. One line of a megabyte would freeze the page's layout. */
const LENGTH_SHOWN = 4_000;

export const LogRow = memo(
  function LogRow({ row }: { readonly row: Row }) {
    return row.kind === "line" ? <Line row={row} /> : <Mark row={row} />;
  },
  (before, after) => sameRow(before.row, after.row),
);

/** Rows are made anew at each look; most are as they were. */
function sameRow(one: Row, other: Row): boolean {
  if (one.id !== other.id || one.kind !== other.kind) return false;
  return (
    one.kind !== "line" || other.kind !== "line" || (one.text === other.text && one.style === other.style)
  );
}

function Line({ row }: { readonly row: LineRow }) {
  const [whole, setWhole] = useState(false);
  const cut = !whole && row.text.length > LENGTH_SHOWN;
  const text = cut ? row.text.slice(0, LENGTH_SHOWN) : row.text;
  return (
    <div className={`row ${row.stream}`}>
      <span className="gutter" title={row.stream === "stdout" ? undefined : row.stream}>
        {!row.continued && row.offset + 1}
      </span>
      <span className="text">
        {row.stream !== "stdout" && <span className="unseen">{row.stream}: </span>}
        {spansOf(text, row.style).map((span, at) => {
          if (span.style === PLAIN) return span.text;
          const { className, style } = lookOf(span.style);
          return (
            // oxlint-disable-next-line react/no-array-index-key -- the spans of a text have no other name
            <span key={at} className={className} style={style}>
              {span.text}
            </span>
          );
        })}
        {cut && (
          <button type="button" className="rest" onClick={() => setWhole(true)}>
            +{formatCount(row.text.length - LENGTH_SHOWN)} characters
          </button>
        )}
      </span>
    </div>
  );
}

function Mark({ row }: { readonly row: Exclude<Row, LineRow> }) {
  const words =
    row.kind === "gap"
      ? `${formatCount(row.to - row.from + 1)} lines are gone for good (${row.from + 1} to ${row.to + 1})`
      : "The output was written anew; what follows is the new one";
  return (
    <div className="row mark">
      <span className="gutter" aria-hidden="true">
        ⋯
      </span>
      <span className="text">{words}</span>
    </div>
  );
}
