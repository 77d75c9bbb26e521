/** A reader's preference (`preferences.ts`) in a component. */
import { useSyncExternalStore } from "react";
import { type Preference, type PreferenceName, preference, setPreference, subscribe } from "./preferences";

/** A preference and its setter, live: also when another tab changes it. */
export function usePreference<Name extends PreferenceName>(
  name: Name,
): readonly [Preference<Name>, (value: Preference<Name>) => void] {
  const value = useSyncExternalStore(subscribe, () => preference(name));
  return [value, (next) => setPreference(name, next)];
}
