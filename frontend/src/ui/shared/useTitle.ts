/** The title of the browser's tab: what the page is, then whose. */
import { useEffect } from "react";

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Fantail`;
  }, [title]);
}
