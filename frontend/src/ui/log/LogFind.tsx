/**
 * Finding one's way in a log: brings the search, the filters, the groups and the keys together, and decides what of the
 * log is displayed. `LogToolbar`, `SearchBar`, `Ticks` and the rows take from it what they show.
 *
 * Folded groups and filters do not mix: a filter shows what it lets through, wherever that is. A line that someone goes
 * to is displayed whatever hid it: its groups are unfolded, and a filter that leaves it out ends.
 */
import { type ReactNode, use, useMemo, useRef, useState } from "react";
import type { SearchQuestion } from "../../stream/log-api";
import { matcherOf } from "../../stream/log-matcher";
import { LogFindContext, type LogFindState } from "./find-context";
import { LogKnowledgeContext, useLogControls } from "./log-controls";
import { LogSearchContext } from "./log-search-context";
import { useLogOutline } from "./outline-context";
import { useDisplay } from "./useDisplay";
import { useFilter } from "./useFilter";
import { useLogKeys } from "./useLogKeys";
import { useFirstHit, useNotice, useOrigin } from "./useStepping";
import { useSearchSession } from "./useSearchSession";

const NO_QUESTION: SearchQuestion = { text: "", regex: false, case: false };

export function LogFind({ jobId, children }: { readonly jobId: string; readonly children: ReactNode }) {
  const controls = useLogControls();
  const known = useLogOutline();
  const found = useSearchSession(controls.log, jobId);
  const [session, search] = found;
  const filtering = useFilter(controls.log, jobId, known?.outline ?? null, found);
  const goTo = useDisplay(controls, known, filtering);
  const [question, setQuestion] = useState(NO_QUESTION);
  const [open, setOpen] = useState(false);
  const [current, setCurrent] = useState<number | null>(null);
  const [notice, say] = useNotice();
  const root = useRef<HTMLDivElement>(null);
  /** Where the reader was when they began to search: the hits are counted from there while they type. */
  const begunAt = useRef(0);

  const look = (next: SearchQuestion): void => {
    setQuestion(next);
    session.look(next);
    if (next.text === "") setCurrent(null);
  };
  const goToHit = (
    place: { readonly offset: number; readonly wrapped: boolean } | null,
    step: 1 | -1,
  ): void => {
    setCurrent(place?.offset ?? null);
    say(place?.wrapped ? wrapped(step) : "");
    if (place) goTo(place.offset);
  };
  const begin = useOrigin(controls, root);
  const step = async (direction: 1 | -1): Promise<void> => {
    goToHit(await session.step(begin(current, direction), direction), direction);
  };
  const lastError = useRef<number | null>(null);
  const stepError = (direction: 1 | -1): void => {
    const place = known?.outline.nearestError(begin(lastError.current, direction), direction) ?? null;
    lastError.current = place?.offset ?? null;
    say(place === null ? "No errors" : place.wrapped ? wrapped(direction) : "");
    if (place) goTo(place.offset);
  };

  const show = (): void => {
    if (!open) begunAt.current = Math.max(0, controls.visible.first);
    setOpen(true);
    const field = root.current?.querySelector<HTMLInputElement>(".search-field");
    field?.focus();
    field?.select();
  };
  const close = (): void => {
    setOpen(false);
    session.clear();
    setQuestion(NO_QUESTION);
    setCurrent(null);
    if (filtering.filter.kind === "matches") filtering.setFilter({ ...filtering.filter, kind: "all" });
    root.current?.querySelector<HTMLElement>("[role=log]")?.focus({ preventScroll: true });
  };

  useFirstHit(search, async () => goToHit(await session.step(begunAt.current - 1, 1), 1));

  const find: LogFindState = {
    session,
    search,
    question,
    open,
    current,
    notice,
    filter: filtering.filter,
    filterTrouble: filtering.trouble,
    look,
    step: (direction) => void step(direction),
    stepError,
    show,
    close,
    setFilter: filtering.setFilter,
    goTo,
  };
  const isShown = (): boolean => root.current?.closest("[inert]") === null;
  useLogKeys({ controls, find, known, isShown, isSearching });
  const { unfold } = filtering;
  const given = use(LogKnowledgeContext);
  const knowledge = useMemo(() => ({ ...given, onUnfold: unfold }), [given, unfold]);
  const matcher = useMemo(() => (open ? matcherOf(search.question) : null), [open, search.question]);
  const marks = useMemo(() => (current === null ? { matcher } : { matcher, current }), [matcher, current]);
  return (
    <LogFindContext value={find}>
      <LogSearchContext value={marks}>
        <LogKnowledgeContext value={knowledge}>
          <div className="log-find" ref={root}>
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

function wrapped(step: 1 | -1): string {
  return step === 1 ? "from the top again" : "from the end again";
}
