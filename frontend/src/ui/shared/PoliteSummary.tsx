/**
 * A sentence for those who do not see the page change: said when the reader's own software has nothing else to say,
 * and at most every five seconds, whatever happens meanwhile. What was there when the page came is not said.
 */
import { useEffect, useRef, useState } from "react";

/** Between two sentences, in milliseconds. */
export const SAY_EVERY_MS = 5_000;

export function PoliteSummary({ children }: { readonly children: string }) {
  const [said, setSaid] = useState("");
  const last = useRef({ text: children, atMs: 0 });
  useEffect(() => {
    if (last.current.text === children) return undefined;
    const waitMs = Math.max(0, last.current.atMs + SAY_EVERY_MS - Date.now());
    const timer = setTimeout(() => {
      last.current = { text: children, atMs: Date.now() };
      setSaid(children);
    }, waitMs);
    return () => clearTimeout(timer);
  }, [children]);
  return <output className="unseen">{said}</output>;
}
