/**
 * A real server on a port of its own, with a data directory of its own, and real jobs beside it.
 *
 * Nothing here pretends: the server is the installed program, its Redis is the embedded one, and a job is a command run
 * by `fantail run`. A job whose output a test wants to time reads it from a named pipe (`Fifo`).
 */
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { type FileHandle, mkdtemp, open, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const PROGRAM =
  process.env.FANTAIL_PROGRAM ?? new URL("../../../.venv/bin/fantail", import.meta.url).pathname;

/** Variables of a server's environment. */
export type Settings = Readonly<Record<string, string>>;

/** Runs the program to its end, and gives what it said on standard output. */
export async function fantail(args: readonly string[], environment: Settings = {}): Promise<string> {
  const { stdout } = await promisify(execFile)(PROGRAM, args, { env: { ...process.env, ...environment } });
  return stdout;
}

/** How long a server may take to start or stop, in milliseconds: generous, for a machine that is busy. */
const PATIENCE_MS = 40_000;

export class Server {
  #dataDir = "";
  #port = 0;
  #settings: Settings = {};
  #process: ChildProcess | null = null;
  readonly #jobs: Job[] = [];
  readonly #fifos: Fifo[] = [];
  #log = "";

  /** Makes a server and starts it. */
  static async start(settings: Settings = {}): Promise<Server> {
    const server = new Server();
    await server.start(settings);
    return server;
  }

  /** Starts for the first time; before, it has neither an address nor a place for its data. */
  async start(settings: Settings = {}): Promise<void> {
    this.#settings = settings;
    this.#dataDir = await mkdtemp(join(tmpdir(), "fantail-browser-"));
    this.#port = await freePort();
    try {
      await this.launch();
    } catch (fault) {
      await this.close();
      throw fault;
    }
  }

  get dataDir(): string {
    return this.#dataDir;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** What the server wrote to its standard error: for the message of a test that failed. */
  get log(): string {
    return this.#log;
  }

  async launch(): Promise<void> {
    const child = spawn(PROGRAM, ["serve", "--port", String(this.port), "--data-dir", this.dataDir], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, FANTAIL_DRAIN_S: "1", ...this.#settings },
    });
    this.#process = child;
    child.stderr.on("data", (text: Buffer) => {
      this.#log += text.toString();
    });
    const ready = (async () => {
      for await (const line of createInterface(child.stdout)) if (line.includes(" ready on ")) return;
      throw new Error(`the server ended before it was ready:\n${this.#log}`);
    })();
    await within(ready, `the server is not ready:\n${this.#log}`);
  }

  /** Ends the server as its host would (SIGTERM) or as nobody should (SIGKILL). */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (!child || child.exitCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await within(exited, `the server does not stop:\n${this.#log}`);
  }

  async restart(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    await this.end(signal);
    await this.launch();
  }

  /** Starts a job, and waits until it has an id; `flags` are those of `fantail run`. */
  async run(name: string, command: readonly string[], flags: readonly string[] = []): Promise<Job> {
    const args = ["run", "--data-dir", this.dataDir, "--name", name, ...flags, "--", ...command];
    const job = await Job.start(args);
    this.#jobs.push(job);
    return job;
  }

  /** Runs a shell script as a job. */
  shell(name: string, script: string): Promise<Job> {
    return this.run(name, ["bash", "-c", script]);
  }

  async fifo(name: string): Promise<Fifo> {
    const path = join(this.dataDir, `${name}.fifo`);
    execFileSync("mkfifo", [path]);
    const fifo = new Fifo(path);
    this.#fifos.push(fifo);
    return fifo;
  }

  /** Asks the server for a change as anyone may, over HTTP: a text is sent as it is, all else as JSON. */
  async send(method: "POST" | "PATCH", path: string, content: string | object): Promise<void> {
    const [type, body] =
      typeof content === "string" ? ["text/plain", content] : ["application/json", JSON.stringify(content)];
    const answer = await fetch(this.url + path, { method, headers: { "Content-Type": type }, body });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  }

  /** How many streams browsers have open, by face; those of a runner are none. */
  async openStreams(): Promise<Readonly<Record<string, number>>> {
    const metrics = await (await fetch(`${this.url}/metrics`)).text();
    const found = [...metrics.matchAll(/^fantail_streams\{face="([^"]+)"\} ([1-9]\d*)/gm)];
    return Object.fromEntries(found.map(([, face, count]) => [face, Number(count)]));
  }

  async close(): Promise<void> {
    // A job's command outlives its killed runner; one that still waits for a pipe's first line would wait for ever.
    for (const fifo of this.#fifos) {
      await fifo.end();
      await fifo.close();
    }
    for (const job of this.#jobs) job.kill();
    await this.end("SIGTERM");
    if (this.#dataDir) await rm(this.#dataDir, { recursive: true, force: true });
  }
}

/** A job under way. It says its page's address first, on standard error or output. */
export class Job {
  readonly id: string;
  readonly #process: ChildProcess;
  readonly #exited: Promise<unknown>;

  private constructor(id: string, child: ChildProcess) {
    this.id = id;
    this.#process = child;
    this.#exited = child.exitCode === null ? once(child, "exit") : Promise.resolve();
  }

  static async start(args: readonly string[]): Promise<Job> {
    const child = spawn(PROGRAM, args, { stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    const id = new Promise<string>((resolve, reject) => {
      const listen = (text: Buffer): void => {
        said += said.length < 10_000 ? text.toString() : "";
        const address = /\/jobs\/([A-Za-z0-9][A-Za-z0-9._-]*)/.exec(said);
        if (address?.[1]) resolve(address[1]);
      };
      child.stdout.on("data", listen);
      child.stderr.on("data", listen);
      child.once("exit", () => reject(new Error(`fantail ${args.join(" ")} named no job:\n${said}`)));
    });
    return new Job(await within(id, `no address of a job within the time:\n${said}`), child);
  }

  async finished(): Promise<void> {
    if (this.#process.exitCode === null) await this.#exited;
  }

  kill(): void {
    if (this.#process.exitCode === null) this.#process.kill("SIGKILL");
  }
}

/** A named pipe that a job reads: the test decides when which line comes. */
export class Fifo {
  readonly path: string;
  #handle: FileHandle | null = null;

  constructor(path: string) {
    this.path = path;
  }

  async write(text: string): Promise<void> {
    // Opened for reading too, so that opening it waits for no one.
    this.#handle ??= await open(this.path, "r+");
    await this.#handle.write(text);
  }

  /** A line that tells the job's loop (`untilEnd`) to end. */
  async end(): Promise<void> {
    await this.write("__end__\n");
  }

  async close(): Promise<void> {
    await this.#handle?.close();
    this.#handle = null;
  }

  /** Shell that repeats the pipe's lines until `end()`. */
  get untilEnd(): string {
    return `while IFS= read -r line && [ "$line" != __end__ ]; do printf '%s\\n' "$line"; done < ${this.path}`;
  }
}

async function within<T>(promise: Promise<T>, complaint: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(complaint)), PATIENCE_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
