/** How the page's stream stands, in words, with a way to try again. Never mixed with how the job stands. */
import type { ConnectionStatus } from "../stream/stream-source";
import { useNow } from "./useNow";

interface ConnectionMarkProps {
  readonly connection: ConnectionStatus;
  readonly onRetry: () => void;
  /** Whether the reason is said here; a page that says it elsewhere has it once. */
  readonly withReason?: boolean;
}

export function ConnectionMark({ connection, onRetry, withReason = true }: ConnectionMarkProps) {
  const { state, problem } = connection;
  const refused = problem?.kind === "refused" ? problem : null;
  return (
    <div className={`connection ${state}`}>
      <span className="dot" aria-hidden="true" />
      <output>{WORDS[state]}</output>
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
