/** Colours patches off the main thread: a question is a file's name and diff, an answer two arrays, handed over. */
import { parsePatch } from "./patch";
import { colour, languageOf } from "./syntax";

export interface Question {
  readonly number: number;
  readonly file: string;
  readonly diff: string;
}

export interface Answer {
  readonly number: number;
  readonly starts: Uint32Array<ArrayBuffer>;
  readonly spans: Uint32Array<ArrayBuffer>;
}

/** What of a worker's own world is used here; the page's types know it as a window. */
interface Self {
  addEventListener(type: "message", listener: (event: MessageEvent<Question>) => void): void;
  postMessage(answer: Answer, handed: Transferable[]): void;
}

const self = globalThis as unknown as Self;

self.addEventListener("message", ({ data: { number, file, diff } }) => {
  const made = languageOf(file);
  if (!made) return;
  const { starts, spans } = colour(parsePatch(diff), made);
  const answer = { number, starts: new Uint32Array(starts), spans: new Uint32Array(spans) };
  self.postMessage(answer, [answer.starts.buffer, answer.spans.buffer]);
});
