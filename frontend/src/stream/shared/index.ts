/**
 * One connection for all tabs: a shared worker, or a leading tab, subscribes for each of them.
 * Start at `connection-hub.ts`.
 */
export {};
