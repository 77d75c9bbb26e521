/**
 * What a job's stream does not say: its command, its exit code, whether its runner is silent, and once the stream is
 * over, whether the job runs again. Asked for when the page has nothing, when the status changes, at the end, and now
 * and then; not while nobody can see the page, and at once when somebody looks at it again.
 *
 * Decided against, for a job that runs again: the stream of the tables, which would say so at once, and would begin with
 * the rows of all jobs for each page that shows the lines of one that has ended.
 */
import { useEffect, useState } from "react";
import { useClient } from "../../hooks/client-context";
import type { WatchedJob } from "../../hooks/useJobSession";
import { type Job, isTerminal } from "../../api/job";
import type { Fetched } from "../../api/jobs-api";
import { browserVisibility } from "../../stream/page-visibility";

/** Between two looks at a running job, in milliseconds: a silent runner's lease runs out in 30 s. */
const REFRESH_MS = 30_000;

/** Between two looks at a job that has ended, in milliseconds: it may run again, and its page is to be live then. */
export const AGAIN_MS = 5_000;

export interface JobDetails {
  readonly job: Job | null;
  readonly missing: boolean;
}

export function useJobDetails(
  id: string,
  initial: Job | null,
  { status, isDone, resume }: Pick<WatchedJob, "status" | "isDone" | "resume">,
): JobDetails {
  const { api } = useClient();
  const [details, setDetails] = useState<JobDetails>({ job: initial, missing: false });
  const known = details.job?.status === status && (!isDone || details.job.exitCode !== undefined);
  useEffect(() => {
    const abort = new AbortController();
    const take = (fetched: Fetched<Job>): void => {
      if (abort.signal.aborted) return;
      if (fetched.ok) setDetails((before) => withJob(before, fetched.value));
      else if (fetched.status === 404) setDetails((before) => ({ ...before, missing: true }));
      if (isDone && fetched.ok && !isTerminal(fetched.value.status)) resume();
    };
    const ask = (): void => {
      if (!browserVisibility.hidden()) void api.job(id, abort.signal).then(take);
    };
    if (!known) ask();
    const timer = setInterval(ask, isDone ? AGAIN_MS : REFRESH_MS);
    const stopLooking = browserVisibility.onChange(ask);
    return () => {
      abort.abort();
      clearInterval(timer);
      stopLooking();
    };
  }, [api, id, status, isDone, known, resume]);
  return details;
}

/** What is known stays the same object where nothing changed, so that a page that only looks draws nothing anew. */
function withJob(before: JobDetails, job: Job): JobDetails {
  const same = !before.missing && JSON.stringify(before.job) === JSON.stringify(job);
  return same ? before : { job, missing: false };
}
