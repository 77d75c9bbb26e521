/** The manager of pipelines on a simulated network and clock, with a page that can be hidden. */
import { FetchStreams } from "../../src/stream/fetch-streams";
import { PipelineBoard } from "../../src/pipelines/pipeline-board";
import { PipelinePolls } from "../../src/pipelines/pipeline-polls";
import type { SSEConnectionState, SSEManagerConfig } from "../../src/pipelines/pipeline-sse-config";
import { PipelineSSEManager } from "../../src/pipelines/pipeline-sse-manager";
import { HideablePage } from "./hideable-page";
import { type Exchange, SimulatedPlatform, settle } from "./simulated-platform";

/** One event of the pipelines' stream, as bytes on the wire. */
export function wire(event: string, data: object, id?: string): string {
  const position = id === undefined ? "" : `id: ${id}\n`;
  return `event: ${event}\n${position}data: ${JSON.stringify({ type: event, timestamp: 1, ...data })}\n\n`;
}

export const HEARTBEAT = wire("heartbeat", {});

export function batch(statuses: Readonly<Record<string, string>>, id?: string): string {
  const updates = Object.entries(statuses).map(([pipelineId, status]) => ({ pipelineId, status }));
  return wire("batch_update", { updates }, id);
}

export function update(pipelineId: string, status: string, previousStatus?: string, id?: string): string {
  return wire("status_update", { pipelineId, status, previousStatus }, id);
}

export class PipelineBench {
  readonly platform = new SimulatedPlatform();
  readonly page = new HideablePage();
  readonly states: SSEConnectionState[] = [];
  readonly changes: string[] = [];
  readonly debug: string[] = [];
  readonly board: PipelineBoard;
  readonly polls: PipelinePolls;
  readonly manager: PipelineSSEManager;

  constructor(config: SSEManagerConfig = {}) {
    const { platform, page: visibility } = this;
    platform.debug = (message: string) => void this.debug.push(message);
    this.board = new PipelineBoard(platform, (run) => platform.after(16, run));
    this.polls = new PipelinePolls({ board: this.board, platform, visibility });
    const streams = new FetchStreams({ platform });
    this.manager = new PipelineSSEManager(config, {
      streams,
      platform,
      visibility,
      board: this.board,
      polls: this.polls,
    });
    this.manager.addConnectionListener((state) => this.states.push(state));
    this.manager.addStatusListener(({ pipelineId, status, previousStatus }) =>
      this.changes.push(`${pipelineId} ${previousStatus} ${status}`),
    );
  }

  /** The requests for streams, and those that ask for one pipeline's health. */
  get streams(): readonly Exchange[] {
    return this.platform.exchanges.filter((exchange) => exchange.url.includes("/status/stream"));
  }

  get questions(): readonly Exchange[] {
    return this.platform.exchanges.filter((exchange) => exchange.url.endsWith("/health"));
  }

  get stream(): Exchange {
    const stream = this.streams.at(-1);
    if (!stream) throw new Error("no stream was asked for");
    return stream;
  }

  async pass(ms: number): Promise<void> {
    this.platform.pass(ms);
    await settle();
  }

  /** The server answers, and says what it always says first. */
  async open(statuses: Readonly<Record<string, string>> = {}, position = "1-e"): Promise<void> {
    this.stream.open();
    await settle();
    await this.send(HEARTBEAT, batch(statuses, position));
  }

  async send(...frames: readonly string[]): Promise<void> {
    this.stream.send(frames.join(""));
    await settle();
  }

  /** Lets time pass until the next try begins. */
  async nextTry(): Promise<void> {
    const before = this.streams.length;
    for (let step = 0; step < 400 && this.streams.length === before; step += 1) await this.pass(100);
    if (this.streams.length === before) throw new Error("no try began within 40 s");
  }

  /** The server is away for the present try and the `tries` after it. */
  async refuse(tries = 0): Promise<void> {
    this.stream.fail();
    await settle();
    for (let left = tries; left > 0; left -= 1) {
      await this.nextTry();
      this.stream.fail();
      await settle();
    }
  }
}

/** A subscription that stands. */
export async function watching(
  statuses: Readonly<Record<string, string>>,
  config?: SSEManagerConfig,
): Promise<PipelineBench> {
  const bench = new PipelineBench(config);
  bench.manager.subscribe(Object.keys(statuses));
  await bench.pass(0);
  await bench.open(statuses);
  return bench;
}
