/**
 * Links in a log: which addresses may be one, and where a text holds them.
 *
 * A log is written by programs that nobody vetted, so an address is a link only where it is plainly one to the web:
 * http or https, a host, no name and password in front of it (`https://bank.example@evil.example`), no control character,
 * no backslash (which browsers read as a slash), of a bounded length. Everything else stays text.
 */

/** Characters of an address: what browsers' address bars take. */
export const LINK_CHARS_MAX = 2_083;

/** Links looked for in one text; more than a screen of them helps nobody. */
export const LINKS_MAX = 200;

/** The address as a link's target, or `null` where it may be none. */
export function safeLink(address: string): string | null {
  if (address.length > LINK_CHARS_MAX || !/^https?:\/\/[^\s\\\x00-\x20\x7f-\x9f]+$/i.test(address))
    return null;
  try {
    const { protocol, username, password, hostname, href } = new URL(address);
    const web = protocol === "http:" || protocol === "https:";
    return web && hostname !== "" && username === "" && password === "" ? href : null;
  } catch {
    return null;
  }
}

/** Whether what a job names as its link is one to the web: it may name any text. */
export function isWebAddress(address: string | undefined): address is string {
  return address !== undefined && /^https?:\/\//i.test(address);
}

/** An address within a text: `text.slice(start, end)`, leading to `link`. */
export interface FoundLink {
  readonly start: number;
  readonly end: number;
  readonly link: string;
}

/** The addresses in a text, in order, at most `LINKS_MAX`; without what only ends the sentence around them. */
export function linksIn(text: string): readonly FoundLink[] {
  if (!text.includes("://")) return NONE;
  const found: FoundLink[] = [];
  for (const match of text.matchAll(ADDRESS)) {
    const address = withoutEnding(match[0]);
    const link = safeLink(address);
    if (link !== null) found.push({ start: match.index, end: match.index + address.length, link });
    if (found.length >= LINKS_MAX) break;
  }
  return found;
}

const NONE: readonly FoundLink[] = [];

const ADDRESS = /\bhttps?:\/\/[^\s"'<>\\^`{|}\x00-\x20\x7f-\x9f\u2400-\u2426]+/gi;

/** Without a full stop or bracket behind the address that belongs to the sentence; a bracket opened within it stays. */
function withoutEnding(address: string): string {
  let end = address.length;
  while (end > 0) {
    const last = address[end - 1] ?? "";
    const opening = CLOSING[last];
    if (opening !== undefined && count(address, opening, end) >= count(address, last, end)) break;
    if (opening === undefined && !".,;:!?*_~…".includes(last)) break;
    end -= 1;
    if (address.length - end > ENDING_CHARS_MAX) break;
  }
  return address.slice(0, end);
}

const CLOSING: Readonly<Record<string, string>> = { ")": "(", "]": "[" };

/** So that a megabyte of brackets costs nothing. */
const ENDING_CHARS_MAX = 8;

function count(text: string, character: string, end: number): number {
  let found = 0;
  for (let at = text.indexOf(character); at >= 0 && at < end; at = text.indexOf(character, at + 1))
    found += 1;
  return found;
}
