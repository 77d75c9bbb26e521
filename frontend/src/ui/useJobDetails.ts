/**
 * What a job's stream does not say: its command, its exit code, whether its runner is silent. Asked for when the
 * page has nothing, when the status changes, at the end, and now and then while it runs.
 */
import { useEffect, useState } from "react";
import { useClient } from "../hooks/client-context";
import type { Job, JobStatus } from "../stream/job";
import type { Fetched } from "../stream/jobs-api";

/** Between two looks at a running job, in milliseconds: a silent runner's lease runs out in 30 s. */
const REFRESH_MS = 30_000;

export interface JobDetails {
  readonly job: Job | null;
  readonly missing: boolean;
}

export function useJobDetails(
  id: string,
  initial: Job | null,
  status: JobStatus,
  isDone: boolean,
): JobDetails {
  const { api } = useClient();
  const [details, setDetails] = useState<JobDetails>({ job: initial, missing: false });
  const known = details.job?.status === status && (!isDone || details.job.exitCode !== undefined);
  useEffect(() => {
    const abort = new AbortController();
    const take = (fetched: Fetched<Job>): void => {
      if (abort.signal.aborted) return;
      if (fetched.ok) setDetails({ job: fetched.value, missing: false });
      else if (fetched.status === 404) setDetails((before) => ({ ...before, missing: true }));
    };
    const ask = (): void => {
      if (!document.hidden) void api.job(id, abort.signal).then(take);
    };
    if (!known) ask();
    const timer = isDone ? undefined : setInterval(ask, REFRESH_MS);
    return () => {
      abort.abort();
      clearInterval(timer);
    };
  }, [api, id, status, isDone, known]);
  return details;
}
