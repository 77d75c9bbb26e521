/** The package as others get it: built, packed, unpacked beside the example, which is then checked and built with it. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const FRONTEND = fileURLToPath(new URL("../../", import.meta.url));
const PACKAGES = join(FRONTEND, "node_modules");

/** What the example and the package need besides each other: as installed here, so that nothing is fetched. */
const OTHERS = [
  "@types/react",
  "@types/react-dom",
  "@vitejs/plugin-react",
  "eventsource-parser",
  "react",
  "react-dom",
  "typescript",
  "vite",
];

export class PackedHooks {
  /** The example's folder, with its packages in it. */
  readonly example: string;
  /** The packed archive. */
  readonly archive: string;
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
    this.example = join(folder, "example");
    const { version } = JSON.parse(readFileSync(join(FRONTEND, "package.json"), "utf8")) as {
      version: string;
    };
    this.archive = join(folder, `fantail-dashboard-${version}.tgz`);
  }

  /** Packs and installs; takes some seconds. */
  static make(): PackedHooks {
    const packed = new PackedHooks(mkdtempSync(join(tmpdir(), "fantail-hooks-")));
    packed.#run("npm", ["run", "--silent", "build:hooks"], FRONTEND);
    packed.#run("npm", ["pack", "--silent", "--pack-destination", packed.#folder], FRONTEND);
    cpSync(join(FRONTEND, "../examples/dashboard"), packed.example, {
      recursive: true,
      filter: (path) => !path.includes("node_modules"),
    });
    mkdirSync(packed.installed, { recursive: true });
    packed.#run(
      "tar",
      ["-xzf", packed.archive, "--strip-components=1", "-C", packed.installed],
      packed.#folder,
    );
    for (const name of OTHERS) {
      const link = join(packed.example, "node_modules", name);
      mkdirSync(dirname(link), { recursive: true });
      symlinkSync(join(PACKAGES, name), link);
    }
    return packed;
  }

  get installed(): string {
    return join(this.example, "node_modules/fantail-dashboard");
  }

  /** Checks the example's types against the package's. Throws with what the compiler says. */
  check(...options: readonly string[]): void {
    this.#node("typescript/bin/tsc", "--noEmit", ...options);
  }

  /** Runs a program of the front end's packages on the archive. Throws with what it prints where it finds a fault. */
  lint(program: string, ...args: readonly string[]): void {
    this.#run(join(PACKAGES, ".bin", program), [...args, this.archive], this.#folder);
  }

  /** Builds the example, and returns the folder with what a browser needs. */
  build(): string {
    this.#node("vite/bin/vite.js", "build", "--logLevel", "warn");
    return join(this.example, "dist");
  }

  /** Runs a module in Node, in the example's folder, and returns what it prints. */
  evaluate(module: string): string {
    return this.#run(process.execPath, ["--input-type=module", "--eval", module], this.example);
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #node(program: string, ...args: readonly string[]): string {
    return this.#run(process.execPath, [join(PACKAGES, program), ...args], this.example);
  }

  #run(program: string, args: readonly string[], cwd: string): string {
    try {
      return execFileSync(program, args, { cwd, encoding: "utf8", stdio: "pipe", timeout: 120_000 });
    } catch (fault) {
      const { stdout = "", stderr = "" } = fault as { stdout?: string; stderr?: string };
      throw new Error(`${program} ${args.join(" ")}:\n${stdout}${stderr}`, { cause: fault });
    }
  }
}
