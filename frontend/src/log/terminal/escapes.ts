/**
 * Escape sequences in a text: what is one, and what stands between them.
 *
 * Colours and links change the style and are dealt with here; other control sequences are handed on, with whoever asks
 * deciding which mean something. What nobody knows is left out of the text. A string (a window's title) that does not end
 * on its line is not taken for one, or the rest of the line would vanish with it: its text is shown. Each part of the
 * pattern excludes what ends it, so that the time is linear in the text.
 */
import { safeLink } from "./links";
import { type Style, applySgr, withLink } from "./text-style";

/**
 * One escape sequence: a CSI (its parameters in group 1, its final byte in group 2); an OSC (its text in group 3);
 * another string (DCS, SOS, PM, APC); another; or a lone ESC.
 */
const ESCAPE =
  /\x1b(?:\[([0-?]*)[ -/]*([@-~])|\]([^\x07\x1b]{0,4096})(?:\x07|\x1b\\)|[PX^_][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)|[ -/]+[0-~]|[0-OQ-WYZ\\`-~])?/g;

/** What listens to `readText`. */
export interface TextReader {
  /** Text without an escape sequence; other control characters are still in it. Never empty. */
  readonly onText: (text: string, style: Style) => void;
  /** `CSI parameters final`, where it is no colour. */
  readonly onControl?: (final: string, parameters: string) => void;
}

/** Reads a text begun in `style`; returns the style behind it. */
export function readText(text: string, style: Style, reader: TextReader): Style {
  let current = style;
  let from = 0;
  if (text.includes("\x1b")) {
    for (const match of text.matchAll(ESCAPE)) {
      if (match.index > from) reader.onText(text.slice(from, match.index), current);
      from = match.index + match[0].length;
      const [, parameters = "", final, command] = match;
      if (final === "m") current = applySgr(parameters, current);
      else if (final !== undefined) reader.onControl?.(final, parameters);
      else if (command?.startsWith("8;")) current = withLink(current, linkOf(command));
    }
  }
  if (from < text.length) reader.onText(text.slice(from), current);
  return current;
}

/** The style behind the last character of `text`, begun in `style`. */
export function styleAfter(text: string, style: Style): Style {
  return text.includes("\x1b") ? readText(text, style, DEAF) : style;
}

const DEAF: TextReader = { onText: () => {} };

/** `8;parameters;address`; without an address, or with one that may be no link, the link ends. */
function linkOf(command: string): string | null {
  const address = command.slice(command.indexOf(";", 2) + 1);
  return address === "" || !command.startsWith(";", command.length - address.length - 1)
    ? null
    : safeLink(address);
}

const UNPRINTABLE = /[\x00-\x08\x0a-\x1f\x7f-\x9f]/g;
const CONTROLS = /[\x00-\x08\x0a-\x1f\x7f-\x9f]/;

export function hasControls(text: string): boolean {
  return CONTROLS.test(text);
}

/** Every control character but a tab as its picture (U+2400 and on), so that nothing in a log is invisible. */
export function withPictures(text: string): string {
  return text.replace(UNPRINTABLE, picture);
}

function picture(control: string): string {
  const code = control.charCodeAt(0);
  if (code === 0x7f) return "\u2421";
  return code < 0x20 ? String.fromCharCode(0x2400 + code) : "\ufffd";
}
