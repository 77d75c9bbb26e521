/**
 * The command palette.
 * Start at `Palette.tsx`.
 */
export {};
