/**
 * A producer: lists and hashes of the Redis contract, written over the server's own Unix socket.
 *
 * The few bytes of RESP that this takes are written here, so that the moment before the write is the moment that is
 * measured from, with no client library's queue between.
 */
import { once } from "node:events";
import { connect } from "node:net";

export class Producer {
  #socket;
  #waiting = [];

  static async at(path) {
    const producer = new Producer();
    producer.#socket = connect(path);
    await once(producer.#socket, "connect");
    // Replies are `:n` or `+OK`, one line each, in order; an error is thrown where it is awaited.
    let rest = "";
    producer.#socket.on("data", (bytes) => {
      const lines = (rest + bytes).split("\r\n");
      rest = lines.pop();
      for (const line of lines) {
        const { resolve, reject } = producer.#waiting.shift();
        if (line.startsWith("-")) reject(new Error(line));
        else resolve(Number(line.slice(1)));
      }
    });
    return producer;
  }

  command(...words) {
    const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
    this.#socket.write(`*${words.length}\r\n${parts.join("")}`);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  async job(id, status = "running") {
    await this.command("HSET", `job:${id}`, "id", id, "status", status, "created_at", String(Date.now()));
  }

  /** Appends texts as lines, in one RPUSH. */
  push(id, texts) {
    const timestamp = Date.now();
    const entries = texts.map((line) => JSON.stringify({ timestamp, line, stream: "stdout" }));
    return this.command("RPUSH", `job:${id}:output`, ...entries);
  }

  /** Appends `count` lines from number `first` on, a thousand at a time. */
  async fill(id, first, count) {
    for (let at = first; at < first + count; at += 1000) {
      const size = Math.min(1000, first + count - at);
      await this.push(
        id,
        Array.from({ length: size }, (_, index) => lineOf(at + index)),
      );
    }
  }

  close() {
    this.#socket.end();
  }
}

// What builds and tests print: 60 to 110 characters, some with colours, none an error.
const SHAPES = [
  (n) =>
    `2026-03-01T10:20:${String(n % 60).padStart(2, "0")}Z INFO  com.example.Worker - processed batch ${n} in 12 ms`,
  (n) => `\x1b[32m✓\x1b[0m src/components/panel-${n}.test.ts \x1b[2m(7 tests)\x1b[22m 34\x1b[2mms\x1b[22m`,
  (n) => `tests/unit/test_parser_${n}.py::test_reads_a_number_of_each_kind PASSED           [ ${n % 100}%]`,
  (n) => `   Compiling some-crate v1.0.${n % 60} (/home/ci/.cache/registry/src/some-crate-${n})`,
];

export function lineOf(number) {
  return SHAPES[number % SHAPES.length](number);
}
