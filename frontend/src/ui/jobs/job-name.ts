/** What a job is called. */
import type { Job } from "../../api/job";

/** Whatever names a job: what is shown first of it. */
export function nameOf(job: Job): string {
  return job.name ?? job.prompt ?? job.command ?? job.id;
}
