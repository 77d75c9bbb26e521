/**
 * One row of a terminal, by the cell, for the few lines that are drawn over themselves: progress bars and their kind.
 *
 * Most lines of a log never come here. Those that do are written into cells, and given back as a text with nothing in it
 * but colours and links. What a cell has when it is erased is no colour, where terminals keep the one that is set: a log
 * has no right edge up to which it could be filled.
 */
import { TAB_COLUMNS, widthOf } from "./char-width";
import { readText, styleAfter, withPictures } from "./escapes";
import { PLAIN, type Style, sequenceTo } from "./text-style";

/**
 * Characters of a text that are drawn by the cell; of a longer one, only what follows the first carriage return within
 * the last so many. A thousand redrawings of a bar fit, and a row costs some milliseconds at most.
 */
export const DRAWN_CHARS_MAX = 65_536;

/** The column that a movement reaches at most: the widest terminals. A program that goes to column 9,999 means the edge. */
export const MOVED_COLUMNS_MAX = 256;

/** The column up to which tabs go from stop to stop: so that a line of tabs is not eight times as long in cells. */
const TABBED_COLUMNS_MAX = 4_096;

interface Cell {
  /** A character with its marks; empty in the second half of a wide one. */
  readonly text: string;
  readonly style: Style;
}

const BLANK: Cell = { text: " ", style: PLAIN };

/** Whether a line, written from the left into an empty row at the end, is something else than its text. */
export function isDrawnOver(line: string): boolean {
  return DRAWN_OVER.test(line);
}

const DRAWN_OVER = /[\r\b]|\x1b\[[0-9;]*[ACDEFG`]|\x1b\[0*[12]K/;

/** The line without the carriage returns at its end (a line of Windows), which change nothing. */
export function withoutReturns(line: string): string {
  let end = line.length;
  while (end > 0 && line[end - 1] === "\r") end -= 1;
  return end === line.length ? line : line.slice(0, end);
}

export class CellRow {
  readonly #cells: (Cell | undefined)[] = [];
  column = 0;

  /** A row with a text in it, as `toText` gave it or as it came; the cursor is behind it. */
  static of(text: string, style: Style): CellRow {
    const row = new CellRow();
    readText(text, style, {
      onText: (part, style) => row.write(part, style),
      onControl: (final, parameters) => row.control(final, parameters),
    });
    return row;
  }

  /** Writes from the cursor on, over what is there. */
  write(text: string, style: Style): void {
    for (const part of text.split(MOVING)) {
      if (part === "\r") this.column = 0;
      else if (part === "\b") this.column = Math.max(0, this.column - 1);
      else if (part === "\t") this.column += tabFrom(this.column);
      else for (const character of withPictures(part)) this.#put(character, style);
    }
  }

  /** Obeys a control sequence that stays within the row; any other is without effect. */
  control(final: string, parameters: string): void {
    const count = countOf(parameters);
    if (final === "C") this.#moveTo(this.column + count);
    else if (final === "D") this.column = Math.max(0, this.column - count);
    else if (final === "G" || final === "`") this.#moveTo(count - 1);
    else if (final === "K") this.#erase(parameters);
  }

  eraseFrom(column: number): void {
    this.#blankHalf(column);
    if (this.#cells.length > column) this.#cells.length = column;
  }

  /** What is in it, with colours and links as control sequences, begun in no style; without what is blank at its end. */
  toText(): string {
    let text = "";
    let style = PLAIN;
    const end = this.#cells.findLastIndex((cell) => cell !== undefined && cell !== BLANK) + 1;
    for (const cell of Array.from(this.#cells.slice(0, end), (cell) => cell ?? BLANK)) {
      if (cell.style !== style) text += sequenceTo(cell.style, style);
      style = cell.style;
      text += cell.text;
    }
    return text;
  }

  #moveTo(column: number): void {
    this.column = Math.min(column, Math.max(this.column, MOVED_COLUMNS_MAX - 1));
  }

  #erase(parameters: string): void {
    if (/^0*$/.test(parameters)) this.eraseFrom(this.column);
    else if (/^0*2$/.test(parameters)) this.#cells.length = 0;
    else if (/^0*1$/.test(parameters)) {
      this.#blankHalf(this.column + 1);
      this.#cells.fill(undefined, 0, Math.min(this.column + 1, this.#cells.length));
    }
  }

  #put(character: string, style: Style): void {
    const width = widthOf(character);
    if (width === 0 && this.#join(character)) return;
    const column = this.column;
    this.column += Math.max(1, width);
    this.#blankHalf(column);
    this.#blankHalf(this.column);
    this.#cells[column] = { text: character, style };
    if (width === 2) this.#cells[column + 1] = { text: "", style };
  }

  /** Puts a mark onto the character before it. */
  #join(mark: string): boolean {
    const before = this.#cells[this.column - 1]?.text === "" ? this.column - 2 : this.column - 1;
    const cell = this.#cells[before];
    if (cell) this.#cells[before] = { text: cell.text + mark, style: cell.style };
    return cell !== undefined;
  }

  /** Of a wide character that begins before `column` and reaches over it, nothing can stay. */
  #blankHalf(column: number): void {
    if (this.#cells[column]?.text !== "") return;
    this.#cells[column - 1] = BLANK;
    this.#cells[column] = BLANK;
  }
}

/** The columns to the next tab stop; past any that a reader would look for, a tab is one column. */
function tabFrom(column: number): number {
  return column < TABBED_COLUMNS_MAX ? TAB_COLUMNS - (column % TAB_COLUMNS) : 1;
}

const MOVING = /([\r\b\t])/;

/** The first parameter of a movement: at least 1, and no more than any movement needs. */
export function countOf(parameters: string): number {
  const count = Number.parseInt(parameters, 10);
  return Number.isNaN(count) ? 1 : Math.min(Math.max(1, count), 1_000_000);
}

/** A line drawn in a row of its own: its text without anything but colours and links, and the style it begins in. */
export function drawn(line: string, style: Style): { readonly text: string; readonly style: Style } {
  const [skipped, rest] = withinBound(line);
  const from = styleAfter(skipped, style);
  if (rest.length > DRAWN_CHARS_MAX) return { text: rest, style: from };
  return { text: CellRow.of(rest, from).toText(), style: PLAIN };
}

/** A line cut in two: what counts as drawn over, and the rest, which is within the bound or holds no carriage return. */
export function withinBound(line: string): readonly [skipped: string, rest: string] {
  if (line.length <= DRAWN_CHARS_MAX) return ["", line];
  const within = line.indexOf("\r", line.length - DRAWN_CHARS_MAX);
  const cut = 1 + (within >= 0 ? within : line.lastIndexOf("\r"));
  return [line.slice(0, cut), line.slice(cut)];
}
