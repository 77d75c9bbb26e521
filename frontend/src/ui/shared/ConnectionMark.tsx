/** How the page's stream stands, in words, with a way to try again. Never mixed with how the job stands. */
import type { ConnectionStatus } from "../../stream/stream-source";
import { formatCount } from "../format";
import { useNow } from "./useNow";

interface ConnectionMarkProps {
  readonly connection: ConnectionStatus;
  readonly onRetry: () => void;
  /** Whether the reason is said here; a page that says it elsewhere has it once. */
  readonly withReason?: boolean;
  /** How many entries are known to be there and have not come yet. */
  readonly behind?: number;
}

/** Fewer than this is how any stream is at any moment, and no word of its own. */
const BEHIND_MIN = 100;

export function ConnectionMark({ connection, onRetry, withReason = true, behind = 0 }: ConnectionMarkProps) {
  const { state, problem } = connection;
  const catchingUp = state === "connected" && behind >= BEHIND_MIN;
  const refused = problem?.kind === "refused" ? problem : null;
  return (
    <div className={`connection ${state}`}>
      <span className="dot" aria-hidden="true" />
      <output>{catchingUp ? "Catching up" : WORDS[state]}</output>
      {/* Apart from what is spoken, as is the countdown: they change all the time. */}
      {catchingUp && <span className="muted figures">{formatCount(behind)} behind</span>}
      {state === "reconnecting" && connection.retryAtMs !== null && <Countdown atMs={connection.retryAtMs} />}
      {withReason && state === "error" && problem && <span className="muted">{problem.message}</span>}
      {refused?.status === 401 && <a href="/login">Sign in</a>}
      {RETRIABLE.has(state) && (
        <button type="button" className="quiet" onClick={onRetry}>
          {state === "disconnected" ? "Connect" : "Try now"}
        </button>
      )}
    </div>
  );
}

const WORDS: Readonly<Record<ConnectionStatus["state"], string>> = {
  disconnected: "Not connected",
  connecting: "Connecting…",
  connected: "Live",
  reconnecting: "Connection lost, reconnecting",
  polling: "Polling",
  error: "Not connected",
  done: "Complete",
};

const RETRIABLE: ReadonlySet<string> = new Set(["disconnected", "reconnecting", "error", "polling"]);

function Countdown({ atMs }: { readonly atMs: number }) {
  const seconds = Math.ceil((atMs - useNow()) / 1000);
  return seconds > 0 ? <span className="muted figures">in {seconds} s</span> : null;
}
