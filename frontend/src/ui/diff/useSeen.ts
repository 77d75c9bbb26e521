/**
 * Which files changed since the reader looked at them. All that is there at first counts as seen: nothing has changed
 * since. A file is looked at when it has been in view for a moment, on a page that is.
 */
import { useEffect, useState } from "react";
import type { FileDiff } from "../../stream/diff-store";

/** How long a file must be in view to have been looked at, in milliseconds. */
const LOOK_MS = 1_500;

export interface Seen {
  readonly isNews: (file: FileDiff) => boolean;
  readonly news: number;
}

export function useSeen(
  files: ReadonlyMap<string, FileDiff>,
  ready: boolean,
  visible: readonly FileDiff[],
  active: boolean,
): Seen {
  const [seen, setSeen] = useState<ReadonlyMap<string, FileDiff> | null>(null);
  if (seen === null && ready) setSeen(new Map(files));
  useEffect(() => {
    if (!active || seen === null) return undefined;
    const timer = setTimeout(() => {
      if (document.hidden || visible.every((file) => seen.get(file.file) === file)) return;
      setSeen(new Map([...seen, ...visible.map((file) => [file.file, file] as const)]));
    }, LOOK_MS);
    return () => clearTimeout(timer);
  }, [seen, visible, active]);
  const isNews = (file: FileDiff): boolean => seen !== null && seen.get(file.file) !== file;
  let news = 0;
  for (const file of files.values()) if (isNews(file)) news += 1;
  return { isNews, news };
}
