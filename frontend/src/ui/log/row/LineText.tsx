/** The text of a line: its colours, its links, and the marks of what was searched for. */
import { type ReactNode, type RefObject, useLayoutEffect, useMemo, useRef } from "react";
import { PLAIN, type Style } from "../../../log/terminal/ansi";
import { appearanceOf } from "./ansi-colour";
import { Invisible } from "../../shared/VisibleText";
import { canHighlight, highlight } from "../find/highlights";
import { useLogAppearance } from "./log-appearance-context";
import { useLogSearch } from "../find/log-search-context";
import { type Piece, piecesOf } from "../../../log/terminal/row-text";

interface LineTextProps {
  readonly text: string;
  readonly style: Style;
  /** Of the entry whose text it is. */
  readonly offset: number;
  /** Characters shown at most. */
  readonly length: number;
}

type Places = readonly (readonly [start: number, end: number])[];

const NOWHERE: Places = [];

export function LineText({ text, style, offset, length }: LineTextProps) {
  const { raw } = useLogAppearance();
  const { matcher, current } = useLogSearch();
  const element = useRef<HTMLSpanElement>(null);
  const pieces = useMemo(() => piecesOf({ text, style }, raw, length), [text, style, raw, length]);
  const places = useMemo(
    () => (matcher ? matcher(pieces.map((piece) => piece.text).join("")) : NOWHERE),
    [matcher, pieces],
  );
  const isCurrent = current === offset;
  useHighlight(element, places, isCurrent);
  return (
    <span ref={element}>
      {places.length > 0 && !canHighlight() ? marked(pieces, places, isCurrent) : drawn(pieces)}
    </span>
  );
}

function useHighlight(element: RefObject<Element | null>, places: Places, isCurrent: boolean): void {
  useLayoutEffect(() => {
    if (!element.current || places.length === 0 || !canHighlight()) return undefined;
    return highlight(element.current, places, isCurrent ? "fantail-hit-current" : "fantail-hit");
  }, [element, places, isCurrent]);
}

function drawn(pieces: readonly Piece[]): readonly ReactNode[] {
  // oxlint-disable-next-line react/no-array-index-key -- the pieces of a text have no other name
  return pieces.map((piece, at) => <Drawn key={at} piece={piece} />);
}

function Drawn({ piece: { text, style, link, isPicture, isInvisible } }: { readonly piece: Piece }) {
  if (isInvisible) return <Invisible character={text} />;
  const look = style === PLAIN ? null : appearanceOf(style);
  if (isPicture) return <span className="control">{text}</span>;
  if (link === null)
    return look === null ? (
      text
    ) : (
      <span className={look.className} style={look.style}>
        {text}
      </span>
    );
  return (
    <a
      className={["link", look?.className].filter(Boolean).join(" ")}
      style={look?.style}
      href={link.href}
      target="_blank"
      rel="noopener noreferrer"
      title={link.isHidden ? link.href : undefined}
    >
      {text}
    </a>
  );
}

/** The pieces cut at the borders of marks, for browsers without highlights. */
function marked(pieces: readonly Piece[], places: Places, isCurrent: boolean): readonly ReactNode[] {
  const nodes: ReactNode[] = [];
  let at = 0;
  let next = 0;
  for (const piece of pieces) {
    const end = at + piece.text.length;
    for (let from = at; from < end;) {
      while ((places[next]?.[1] ?? Number.POSITIVE_INFINITY) <= from) next += 1;
      const [start, stop] = places[next] ?? [end, end];
      const inside = start <= from;
      const until = Math.min(end, inside ? stop : start);
      const part = <Drawn key={from} piece={{ ...piece, text: piece.text.slice(from - at, until - at) }} />;
      nodes.push(
        inside ? (
          <mark key={from} className={isCurrent ? "hit current" : "hit"}>
            {part}
          </mark>
        ) : (
          part
        ),
      );
      from = until;
    }
    at = end;
  }
  return nodes;
}
