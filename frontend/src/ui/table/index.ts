/**
 * The one table of all lists.
 * Start at `DataTable.tsx`.
 */
export {};
