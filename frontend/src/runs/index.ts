/**
 * Runs of tests and jobs, followed to their ends.
 * No React. Start at `run-registry.ts`.
 */
export {};
