/** What can be done with a log, above it: go to errors, search, filter, and how lines are shown. */
import type { ReactNode } from "react";
import { formatCount, plural } from "../format";
import { act } from "../keys";
import { usePreference } from "../usePreference";
import { AppearanceControls } from "./AppearanceControls";
import { SearchBar } from "./find/SearchBar";
import { type FilterKind, useLogFind } from "./find/find-context";
import { useLogControls } from "./log-controls";
import { useLogOutline } from "./find/outline-context";

interface LogToolbarProps {
  readonly downloadUrl: string;
  /** How many lines there are. */
  readonly children: ReactNode;
}

export function LogToolbar({ downloadUrl, children }: LogToolbarProps) {
  const controls = useLogControls();
  const { open, show, close, notice } = useLogFind();
  const [wrap, setWrap] = usePreference("wrap");
  const { following } = controls;
  return (
    <>
      <div className="log-bar">
        {children}
        {!open && notice !== "" && <output className="muted">{notice}</output>}
        <Errors />
        <button type="button" className="quiet" aria-pressed={open} onClick={open ? close : show}>
          Search
        </button>
        <Filters />
        <AppearanceControls />
        <button type="button" className="quiet" aria-pressed={wrap} onClick={() => setWrap(!wrap)}>
          Wrap
        </button>
        <button
          type="button"
          className="quiet"
          aria-pressed={following}
          onClick={() => (following ? controls.pause() : controls.follow())}
        >
          Follow
        </button>
        <a className="quiet" href={downloadUrl} download>
          Download
        </a>
        <button type="button" className="quiet" title="Keys (?)" onClick={() => act("help")}>
          <span aria-hidden="true">?</span>
          <span className="unseen">Keys</span>
        </button>
      </div>
      {open && <SearchBar />}
    </>
  );
}

/** How many errors there are, and the way to the next one. */
function Errors() {
  const { stepError, error } = useLogFind();
  const outline = useLogOutline()?.outline;
  const count = outline?.errors.length ?? 0;
  if (count === 0) return null;
  return (
    <button
      type="button"
      className="quiet log-errors figures"
      title="Next error (e)"
      onClick={() => stepError(1)}
    >
      {error !== null && outline?.isError(error) && `${formatCount(outline.countBefore(error) + 1)} of `}
      {outline?.limited || outline?.isCurrent === false
        ? `over ${formatCount(count)} errors`
        : plural(count, "error")}
    </button>
  );
}

const KINDS: readonly (readonly [kind: FilterKind, name: string])[] = [
  ["all", "All lines"],
  ["stderr", "stderr"],
  ["errors", "Errors"],
  ["matches", "Matches"],
];

const CONTEXTS = [0, 3, 10];

function Filters() {
  const { filter, setFilter, filterTrouble, show } = useLogFind();
  const choose = (kind: FilterKind): void => {
    setFilter({ ...filter, kind });
    if (kind === "matches") show();
  };
  return (
    <>
      <select
        aria-label="Lines shown"
        className={filter.kind === "all" ? "quiet" : "quiet chosen"}
        value={filter.kind}
        onChange={(event) => choose(KINDS.find(([kind]) => kind === event.target.value)?.[0] ?? "all")}
      >
        {KINDS.map(([kind, name]) => (
          <option key={kind} value={kind}>
            {name}
          </option>
        ))}
      </select>
      {filter.kind !== "all" && (
        <select
          aria-label="Lines around each"
          className="quiet"
          value={filter.context}
          onChange={(event) => setFilter({ ...filter, context: Number(event.target.value) })}
        >
          {CONTEXTS.map((context) => (
            <option key={context} value={context}>
              ± {context}
            </option>
          ))}
        </select>
      )}
      {filterTrouble !== null && <output className="search-problem">{filterTrouble}</output>}
    </>
  );
}
