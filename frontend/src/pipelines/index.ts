/**
 * The status of pipelines: one stream for the page, polling where there is none, one board for both.
 * No React. Start at `pipeline-sse-manager.ts`.
 */
export {};
