/**
 * Marks on a page without an element for each: the CSS Custom Highlight API (W3C CSS Custom Highlight Module 1).
 *
 * There is one highlight per kind for the whole page, styled in log.css; a row adds its ranges while it is drawn and takes
 * them back when it is not. Where the API is absent, rows cut themselves into `<mark>` elements instead.
 */

import { attempt } from "../../../stream/platform";

export type HighlightKind = "fantail-hit" | "fantail-hit-current";

/** Marks in one row at most: more cannot be told apart. */
export const ROW_MARKS_MAX = 500;

export const canHighlight = (): boolean =>
  attempt(() => CSS.highlights !== undefined && typeof Highlight === "function", false);

/** Marks `[start, end)` of the text within an element; returns what takes the marks away again. */
export function highlight(
  element: Element,
  places: readonly (readonly [start: number, end: number])[],
  kind: HighlightKind,
): () => void {
  const marks = highlightOf(kind);
  const ranges = rangesIn(element, places.slice(0, ROW_MARKS_MAX));
  for (const range of ranges) marks.add(range);
  return () => {
    for (const range of ranges) marks.delete(range);
  };
}

function highlightOf(kind: HighlightKind): Highlight {
  const known = CSS.highlights.get(kind);
  if (known) return known;
  const marks = new Highlight();
  marks.priority = kind === "fantail-hit-current" ? 1 : 0;
  CSS.highlights.set(kind, marks);
  return marks;
}

/** Places in the text of an element as ranges of its text nodes; in one pass, since places are in order. */
function rangesIn(
  element: Element,
  places: readonly (readonly [start: number, end: number])[],
): readonly StaticRange[] {
  const nodes = textNodesIn(element);
  const ranges: StaticRange[] = [];
  let first = 0;
  for (const [start, end] of places) {
    while ((nodes[first]?.end ?? Number.POSITIVE_INFINITY) <= start) first += 1;
    const from = nodes[first];
    if (!from || end <= start) continue;
    const to = nodes.find((node) => node.end >= end) ?? nodes.at(-1) ?? from;
    ranges.push(
      new StaticRange({
        startContainer: from.node,
        startOffset: start - from.start,
        endContainer: to.node,
        endOffset: Math.min(end, to.end) - to.start,
      }),
    );
  }
  return ranges;
}

interface PlacedNode {
  readonly node: Text;
  readonly start: number;
  readonly end: number;
}

function textNodesIn(element: Element): readonly PlacedNode[] {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const nodes: PlacedNode[] = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const start = nodes.at(-1)?.end ?? 0;
    nodes.push({ node: node as Text, start, end: start + (node as Text).length });
  }
  return nodes;
}
