/**
 * The scrolling of a diff: which files are in view, and where the reader stays while files change, come and go.
 *
 * What is at the upper edge is remembered as a file and a line. After each change of the layout it is put there again,
 * before the browser paints.
 */
import { type UIEvent, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
import { onResize } from "../../stream/platform";
import { type Anchor, type Section, anchorAt, neighbour, scrollTopOf, sectionAt } from "./layout";

/** Past each edge, so that a flick of the wheel meets no blank. */
const OVERSCAN_PX = 240;

export interface DiffView {
  readonly onScroll: (event: UIEvent<HTMLElement>) => void;
  /** What is in view and near it, in pixels of the whole. */
  readonly top: number;
  readonly bottom: number;
  /** The file at the upper edge. */
  readonly current: Section | null;
  /** Puts a file's header at the upper edge. */
  readonly show: (section: Section | undefined) => void;
  readonly step: (direction: 1 | -1) => void;
}

export function useDiffView(scroller: HTMLElement | null, sections: readonly Section[]): DiffView {
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
    return onResize(scroller, measure);
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
    (section: Section | undefined): void => {
      if (section) scroller?.scrollTo({ top: section.top });
    },
    [scroller],
  );
  const step = useCallback(
    (direction: 1 | -1): void => {
      if (scroller) show(neighbour(sections, scroller.scrollTop, direction) ?? undefined);
    },
    [scroller, sections, show],
  );
  const top = Math.max(0, scrollTop - OVERSCAN_PX);
  const bottom = scrollTop + viewHeight + OVERSCAN_PX;
  const current = sections[sectionAt(sections, scrollTop)] ?? null;
  return { onScroll, top, bottom, current, show, step };
}
