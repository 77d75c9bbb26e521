/**
 * The page of the server's own state, for admins.
 * Start at `SystemPage.tsx`.
 */
export {};
