/** The rows of a log as elements, made without React: as `LogSlot`, `LogRow` and `LineText` draw them at first. */
import { PLAIN } from "../../log/terminal/ansi";
import type { PlacedRow } from "../../log/log-layout";
import type { LineRow } from "../../log/log-rows";
import { LENGTH_SHOWN, type Piece, piecesOf, plainOf } from "../../log/terminal/row-text";
import { formatCount } from "../format";
import { appearanceOf } from "../log/row/ansi-colour";
import { ROW_HEIGHT } from "../log/geometry";
import { STREAM_NAMES, rowClasses } from "../log/row/row-appearance";
import { type TimestampMode, formatStamp, isPause, isoMoment } from "../log/row/timestamps";
import { boxOf, element } from "./element";

export interface RowAppearance {
  readonly raw: boolean;
  readonly timestamps: TimestampMode;
  /** When the job started, in milliseconds since the epoch. */
  readonly startedAt: number | undefined;
}

/** A line in its place; `before` is the time of the line before it. */
export function slotOf(
  { row, units }: PlacedRow & { readonly row: LineRow },
  before: number | undefined,
  look: RowAppearance,
): HTMLElement {
  const line = element(
    "div",
    { class: rowClasses(row, { raw: look.raw, isError: false }) },
    gutterOf(row),
    stampOf(row, before, look),
    textOf(row, look.raw),
  );
  const slot = element("div", { class: "slot", "data-offset": row.offset, "data-part": row.part }, line);
  slot.style.height = `${units * ROW_HEIGHT}px`;
  return slot;
}

function gutterOf({ offset, stream, continued }: LineRow): HTMLElement {
  const title = STREAM_NAMES[stream];
  if (continued) return element("span", { class: "gutter", title });
  const number = offset + 1;
  const label = title === undefined ? undefined : `${number}, ${title}`;
  const attributes = { href: `#L${number}`, tabindex: -1, draggable: "false", "aria-label": label };
  return element("span", { class: "gutter", title }, element("a", attributes, `${number}`));
}

function stampOf(
  { timestamp, continued }: LineRow,
  before: number | undefined,
  { timestamps, startedAt }: RowAppearance,
): HTMLElement | null {
  if (timestamps === "off") return null;
  const pause = !continued && isPause(timestamps, timestamp, before) ? " pause" : "";
  return element(
    "span",
    { class: `stamp ${timestamps}${pause}`, title: isoMoment(timestamp) },
    continued ? "" : formatStamp(timestamps, timestamp, { startedAt, before }),
  );
}

function textOf(row: LineRow, raw: boolean): HTMLElement {
  const left = row.text.length > LENGTH_SHOWN ? plainOf(row, raw).length - LENGTH_SHOWN : 0;
  return element(
    "span",
    { class: "text" },
    element("span", {}, ...piecesOf(row, raw).map(drawn)),
    left > 0
      ? element("button", { type: "button", class: "rest" }, `+${formatCount(left)} characters`)
      : null,
  );
}

function drawn({ text, style, link, isPicture, isInvisible }: Piece): Node | string {
  if (isInvisible) return boxOf(text);
  if (isPicture) return element("span", { class: "control" }, text);
  const look = style === PLAIN ? null : appearanceOf(style);
  if (link === null && look === null) return text;
  const node =
    link === null
      ? element("span", { class: look?.className }, text)
      : element(
          "a",
          {
            class: ["link", look?.className].filter(Boolean).join(" "),
            href: link.href,
            target: "_blank",
            rel: "noopener noreferrer",
            title: link.isHidden ? link.href : undefined,
          },
          text,
        );
  Object.assign(node.style, look?.style);
  return node;
}
