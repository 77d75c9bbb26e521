/**
 * The page of runs, and the notices of runs that end.
 * Start at `RunsPage.tsx`.
 */
export {};
