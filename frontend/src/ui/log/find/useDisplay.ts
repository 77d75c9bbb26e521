/** What of the log is displayed, and going to a line of it that is not. */
import { useEffect, useLayoutEffect, useMemo, useRef } from "react";
import { EVERYTHING, isDisplayed, sameProjection, without } from "../../../log/projection";
import type { LogControls } from "../log-controls";
import type { LogOutline } from "./outline-context";
import type { FilterView } from "./useFilter";

/**
 * Tells the log what to display; the result goes to an entry, and displays it first where it is hidden. What the address
 * names is displayed in the same way.
 */
export function useDisplay(
  controls: LogControls,
  known: LogOutline | null,
  { projection: filtered, filter, setFilter }: FilterView,
): (offset: number) => void {
  const version = known?.outline.version;
  const folded = useMemo(
    () => (known ? without(known.folds.hidden(known.outline.groups)) : EVERYTHING),
    // oxlint-disable-next-line react/exhaustive-deps -- the outline is one object that grows
    [known, version],
  );
  const projection = filtered ?? folded;
  const wanted = useRef<number | null>(null);
  useLayoutEffect(() => {
    if (!sameProjection(controls.projection, projection)) controls.setProjection(projection);
    if (wanted.current === null || !isDisplayed(projection, wanted.current)) return;
    controls.jumpTo(wanted.current);
    wanted.current = null;
  }, [controls, projection]);
  const goTo = (offset: number): void => {
    if (isDisplayed(projection, offset)) {
      controls.jumpTo(offset);
      return;
    }
    wanted.current = offset;
    known?.reveal(offset);
    if (filtered && !isDisplayed(filtered, offset)) setFilter({ ...filter, kind: "all" });
  };
  // The address was gone to when it was read, and the reader may be elsewhere by now: only what hides its line is opened.
  const uncover = useRef(goTo);
  useEffect(() => {
    uncover.current = (offset) => {
      if (!isDisplayed(projection, offset)) goTo(offset);
    };
  });
  const linked = controls.linked?.from ?? null;
  const begun = known?.begun ?? false;
  useEffect(() => {
    if (linked !== null) uncover.current(linked);
  }, [linked, begun]);
  return goTo;
}
