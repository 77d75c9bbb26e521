/**
 * What came, in a sentence for those who do not see it come: "42 new lines, 1 error". Said when the reader's own
 * software has nothing else to say, at most every five seconds, and not at all while nothing comes.
 */
import { use, useEffect, useState } from "react";
import type { LineStore } from "../../log/line-store";
import { countBelow } from "../../log/outline";
import { plural } from "../format";
import { LogOutlineContext } from "./find/outline-context";

/** Between two sentences, in milliseconds. */
export const SPOKEN_MS = 5_000;

export function Spoken({ log }: { readonly log: LineStore }) {
  const outline = use(LogOutlineContext)?.outline ?? null;
  const [words, setWords] = useState("");
  useEffect(() => {
    let said = log.end;
    const timer = setInterval(() => {
      const lines = log.end - said;
      const all = outline?.errors ?? [];
      const errors = all.length - countBelow(all, said);
      said = log.end;
      if (lines > 0)
        setWords(
          errors > 0 ? `${plural(lines, "new line")}, ${plural(errors, "error")}` : plural(lines, "new line"),
        );
    }, SPOKEN_MS);
    return () => clearInterval(timer);
  }, [log, outline]);
  return <output className="unseen">{words}</output>;
}
