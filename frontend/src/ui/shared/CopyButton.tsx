/** A button that copies a text, and says that it did. */
import { useEffect, useState } from "react";
import { writeText } from "./clipboard";

/** How long it says so, in milliseconds. */
const SAID_MS = 2_000;

interface CopyButtonProps {
  readonly text: string;
  /** What is copied, for the button's name: `the command`. */
  readonly what: string;
}

export function CopyButton({ text, what }: CopyButtonProps) {
  const [outcome, setOutcome] = useState<"copied" | "failed" | null>(null);
  useEffect(() => {
    if (outcome === null) return undefined;
    const timer = setTimeout(() => setOutcome(null), SAID_MS);
    return () => clearTimeout(timer);
  }, [outcome]);
  const onClick = (): void => {
    void writeText(text).then((done) => setOutcome(done ? "copied" : "failed"));
  };
  return (
    <span className="copy">
      <button
        type="button"
        className="quiet"
        aria-label={`Copy ${what}`}
        title={`Copy ${what}`}
        onClick={onClick}
      >
        <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
          <path
            d={outcome === "copied" ? TICK : SHEETS}
            fill="none"
            stroke="currentColor"
            strokeWidth="1.5"
          />
        </svg>
      </button>
      <output className={outcome === "failed" ? "" : "unseen"}>
        {outcome === "copied" && "Copied"}
        {outcome === "failed" && "Not copied"}
      </output>
    </span>
  );
}

const SHEETS = "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3";
const TICK = "M3 8.5 6.5 12 13 4.5";
