/**
 * The log viewer: virtual rows, keys, selection, timestamps.
 * Start at `LogViewer.tsx`.
 */
export {};
