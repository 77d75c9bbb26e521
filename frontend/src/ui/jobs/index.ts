/**
 * The list of jobs, and the page of one job around its log and its diff.
 * Start at `JobsPage.tsx` and `JobPage.tsx`.
 */
export {};
