/** react-virtuoso, told that rows have one height, and to follow. */
import { Virtuoso } from "react-virtuoso";
import type { Contender } from "./lines";
import { type ListProps, reactList } from "./react-list";

const ROW = 20;

export const virtuoso = (): Contender => reactList(List, "[data-virtuoso-scroller]");

const List = ({ lines, count }: ListProps) => (
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
