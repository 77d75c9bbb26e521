/** Jobs of any length that are there at once, for tests of what is shown of them. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import type { Server } from "./fantail";

/**
 * Writes a job, finished unless `status` says otherwise, straight into the server's Redis: a million lines by `fantail run` take their time. Of a job that is
 * there the lines come behind those that it has.
 */
export function writeJob(
  server: Server,
  id: string,
  lines: number,
  format: string,
  status = "success",
): void {
  const script = `
import json, sys, redis
path, id, lines, form, status = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5]
pipe = redis.Redis(unix_socket_path=path).pipeline(transaction=False)
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

/** Takes the lines of a job away. */
export function removeLines(server: Server, id: string): void {
  const script = `
import sys, redis
redis.Redis(unix_socket_path=sys.argv[1]).delete(f"job:{sys.argv[2]}:output")
`;
  runWithRedis(server, script, [id]);
}

function runWithRedis(server: Server, script: string, args: readonly string[]): void {
  const python = process.env.FANTAIL_PYTHON ?? new URL("../../.venv/bin/python", import.meta.url).pathname;
  execFileSync(python, ["-c", script, join(server.dataDir, "valkey.sock"), ...args]);
}
