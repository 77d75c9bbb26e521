/**
 * The hooks: thin shells around the stores, over `useSyncExternalStore`. Other applications use them too
 * (docs/HOOKS.md), so they know no pages.
 */
export {};
