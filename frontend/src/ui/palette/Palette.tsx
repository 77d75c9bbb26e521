/**
 * The command palette: jobs, pages, and what can be done on this page, found by typing. A chunk of its own, loaded when
 * it is first opened.
 *
 * Decided against a library (cmdk): with the dialog that it brings it is three times this code, and it wants every item
 * as an element, while a list here may have ten thousand jobs of which `SHOWN_MAX` are drawn.
 *
 * The pattern is WAI-ARIA's combobox with a list: the focus stays in the field, `aria-activedescendant` names the
 * choice.
 */
import { type KeyboardEvent, useEffect, useId, useMemo, useRef, useState } from "react";
import { useLocation } from "wouter";
import { useTables } from "../../hooks/useTables";
import { StatusBadge } from "../shared/StatusBadge";
import { visible } from "../shared/VisibleText";
import { formatCount } from "../format";
import { useBoundActions } from "../keys";
import { type Choice, actionChoices, jobChoices, pageChoices, ranked } from "./choices";

/** Choices drawn: several screens; typing a letter more finds the others, and a line says how many there are. */
const SHOWN_MAX = 50;

export default function Palette({ onClose }: { readonly onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [text, setText] = useState("");
  const [active, setActive] = useState(0);
  const listId = useId();
  const { found, ready } = useChoices(text);
  const shown = found.slice(0, SHOWN_MAX);
  const at = Math.min(active, shown.length - 1);
  useEffect(() => dialog.current?.showModal(), []);
  const [, navigate] = useLocation();
  const choose = (choice: Choice | undefined): void => {
    if (!choice) return;
    dialog.current?.close();
    if (choice.kind === "action") choice.run();
    else navigate(choice.path);
  };
  const move = (to: number): void => {
    const next = (to + shown.length) % Math.max(1, shown.length);
    setActive(next);
    document.getElementById(optionId(listId, next))?.scrollIntoView({ block: "nearest" });
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "ArrowDown") move(at + 1);
    else if (event.key === "ArrowUp") move(at - 1);
    else if (event.key === "Home" && event.ctrlKey) move(0);
    else if (event.key === "End" && event.ctrlKey) move(shown.length - 1);
    else if (event.key === "Enter") choose(shown[at]);
    else if (event.key === "k" && (event.ctrlKey || event.metaKey)) dialog.current?.close();
    else return;
    event.preventDefault();
  };
  return (
    <dialog ref={dialog} className="palette" aria-label="Go to" onClose={onClose} closedby="any">
      <input
        type="text"
        role="combobox"
        aria-expanded="true"
        aria-controls={listId}
        aria-activedescendant={at >= 0 ? optionId(listId, at) : undefined}
        aria-autocomplete="list"
        aria-label="Find a job, a page or an action"
        placeholder="Job, page or action"
        autoComplete="off"
        spellCheck={false}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setActive(0);
        }}
        onKeyDown={onKeyDown}
      />
      {/* oxlint-disable-next-line jsx-a11y/prefer-tag-over-role -- no element is a list of a combobox with more than text */}
      <div role="listbox" id={listId} aria-label="Choices" className="palette-list">
        {shown.map((choice, index) => (
          // oxlint-disable-next-line jsx-a11y/click-events-have-key-events -- the field has the keys
          <div
            key={choice.id}
            id={optionId(listId, index)}
            // oxlint-disable-next-line jsx-a11y/prefer-tag-over-role -- an option element holds text alone
            role="option"
            tabIndex={-1}
            aria-selected={index === at}
            onMouseMove={() => setActive(index)}
            onClick={() => choose(choice)}
          >
            <span className="palette-name">{visible(choice.name)}</span>
            {choice.kind === "job" && <span className="palette-id muted">{choice.under}</span>}
            {choice.kind === "job" && <StatusBadge status={choice.status} />}
            {choice.kind === "action" && choice.under !== "" && <kbd>{choice.under}</kbd>}
            {choice.kind === "page" && <span className="muted">Page</span>}
          </div>
        ))}
      </div>
      <output className="palette-foot muted">{footer(found.length, ready)}</output>
    </dialog>
  );
}

function footer(found: number, ready: boolean): string {
  const rest = found > SHOWN_MAX ? `${formatCount(found - SHOWN_MAX)} more: type to narrow down. ` : "";
  if (found === 0 && ready) return "Nothing of that name";
  return rest + (ready ? "" : "Loading jobs…");
}

function optionId(listId: string, index: number): string {
  return `${listId}-${index}`;
}

function useChoices(text: string): { readonly found: readonly Choice[]; readonly ready: boolean } {
  const { table, ready } = useTables("jobs");
  const rows = table("jobs");
  const bound = useBoundActions();
  const jobs = useMemo(() => jobChoices(rows), [rows]);
  const found = ranked([...actionChoices(bound), ...pageChoices(), ...jobs], text);
  return { found, ready };
}
