/** The head of a group: its title, how long it took, how many errors are in it, and a button that folds it. */
import { type RefObject, use, useLayoutEffect, useRef, useSyncExternalStore } from "react";
import type { Group } from "../../../log/groups";
import type { LineRow } from "../../../log/log-rows";
import { plainOf } from "../../../log/terminal/row-text";
import { formatDuration, plural } from "../../format";
import { useNow } from "../../shared/useNow";
import { LineText } from "./LineText";
import { useSteadyLogControls } from "../log-controls";
import { useLogSearch } from "../find/log-search-context";
import { LogOutlineContext, useLogOutline } from "../find/outline-context";

/** How far groups are indented: deeper ones would leave no room on a phone. */
const INDENTED_MAX = 6;

/** The group whose head a row is, or null. A row is not drawn again for what happens in other lines. */
export function useGroupHeaded({ part, offset }: LineRow): Group | null {
  const outline = use(LogOutlineContext)?.outline;
  return useSyncExternalStore(outline?.subscribe ?? unheard, () =>
    part === 0 ? (outline?.groups.headAt(offset) ?? null) : null,
  );
}

/** Whether what a line shows is known to be an error. */
export function useIsError({ by }: LineRow): boolean {
  const outline = use(LogOutlineContext)?.outline;
  return useSyncExternalStore(outline?.subscribe ?? unheard, () => outline?.isError(by) ?? false);
}

function unheard(): () => void {
  return () => {};
}

interface GroupHeadProps {
  readonly group: Group;
  readonly row: LineRow;
}

export function GroupHead({ group, row }: GroupHeadProps) {
  const known = useLogOutline();
  const controls = useSteadyLogControls();
  const { offset, depth, errors } = group;
  const button = useHeldFocus(useLogSearch().group === offset);
  if (!known) return null;
  const folded = known.folds.isFolded(offset);
  const inside = Math.min(group.end ?? known.log.end, known.log.end) - offset - 1;
  return (
    <span className="group-head" style={{ paddingLeft: `${Math.min(depth, INDENTED_MAX) * 1.5}em` }}>
      <button
        ref={button}
        type="button"
        title={group.title}
        aria-expanded={!folded}
        onClick={() => {
          controls.keep(offset);
          known.fold([offset], !folded);
        }}
      >
        <span className="group-sign" aria-hidden="true" />
        <span className="group-title">
          <Title group={group} row={row} />
        </span>
      </button>
      <span className="group-facts figures">
        {folded && <span>{plural(Math.max(0, inside), "line")}</span>}
        <Took group={group} running={known.running} lastAt={known.log.entry(known.log.end - 1)?.timestamp} />
        {errors > 0 && <span className="group-errors">{plural(errors, "error")}</span>}
      </span>
    </span>
  );
}

/** Takes the focus when it is `wanted`; leaves it to the log where the row goes out of the page, or keys would go nowhere. */
function useHeldFocus(wanted: boolean): RefObject<HTMLButtonElement | null> {
  const button = useRef<HTMLButtonElement>(null);
  useLayoutEffect(() => {
    if (wanted) button.current?.focus({ preventScroll: true });
  }, [wanted]);
  useLayoutEffect(() => {
    const element = button.current;
    return () => {
      if (element === document.activeElement)
        element?.closest<HTMLElement>("[role=log]")?.focus({ preventScroll: true });
    };
  }, []);
  return button;
}

/** The title alone, without the command around it; what the row says, where its command is in another of its lines. */
function Title({ group: { title, offset }, row }: GroupHeadProps) {
  const isItsLine = title !== "" && plainOf(row, false).endsWith(title);
  if (title === "") return "Group";
  return (
    <LineText
      text={isItsLine ? title : row.text}
      style={row.style}
      offset={offset}
      length={title.length + row.text.length}
    />
  );
}

interface TookProps {
  readonly group: Group;
  readonly running: boolean;
  /** The time of the log's last line, in milliseconds since the epoch, where it is known. */
  readonly lastAt: number | undefined;
}

/** How long it took, or has taken so far. */
function Took({ group: { startedAt, endedAt, end }, running, lastAt }: TookProps) {
  if (startedAt === null) return null;
  if (end === null && running) return <Ticking sinceMs={startedAt} />;
  const stoppedAt = end === null ? lastAt : endedAt;
  if (stoppedAt === null || stoppedAt === undefined || stoppedAt < startedAt) return null;
  return <span>{formatDuration(stoppedAt - startedAt)}</span>;
}

function Ticking({ sinceMs }: { readonly sinceMs: number }) {
  const nowMs = useNow();
  return <span>{formatDuration(Math.floor(Math.max(0, nowMs - sinceMs) / 1000) * 1000)}</span>;
}
