/**
 * The files that differ, by name: each frame is the present diff of one file, not a piece to be added to the last.
 *
 * A stream opens with `snapshot`, one frame per file and `ready`; what the snapshot does not repeat is gone. Until
 * `ready` the old files stay on the screen. A file whose change is `none` no longer differs, and leaves.
 */
import { type Json, field, isObject, number, text } from "./json";
import { IDLE, type ServerEvent } from "./stream-source";
import { type StreamState, StreamStore, type StreamStoreSettings } from "./stream-store";

export interface FileDiff {
  readonly file: string;
  /** The name before a rename. */
  readonly oldPath?: string;
  readonly change: string;
  /** Unified; empty where `omitted` says why. */
  readonly diff: string;
  readonly additions: number;
  readonly deletions: number;
  readonly omitted?: string;
  /** Whether secrets were masked in it: applied, the patch would write the masks. */
  readonly masked?: boolean;
}

/** Immutable. `files` in the order in which they first differed. */
export interface DiffState extends StreamState {
  readonly files: ReadonlyMap<string, FileDiff>;
  readonly ready: boolean;
}

export type DiffStoreSettings = Pick<StreamStoreSettings, "source" | "topic" | "schedule">;

export class DiffStore extends StreamStore<DiffState> {
  #changes: FileDiff[] = [];
  #snapshot: FileDiff[] | null = null;

  constructor(settings: DiffStoreSettings) {
    super(settings, { files: new Map(), ready: false, connection: IDLE });
  }

  protected override opened(): void {
    this.#snapshot = null;
  }

  protected override take(event: ServerEvent): void {
    if (event.event === "snapshot") this.#snapshot = [];
    else if (event.event === "ready") this.#becomeReady();
    else if (event.event === "finished") this.finish();
    else if (event.event === "message") this.#collect(readFileDiff(event.data));
  }

  #collect(change: FileDiff | null): void {
    if (change) (this.#snapshot ?? this.#changes).push(change);
    this.touch();
  }

  #becomeReady(): void {
    const snapshot = this.#snapshot;
    this.#snapshot = null;
    if (snapshot) {
      this.#changes = [];
      this.change({ files: merged(this.getState().files, snapshot, true) });
    }
    this.change({ ready: true });
  }

  protected override flush(): void {
    if (this.#changes.length === 0) return;
    const changes = this.#changes;
    this.#changes = [];
    this.change({ files: merged(this.getState().files, changes, false) });
  }
}

/** The files after some changes. A file that is as it was keeps its object, so that it is not drawn again. */
function merged(
  before: ReadonlyMap<string, FileDiff>,
  changes: readonly FileDiff[],
  whole: boolean,
): ReadonlyMap<string, FileDiff> {
  const after = new Map(whole ? [] : before);
  for (const change of changes) {
    const known = before.get(change.file);
    if (change.change === "none") after.delete(change.file);
    else after.set(change.file, known && sameDiff(known, change) ? known : change);
  }
  return after;
}

function sameDiff(one: FileDiff, other: FileDiff): boolean {
  return (
    one.diff === other.diff &&
    one.change === other.change &&
    one.oldPath === other.oldPath &&
    one.omitted === other.omitted &&
    one.masked === other.masked &&
    one.additions === other.additions &&
    one.deletions === other.deletions
  );
}

function readFileDiff(value: Json): FileDiff | null {
  if (!isObject(value)) return null;
  const file = text(value, "file");
  const diff = field(value, "diff");
  if (file === undefined) return null;
  const unified = typeof diff === "string" ? diff : "";
  return {
    file,
    oldPath: text(value, "oldPath"),
    // A server that sends only `file` and `diff` says by an empty diff that the file is as before.
    change: text(value, "change") ?? (unified === "" ? "none" : "modified"),
    diff: unified,
    additions: number(value, "additions") ?? 0,
    deletions: number(value, "deletions") ?? 0,
    omitted: text(value, "omitted"),
    masked: field(value, "masked") === true ? true : undefined,
  };
}
