/** react-virtuoso, told that rows have one height, and to follow. */
import { useState } from "react";
import { createRoot } from "react-dom/client";
import { Virtuoso } from "react-virtuoso";
import { type Contender, linesOf } from "./lines";

const ROW = 20;

export function virtuoso(): Contender {
  let lines: string[] = [];
  let changed: (count: number) => void = () => {};

  function List() {
    const [count, setCount] = useState(lines.length);
    changed = setCount;
    return (
      <Virtuoso
        style={{ height: "100%" }}
        totalCount={count}
        fixedItemHeight={ROW}
        initialTopMostItemIndex={count - 1}
        followOutput={() => true}
        overscan={12 * ROW}
        itemContent={(index) => (
          <div className="row">
            <span className="gutter">{index + 1}</span>
            <span className="text">{lines[index]}</span>
          </div>
        )}
      />
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
    scroller: () => document.querySelector("[data-virtuoso-scroller]"),
  };
}
