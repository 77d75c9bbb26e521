/**
 * The page of pipelines.
 * Start at `PipelinesPage.tsx`.
 */
export {};
