/**
 * One job's log outside React: its lines, layout, groups, search session and outline.
 * Start at `line-store.ts`, then `log-layout.ts`.
 */
export {};
