/**
 * The groups of a log, as a fold over its marks, and which of them are folded.
 *
 * Two kinds of marks make groups, and they nest: `open` and `close`. Most are commands (`::group::` … `::endgroup::`).
 * A header (`--- title`) has no end of its own; where the next one ends it, whoever made the marks says so with a
 * `close` of its own, at the next header's line.
 *
 * Invariants:
 *  - Groups are sorted by the offset of their head, and properly nested.
 *  - A group holds the entries behind its head, up to `end`; its closing command is inside, for it says nothing
 *    to a reader; the header that ends another is not. A group that is not closed goes on to the end of the log.
 *  - A close without an open is no group.
 *  - What the reader did outlasts what is decided for them: a group they opened is not folded again.
 */
import { type OffsetRange } from "./projection";

/** What a line does beside being a line. */
export type MarkKind = "error" | "open" | "close";

export interface LogMark {
  readonly offset: number;
  readonly kind: MarkKind;
  readonly title?: string;
  /** Milliseconds since the epoch. */
  readonly timestamp?: number;
  /** Whether a header opens the group, or ends it. */
  readonly header?: boolean;
}

export interface Group {
  /** Of the head, which is always displayed unless an outer group is folded. */
  readonly offset: number;
  readonly title: string;
  /** How many groups it is in. */
  readonly depth: number;
  readonly parent: Group | null;
  /** The offset behind the last entry inside; null while it is open. */
  readonly end: number | null;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  /** Lines inside that are errors, those of inner groups included. */
  readonly errors: number;
  /** Whether a header opened it. */
  readonly header: boolean;
}

type Building = { -readonly [Key in keyof Group]: Group[Key] } & {
  parent: Building | null;
};

export class GroupTree {
  readonly #groups: Building[] = [];
  readonly #heads = new Map<number, Building>();
  /** What is open, outermost first. */
  #open: Building[] = [];

  /** What is open, outermost first. */
  get open(): readonly Group[] {
    return this.#open;
  }

  /** All groups by the offset of their heads. Not copied: it grows. */
  get groups(): readonly Group[] {
    return this.#groups;
  }

  /** Takes the next mark; offsets never go back. */
  take(mark: LogMark): void {
    switch (mark.kind) {
      case "error":
        for (const group of this.#open) group.errors += 1;
        break;
      case "open":
        this.#begin(mark);
        break;
      case "close":
        this.#close(mark);
        break;
    }
  }

  /** The group whose head this entry is. */
  headAt(offset: number): Group | null {
    return this.#heads.get(offset) ?? null;
  }

  /** The groups that the entry is inside, innermost first. A head is not inside its own group. */
  around(offset: number): readonly Group[] {
    let group: Group | null = this.#lastBefore(offset);
    while (group && group.end !== null && group.end <= offset) group = group.parent;
    const found: Group[] = [];
    for (; group; group = group.parent) found.push(group);
    return found;
  }

  /** The nearest head behind (`1`) or before (`-1`) an entry, of those for which `counts` holds. */
  nearestHead(offset: number, step: 1 | -1, counts: (group: Group) => boolean): Group | null {
    let at = this.#countBefore(step === 1 ? offset + 1 : offset) - (step === 1 ? 0 : 1);
    for (; at >= 0 && at < this.#groups.length; at += step) {
      const group = this.#groups[at];
      if (group && counts(group)) return group;
    }
    return null;
  }

  #begin({ offset, title, timestamp, header }: LogMark): void {
    const group: Building = {
      offset,
      title: title ?? "",
      depth: this.#open.length,
      parent: this.#open.at(-1) ?? null,
      end: null,
      startedAt: timestamp ?? null,
      endedAt: null,
      errors: 0,
      header: header ?? false,
    };
    this.#open.push(group);
    this.#groups.push(group);
    this.#heads.set(offset, group);
  }

  #close({ offset, timestamp, header }: LogMark): void {
    const group = this.#open.pop();
    if (!group) return;
    group.end = header ? offset : offset + 1;
    group.endedAt = timestamp ?? null;
  }

  #lastBefore(offset: number): Building | null {
    return this.#groups[this.#countBefore(offset) - 1] ?? null;
  }

  /** How many heads are before the offset. */
  #countBefore(offset: number): number {
    let low = 0;
    let high = this.#groups.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#groups[middle]?.offset ?? 0) < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Which groups are folded: an immutable set of heads. */
export class Folds {
  readonly #folded: ReadonlySet<number>;
  /** Those about which the reader, or a search, has decided. */
  readonly #decided: ReadonlySet<number>;

  constructor(folded: ReadonlySet<number> = new Set(), decided: ReadonlySet<number> = new Set()) {
    this.#folded = folded;
    this.#decided = decided;
  }

  isFolded(head: number): boolean {
    return this.#folded.has(head);
  }

  /** Folds what is finished and says nothing of errors, where nobody has decided otherwise. */
  atFirst(groups: readonly Group[]): Folds {
    const folded = new Set(this.#folded);
    for (const { offset, end, errors } of groups) {
      if (end !== null && errors === 0 && !this.#decided.has(offset)) folded.add(offset);
    }
    return new Folds(folded, this.#decided);
  }

  set(heads: readonly number[], fold: boolean): Folds {
    const folded = new Set(this.#folded);
    for (const head of heads) {
      if (fold) folded.add(head);
      else folded.delete(head);
    }
    return new Folds(folded, new Set([...this.#decided, ...heads]));
  }

  /** Unfolds whatever hides the entry; the same object where nothing does. */
  reveal(tree: GroupTree, offset: number): Folds {
    const hiding = tree.around(offset).map((group) => group.offset);
    return hiding.some((head) => this.#folded.has(head)) ? this.set(hiding, false) : this;
  }

  /** What is hidden, in no order. */
  hidden(tree: GroupTree): readonly OffsetRange[] {
    const ranges: OffsetRange[] = [];
    for (const head of this.#folded) {
      const group = tree.headAt(head);
      if (group) ranges.push({ from: head + 1, to: group.end ?? Number.POSITIVE_INFINITY });
    }
    return ranges;
  }
}
