/** xterm.js, which keeps what it is given in a buffer of its own. */
import { Terminal } from "@xterm/xterm";
import "@xterm/xterm/css/xterm.css";
import { linesOf } from "./lines";

/** A terminal, and a way to write so many lines into it at once that settles when it has taken them all. */
export function xterm(element: HTMLElement, count: number): () => Promise<void> {
  const terminal = new Terminal({ cols: 160, rows: 30, scrollback: count, convertEol: true });
  terminal.open(element);
  const text = linesOf(0, count).join("\n");
  return () => new Promise((resolve) => terminal.write(text, resolve));
}
