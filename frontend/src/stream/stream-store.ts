/**
 * What every store that is fed by one stream has alike: a state whose changes are told once per frame, and a
 * subscription that is begun, let go, and begun again where it left off.
 *
 * A store says what an event means to it (`take`), and what a connection that stands means (`opened`). The position is
 * kept here, and so is how the connection stands: a store that is let go shows none, and one that is done stays done.
 */
import { FrameSignal, type Schedule, onNextFrame } from "./frame";
import {
  type ConnectionStatus,
  IDLE,
  type ServerEvent,
  type StreamSource,
  type SubscribeOptions,
  type Subscription,
} from "./stream-source";

/** Immutable; a new object whenever something in it changed. */
export interface StreamState {
  readonly connection: ConnectionStatus;
}

export interface StreamStoreSettings {
  readonly source: StreamSource;
  readonly topic: string;
  /** Of each subscription, but for its position, which is kept here. */
  readonly options?: Omit<SubscribeOptions, "position">;
  /** Where the stream goes on; without it, all is sent. */
  readonly initialPosition?: string | null;
  readonly schedule?: Schedule;
}

export abstract class StreamStore<S extends StreamState> {
  readonly #settings: StreamStoreSettings;
  readonly #signal: FrameSignal;
  #state: S;
  #subscription: Subscription | null = null;
  /** What the next subscription goes on behind. */
  protected position: string | null;

  constructor(settings: StreamStoreSettings, state: S) {
    this.#settings = settings;
    this.#state = state;
    this.#signal = new FrameSignal(
      (run) => this.schedule(run),
      () => this.flush(),
    );
    this.position = settings.initialPosition ?? null;
    this.subscribe = this.#signal.subscribe;
  }

  /** An arrow, as is `getState`, so that they can be handed to `useSyncExternalStore` as they are. */
  readonly subscribe: (listener: () => void) => () => void;

  readonly getState = (): S => this.#state;

  /** Connects where it left off. Without effect when already started. */
  start(): void {
    if (this.#subscription) return;
    const { source, topic, options } = this.#settings;
    this.#subscription = source.subscribe(
      topic,
      {
        onOpen: (resumedFrom) => this.opened(resumedFrom),
        onEvents: (events) => events.forEach((event) => this.#hear(event)),
        onStatus: (connection) => this.connectionChanged(connection),
      },
      { ...options, position: this.position },
    );
  }

  /** Lets the connection go; what was received and the position stay for a later `start()`. */
  stop(): void {
    this.#subscription?.close();
    this.#subscription = null;
    if (this.#state.connection.state !== "done") this.#show({ connection: IDLE });
  }

  /** Tries now, where the connection waits or was refused. */
  readonly reconnect = (): void => this.tryNow();

  /** Begins a stream that was done once more, behind what was received: what it is about goes on after all. */
  readonly resume = (): void => this.goOn();

  // -- for the stores -------------------------------------------------------------------------------------------

  /** A connection stands; `resumedFrom` as in `StreamSink.onOpen`. */
  protected abstract opened(resumedFrom: string | null): void;

  /** Takes an event; the position has been noted already, so that this may take it back. */
  protected abstract take(event: ServerEvent): void;

  /** Runs before a frame's listeners do: for what is better done once than per event. */
  protected flush(): void {}

  /** When the next frame is. */
  protected schedule(run: () => void): () => void {
    return (this.#settings.schedule ?? onNextFrame)(run);
  }

  protected connectionChanged(connection: ConnectionStatus): void {
    this.#show({ connection });
  }

  protected tryNow(): void {
    this.#subscription?.reconnect();
  }

  protected goOn(): void {
    if (this.#state.connection.state !== "done") return;
    this.#subscription?.close();
    this.#subscription = null;
    this.#show({ connection: IDLE });
    this.start();
  }

  protected get started(): boolean {
    return this.#subscription !== null;
  }

  protected change(change: Partial<S>): void {
    this.#state = { ...this.#state, ...change };
    this.touch();
  }

  /** Asks for a frame, and so for a `flush`. */
  protected touch(): void {
    this.#signal.touch();
  }

  /** Drops the connection until `reconnect()`. */
  protected drop(): void {
    this.#subscription?.disconnect();
  }

  /** The stream is complete. */
  protected finish(): void {
    this.#subscription?.finish();
  }

  /** What was received does not fit together: all is to be sent anew. */
  protected startOver(reason: string): void {
    this.position = null;
    this.#subscription?.restart(reason);
  }

  #hear(event: ServerEvent): void {
    if (event.id !== null) this.position = event.id;
    this.take(event);
  }

  #show(shown: StreamState): void {
    // Sound for every S, as `connection` is the one member that StreamState has; TypeScript cannot see that.
    this.change(shown as Partial<S>);
  }
}
