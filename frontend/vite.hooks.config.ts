/**
 * The hooks as a package: src/index.ts and the shared worker as ES modules in dist/, with their types.
 *
 * React and the parser stay imports, for the application's own bundler. So does the worker: `new URL(…, import.meta.url)`
 * must reach that bundler as it stands, which then brings the file along; Vite would otherwise resolve it here.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Plugin, defineConfig } from "vite";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const WORKER_SOURCE = '"./streams.worker.ts"';
const WORKER_BUILT = '"./streams.worker.js"';
const PLACE = "__WORKER_FILE__";

function workerStaysAFile(): Plugin {
  return {
    name: "worker-stays-a-file",
    enforce: "pre",
    transform(code, id) {
      if (!id.endsWith("/worker-transport.ts")) return null;
      if (!code.includes(WORKER_SOURCE)) this.error(`no ${WORKER_SOURCE} in ${id}`);
      return code.replace(WORKER_SOURCE, PLACE);
    },
    renderChunk: (code) => code.replace(PLACE, WORKER_BUILT),
  };
}

/** Types beside the modules. The compiler leaves `./name` as it is, which Node's own resolution does not know. */
function types(): Plugin {
  return {
    name: "types",
    closeBundle() {
      execFileSync(
        process.execPath,
        [here("node_modules/typescript/bin/tsc"), "-p", here("tsconfig.hooks.json")],
        {
          stdio: "inherit",
        },
      );
      copyFileSync(here("../LICENSE"), here("dist/LICENSE"));
      writeFileSync(here("dist/streams.worker.d.ts"), "export {};\n");
      for (const name of readdirSync(here("dist"), { recursive: true, encoding: "utf8" })) {
        if (!name.endsWith(".d.ts")) continue;
        const file = join(here("dist"), name);
        const text = readFileSync(file, "utf8");
        writeFileSync(file, text.replaceAll(/(from |import\()"(\.[^"]+)"/g, '$1"$2.js"'));
      }
    },
  };
}

export default defineConfig({
  plugins: [workerStaysAFile(), types()],
  // Whatever NODE_ENV says while it is built: React has the other form only in development.
  oxc: { jsx: { development: false } },
  build: {
    outDir: "dist",
    emptyOutDir: true,
    minify: false,
    sourcemap: false,
    target: "es2023",
    lib: {
      entry: { index: "src/index.ts", "streams.worker": "src/stream/shared/streams.worker.ts" },
      formats: ["es"],
    },
    rolldownOptions: {
      external: [/^react(\/|$)/, "eventsource-parser"],
      output: { entryFileNames: "[name].js", chunkFileNames: "[name].js" },
    },
  },
});
