/**
 * Selecting and copying in the diff. Rows that a selection began in stay in the page while it lasts, though they are
 * scrolled out of view: without them the browser would forget where it began.
 */
import { type ClipboardEvent, type MouseEvent, useEffect, useState } from "react";
import { type Side, selectedText, sideOf } from "./copy";
import type { Section } from "./layout";

/** How far from the view rows are kept for a selection, in pixels: 3,000 lines. Past it the selection is given up. */
const KEPT_PX_MAX = 60_000;

interface Span {
  readonly top: number;
  readonly bottom: number;
}

export interface Copying {
  /** What is drawn: the view, and what a selection holds. */
  readonly drawn: Span;
  /** The side that is selected in. */
  readonly side: Side;
  readonly onMouseDown: (event: MouseEvent) => void;
  readonly onCopy: (event: ClipboardEvent) => void;
}

export function useCopying(scroller: HTMLElement | null, sections: readonly Section[], view: Span): Copying {
  const [side, setSide] = useState<Side>("right");
  const [selecting, setSelecting] = useState(false);
  const [kept, setKept] = useState<Span | null>(null);
  useEffect(() => {
    if (!scroller) return undefined;
    const listen = (): void => {
      const selection = document.getSelection();
      setSelecting(
        selection !== null &&
          !selection.isCollapsed &&
          scroller.contains(selection.getRangeAt(0).startContainer),
      );
    };
    document.addEventListener("selectionchange", listen);
    return () => document.removeEventListener("selectionchange", listen);
  }, [scroller]);
  const wanted = selecting ? spanOf(kept ?? view, view) : null;
  if (wanted?.top !== kept?.top || wanted?.bottom !== kept?.bottom) setKept(wanted);
  return {
    drawn: wanted ?? view,
    side,
    onMouseDown: ({ target }) => {
      if (target instanceof Element && target.closest(".d-side")) setSide(sideOf(target));
    },
    onCopy: (event) => {
      const text = scroller && selectedText(scroller, document.getSelection(), sections);
      if (text === null || text === "") return;
      event.preventDefault();
      event.clipboardData.setData("text/plain", text);
    },
  };
}

function spanOf(kept: Span, view: Span): Span {
  const top = Math.min(kept.top, view.top);
  const bottom = Math.max(kept.bottom, view.bottom);
  return bottom - top > KEPT_PX_MAX ? view : { top, bottom };
}
