/**
 * Pages of a log whose stream is over, proven to be of the list that the stream was about.
 *
 * While a stream is open it tells at once when its list is written anew. Once it is over nobody does: a job that runs
 * again under its name, or one that was deleted and made anew, has other lines at the same offsets, and a page of those
 * among the ones on the screen would be a log that never was. So after each page the entry at the last position of the
 * stream is asked for: the list is the same as long as that position is (its tag is a checksum of the entry).
 *
 * After, and not before: a list that was written anew in between is then noticed. A proof by the server, as a parameter of
 * the same question, was decided against: this costs one small question per page, of finished jobs alone.
 */
import type { JobsApi, OutputPage } from "../api/jobs-api";
import type { LineStore } from "./line-store";
import type { Fetched } from "../api/questions";

/** The status with which such a failure comes. */
export const WRITTEN_ANEW_STATUS = 409;

const WRITTEN_ANEW = "the output was written anew meanwhile; load the page again to see it";

/** The same questions; an answer with output that is not of the log any more is a failure that says so. */
export function provenOutput(api: JobsApi, log: LineStore): JobsApi {
  const output: JobsApi["output"] = async (id, from, limit, signal) => {
    const page = await api.output(id, from, limit, signal);
    const { proof } = log;
    if (!page.ok || proof === null || page.value.position === proof.position) return page;
    return answered(page, await api.output(id, proof.offset, 1, signal), proof.position);
  };
  return {
    job: (id, signal) => api.job(id, signal),
    output,
    downloadUrl: (id) => api.downloadUrl(id),
    patchUrl: (id) => api.patchUrl(id),
  };
}

function answered(
  page: Fetched<OutputPage>,
  last: Fetched<OutputPage>,
  position: string,
): Fetched<OutputPage> {
  if (!last.ok) return last;
  return last.value.position === position
    ? page
    : { ok: false, status: WRITTEN_ANEW_STATUS, message: WRITTEN_ANEW };
}
