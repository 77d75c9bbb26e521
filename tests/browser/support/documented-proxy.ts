/** The proxies of docs/OPERATIONS.md before a server, as `tests/support/documented_proxy.py` runs them. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

const PYTHON = new URL("../../../.venv/bin/python", import.meta.url).pathname;
const TESTS = new URL("../../", import.meta.url).pathname;

export class DocumentedProxy {
  readonly url: string;
  readonly #process: ChildProcess;

  private constructor(url: string, child: ChildProcess) {
    this.url = url;
    this.#process = child;
  }

  /** Starts one by its name in `PROXIES`; null where the program is not installed and cannot be fetched. */
  static async start(name: string, upstreamPort: number): Promise<DocumentedProxy | null> {
    const child = spawn(PYTHON, ["-m", "support.documented_proxy", name, String(upstreamPort)], {
      cwd: TESTS,
      stdio: ["pipe", "pipe", "inherit"],
    });
    for await (const line of createInterface(child.stdout)) {
      const running = JSON.parse(line) as { readonly url: string } | null;
      return running && new DocumentedProxy(running.url, child);
    }
    throw new Error(`${name} did not start`);
  }

  async close(): Promise<void> {
    const exited = once(this.#process, "exit");
    this.#process.stdin?.end();
    await exited;
  }
}
