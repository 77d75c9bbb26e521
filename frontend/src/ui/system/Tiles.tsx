/** The numbers that tell at a glance how the server is, each with its last minutes. */
import type { ReactNode } from "react";
import { type Sample, type SystemInfo, readersOf } from "../../api/system";
import { formatBytes, formatCount, formatDuration, plural } from "../format";
import { Sparkline } from "./Sparkline";

interface TilesProps {
  readonly info: SystemInfo;
  readonly samples: readonly Sample[];
}

export function Tiles({ info, samples }: TilesProps) {
  const nowMs = samples.at(-1)?.atMs ?? 0;
  const chart = (pick: (sample: Sample) => number | null): ReactNode => (
    <Sparkline points={samples.map((sample) => ({ atMs: sample.atMs, value: pick(sample) }))} nowMs={nowMs} />
  );
  return (
    <dl className="tiles">
      <Tile
        term="Streams"
        value={formatCount(info.streamsOpen)}
        note={`open; ${formatCount(info.streamsOpened)} opened since the start`}
        chart={chart((sample) => sample.streams)}
      />
      <Tile
        term="Readers"
        value={formatCount(readersOf(info))}
        note={`of jobs and tables; ${formatCount(info.tablesWatchers)} of the tables`}
        chart={chart((sample) => sample.readers)}
      />
      <Tile
        term="Slowest reader"
        value={behind(info.lag)}
        note={worst(samples)}
        chart={chart((sample) => sample.lag)}
      />
      <Tile
        term="Sent"
        value={perSecond(samples.at(-1)?.sentBytesPerS ?? null)}
        note={`${formatBytes(info.sentBytes)} since the start`}
        chart={chart((sample) => sample.sentBytesPerS)}
      />
      <Tile
        term="Stores"
        value={formatBytes(info.storeBytes)}
        note={`${share(info.storeBytes, info.storeBytesMax)}; the tables ${formatBytes(info.tablesBytes)}`}
        chart={chart((sample) => sample.storeBytes)}
      />
      <Tile
        term="Memory"
        value={info.residentBytes === null ? "not known" : formatBytes(info.residentBytes)}
        note="of the server's process"
        chart={chart((sample) => sample.residentBytes)}
      />
      <Tile
        term="Processor"
        value={percent(samples.at(-1)?.processor ?? null)}
        note={`of one; ${formatDuration(info.processorS * 1000)} since the start`}
        chart={chart((sample) => sample.processor)}
      />
    </dl>
  );
}

interface TileProps {
  readonly term: string;
  readonly value: string;
  readonly note: string;
  readonly chart: ReactNode;
}

function Tile({ term, value, note, chart }: TileProps) {
  return (
    <div className="tile">
      <dt className="muted">{term}</dt>
      <dd className="value figures">{value}</dd>
      <dd className="chart">{chart}</dd>
      <dd className="muted figures">{note}</dd>
    </div>
  );
}

function behind(records: number): string {
  return records === 0 ? "caught up" : `${formatCount(records)} behind`;
}

function worst(samples: readonly Sample[]): string {
  const most = Math.max(0, ...samples.map((sample) => sample.lag));
  return most === 0 ? "none was behind lately" : `lately ${plural(most, "record")} behind at most`;
}

function perSecond(bytes: number | null): string {
  return bytes === null ? "–" : `${formatBytes(bytes)}/s`;
}

function percent(part: number | null): string {
  return part === null ? "–" : `${(part * 100).toFixed(part < 0.1 ? 1 : 0)} %`;
}

function share(bytes: number, most: number): string {
  if (most === 0) return "without a bound";
  const percent = (100 * bytes) / most;
  return `${percent.toFixed(percent < 10 ? 1 : 0)} % of ${formatBytes(most)}`;
}
