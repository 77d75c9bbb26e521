/**
 * One row of the log: its text, its group, its timestamp.
 * Start at `LogSlot.tsx`.
 */
export {};
