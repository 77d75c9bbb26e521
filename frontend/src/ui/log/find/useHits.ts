/**
 * The search bar: what is in it, whether it is there, and the hit that was stepped to.
 *
 * What was looked for outlives the bar: who opens it again finds it there, to be typed over, and `n` goes on with it.
 * Opening alone goes nowhere, for it may be for another word.
 */
import { type RefObject, useEffect, useRef, useState } from "react";
import type { SearchQuestion } from "../../../log/log-api";
import type { SearchSession, SearchState } from "../../../log/search-session";
import type { LogControls } from "../log-controls";
import type { Origin } from "./useStepping";

const NO_QUESTION: SearchQuestion = { text: "", regex: false, case: false };

/** A selection longer than this is for copying, not for searching: characters. */
const SELECTED_MAX = 200;

export interface Hits {
  readonly question: SearchQuestion;
  readonly open: boolean;
  /** Whether the bar was opened to type into it. */
  readonly typing: boolean;
  /** The hit stepped to: its offset. */
  readonly current: number | null;
  readonly look: (question: SearchQuestion) => void;
  readonly step: (direction: 1 | -1) => void;
  readonly show: () => void;
  readonly close: () => void;
}

interface HitsOf {
  readonly controls: LogControls;
  readonly session: SearchSession;
  readonly search: SearchState;
  readonly root: RefObject<HTMLElement | null>;
  /** From where a step goes, and whether the reader left that place. */
  readonly origin: Origin;
  /** Goes to where a step led, and says so. */
  readonly arrive: (place: Place | null, step: 1 | -1) => void;
}

/** Where a step led: an offset, and whether it went round an end. */
export interface Place {
  readonly offset: number;
  readonly wrapped: boolean;
}

export function useHits({ controls, session, search, root, origin, arrive }: HitsOf): Hits {
  const [question, setQuestion] = useState(NO_QUESTION);
  const [bar, setBar] = useState<"closed" | "typing" | "stepping">("closed");
  const [current, setCurrent] = useState<number | null>(null);
  /** Where the reader was when they began to search: the hits are counted from there while they type. */
  const begunAt = useRef(0);
  /** A question that was asked before, whose answer is no reason to go anywhere. */
  const asked = useRef<SearchQuestion | null>(null);
  const open = bar !== "closed";

  const look = (next: SearchQuestion): void => {
    setQuestion(next);
    origin.wait();
    session.look(next);
    if (next.text === "") setCurrent(null);
  };
  const openFor = (purpose: "typing" | "stepping"): void => {
    setBar(purpose);
    if (open) return;
    begunAt.current = Math.max(0, controls.visible.first);
    asked.current = question;
    if (question.text !== "") session.look(question);
  };
  const goTo = (place: Place | null, direction: 1 | -1): void => {
    setCurrent(place?.offset ?? null);
    arrive(place, direction);
  };
  const step = async (direction: 1 | -1): Promise<void> => {
    if (!open && question.text === "") return;
    openFor("stepping");
    const place = await session.step(origin.begin(current, direction), direction);
    if (!origin.hasLeft()) goTo(place, direction);
  };
  const show = (): void => {
    const selected = selectedIn(root.current);
    openFor("typing");
    if (selected !== null && selected !== question.text) look({ ...question, text: selected, regex: false });
    const field = root.current?.querySelector<HTMLInputElement>(".search-field");
    field?.focus();
    field?.select();
  };
  const close = (): void => {
    setBar("closed");
    session.clear();
    setCurrent(null);
    root.current?.querySelector<HTMLElement>("[role=log]")?.focus({ preventScroll: true });
  };
  useFirstHit(search, async () => {
    if (search.question === asked.current) return;
    const place = await session.step(begunAt.current - 1, 1);
    if (!origin.hasLeft()) goTo(place, 1);
  });
  return {
    question,
    open,
    typing: bar === "typing",
    current,
    look,
    step: (direction) => void step(direction),
    show,
    close,
  };
}

/** What is selected of one line, as one would search for it. */
function selectedIn(root: HTMLElement | null): string | null {
  const selection = document.getSelection();
  const lines = root?.querySelector("[role=log]");
  if (!selection || selection.isCollapsed || !lines?.contains(selection.anchorNode)) return null;
  const text = selection.toString().trim();
  return text === "" || text.length > SELECTED_MAX || text.includes("\n") ? null : text;
}

/** Calls back once for each question that was answered for the first time, with hits. */
function useFirstHit({ question, total }: SearchState, found: () => Promise<void>): void {
  const told = useRef<SearchQuestion | null>(null);
  const latest = useRef(found);
  useEffect(() => {
    latest.current = found;
  });
  useEffect(() => {
    if (question === told.current) return;
    told.current = question;
    if (question && total > 0) void latest.current();
  }, [question, total]);
}
