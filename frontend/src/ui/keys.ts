/**
 * The keys: one table, of which the handler, the help sheet and the palette are made.
 *
 * Whoever can do something binds its actions while it is there (`useActions`); the last one bound is asked first, and
 * one that answers `false` leaves the key to the next, and at last to the browser.
 *
 * Invariants:
 *  - No key counts while someone types in a field, nor with modifiers other than those in the table; Shift counts only
 *    by the letter it makes. So no key of the browser's is taken away, but for Ctrl-K and the first Ctrl-F.
 *  - While a modal dialog is open, only the dialog hears keys.
 *  - A key is in the sheet because it is in the table, and works because of that too.
 */
import { useEffect, useRef, useSyncExternalStore } from "react";

export type Place = "Jobs" | "Log" | "Diff" | "Everywhere";

interface KeyLine {
  /** The letter as `KeyboardEvent.key` has it; `Mod+` is Ctrl, and Cmd on a Mac. None: the palette alone has it. */
  readonly keys: readonly string[];
  readonly says: string;
  readonly place: Place;
  /** Whether the palette offers it too. Steps, which one repeats, are better done by key. */
  readonly offered?: boolean;
}

export const KEYS = {
  filter: { keys: ["/"], says: "Filter the jobs", place: "Jobs", offered: true },
  search: { keys: ["/", "Mod+f"], says: "Search the whole log", place: "Log", offered: true },
  nextHit: { keys: ["n"], says: "Next hit", place: "Log" },
  previousHit: { keys: ["N"], says: "Previous hit", place: "Log" },
  nextError: { keys: ["e"], says: "Next error", place: "Log", offered: true },
  previousError: { keys: ["E"], says: "Previous error", place: "Log" },
  nextGroup: { keys: ["]"], says: "Next group", place: "Log" },
  previousGroup: { keys: ["["], says: "Previous group", place: "Log" },
  start: { keys: ["g"], says: "First line", place: "Log", offered: true },
  end: { keys: ["G"], says: "Last line", place: "Log", offered: true },
  down: { keys: ["j"], says: "One line down", place: "Log" },
  up: { keys: ["k"], says: "One line up", place: "Log" },
  follow: { keys: ["f"], says: "Follow what comes, or stop", place: "Log", offered: true },
  timestamps: { keys: ["t"], says: "Timestamps: none, relative, clock, delta", place: "Log", offered: true },
  wrap: { keys: ["z"], says: "Wrap long lines, or not", place: "Log", offered: true },
  raw: { keys: [], says: "Raw: control characters shown, or obeyed", place: "Log", offered: true },
  copyLink: { keys: ["y"], says: "Copy a link to the lines", place: "Log", offered: true },
  nextFile: { keys: ["]"], says: "Next file", place: "Diff", offered: true },
  previousFile: { keys: ["["], says: "Previous file", place: "Diff", offered: true },
  palette: { keys: ["Mod+k"], says: "Go to a job, a page or an action", place: "Everywhere" },
  theme: { keys: [], says: "Theme: light, dark, or the system’s", place: "Everywhere", offered: true },
  help: { keys: ["?"], says: "These keys", place: "Everywhere", offered: true },
  close: { keys: ["Escape"], says: "Close what is open on top", place: "Everywhere" },
} as const satisfies Readonly<Record<string, KeyLine>>;

export type ActionName = keyof typeof KEYS;

/** `false`: not now, the key is someone else's. */
export type Action = () => boolean | void;

export type Actions = Readonly<Partial<Record<ActionName, Action>>>;

export const ACTION_NAMES = Object.keys(KEYS) as readonly ActionName[];

export const keyLine = (name: ActionName): KeyLine => KEYS[name];

/** Those bound, the last one first. */
let bound: readonly { readonly current: Actions }[] = [];
const listeners = new Set<() => void>();

function bind(actions: { readonly current: Actions }): () => void {
  if (bound.length === 0) globalThis.addEventListener("keydown", onKeyDown);
  change([actions, ...bound]);
  return () => {
    change(bound.filter((other) => other !== actions));
    if (bound.length === 0) globalThis.removeEventListener("keydown", onKeyDown);
  };
}

function change(next: typeof bound): void {
  bound = next;
  for (const listener of listeners) listener();
}

/** Offers actions, and their keys, while `active`. */
export function useActions(actions: Actions, active = true): void {
  const latest = useRef(actions);
  useEffect(() => {
    latest.current = actions;
  });
  useEffect(() => (active ? bind(latest) : undefined), [active]);
}

/** The actions that can be done now, for the palette. */
export function useBoundActions(): ReadonlyMap<ActionName, Action> {
  const now = useSyncExternalStore(subscribe, () => bound);
  const all = new Map<ActionName, Action>();
  for (const name of ACTION_NAMES) {
    const action = now.find(({ current }) => current[name])?.current[name];
    if (action) all.set(name, action);
  }
  return all;
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
  };
}

/** Does what a key stands for. */
function onKeyDown(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing || isDialogOpen()) return;
  if (actionsOf(event, isTyping(event.target)).some(act)) event.preventDefault();
}

/** Does what the key of an action would; false where nobody can. */
export function act(name: ActionName): boolean {
  return bound.some(({ current }) => {
    const action = current[name];
    return action !== undefined && action() !== false;
  });
}

const ON_MAC = /Mac|iPhone|iPad/.test(globalThis.navigator?.platform ?? "");

/** The actions that a keystroke may mean. */
export function actionsOf(
  event: Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey" | "shiftKey">,
  typing: boolean,
  onMac: boolean = ON_MAC,
): readonly ActionName[] {
  const mod = onMac ? event.metaKey : event.ctrlKey;
  const other = event.altKey || (onMac ? event.ctrlKey : event.metaKey);
  if (other || (mod && event.shiftKey)) return [];
  const key = mod ? `Mod+${event.key.toLowerCase()}` : event.key;
  return ACTION_NAMES.filter((name) => keyLine(name).keys.includes(key) && (!typing || TYPED.has(key)));
}

/** What counts in a field too: it makes no letter, and the field has no other use for it. */
const TYPED: ReadonlySet<string> = new Set(["Mod+f", "Escape"]);

/** Inputs into which no text is typed. */
const UNTYPED: ReadonlySet<string> = new Set(["button", "checkbox", "radio", "submit", "reset", "range"]);

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return !UNTYPED.has(target.type);
  return (
    target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement
  );
}

function isDialogOpen(): boolean {
  return document.querySelector("dialog[open]") !== null;
}

/** A key as people know it. */
export function labelOf(key: string, onMac: boolean = ON_MAC): string {
  if (key === "Escape") return "Esc";
  if (!key.startsWith("Mod+")) return key;
  return `${onMac ? "⌘" : "Ctrl-"}${key.slice("Mod+".length).toUpperCase()}`;
}
