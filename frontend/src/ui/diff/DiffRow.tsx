/** One row of a patch: numbers, a mark, and the text in its colours. Everything is text; nothing becomes markup. */
import { Fragment, type ReactNode } from "react";
import { visible } from "../shared/VisibleText";
import { ADDED, DRAWN_CHARS_MAX, HUNK, type Patch, REMARK, REMOVED, changedPart, moreText } from "./patch";
import type { Colours } from "./syntax";

const CLASSES: Readonly<Record<number, string>> = {
  [ADDED]: "added",
  [REMOVED]: "removed",
  [REMARK]: "remark",
};
const MARKS: Readonly<Record<number, string>> = { [ADDED]: "+", [REMOVED]: "−" };

interface LineProps {
  readonly patch: Patch;
  readonly colours: Colours | null;
  /** The line's index in the patch. */
  readonly at: number;
  /** In pixels, where lines are wrapped. */
  readonly height?: number | undefined;
}

export function UnifiedRow({ patch, colours, at, height }: LineProps) {
  const kind = patch.kinds[at] ?? REMARK;
  if (kind === HUNK) return <HunkRow patch={patch} at={at} />;
  return (
    <div className={`d-row ${CLASSES[kind] ?? ""}`} style={{ height }}>
      <span className="d-number">{patch.before[at] || ""}</span>
      <span className="d-number">{patch.after[at] || ""}</span>
      <Code patch={patch} colours={colours} at={at} kind={kind} />
    </div>
  );
}

interface SplitRowProps {
  readonly patch: Patch;
  readonly colours: Colours | null;
  readonly left: number;
  readonly right: number;
  readonly height?: number | undefined;
}

export function SplitRow({ patch, colours, left, right, height }: SplitRowProps) {
  if (left >= 0 && patch.kinds[left] === HUNK) return <HunkRow patch={patch} at={left} />;
  return (
    <div className="d-row d-split" style={{ height }}>
      <Side patch={patch} colours={colours} at={left} number={patch.before[left]} />
      <Side patch={patch} colours={colours} at={right} number={patch.after[right]} />
    </div>
  );
}

function Side({ patch, colours, at, number }: LineProps & { readonly number: number | undefined }) {
  if (at < 0) return <div className="d-side nothing" />;
  const kind = patch.kinds[at] ?? REMARK;
  return (
    <div className={`d-side ${CLASSES[kind] ?? ""}`}>
      <span className="d-number">{number || ""}</span>
      <Code patch={patch} colours={colours} at={at} kind={kind} />
    </div>
  );
}

function HunkRow({ patch, at }: { readonly patch: Patch; readonly at: number }) {
  return <div className="d-row hunk">{visible(patch.lines[at]?.slice(0, DRAWN_CHARS_MAX) ?? "")}</div>;
}

function Code({ patch, colours, at, kind }: LineProps & { readonly kind: number }) {
  const line = patch.lines[at] ?? "";
  const partner = patch.partners[at] ?? -1;
  const changed = partner >= 0 ? changedPart(line, patch.lines[partner] ?? "") : null;
  return (
    <>
      <span className="d-mark">{MARKS[kind] ?? " "}</span>
      <span className="d-code" data-at={at}>
        <span className="d-text">
          {pieces(line.slice(0, DRAWN_CHARS_MAX), spansOf(colours, at), changed)}
          {line.length > DRAWN_CHARS_MAX && <em>{moreText(line)}</em>}
        </span>
      </span>
    </>
  );
}

function spansOf(colours: Colours | null, at: number): Uint32Array {
  return colours ? colours.spans.subarray(colours.starts[at], colours.starts[at + 1]) : NO_SPANS;
}

const NO_SPANS = new Uint32Array(0);

/** The line cut where a colour or the changed part begins or ends. */
function pieces(line: string, spans: Uint32Array, changed: readonly [number, number] | null): ReactNode {
  if (spans.length === 0 && !changed) return visible(line);
  const made: ReactNode[] = [];
  const put = (from: number, to: number, kind: number): void => {
    const [start, stop] = changed ?? [line.length, line.length];
    for (const [a, b, inside] of [
      [from, Math.min(to, start), false],
      [Math.max(from, start), Math.min(to, stop), true],
      [Math.max(from, stop), to, false],
    ] as const) {
      if (a >= b) continue;
      const className = [kind ? `k${kind}` : "", inside ? "part" : ""].filter(Boolean).join(" ");
      const text = line.slice(a, b);
      made.push(
        className ? (
          <span key={a} className={className}>
            {visible(text)}
          </span>
        ) : (
          <Fragment key={a}>{visible(text)}</Fragment>
        ),
      );
    }
  };
  let at = 0;
  for (let next = 0; next < spans.length; next += 3) {
    const from = Math.min(spans[next] ?? 0, line.length);
    const to = Math.min(spans[next + 1] ?? 0, line.length);
    if (from > at) put(at, from, 0);
    put(Math.max(at, from), to, spans[next + 2] ?? 0);
    at = Math.max(at, to);
  }
  put(at, line.length, 0);
  return made;
}
