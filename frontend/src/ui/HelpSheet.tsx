/** The sheet of keys: the table of `keys.ts`, as a dialog of the browser's own, which keeps the focus and closes by Esc. */
import { useEffect, useRef } from "react";
import { ACTION_NAMES, type Place, keyLine, labelOf } from "./keys";

const PLACES: readonly Place[] = ["Jobs", "Log", "Diff", "Everywhere"];

const WITH_KEYS = ACTION_NAMES.filter((name) => keyLine(name).keys.length > 0);

export function HelpSheet({ onClose }: { readonly onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} className="sheet" aria-labelledby="sheet-title" onClose={onClose}>
      <div className="sheet-head">
        <h2 id="sheet-title">Keys</h2>
        <button type="button" className="quiet" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </div>
      <div className="sheet-places">
        {PLACES.map((place) => (
          <section key={place} aria-labelledby={`keys-${place}`}>
            <h3 id={`keys-${place}`}>{place}</h3>
            <dl>
              {WITH_KEYS.filter((name) => keyLine(name).place === place).map((name) => (
                <div key={name}>
                  <dt>
                    {keyLine(name).keys.map((key) => (
                      <kbd key={key}>{labelOf(key)}</kbd>
                    ))}
                  </dt>
                  <dd>{keyLine(name).says}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      <p className="muted">
        No key counts while you type in a field. A second {labelOf("Mod+f")} is the browser’s own search.
      </p>
    </dialog>
  );
}
