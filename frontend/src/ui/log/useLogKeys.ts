/** What the keys of a log do. They count while the log is the tab that is shown. */
import type { LogFindState } from "./find/find-context";
import type { LogControls } from "./log-controls";
import { type Actions, useActions } from "../keys";
import { preference, setPreference } from "../preferences";

const TIMESTAMPS = ["off", "relative", "absolute", "delta"] as const;

interface LogKeysOf {
  readonly controls: LogControls;
  readonly find: LogFindState;
  /** Whether the log is to be seen. */
  readonly isShown: () => boolean;
  /** Whether the search field has the focus. */
  readonly isSearching: () => boolean;
}

export function useLogKeys({ controls, find, isShown, isSearching }: LogKeysOf): void {
  const actions: Actions = {
    // A second Ctrl-F is the browser's own search.
    search: () => (isSearching() ? false : find.show()),
    nextHit: () => find.step(1),
    previousHit: () => find.step(-1),
    nextError: () => find.stepError(1),
    previousError: () => find.stepError(-1),
    nextGroup: () => find.stepGroup(1),
    previousGroup: () => find.stepGroup(-1),
    start: () => controls.toStart(),
    end: () => controls.follow(),
    down: () => controls.scrollBy(1),
    up: () => controls.scrollBy(-1),
    follow: () => (controls.following ? controls.pause() : controls.follow()),
    timestamps: () => setPreference("timestamps", following(preference("timestamps"))),
    wrap: () => setPreference("wrap", !preference("wrap")),
    raw: () => setPreference("raw", !preference("raw")),
    copyLink: () => void controls.copyLink(),
    close: () => {
      if (find.open) find.close();
      else if (controls.linked) controls.link(null);
      else if (find.error !== null) find.leave();
      else return false;
      return undefined;
    },
  };
  useActions(onlyWhere(isShown, actions));
}

function onlyWhere(holds: () => boolean, actions: Actions): Actions {
  return Object.fromEntries(
    Object.entries(actions).map(([name, act]) => [name, () => (holds() ? act() : false)]),
  );
}

function following(now: (typeof TIMESTAMPS)[number]): (typeof TIMESTAMPS)[number] {
  return TIMESTAMPS[(TIMESTAMPS.indexOf(now) + 1) % TIMESTAMPS.length] ?? "off";
}
