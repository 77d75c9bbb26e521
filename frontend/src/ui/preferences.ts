/**
 * What a reader chose, remembered by the browser and the same in all of its tabs.
 *
 * A preference is about the reader and never about one job: whether lines wrap is remembered, what was searched for is
 * not. What is stored may be of another version, or another program's: a value that is none is the default. Where the
 * browser keeps nothing (a private window that refuses), choices last as long as the page.
 */
import { attempt, readStored, writeStored } from "../stream/platform";

const CHOICES = {
  theme: ["system", "light", "dark"],
  timestamps: ["off", "relative", "absolute", "delta"],
  wrap: [false, true],
  /** The bytes as they came, control sequences and overwritten text included. */
  raw: [false, true],
  diffLayout: ["unified", "split"],
} as const;

export type PreferenceName = keyof typeof CHOICES;

export type Preference<Name extends PreferenceName> = (typeof CHOICES)[Name][number];

const PREFIX = "fantail.";

const listeners = new Set<() => void>();
/** What was chosen on this page, for a browser that keeps nothing. */
const chosen = new Map<PreferenceName, unknown>();

/** The first of a preference's choices is its default. */
export function preference<Name extends PreferenceName>(name: Name): Preference<Name> {
  const choices: readonly Preference<Name>[] = CHOICES[name];
  const stored = chosen.has(name) ? chosen.get(name) : read(name);
  return choices.find((choice) => choice === stored) ?? (choices[0] as Preference<Name>);
}

export function setPreference<Name extends PreferenceName>(name: Name, value: Preference<Name>): void {
  if (writeStored(PREFIX + name, JSON.stringify(value))) chosen.delete(name);
  else chosen.set(name, value);
  for (const listener of listeners) listener();
}

/** Hears of every change of any preference. */
export function subscribe(listener: () => void): () => void {
  if (listeners.size === 0) globalThis.addEventListener("storage", tellAll);
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) globalThis.removeEventListener("storage", tellAll);
  };
}

function tellAll(): void {
  for (const listener of listeners) listener();
}

function read(name: PreferenceName): unknown {
  return attempt(() => JSON.parse(readStored(PREFIX + name) ?? "null") as unknown, null);
}
