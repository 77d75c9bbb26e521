/**
 * The scrolling of a diff: which files are in view, and where the reader stays while files change, come and go.
 *
 * What is at the upper edge is remembered as a file and a line. After each change of the layout it is put there again,
 * before the browser paints.
 */
import { type UIEvent, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { type Anchor, type Section, anchorAt, neighbour, scrollTopOf, sectionAt } from "./layout";

/** Past each edge, so that a flick of the wheel meets no blank. */
const OVERSCAN_PX = 240;

export interface DiffView {
  readonly setScroller: (element: HTMLElement | null) => void;
  readonly onScroll: (event: UIEvent<HTMLElement>) => void;
  readonly top: number;
  readonly bottom: number;
  /** The files in view, and those near it. */
  readonly visible: readonly Section[];
  /** Puts a file's header at the upper edge. */
  readonly show: (section: Section) => void;
  readonly step: (direction: 1 | -1) => void;
}

export function useDiffView(sections: readonly Section[]): DiffView {
  const [scroller, setScroller] = useState<HTMLElement | null>(null);
  const [scrollTop, setScrollTop] = useState(0);
  const [viewHeight, setViewHeight] = useState(800);
  const anchor = useRef<Anchor | null>(null);

  useEffect(() => {
    if (!scroller) return undefined;
    // A tab that is hidden has no height, and keeps its place.
    const measure = (): void => {
      if (scroller.clientHeight > 0) setViewHeight(scroller.clientHeight);
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(scroller);
    return () => observer.disconnect();
  }, [scroller]);

  useLayoutEffect(() => {
    if (!scroller || !anchor.current) return;
    const wanted = scrollTopOf(sections, anchor.current);
    if (wanted !== null && Math.abs(wanted - scroller.scrollTop) > 1) {
      scroller.scrollTo({ top: wanted });
      setScrollTop(scroller.scrollTop);
    }
  }, [scroller, sections]);

  const onScroll = useCallback(
    (event: UIEvent<HTMLElement>): void => {
      if (event.target !== event.currentTarget) return;
      const top = event.currentTarget.scrollTop;
      // At the very top the first file is meant, whichever that will be.
      anchor.current = top > 0 ? anchorAt(sections, top) : null;
      setScrollTop(top);
    },
    [sections],
  );
  const show = useCallback(
    (section: Section): void => {
      scroller?.scrollTo({ top: section.top });
    },
    [scroller],
  );
  const step = (direction: 1 | -1): void => {
    const next = scroller && neighbour(sections, scroller.scrollTop, direction);
    if (next) show(next);
  };
  const top = Math.max(0, scrollTop - OVERSCAN_PX);
  const bottom = scrollTop + viewHeight + OVERSCAN_PX;
  const from = sectionAt(sections, top);
  const to = sectionAt(sections, bottom) + 1;
  const visible = useMemo(() => sections.slice(from, to), [sections, from, to]);
  return { setScroller, onScroll, top, bottom, visible, show, step };
}
