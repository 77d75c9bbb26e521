/**
 * A selection of the browser's, as places in the log: elements of rows come and go, a row's name stays.
 *
 * A row's element carries `data-offset` and `data-part`. Characters are counted in its `.text`, without what is there for
 * screen readers only, and without buttons.
 */
import type { TextPoint } from "../../log/log-text";

export interface SelectionPoints {
  readonly anchor: TextPoint;
  readonly focus: TextPoint;
}

/** What is selected within an element, or `null` where nothing is, or not there. */
export function selectionWithin(element: Element): SelectionPoints | null {
  const selection = document.getSelection();
  if (!selection || selection.isCollapsed || !selection.anchorNode || !selection.focusNode) return null;
  if (!element.contains(selection.anchorNode) && !element.contains(selection.focusNode)) return null;
  const anchor = pointOf(element, selection.anchorNode, selection.anchorOffset);
  const focus = pointOf(element, selection.focusNode, selection.focusOffset);
  return anchor && focus ? { anchor, focus } : null;
}

function pointOf(scroller: Element, node: Node, offset: number): TextPoint | null {
  const row = (node instanceof Element ? node : node.parentElement)?.closest<HTMLElement>("[data-offset]");
  if (!row) return edgeOf(scroller, node, offset);
  return { ...nameOf(row), char: charactersBefore(row.querySelector(".text"), node, offset) };
}

/** For a place between or outside of the rows: the nearest one's. */
function edgeOf(scroller: Element, node: Node, offset: number): TextPoint | null {
  const rows = [...scroller.querySelectorAll<HTMLElement>("[data-offset]:not(.held)")];
  const place = document.createRange();
  place.setStart(node, offset);
  const next = rows.find((row) => place.comparePoint(row, 0) > 0);
  if (next) return { ...nameOf(next), char: 0 };
  const last = rows.at(-1);
  return last ? { ...nameOf(last), char: Number.MAX_SAFE_INTEGER } : null;
}

function nameOf(row: HTMLElement): { offset: number; part: number } {
  return { offset: Number(row.dataset.offset), part: Number(row.dataset.part ?? 0) };
}

function charactersBefore(text: Element | null, node: Node, offset: number): number {
  if (!text) return 0;
  const end = document.createRange();
  end.setStart(node, offset);
  const walker = document.createTreeWalker(text, NodeFilter.SHOW_TEXT);
  let characters = 0;
  for (let at = walker.nextNode(); at; at = walker.nextNode()) {
    if (at.parentElement?.closest(".unseen, button")) continue;
    if (at === node) return characters + offset;
    if (end.comparePoint(at, 0) >= 0) return characters;
    characters += at.textContent?.length ?? 0;
  }
  return characters;
}
