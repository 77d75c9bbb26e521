/**
 * Finding one's way in a log: brings the search, the filters, the groups and the keys together, and decides what of the
 * log is displayed. `LogToolbar`, `SearchBar`, `Ticks` and the rows take from it what they show.
 *
 * Folded groups and filters do not mix: a filter shows what it lets through, wherever that is. A line that someone goes
 * to is displayed whatever hid it: its groups are unfolded, and a filter that leaves it out ends.
 */
import { type ReactNode, use, useMemo, useRef, useState } from "react";
import { matcherOf } from "../../../log/log-matcher";
import { LogFindContext, type LogFindState } from "./find-context";
import { LogKnowledgeContext, useLogControls } from "../log-controls";
import { LogSearchContext } from "./log-search-context";
import { type LogOutline, useLogOutline } from "./outline-context";
import { useDisplay } from "./useDisplay";
import { useErrors } from "./useErrors";
import { useFilter } from "./useFilter";
import { type Place, useHits } from "./useHits";
import { useLogKeys } from "../useLogKeys";
import { useNotice, useOrigin } from "./useStepping";
import { useSearchSession } from "./useSearchSession";

export function LogFind({ jobId, children }: { readonly jobId: string; readonly children: ReactNode }) {
  const controls = useLogControls();
  const known = useLogOutline();
  const found = useSearchSession(controls.log, jobId);
  const [session, search] = found;
  const filtering = useFilter(controls.log, jobId, known?.outline ?? null, found);
  const goTo = useDisplay(controls, known, filtering);
  const [notice, say] = useNotice();
  const root = useRef<HTMLDivElement>(null);
  const origin = useOrigin(controls, root);
  const arrive = (place: Place | null, step: 1 | -1): void => {
    say(place?.wrapped ? (step === 1 ? "from the top again" : "from the end again") : "");
    if (place) goTo(place.offset);
  };
  const hits = useHits({ controls, session, search, root, origin, arrive });
  const filtered = filtering.filter.kind !== "all";
  const errors = useErrors({ controls, known, begin: origin.begin, arrive, filtered });
  /** The group whose head is to have the focus, until something has it: who is elsewhere by then is left there. */
  const [group, setGroup] = useState<number | null>(null);

  const find: LogFindState = {
    ...hits,
    session,
    search,
    notice,
    filter: filtering.filter,
    filterTrouble: filtering.trouble,
    error: errors.at,
    stepError: (direction) => {
      errors.step(direction);
      if (known?.outline.errors.length === 0) say("No errors");
    },
    stepGroup: (direction) => {
      const head = nextHead(known, groupOf(document.activeElement) ?? controls.visible.first, direction);
      setGroup(head);
      if (head !== null) goTo(head);
      return head !== null;
    },
    close: () => {
      say("");
      hits.close();
      if (filtering.filter.kind === "matches") filtering.setFilter({ ...filtering.filter, kind: "all" });
    },
    leave: errors.leave,
    setFilter: filtering.setFilter,
    goTo,
  };
  const isShown = (): boolean => root.current?.closest("[inert]") === null;
  useLogKeys({ controls, find, isShown, isSearching });
  const { unfold } = filtering;
  const given = use(LogKnowledgeContext);
  const knowledge = useMemo(() => ({ ...given, onUnfold: unfold }), [given, unfold]);
  const { current, open } = hits;
  const matcher = useMemo(() => (open ? matcherOf(search.question) : null), [open, search.question]);
  const marks = useMemo(
    () => ({ matcher, current, error: errors.at, group }),
    [matcher, current, errors.at, group],
  );
  return (
    <LogFindContext value={find}>
      <LogSearchContext value={marks}>
        <LogKnowledgeContext value={knowledge}>
          <div className="log-find" ref={root} onFocus={() => setGroup(null)}>
            {children}
          </div>
        </LogKnowledgeContext>
      </LogSearchContext>
    </LogFindContext>
  );
}

function isSearching(): boolean {
  return document.activeElement?.classList.contains("search-field") ?? false;
}

/** The head of the next group that is displayed: its offset. */
function nextHead(known: LogOutline | null, from: number, step: 1 | -1): number | null {
  const groups = known?.outline.groups;
  const isReachable = (head: number): boolean =>
    groups?.around(head).every(({ offset }) => !known?.folds.isFolded(offset)) ?? false;
  return groups?.nearestHead(from, step, ({ offset }) => isReachable(offset))?.offset ?? null;
}

/** The offset of the group whose head has the focus. */
function groupOf(focused: Element | null): number | null {
  const slot = focused?.closest(".group-head")?.closest<HTMLElement>("[data-offset]");
  return slot ? Number(slot.dataset.offset) : null;
}
