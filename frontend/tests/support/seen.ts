/** What can be seen of a row of ours, in the terms of a terminal emulator. */
import { BOLD, columnsOf, spansOf } from "../../src/log/terminal/ansi";
import { widthOf } from "../../src/log/terminal/char-width";
import type { FoldedRow } from "../../src/log/terminal/terminal-lines";
import type { Seen } from "./xterm-screen";

export function seenIn({ text, style }: FoldedRow): readonly Seen[] {
  const seen: [number, string, number, boolean][] = [];
  let before = "";
  for (const span of spansOf(text, style)) {
    for (const character of span.text) {
      const last = seen.at(-1);
      if (widthOf(character) === 0 && last) last[1] += character;
      else if (character.trim() !== "")
        seen.push([columnsOf(before), character, span.style.fg, (span.style.flags & BOLD) !== 0]);
      before += character;
    }
  }
  return seen;
}
