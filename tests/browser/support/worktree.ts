/** A git repository whose changes a job publishes as its diff. */
import { execFileSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Server } from "./fantail";

export class Worktree {
  readonly root: string;

  constructor(server: Server, name: string) {
    this.root = join(server.dataDir, `${name} worktree`);
    execFileSync("git", ["init", "-q", "-b", "main", this.root]);
  }

  git(...args: readonly string[]): string {
    const who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"];
    return execFileSync("git", ["-C", this.root, ...who, ...args]).toString();
  }

  path(name: string): string {
    return join(this.root, name);
  }

  async write(name: string, text: string | Buffer): Promise<void> {
    await mkdir(dirname(this.path(name)), { recursive: true });
    await writeFile(this.path(name), text);
  }

  commit(): void {
    this.git("add", "-A");
    this.git("commit", "-q", "-m", "as it was");
  }
}
