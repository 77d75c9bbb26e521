import { render } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import type { FileDiff } from "../../../src/stream/diff-store";
import { Foreign, visible } from "../../../src/ui/shared/VisibleText";
import { warningsOf } from "../../../src/ui/diff/warnings";
import { linesOf } from "../../../src/ui/diff/wrap";

const file = (lines: readonly string[], name = "a.ts"): FileDiff => ({
  file: name,
  change: "modified",
  diff: `diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1,2 +1,2 @@ here\n${lines.join("\n")}\n`,
  additions: 1,
  deletions: 1,
});

const warned = (lines: readonly string[], name?: string): readonly string[] =>
  warningsOf(file(lines, name)).map((warning) => warning.text);

describe("a file's warnings", () => {
  it.for([
    [["-a", "+b"], []],
    [["-a", "+a\u202e"], ["Hidden bidirectional text"]],
    [[" a\u2066", "-b", "+c"], ["Hidden bidirectional text"]],
    [["-a\u200b", "+a"], ["Invisible characters"]],
    [["-a", "+b", " 👨\u200d👩"], []],
    [["-a", "-b", "+a\r", "+b\r"], ["Line endings changed from LF to CRLF"]],
    [["-a\r", "-b\r", "+a", "+b"], ["Line endings changed from CRLF to LF"]],
    [["-a", "-b\r", "+a\r", "+b"], ["Line endings changed"]],
    [["-a", "-b", "+a\r", "+c\r"], ["Line endings changed from LF to CRLF"]],
    [["-a\r", "+b\r"], []],
    [["-  a", "+\ta"], ["Only white space changed"]],
    [["-a b", "+a", "+b"], ["Only white space changed"]],
    [["+a\r"], []],
  ] as const)("%j: %j", ([lines, expected]) => expect(warned(lines)).toEqual(expected));

  it("its name counts too", () => {
    expect(warned(["-a", "+b"], "\u202eabc.txt")).toEqual(["Hidden bidirectional text"]);
  });

  it("line endings alone are said to be alone", () => {
    const titles = [
      ["-a", "+a\r"],
      ["-a", "-b", "+a\r", "+c\r"],
    ].map((lines) => warningsOf(file(lines))[0]?.title);
    expect(titles).toEqual(["Nothing else changed.", "There are other changes too."]);
  });

  it("say that secrets are masked in a patch, which must not be applied then", () => {
    const [warning] = warningsOf({ ...file(["-a", "+***"]), masked: true });
    expect(warning?.text).toBe("Secrets masked");
    expect(warning?.title).toContain("Do not apply");
  });
});

describe("text that somebody else wrote", () => {
  it("has a box for what is invisible, and is the real text", () => {
    const { container } = render(<Foreign>{"\u202eabc.txt"}</Foreign>);
    expect(container.textContent).toBe("\u202eabc.txt");
    const box = container.querySelector("bdi > .invisible");
    expect(box?.getAttribute("data-code")).toBe("U+202E");
    expect(box?.getAttribute("aria-label")).toBe("U+202E, changes the direction of text");
  });

  it("is itself where there is none", () => {
    expect(visible("abc")).toBe("abc");
  });

  it("never takes more lines than were counted", () => {
    expect(linesOf("\u202e".repeat(10), 20)).toBeGreaterThanOrEqual(5);
    expect(linesOf("a", 20)).toBe(1);
  });
});
