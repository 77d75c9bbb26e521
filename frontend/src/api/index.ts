/**
 * The REST API as the dashboard asks it, and the shapes of its answers.
 * No React. Failures are values.
 */
export {};
