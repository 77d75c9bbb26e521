/** The jobs of a server, and one of them with its lines and its changes; pipelines and runs beside it. */
import {
  useDiffStream,
  useJobContext,
  useJobStream,
  useLogStream,
  usePipelineStateSSE,
  useTables,
} from "fantail-dashboard";
import { useState } from "react";

const asked = new URLSearchParams(location.search);

export function App() {
  const [jobId, setJobId] = useState(asked.get("job"));
  return (
    <main>
      <h1>Builds</h1>
      <Jobs onChoose={setJobId} />
      {jobId !== null && <Job key={jobId} id={jobId} />}
      <Pipeline id={asked.get("pipeline") ?? "web-shop"} />
      <Runs />
    </main>
  );
}

function Jobs({ onChoose }: { readonly onChoose: (id: string) => void }) {
  const { table, ready, connection } = useTables("jobs");
  const rows = Object.entries(table("jobs"));
  return (
    <section>
      <h2>Jobs</h2>
      <p>
        {connection.state}
        {ready ? `, ${rows.length} jobs` : ""}
      </p>
      <ul>
        {rows.map(([id]) => (
          <li key={id}>
            <button type="button" onClick={() => onChoose(id)}>
              {id}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Job({ id }: { readonly id: string }) {
  const { status, lines, isConnected, isDone, error, reconnect } = useJobStream(id, { maxLines: 1000 });
  const logs = useLogStream(id);
  const diff = useDiffStream(id);
  return (
    <section>
      <h2>{id}</h2>
      <p>
        {status} {isDone ? "(complete)" : isConnected ? "(live)" : "(reconnecting)"}
      </p>
      {error !== null && (
        <p role="alert">
          {error}{" "}
          <button type="button" onClick={reconnect}>
            Try again
          </button>
        </p>
      )}
      <pre id="lines">{lines.map(({ line }) => line).join("\n")}</pre>
      <p>{logs.filter(({ type }) => type === "stderr").length} lines on standard error</p>
      {diff !== "" && <pre id="diff">{diff}</pre>}
    </section>
  );
}

function Pipeline({ id }: { readonly id: string }) {
  return (
    <p>
      Pipeline {id}: {usePipelineStateSSE(id) ?? "not known"}
    </p>
  );
}

function Runs() {
  const { isAnyJobRunning, runningJobs } = useJobContext();
  return (
    <p>
      {isAnyJobRunning ? `Runs of ${[...runningJobs].join(", ")} are under way` : "No runs are under way"}
    </p>
  );
}
