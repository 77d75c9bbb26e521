/**
 * Knows the whole log: its errors and groups, for the lines and for what is around them.
 *
 * Once, when the outline of what there is has come, groups are folded that are finished and say nothing of errors.
 * Later ones are left as they are: what someone reads is not folded under their eyes.
 */
import { type ReactNode, useCallback, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { useClient } from "../../hooks/client-context";
import { Folds } from "../../log/groups";
import type { JobOutput } from "../../api/job";
import type { LineStore } from "../../log/line-store";
import { MarkReader, isErrorLine } from "../../log/line-marks";
import { Outline } from "../../log/outline";
import { browserPlatform } from "../../stream/platform";
import { type LogKnowledge as Knowledge, LogKnowledgeContext } from "./log-controls";
import { LogOutlineContext } from "./find/outline-context";

interface LogKnowledgeProps {
  readonly log: LineStore;
  readonly jobId: string;
  /** Whether more lines may come. */
  readonly running: boolean;
  readonly children: ReactNode;
}

export function LogKnowledge({ log, jobId, running, children }: LogKnowledgeProps) {
  const outline = useOutline(log, jobId);
  useSyncExternalStore(outline.subscribe, () => outline.version);
  const [state, setState] = useState(() => unfolded(outline));
  let { folds } = state;
  if (state.outline !== outline || state.generation !== outline.generation) setState(unfolded(outline));
  else if (!state.begun && outline.known > 0 && outline.isCurrent) {
    folds = folds.atFirst(outline.groups.groups);
    setState({ ...state, folds, begun: true });
  }
  const fold = useCallback((heads: readonly number[], doFold: boolean) => {
    setState((before) => ({ ...before, folds: before.folds.set(heads, doFold) }));
  }, []);
  const reveal = useCallback((offset: number) => {
    setState((before) => ({ ...before, folds: before.folds.reveal(before.outline.groups, offset) }));
  }, []);
  const { begun } = state;
  const known = useMemo(
    () => ({ log, outline, folds, begun, running, fold, reveal }),
    [log, outline, folds, begun, running, fold, reveal],
  );
  const { firstError } = outline;
  const knowledge = useMemo((): Knowledge => ({ isError, firstError }), [firstError]);
  return (
    <LogOutlineContext value={known}>
      <LogKnowledgeContext value={knowledge}>{children}</LogKnowledgeContext>
    </LogOutlineContext>
  );
}

function unfolded(outline: Outline) {
  return { folds: new Folds(), begun: false, outline, generation: outline.generation };
}

function isError({ line, stream }: JobOutput): boolean {
  return isErrorLine(line, stream);
}

function useOutline(log: LineStore, jobId: string): Outline {
  const { logs } = useClient();
  const outline = useMemo(
    () =>
      new Outline({
        lines: {
          get end() {
            return log.end;
          },
          get generation() {
            return log.generation;
          },
          entry: (offset) => log.entry(offset),
        },
        ask: (from, signal) => logs.outline(jobId, from, signal),
        reader: (open) => new MarkReader(open),
        platform: browserPlatform,
      }),
    [log, logs, jobId],
  );
  useEffect(() => {
    outline.start();
    const unsubscribe = log.subscribe(() => outline.advance());
    return () => {
      unsubscribe();
      outline.stop();
    };
  }, [outline, log]);
  return outline;
}
