/**
 * The connection to the server: reconnecting, event parsing, positions, JSON Patch, and stores fed by one stream.
 * No React: it also runs in a worker.
 */
export {};
