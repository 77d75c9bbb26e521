/** TanStack Virtual, as its documentation shows it for rows of one height. */
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef } from "react";
import type { Contender } from "./lines";
import { type ListProps, reactList } from "./react-list";

const ROW = 20;

export const tanstack = (): Contender => reactList(List, ".scroller");

function List({ lines, count }: ListProps) {
  const parent = useRef<HTMLDivElement>(null);
  const virtualizer = useVirtualizer({
    count,
    getScrollElement: () => parent.current,
    estimateSize: () => ROW,
    overscan: 12,
  });
  useEffect(() => virtualizer.scrollToIndex(count - 1, { align: "end" }), [virtualizer, count]);
  return (
    <div ref={parent} className="scroller">
      <div style={{ height: virtualizer.getTotalSize(), position: "relative" }}>
        {virtualizer.getVirtualItems().map((item) => (
          <div
            key={item.key}
            className="row"
            style={{ position: "absolute", top: 0, left: 0, transform: `translateY(${item.start}px)` }}
          >
            <span className="gutter">{item.index + 1}</span>
            <span className="text">{lines[item.index]}</span>
          </div>
        ))}
      </div>
    </div>
  );
}
