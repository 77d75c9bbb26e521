/**
 * Finding in the log: search, filter, errors, and stepping through them.
 * Start at `LogFind.tsx`.
 */
export {};
