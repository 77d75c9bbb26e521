/** The filters above the list of jobs: a field for text, and a chip for each status with how many have it. */
import { type KeyboardEvent, useRef } from "react";
import { formatCount } from "../format";
import { useActions } from "../keys";
import type { JobQuery } from "./useJobQuery";

interface JobFiltersProps {
  readonly query: JobQuery;
  readonly counts: readonly (readonly [status: string, count: number])[];
  /** How many there are of all statuses. */
  readonly total: number;
  readonly onChange: (change: Partial<JobQuery>) => void;
}

export function JobFilters({ query, counts, total, onChange }: JobFiltersProps) {
  const { statuses } = query;
  const toggle = (status: string): void => {
    const without = statuses.filter((other) => other !== status);
    onChange({ statuses: without.length < statuses.length ? without : [...statuses, status] });
  };
  return (
    <search className="filters">
      <TextFilter text={query.text} onChange={(text) => onChange({ text })} />
      <fieldset className="chips">
        <legend className="unseen">Status</legend>
        <Chip
          label="All"
          count={total}
          pressed={statuses.length === 0}
          onClick={() => onChange({ statuses: [] })}
        />
        {counts.map(([status, count]) => (
          <Chip
            key={status}
            label={status}
            count={count}
            pressed={statuses.includes(status)}
            onClick={() => toggle(status)}
          />
        ))}
      </fieldset>
    </search>
  );
}

interface TextFilterProps {
  readonly text: string;
  readonly onChange: (text: string) => void;
}

function TextFilter({ text, onChange }: TextFilterProps) {
  const field = useRef<HTMLInputElement>(null);
  useActions({
    filter: () => {
      field.current?.focus();
      field.current?.select();
    },
  });
  const onKeyDown = (event: KeyboardEvent<HTMLInputElement>): void => {
    if (event.key === "Escape" && text !== "") {
      event.preventDefault();
      onChange("");
    } else if (event.key === "ArrowDown") {
      event.preventDefault();
      document.querySelector<HTMLElement>(".t-row .first a")?.focus();
    }
  };
  return (
    <label className="text-filter">
      <span className="unseen">Filter jobs by name, command, repository or branch</span>
      <input
        ref={field}
        type="search"
        value={text}
        onChange={(event) => onChange(event.target.value)}
        onKeyDown={onKeyDown}
        placeholder="Filter by name, command, branch…"
        autoComplete="off"
        spellCheck={false}
        aria-keyshortcuts="/"
      />
      {text === "" && <kbd aria-hidden="true">/</kbd>}
    </label>
  );
}

interface ChipProps {
  readonly label: string;
  readonly count: number;
  readonly pressed: boolean;
  readonly onClick: () => void;
}

function Chip({ label, count, pressed, onClick }: ChipProps) {
  return (
    <button type="button" className="chip" aria-pressed={pressed} onClick={onClick}>
      {label} <span className="figures">{formatCount(count)}</span>
    </button>
  );
}
