/**
 * One connection for many topics: `POST /api/streams`, kept open, and exchanged for another when the topics change.
 *
 * How topics change without a line twice or lost: reading of the old connection is held, the positions are noted, and
 * the new one is asked for from there. When it stands the old one is thrown away, with what it had not been read of;
 * that is after the positions, so the new one sends it. When the new one fails, reading of the old one goes on.
 *
 * Invariants:
 *  - At most one connection is read at a time, and at most one try is under way.
 *  - Between the noting of the positions (`wanted`) and `onOpen` nothing is delivered.
 *  - Liveness is judged by this machine's clock alone: any byte counts.
 *
 * A request that is not the browser's own EventSource is best refused in plain words, so it does not claim to be one:
 * "later" comes as 429 or 503 with `Retry-After`, not as a stream that closes.
 */
import { backoffMs } from "../backoff";
import { CONNECT_TIMEOUT_MS, SILENCE_MS } from "../connection";
import { type ReadinessProbe, mayProbe } from "../readiness-probe";
import { type Frame, readPieces } from "../event-reader";
import { type Json, isList, parseJson } from "../json";
import type { Platform } from "../platform";
import { type Answer, readAnswer, unreachable } from "../response";
import type { ConnectionProblem } from "../stream-source";
import { type LinkStatus, UNLINKED } from "./messages";

const PATH = "/api/streams";

/** The wait after a first failure where the server advises none. */
const RECONNECT_MS = 1_000;

const SILENCE: ConnectionProblem = { kind: "silence", message: "nothing was heard for too long" };

export interface ManyStreamsSink {
  /** Whether what stands is not what is wanted. */
  due(): boolean;
  /** What is to be asked for now: topics and positions (`""`: none). Nothing is delivered until `onOpen`. */
  wanted(): ReadonlyMap<string, string>;
  /** A connection for what was last `wanted` stands. */
  onOpen(): void;
  /** What one piece of the stream held, and how long that was, in bytes. */
  onItems(items: readonly Json[], bytes: number): void;
  /** What must be waited for before more is read; `null`: nothing. */
  room(): Promise<void> | null;
  onLink(link: LinkStatus): void;
  /** The server does not take the request as a whole; nothing is open any more, and nothing is tried. */
  onRefused(status: number, message: string): void;
}

/** A connection that stands. */
interface Standing {
  readonly abort: AbortController;
  /** While set, nothing of it is delivered. */
  held: boolean;
  release: () => void;
  /** How it broke while it was held. */
  broke: ConnectionProblem | null;
}

export class ManyStreams {
  readonly #sink: ManyStreamsSink;
  readonly #platform: Platform;
  readonly #readinessProbe: ReadinessProbe;
  readonly #url: string;
  #silenceMs = SILENCE_MS;
  #link: LinkStatus = UNLINKED;
  #standing: Standing | null = null;
  #trying: AbortController | null = null;
  #again = false;
  #adviceMs: number | null = null;
  #heardAtMs = 0;
  #cancelTry: () => void = () => {};
  #cancelWatch: () => void = () => {};
  #stopWaking: (() => void) | null = null;
  #stopProbing: () => void = () => {};
  /** Whether the try under way was brought forward, and nothing has come of it yet. */
  #broughtForward = false;

  constructor(sink: ManyStreamsSink, platform: Platform, readinessProbe: ReadinessProbe, baseUrl: string) {
    this.#sink = sink;
    this.#platform = platform;
    this.#readinessProbe = readinessProbe;
    this.#url = baseUrl + PATH;
  }

  get link(): LinkStatus {
    return this.#link;
  }

  set silenceMs(silenceMs: number) {
    this.#silenceMs = silenceMs;
  }

  /** What is wanted has changed. While a next try is being waited for, it is asked for then. */
  change(): void {
    if (this.#trying) this.#again = true;
    else if (this.#link.state === "waiting" ? this.#sink.wanted().size === 0 : this.#sink.due()) this.#try();
  }

  /** Does not wait for the next try's time; and after a sleep of the machine, looks at the clock. */
  retry(): void {
    this.#broughtForward = false;
    if (this.#link.state === "waiting") this.#try();
    else if (this.#standing && this.#platform.now() - this.#heardAtMs > this.#silenceMs)
      this.#lose(this.#standing, SILENCE);
  }

  close(): void {
    this.#cancelTry();
    this.#stopProbing();
    this.#cancelWatch();
    this.#trying?.abort();
    this.#trying = null;
    this.#again = false;
    this.#drop();
    this.#stopWaking?.();
    this.#stopWaking = null;
    this.#tell(UNLINKED);
  }

  // -- a try --------------------------------------------------------------------------------------------------

  #try(): void {
    this.#cancelTry();
    this.#stopProbing();
    this.#again = false;
    this.#hold();
    const wanted = this.#sink.wanted();
    if (wanted.size === 0) return this.close();
    this.#stopWaking ??= this.#platform.onWake(() => this.retry());
    const trying = new AbortController();
    this.#trying = trying;
    this.#cancelTry = this.#platform.after(CONNECT_TIMEOUT_MS, () => this.#fail(trying, SILENCE));
    if (!this.#standing) this.#tell({ ...this.#link, state: "connecting", retryAtMs: null });
    // The outcome is reported to the sink; nothing is left for this promise to say.
    void this.#run(trying, wanted);
  }

  async #run(trying: AbortController, wanted: ReadonlyMap<string, string>): Promise<void> {
    try {
      const answer = await readAnswer(
        await this.#platform.fetch(this.#url, {
          method: "POST",
          headers: { Accept: "application/json", "Content-Type": "application/json" },
          body: JSON.stringify({ topics: Object.fromEntries(wanted) }),
          signal: trying.signal,
          cache: "no-store",
          credentials: "same-origin",
        }),
      );
      if (trying !== this.#trying) return;
      if (answer.kind === "stream") await this.#stand(trying, answer.body);
      else this.#conclude(trying, answer);
    } catch (fault) {
      this.#fail(trying, networkProblem(fault));
    }
  }

  #conclude(trying: AbortController, answer: Exclude<Answer, { kind: "stream" }>): void {
    switch (answer.kind) {
      case "ended":
        return this.#fail(trying, { kind: "network", message: "the server sent no stream" });
      case "overload":
        this.#adviceMs = answer.retryAfterMs;
        return this.#fail(trying, { kind: "overload", status: answer.status, message: answer.message });
      case "refused":
        this.close();
        return this.#sink.onRefused(answer.status, answer.message);
    }
  }

  /** The try came to nothing: the connection that stands is read on, if there is one, and a try follows later. */
  #fail(trying: AbortController, problem: ConnectionProblem): void {
    if (trying !== this.#trying) return;
    this.#trying = null;
    trying.abort();
    this.#cancelTry();
    const standing = this.#standing;
    const probe = !this.#broughtForward;
    this.#broughtForward = false;
    // A try that was brought forward does not count: the wait it cut short is waited now.
    const attempt = Math.max(1, this.#link.attempt + (probe ? 1 : 0));
    const waitMs = backoffMs({
      attempt,
      baseMs: RECONNECT_MS,
      adviceMs: this.#adviceMs,
      random: this.#platform.random(),
    });
    this.#cancelTry = this.#platform.after(waitMs, () => this.#try());
    if (probe && mayProbe(problem, waitMs, this.#adviceMs)) this.#probe();
    if (standing && !standing.broke) {
      standing.held = false;
      standing.release();
      this.#tell({ ...this.#link, attempt });
      return;
    }
    this.#drop();
    this.#tell({ state: "waiting", attempt, retryAtMs: this.#platform.now() + waitMs, problem });
  }

  #probe(): void {
    this.#stopProbing = this.#readinessProbe.wait(() => {
      this.#broughtForward = true;
      this.#try();
    });
  }

  // -- a connection that stands ---------------------------------------------------------------------------------

  async #stand(trying: AbortController, body: ReadableStream<Uint8Array>): Promise<void> {
    this.#cancelTry();
    this.#trying = null;
    this.#drop();
    const standing: Standing = { abort: trying, held: false, release: () => {}, broke: null };
    this.#standing = standing;
    this.#adviceMs = null;
    this.#hear();
    this.#tell({ ...this.#link, state: "open", retryAtMs: null, problem: null });
    this.#sink.onOpen();
    if (this.#again && this.#sink.due()) this.#try();
    try {
      await this.#read(standing, body);
      this.#lose(standing, { kind: "network", message: "the server closed the stream" });
    } catch (fault) {
      this.#lose(standing, networkProblem(fault));
    }
  }

  async #read(standing: Standing, body: ReadableStream<Uint8Array>): Promise<void> {
    const current = (): boolean => standing === this.#standing;
    for await (const { frames, adviceMs, bytes } of readPieces(body, this.#platform)) {
      while (current() && standing.held) await this.#released(standing);
      if (!current()) return;
      this.#hear();
      this.#adviceMs = adviceMs ?? this.#adviceMs;
      const items = frames.flatMap(itemsOf);
      if (items.length > 0) this.#deliver(items, bytes);
      const room = this.#sink.room();
      if (room) await room;
    }
  }

  #deliver(items: readonly Json[], bytes: number): void {
    this.#broughtForward = false;
    this.#sink.onItems(items, bytes);
    if (this.#link.attempt > 0 && !this.#trying) this.#tell({ ...this.#link, attempt: 0 });
  }

  #hold(): void {
    if (this.#standing) this.#standing.held = true;
  }

  #released(standing: Standing): Promise<void> {
    return new Promise((resolve) => {
      standing.release = resolve;
    });
  }

  #drop(): void {
    const standing = this.#standing;
    this.#standing = null;
    this.#cancelWatch();
    standing?.abort.abort();
    standing?.release();
  }

  #lose(standing: Standing, problem: ConnectionProblem): void {
    if (standing !== this.#standing) return;
    standing.broke = problem;
    // A try is under way already: it takes this one's place, or finds it broken.
    if (this.#trying) return;
    this.#drop();
    if (this.#sink.wanted().size === 0) return this.close();
    const trying = new AbortController();
    this.#trying = trying;
    this.#fail(trying, problem);
  }

  #hear(): void {
    this.#heardAtMs = this.#platform.now();
    this.#cancelWatch();
    const standing = this.#standing;
    this.#cancelWatch = this.#platform.after(this.#silenceMs, () => {
      if (standing) this.#lose(standing, SILENCE);
    });
  }

  #tell(link: LinkStatus): void {
    const from = this.#link.state;
    this.#link = link;
    if (from !== link.state) this.#platform.debug(`one connection for all tabs: ${from} → ${link.state}`);
    this.#sink.onLink(link);
  }
}

function networkProblem(fault: unknown): ConnectionProblem {
  return { kind: "network", message: unreachable(fault) };
}

function itemsOf({ data }: Frame): readonly Json[] {
  const array = parseJson(data);
  return isList(array) ? array : [];
}
