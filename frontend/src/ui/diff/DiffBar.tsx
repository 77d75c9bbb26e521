/** What stands above a diff: how much it is, what keeps it from being up to date, and how it is shown. */
import type { ConnectionStatus } from "../../stream/stream-source";
import { ConnectionMark } from "../shared/ConnectionMark";
import { formatCount, plural } from "../format";
import { usePreference } from "../usePreference";
import { Counts } from "./DiffFile";

interface DiffBarProps {
  readonly files: number;
  /** How many of them are shown. */
  readonly shown: number;
  readonly additions: number;
  readonly deletions: number;
  /** How many changed since they were looked at. */
  readonly news: number;
  readonly connection: ConnectionStatus;
  readonly reconnect: () => void;
  readonly allOpen: boolean;
  readonly onOpenAll: (open: boolean) => void;
  readonly downloadUrl: string;
}

/** What the head of the page says already. */
const SOUND: ReadonlySet<ConnectionStatus["state"]> = new Set(["connected", "done"]);

export function DiffBar(props: DiffBarProps) {
  const { files, shown, additions, deletions, news, connection, reconnect, allOpen, onOpenAll } = props;
  const [layout, setLayout] = usePreference("diffLayout");
  const [wrap, setWrap] = usePreference("wrap");
  return (
    <div className="log-bar d-bar">
      <span className="figures">
        {shown < files && `${formatCount(shown)} of `}
        {plural(files, "file")} <Counts additions={additions} deletions={deletions} />
        {news > 0 && <span className="d-news">{formatCount(news)} changed</span>}
      </span>
      {!SOUND.has(connection.state) && <ConnectionMark connection={connection} onRetry={reconnect} />}
      <button type="button" className="quiet" onClick={() => onOpenAll(!allOpen)}>
        {allOpen ? "Fold all" : "Unfold all"}
      </button>
      <button type="button" className="quiet" aria-pressed={wrap} onClick={() => setWrap(!wrap)}>
        Wrap
      </button>
      <button
        type="button"
        className="quiet"
        aria-pressed={layout === "split"}
        onClick={() => setLayout(layout === "split" ? "unified" : "split")}
      >
        Split
      </button>
      <a className="quiet" href={props.downloadUrl} download>
        Download
      </a>
    </div>
  );
}
