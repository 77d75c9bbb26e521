/** A StreamSource with one connection per topic. Where many topics are watched at once, another source shares one. */
import { Connection } from "./connection";
import { ReadinessProbe } from "./readiness-probe";
import { type PageVisibility, browserVisibility } from "./page-visibility";
import { type Platform, browserPlatform } from "./platform";
import type { StreamSink, StreamSource, SubscribeOptions, Subscription } from "./stream-source";

export interface FetchStreamsSettings {
  /** Where the server is: `""` for the page's own origin, else like `https://fantail.example`. */
  readonly baseUrl?: string;
  /** Further request headers, asked for at each try; a bearer token, say. */
  readonly headers?: () => Readonly<Record<string, string>>;
  /** Silence after which a connection counts as dead, in milliseconds. */
  readonly silenceMs?: number;
  readonly platform?: Platform;
  readonly visibility?: PageVisibility;
}

export class FetchStreams implements StreamSource {
  readonly #settings: FetchStreamsSettings;
  /** One for all streams: the server is there for all of them or for none. */
  readonly #readinessProbe: ReadinessProbe;

  constructor(settings: FetchStreamsSettings = {}) {
    const { platform = browserPlatform, visibility = browserVisibility, baseUrl } = settings;
    this.#settings = settings;
    this.#readinessProbe = new ReadinessProbe({ platform, visibility, baseUrl });
  }

  subscribe(topic: string, sink: StreamSink, options: SubscribeOptions = {}): Subscription {
    const { baseUrl = "", platform = browserPlatform, headers, silenceMs } = this.#settings;
    const connection = new Connection(
      {
        ...options,
        url: baseUrl + topic,
        headers,
        silenceMs: options.silenceMs ?? silenceMs,
        readinessProbe: this.#readinessProbe,
      },
      sink,
      platform,
    );
    connection.reconnect();
    return connection;
  }
}
