/** TanStack Virtual, as its documentation shows it for rows of one height. */
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef, useState } from "react";
import { createRoot } from "react-dom/client";
import { type Contender, linesOf } from "./lines";

const ROW = 20;

export function tanstack(): Contender {
  let lines: string[] = [];
  let changed: (count: number) => void = () => {};

  function List() {
    const parent = useRef<HTMLDivElement>(null);
    const [count, setCount] = useState(lines.length);
    changed = setCount;
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

  return {
    fill(count) {
      lines = linesOf(0, count);
    },
    mount(element) {
      createRoot(element).render(<List />);
    },
    append(count) {
      lines.push(...linesOf(lines.length, count));
      changed(lines.length);
    },
    scroller: () => document.querySelector(".scroller"),
  };
}
