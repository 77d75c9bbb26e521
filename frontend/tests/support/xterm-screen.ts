/** What a real terminal emulator makes of a text: xterm.js without a screen. */
import xterm from "@xterm/headless";

/** A character that can be seen, its column, and its colour (-1 for the default). */
export type Seen = readonly [column: number, text: string, fg: number, bold: boolean];

/** The lines of a terminal `rows` high that began with its cursor at the bottom; without blank ones at the end. */
export async function terminalLines(text: string, rows: number): Promise<readonly (readonly Seen[])[]> {
  const terminal = new xterm.Terminal({
    cols: 400,
    rows,
    scrollback: 5_000,
    convertEol: true,
    allowProposedApi: true,
  });
  await new Promise<void>((resolve) => {
    terminal.write("\n".repeat(rows - 1) + text, resolve);
  });
  const { active } = terminal.buffer;
  const lines: Seen[][] = [];
  for (let y = 0; y < active.length; y += 1) {
    const line: Seen[] = [];
    const cells = active.getLine(y);
    for (let x = 0; x < terminal.cols; x += 1) {
      const cell = cells?.getCell(x);
      const chars = cell?.getChars() ?? "";
      if (cell && chars.trim() !== "")
        line.push([x, chars, cell.isFgDefault() ? -1 : cell.getFgColor(), cell.isBold() !== 0]);
    }
    lines.push(line);
  }
  terminal.dispose();
  return withoutBlankEnd(lines);
}

export function withoutBlankEnd<Row extends readonly unknown[]>(lines: readonly Row[]): readonly Row[] {
  return lines.slice(0, lines.findLastIndex((line) => line.length > 0) + 1);
}
