// @vitest-environment node
/** The hooks as a package, as another application gets them. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PackedHooks } from "../support/packed-hooks";

const PATIENCE_MS = 180_000;

let packed: PackedHooks;

beforeAll(() => {
  packed = PackedHooks.make();
}, PATIENCE_MS);

afterAll(() => packed?.remove());

const read = (name: string): string => readFileSync(join(packed.installed, name), "utf8");

describe("the package", () => {
  it("asks for React of the application, and holds no pages", () => {
    const { dependencies, peerDependencies, exports } = JSON.parse(read("package.json")) as Record<
      string,
      object
    >;
    expect(Object.keys(dependencies ?? {})).toEqual(["eventsource-parser"]);
    expect(Object.keys(peerDependencies ?? {})).toEqual(["react"]);
    for (const target of JSON.stringify(exports).matchAll(/"\.\/(dist\/[^"]+)"/g))
      expect(read(target[1] ?? "")).not.toBe("");
    const modules = readdirSync(join(packed.installed, "dist")).filter((name) => name.endsWith(".js"));
    expect(modules.toSorted()).toEqual(["connection-hub.js", "index.js", "streams.worker.js"]);
    const imported = modules.flatMap((name) =>
      [...read(`dist/${name}`).matchAll(/^import .*"([^"]+)";$/gm)].map(([, from]) => from),
    );
    expect(new Set(imported)).toEqual(
      new Set(["react", "react/jsx-runtime", "eventsource-parser", "./connection-hub.js"]),
    );
  });

  it(
    "passes publint and @arethetypeswrong/cli as a package of ES modules",
    () => {
      packed.lint("publint", "run", "--strict");
      packed.lint("attw", "--profile", "esm-only");
    },
    PATIENCE_MS,
  );

  it("names the worker's file so that a bundler finds it", () => {
    expect(read("dist/index.js")).toContain(
      'new SharedWorker(new URL("./streams.worker.js", import.meta.url), {',
    );
  });

  it(
    "has types that the example, and a program of Node's own resolution, are checked against",
    () => {
      packed.check();
      const node = [
        "--module",
        "nodenext",
        "--target",
        "es2023",
        "--jsx",
        "react-jsx",
        "--strict",
        "--types",
        "",
      ];
      packed.check(...node, "--ignoreConfig", "src/App.tsx");
    },
    PATIENCE_MS,
  );

  it(
    "is built into another application, its worker beside it",
    () => {
      const built = readdirSync(join(packed.build(), "assets"));
      expect(built.filter((name) => /^streams\.worker-.*\.js$/.test(name))).toHaveLength(1);
    },
    PATIENCE_MS,
  );

  it("can be loaded and rendered where there is no browser", () => {
    const html = packed.evaluate(`
      import { createElement } from "react";
      import { renderToString } from "react-dom/server";
      import { FantailProvider, createClient, sharedStreams, useJobStream } from "fantail-dashboard";
      const initialOutput = [{ timestamp: 1, line: "known before", stream: "stdout" }];
      const Job = () => useJobStream("42", { initialJob: { status: "running" }, initialOutput }).lines.map(({ line }) => line).join();
      console.log(renderToString(createElement(FantailProvider, { value: createClient({ streams: sharedStreams() }) }, createElement(Job))));
    `);
    expect(html.trim()).toBe("known before");
  });
});
