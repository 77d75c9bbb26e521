/**
 * What several pages show alike: heads, statuses, times, connection states.
 * Nothing here asks the server.
 */
export {};
