/** What contenders made with React have alike: an array of lines, and a list that is told when there are more. */
import { type ComponentType, useState } from "react";
import { createRoot } from "react-dom/client";
import { type Contender, linesOf } from "./lines";

export interface ListProps {
  readonly lines: readonly string[];
  /** How many there are: the array is the same one when it has grown. */
  readonly count: number;
}

/** `selector` names the element that scrolls. */
export function reactList(List: ComponentType<ListProps>, selector: string): Contender {
  let lines: string[] = [];
  let changed: (count: number) => void = () => {};

  function Root() {
    const [count, setCount] = useState(lines.length);
    changed = setCount;
    return <List lines={lines} count={count} />;
  }

  return {
    fill(count) {
      lines = linesOf(0, count);
    },
    mount(element) {
      createRoot(element).render(<Root />);
    },
    append(count) {
      lines.push(...linesOf(lines.length, count));
      changed(lines.length);
    },
    scroller: () => document.querySelector(selector),
  };
}
