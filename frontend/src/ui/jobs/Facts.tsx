/** What is known of a job, as a list of terms; long texts fold away. */
import type { ReactNode } from "react";
import { type Job, isTerminal } from "../../api/job";
import { isWebAddress } from "../../log/terminal/links";
import { Changes } from "../shared/Changes";
import { CopyButton } from "../shared/CopyButton";
import { Ago, Duration } from "../shared/Times";
import { visible } from "../shared/VisibleText";

export function Facts({ job }: { readonly job: Job }) {
  const running = job.startedAt !== undefined && !isTerminal(job.status);
  const changed = (job.linesAdded ?? 0) + (job.linesRemoved ?? 0) > 0;
  return (
    <div className="facts">
      <dl>
        <Fact term="Branch">{job.branch !== undefined && visible(job.branch)}</Fact>
        <Fact term="Repository">{visible(job.repoName ?? job.repoUrl ?? "")}</Fact>
        <Fact term="Started">{job.startedAt !== undefined && <Ago atMs={job.startedAt} />}</Fact>
        <Fact term="Duration">
          {job.startedAt !== undefined && (
            <Duration startedAt={job.startedAt} finishedAt={job.finishedAt} running={running} />
          )}
        </Fact>
        <Fact term="Exit code">{job.exitCode !== undefined && String(job.exitCode)}</Fact>
        <Fact term="Changes">{changed && <Changes added={job.linesAdded} removed={job.linesRemoved} />}</Fact>
        <Fact term="Environment">{job.environment !== undefined && visible(job.environment)}</Fact>
        <Fact term="Id">
          <code>{job.id}</code>
          <CopyButton text={job.id} what="the id" />
        </Fact>
      </dl>
      {isWebAddress(job.mrUrl) && (
        <a className="button" href={job.mrUrl} target="_blank" rel="noreferrer">
          Merge request
        </a>
      )}
      <LongText label="Command" text={job.command} />
      <LongText label="Prompt" text={job.prompt} />
    </div>
  );
}

function Fact({ term, children }: { readonly term: string; readonly children: ReactNode }) {
  if (children === undefined || children === null || children === false || children === "") return null;
  return (
    <div>
      <dt>{term}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function LongText({ label, text }: { readonly label: string; readonly text: string | undefined }) {
  if (text === undefined) return null;
  return (
    <details>
      <summary>
        <span className="muted">{label}</span> <span className="preview">{visible(text)}</span>
      </summary>
      <div className="command">
        <pre>{visible(text)}</pre>
        <CopyButton text={text} what={`the ${label.toLowerCase()}`} />
      </div>
    </details>
  );
}
