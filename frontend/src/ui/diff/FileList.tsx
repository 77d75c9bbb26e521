/** The files that differ, with their statistics: a list of which only the part in view is drawn. */
import { useEffect, useState } from "react";
import { ChangeMark, Counts } from "./DiffFile";
import type { Section } from "./layout";

const ITEM_HEIGHT = 30;
const OVERSCAN = 10;

interface FileListProps {
  readonly sections: readonly Section[];
  /** The file at the upper edge of the diff. */
  readonly current: string | null;
  readonly isNews: (section: Section) => boolean;
  readonly onShow: (section: Section) => void;
}

export function FileList({ sections, current, isNews, onShow }: FileListProps) {
  const [scrollTop, setScrollTop] = useState(0);
  const [list, setList] = useState<HTMLElement | null>(null);
  const [height, setHeight] = useState(600);
  useEffect(() => {
    if (!list) return undefined;
    const observer = new ResizeObserver(() => setHeight(list.clientHeight));
    observer.observe(list);
    return () => observer.disconnect();
  }, [list]);
  const from = Math.max(0, Math.floor(scrollTop / ITEM_HEIGHT) - OVERSCAN);
  const to = Math.ceil((scrollTop + height) / ITEM_HEIGHT) + OVERSCAN;
  return (
    <nav
      className="d-list"
      aria-label="Files"
      ref={setList}
      onScroll={(event) => setScrollTop(event.currentTarget.scrollTop)}
    >
      <ul style={{ height: sections.length * ITEM_HEIGHT }}>
        {sections.slice(from, to).map((section, index) => {
          const { file } = section;
          const cut = file.file.lastIndexOf("/") + 1;
          return (
            <li key={file.file} style={{ top: (from + index) * ITEM_HEIGHT }}>
              <button
                type="button"
                aria-current={file.file === current || undefined}
                title={file.oldPath === undefined ? file.file : `${file.oldPath} → ${file.file}`}
                onClick={() => onShow(section)}
              >
                <ChangeMark change={file.change} />
                <span className="d-path">
                  <span className="muted">{file.file.slice(0, cut)}</span>
                  <span>{file.file.slice(cut)}</span>
                </span>
                {isNews(section) && (
                  <span className="d-dot">
                    <span className="unseen">changed</span>
                  </span>
                )}
                <Counts additions={file.additions} deletions={file.deletions} />
              </button>
            </li>
          );
        })}
      </ul>
    </nav>
  );
}
