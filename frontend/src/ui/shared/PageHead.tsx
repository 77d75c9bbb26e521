/** What all pages have alike: the head, and the ways of having nothing to show yet. */
import type { ReactNode } from "react";

interface PageHeadProps {
  readonly title: ReactNode;
  /** Beside the title: a status, a count. */
  readonly summary?: ReactNode;
  /** Above the title: where this page is. */
  readonly crumbs?: ReactNode;
  /** How what the page shows is kept up to date; always in this one place. */
  readonly connection?: ReactNode;
}

export function PageHead({ title, summary, crumbs, connection }: PageHeadProps) {
  return (
    <div className="page-head">
      {crumbs}
      <div className="page-title">
        {/* Where the focus goes when this page takes another's place. */}
        <h1 id="page-title" tabIndex={-1}>
          {title}
        </h1>
        {typeof summary === "string" ? <p className="muted figures">{summary}</p> : summary}
      </div>
      {connection}
    </div>
  );
}

/** Shown where nothing came within a moment, and not before: a word that flashes is worse than none. */
export function Loading({ what }: { readonly what: string }) {
  return <p className="empty muted late">Loading {what}…</p>;
}

interface TroubleProps {
  readonly title: string;
  readonly children?: ReactNode;
  readonly onRetry?: () => void;
}

/** The page has nothing to show, and this is why. */
export function Trouble({ title, children, onRetry }: TroubleProps) {
  return (
    <div className="empty" role="alert">
      <h2>{title}</h2>
      {children !== undefined && <p className="muted">{children}</p>}
      {onRetry && (
        <p>
          <button type="button" onClick={onRetry}>
            Try again
          </button>
        </p>
      )}
    </div>
  );
}
