/** Whether anybody can see this page, behind an interface, so that tests can hide it. A worker counts as visible. */

export interface PageVisibility {
  hidden(): boolean;
  /** Calls back whenever it may have changed; the result stops it. */
  onChange(run: () => void): () => void;
}

export const browserVisibility: PageVisibility = {
  hidden: () => globalThis.document?.visibilityState === "hidden",
  onChange(run) {
    globalThis.document?.addEventListener("visibilitychange", run);
    return () => globalThis.document?.removeEventListener("visibilitychange", run);
  },
};
