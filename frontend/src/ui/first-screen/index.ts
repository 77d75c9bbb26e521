/**
 * The first screen of a job, drawn without React from the data in the HTML.
 * Start at `job-screen.ts`.
 */
export {};
