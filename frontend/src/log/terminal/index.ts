/**
 * Terminal text without a terminal: control sequences, styles, links and the width of characters.
 * Pure. Start at `terminal-lines.ts`.
 */
export {};
