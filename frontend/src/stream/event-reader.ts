/**
 * An event stream, read piece by piece: what arrived together is given together, in order.
 *
 * A long replay arrives faster than a page can draw, so after each stretch of work the event loop gets a turn. Whoever
 * reads decides between two pieces whether to go on: nothing is read ahead of what is asked for. Pieces without an
 * event are given too, since any byte is a sign of life, a comment as well.
 */
import { createParser } from "eventsource-parser";
import type { Platform } from "./platform";

/** The longest frame taken in, in UTF-16 units; a server's longest line is 1 MiB. */
export const FRAME_LENGTH_MAX = 16 * 1024 * 1024;

/** Work at one stretch before the event loop gets a turn, so that a long replay leaves the page usable. */
export const STRETCH_MS = 8;

export interface Frame {
  readonly event?: string | undefined;
  readonly data: string;
  readonly id?: string | undefined;
}

export interface Piece {
  readonly frames: readonly Frame[];
  /** The wait before a reconnect that the server advised in it last, in milliseconds. */
  readonly adviceMs: number | null;
  readonly bytes: number;
}

/**
 * The pieces of a body; ends when the body does.
 *
 * Throws what the network throws, and where a frame is longer than `FRAME_LENGTH_MAX`.
 */
export async function* readPieces(
  body: ReadableStream<Uint8Array>,
  platform: Platform,
): AsyncGenerator<Piece, void, void> {
  let frames: Frame[] = [];
  let adviceMs: number | null = null;
  const parser = createParser({
    onEvent: (frame) => frames.push(frame),
    onRetry: (delayMs) => {
      adviceMs = delayMs;
    },
    maxBufferSize: FRAME_LENGTH_MAX,
  });
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let stretchBegan = platform.now();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    frames = [];
    adviceMs = null;
    parser.feed(decoder.decode(value, { stream: true }));
    yield { frames, adviceMs, bytes: value.length };
    if (platform.now() - stretchBegan < STRETCH_MS) continue;
    await platform.turn();
    stretchBegan = platform.now();
  }
}
