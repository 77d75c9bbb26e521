/** Lines added and removed. */
import { formatCount } from "../format";

export function Changes({ added = 0, removed = 0 }: { readonly added?: number; readonly removed?: number }) {
  if (added === 0 && removed === 0) return <span className="muted">–</span>;
  return (
    <span className="figures">
      <span className="added">+{formatCount(added)}</span>{" "}
      <span className="removed">−{formatCount(removed)}</span>
    </span>
  );
}
