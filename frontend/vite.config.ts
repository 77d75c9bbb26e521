/**
 * One configuration for the build, the unit tests and the browser tests.
 *
 * The build lands inside the Python package, which serves it and carries it in its wheel. Nothing is inlined as
 * a `data:` address, because the server's Content-Security-Policy allows only what comes from the server itself.
 */
import { readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { constants, gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** The browser tests live outside this folder, and find their packages here. */
const packagesForBrowserTests = {
  "axe-core": here("node_modules/axe-core"),
  "playwright-core": here("node_modules/playwright-core/index.mjs"),
  vitest: here("node_modules/vitest"),
};

/**
 * Puts `first-paint.js` into the page's head as it is: a script that runs before anything is drawn. And names what the
 * first script will ask for once the first screen is shown (`main.ts`), so that it is fetched by then.
 */
function firstPaint(): Plugin {
  const file = "src/ui/first-paint.js";
  return {
    name: "first-paint",
    buildStart() {
      if (this.environment.mode !== "build") return;
      this.emitFile({ type: "asset", name: "first-paint.js", source: readFileSync(here(file), "utf8") });
    },
    transformIndexHtml: {
      order: "post",
      handler(html, { bundle }) {
        const outputs = Object.values(bundle ?? {});
        const chunkOf = (module: string) =>
          outputs.find((output) => output.type === "chunk" && output.moduleIds.includes(here(module)));
        const built = outputs.find(
          (output) => output.type === "asset" && output.names.includes("first-paint.js"),
        );
        const jobPage = chunkOf("src/ui/jobs/JobPage.tsx");
        const ahead = jobPage ? ` data-job-page="/${jobPage.fileName}"` : "";
        const wanted = new Set<string>();
        const want = (name: string | undefined): void => {
          const chunk = outputs.find(({ fileName, type }) => type === "chunk" && fileName === name);
          if (chunk?.type !== "chunk" || wanted.has(chunk.fileName)) return;
          wanted.add(chunk.fileName);
          chunk.imports.forEach(want);
        };
        want(chunkOf("src/dashboard.tsx")?.fileName);
        const links = [...wanted]
          .filter((name) => !html.includes(name))
          .map((name) => `<link rel="modulepreload" crossorigin href="/${name}" />`);
        // Behind the script and the style sheet of the first screen, which come first.
        return html
          .replace("<!--first-paint-->", `<script src="/${built?.fileName ?? file}"${ahead}></script>`)
          .replace("</head>", `  ${links.join("\n    ")}\n  </head>`);
      },
    },
  };
}

/** Markup that is a text in a script, without the white space that indents it. */
function withoutIndents(): Plugin {
  return {
    name: "without-indents",
    transform: {
      order: "post",
      filter: { id: /\.html\?raw$/ },
      handler: (code) => ({ code: code.replaceAll(/\\n\s+/g, "\\n"), map: null }),
    },
  };
}

/** Puts a packed copy beside each file that is worth it: the server sends that, and packs nothing while someone waits. */
function packed(): Plugin {
  return {
    name: "packed",
    async writeBundle({ dir = "" }, bundle) {
      for (const { fileName } of Object.values(bundle)) {
        if (!/\.(?:js|css|svg)$/.test(fileName)) continue;
        const whole = await readFile(join(dir, fileName));
        const copy = gzipSync(whole, { level: constants.Z_BEST_COMPRESSION });
        if (copy.length < whole.length) await writeFile(join(dir, `${fileName}.gz`), copy);
      }
    },
  };
}

export default defineConfig({
  plugins: [react(), firstPaint(), withoutIndents(), packed()],
  build: {
    outDir: "../src/web/dashboard",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output: {
        // What the first screen needs, and what makes the page live: two files, and not one for each module they share.
        codeSplitting: {
          groups: [
            { name: "first-screen", tags: ["$initial"], priority: 2 },
            { name: "dashboard", test: /\/src\/dashboard\.tsx$/, priority: 1 },
          ],
        },
      },
    },
    target: ["chrome123", "firefox128", "safari18"],
  },
  server: {
    proxy: { "/api": "http://127.0.0.1:8765", "/ui-api": "http://127.0.0.1:8765" },
    fs: { allow: [".."] },
  },
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          environment: "happy-dom",
          include: ["tests/**/*.test.{ts,tsx}"],
          testTimeout: 10_000,
        },
      },
      {
        extends: true,
        resolve: { alias: packagesForBrowserTests },
        test: {
          name: "browser",
          environment: "node",
          include: ["../tests/browser/**/*.test.ts"],
          fileParallelism: false,
        },
      },
    ],
  },
});
