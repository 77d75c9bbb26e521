/**
 * The search bar. What was found stays while another letter is typed, and the figures have a place of their own, so that
 * nothing moves.
 */
import { type KeyboardEvent, useEffect, useId, useRef } from "react";
import { formatCount, plural } from "../../format";
import { type LogFindState, useLogFind } from "./find-context";

export function SearchBar() {
  const find = useLogFind();
  const { question, search, session } = find;
  const field = useRef<HTMLInputElement>(null);
  const statusId = useId();
  const { typing } = find;
  useEffect(() => {
    if (!typing) return;
    field.current?.focus();
    field.current?.select();
  }, [typing]);
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.nativeEvent.isComposing || event.key !== "Enter") return;
    event.preventDefault();
    find.step(event.shiftKey ? -1 : 1);
  };
  const found = search.total > 0;
  return (
    <search className="search-bar">
      <input
        ref={field}
        type="search"
        className="search-field"
        aria-label="Search the whole log"
        aria-describedby={statusId}
        aria-invalid={search.problem !== null}
        placeholder="Search all lines"
        autoComplete="off"
        autoCapitalize="off"
        spellCheck={false}
        value={question.text}
        onChange={(event) => find.look({ ...question, text: event.target.value })}
        onKeyDown={onKeyDown}
      />
      <button
        type="button"
        className="quiet"
        aria-pressed={question.case}
        title="Capitals count"
        onClick={() => find.look({ ...question, case: !question.case })}
      >
        <span aria-hidden="true">Aa</span>
        <span className="unseen">Capitals count</span>
      </button>
      <button
        type="button"
        className="quiet"
        aria-pressed={question.regex}
        title="Regular expression (RE2)"
        onClick={() => find.look({ ...question, regex: !question.regex })}
      >
        <span aria-hidden="true">.*</span>
        <span className="unseen">Regular expression</span>
      </button>
      <output
        id={statusId}
        className={search.problem === null ? "search-status figures" : "search-status search-problem"}
      >
        {statusOf(find)}
      </output>
      {search.question && !search.complete && (
        <button type="button" className="quiet" onClick={() => void session.goOn()}>
          Go on
        </button>
      )}
      {search.problem !== null && (
        <button type="button" className="quiet" onClick={() => void session.now()}>
          Try again
        </button>
      )}
      <button
        type="button"
        className="quiet"
        aria-label="Previous hit"
        disabled={!found}
        onClick={() => find.step(-1)}
      >
        ↑
      </button>
      <button
        type="button"
        className="quiet"
        aria-label="Next hit"
        disabled={!found}
        onClick={() => find.step(1)}
      >
        ↓
      </button>
      <button type="button" className="quiet" aria-label="Close the search" onClick={find.close}>
        ✕
      </button>
    </search>
  );
}

/** `12 of 3,481`, and what there is to say beside it. */
function statusOf({ search, session, current, question, notice }: LogFindState): string {
  if (question.text === "") return "";
  if (search.problem !== null) return search.problem;
  if (search.slow) return "Searching…";
  if (search.question === null) return "";
  const index = current === null ? null : session.indexOf(current);
  const total = formatCount(search.total);
  const figures = index === null ? plural(search.total, "hit") : `${formatCount(index + 1)} of ${total}`;
  const said = search.total === 0 ? "No hits" : figures;
  const reach = search.complete ? "" : ` in the first ${plural(search.through, "line")}`;
  return `${said}${reach}${notice === "" ? "" : ` · ${notice}`}`;
}
