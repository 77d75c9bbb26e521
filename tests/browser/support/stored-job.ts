/** Jobs of any length that are there at once, for tests of what is shown of them. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import type { Server } from "./fantail";

/**
 * Writes a job of many lines straight into the server's Redis: a million of them by `fantail run` take their time. It has
 * ended, unless `status` says otherwise. Of a job that is there the lines come behind those that it has.
 */
export function writeJob(
  server: Server,
  id: string,
  lines: number,
  format: string,
  status = "success",
): void {
  const script = `
id, lines, form, status = sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5]
pipe = server.pipeline(transaction=False)
for start in range(1, lines + 1, 5000):
    pipe.rpush(f"job:{id}:output", *[
        json.dumps({"timestamp": 1_700_000_000_000 + n, "line": form % n, "stream": "stdout"})
        for n in range(start, min(lines + 1, start + 5000))
    ])
    if start % 100_000 == 1:
        pipe.execute()
pipe.hset(f"job:{id}", mapping={"id": id, "status": status, "name": id, "created_at": 1_700_000_000_000})
pipe.execute()
`;
  runWithRedis(server, script, [id, String(lines), format, status]);
}

/** Writes a job with the fields and the entries that a runner would give it. */
export function writeEntries(
  server: Server,
  id: string,
  fields: Readonly<Record<string, string | number>>,
  entries: readonly object[],
): void {
  const script = `
id, (fields, entries) = sys.argv[2], json.load(sys.stdin)
server.hset(f"job:{id}", mapping={"id": id, **fields})
server.rpush(f"job:{id}:output", *map(json.dumps, entries))
`;
  runWithRedis(server, script, [id], JSON.stringify([fields, entries]));
}

/** Takes the lines of a job away. */
export function removeLines(server: Server, id: string): void {
  runWithRedis(server, `server.delete(f"job:{sys.argv[2]}:output")`, [id]);
}

/** Runs a script of Python that has the server's Redis as `server`. */
function runWithRedis(server: Server, script: string, args: readonly string[], input = ""): void {
  const python = process.env.FANTAIL_PYTHON ?? new URL("../../../.venv/bin/python", import.meta.url).pathname;
  const opening = "import json, sys, redis\nserver = redis.Redis(unix_socket_path=sys.argv[1])\n";
  execFileSync(python, ["-c", opening + script, join(server.dataDir, "valkey.sock"), ...args], { input });
}
