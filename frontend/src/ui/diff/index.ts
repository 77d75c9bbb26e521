/**
 * The diff of a job's worktree.
 * Start at `DiffTab.tsx`.
 */
export {};
