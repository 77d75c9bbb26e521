/**
 * Code copied out of a diff: the lines as they are in the file, without numbers, marks and headers, and of one side
 * alone where there are two.
 *
 * The browser says where a selection begins and ends; what lies between comes from the patches, since of a long
 * selection most rows are not in the page, and of a long line not all of it.
 */
import type { Section } from "./layout";
import { DRAWN_CHARS_MAX, HUNK, REMARK } from "./patch";

export type Side = "left" | "right";

/** A place in a line of a file's patch. */
export interface Point {
  readonly file: string;
  readonly at: number;
  /** Characters from the line's start. */
  readonly offset: number;
}

/** The text from one place to another, the first of them not below the other. */
export function textBetween(sections: readonly Section[], from: Point, to: Point, side: Side): string {
  const first = sections.findIndex(({ file }) => file.file === from.file);
  const last = sections.findIndex(({ file }) => file.file === to.file);
  if (first < 0 || last < first) return "";
  const lines: string[] = [];
  for (const [index, section] of sections.slice(first, last + 1).entries()) {
    const { patch } = section;
    if (!patch) continue;
    const shown = linesOnSide(section, side);
    const start = index === 0 ? Math.max(0, shown.indexOf(from.at)) : 0;
    const stop = first + index === last ? shown.indexOf(to.at) + 1 : shown.length;
    for (const at of shown.slice(start, stop)) {
      const line = patch.lines[at] ?? "";
      const isLast = first + index === last && at === to.at;
      const isFirst = index === 0 && at === from.at;
      lines.push(line.slice(isFirst ? from.offset : 0, isLast ? to.offset : undefined));
    }
  }
  return lines.join("\n");
}

/** The lines of code that a side shows, as indices into the patch; where there is one side, it shows all. */
function linesOnSide({ patch, split, rows }: Section, side: Side): readonly number[] {
  if (!patch) return [];
  const all = split ? Array.from(split[side].subarray(0, rows)) : Array.from({ length: rows }, (_, at) => at);
  return all.filter((at) => at >= 0 && patch.kinds[at] !== HUNK && patch.kinds[at] !== REMARK);
}

/** What a selection within the diff means as text; null: no line of code is in it, and the browser knows best. */
export function selectedText(
  scroller: HTMLElement,
  selection: Selection | null,
  sections: readonly Section[],
): string | null {
  if (!selection || selection.isCollapsed || selection.rangeCount === 0) return null;
  const range = selection.getRangeAt(0);
  const touched = [...scroller.querySelectorAll<HTMLElement>(".d-code")].filter((code) =>
    range.intersectsNode(code),
  );
  const side = touched[0] ? sideOf(touched[0]) : "right";
  const codes = touched.filter((code) => sideOf(code) === side);
  const from = codes[0] && pointIn(codes[0], range.startContainer, range.startOffset, 0);
  const end = codes.at(-1);
  const to = end && pointIn(end, range.endContainer, range.endOffset, Number.POSITIVE_INFINITY);
  return from && to ? textBetween(sections, from, to, side) : null;
}

export function sideOf(element: Element): Side {
  const side = element.closest(".d-side");
  return side?.previousElementSibling ? "right" : "left";
}

function pointIn(code: HTMLElement, node: Node, offset: number, otherwise: number): Point | null {
  const file = code.closest<HTMLElement>(".d-file")?.dataset.file;
  if (file === undefined) return null;
  const at = Number(code.dataset.at);
  const text = code.firstElementChild;
  if (!text?.contains(node)) return { file, at, offset: otherwise };
  const before = document.createRange();
  before.setStart(text, 0);
  before.setEnd(node, offset);
  const { length } = before.toString();
  // Past what is drawn of a long line, all of it is meant.
  return { file, at, offset: length > DRAWN_CHARS_MAX ? Number.POSITIVE_INFINITY : length };
}
