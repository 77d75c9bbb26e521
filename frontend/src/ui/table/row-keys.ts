/** The arrow keys in a table whose rows have links: from a row to the one below or above it. */

/** Handles a key pressed within a table's body. */
export function moveFocus(event: KeyboardEvent): void {
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const { target, currentTarget } = event;
  if (!(target instanceof HTMLAnchorElement) || !(currentTarget instanceof HTMLElement)) return;
  const links = [...currentTarget.querySelectorAll<HTMLAnchorElement>(".t-row .first a")];
  const at = links.indexOf(target);
  const step = STEPS.get(event.key);
  const next = at < 0 || step === undefined ? undefined : links[at + step];
  if (!next) return;
  event.preventDefault();
  next.focus();
}

const STEPS: ReadonlyMap<string, number> = new Map([
  ["ArrowDown", 1],
  ["ArrowUp", -1],
]);
