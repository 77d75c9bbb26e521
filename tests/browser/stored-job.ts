/** Jobs of any length that are there at once, for tests of what is shown of them. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import type { Server } from "./fantail";

/** Writes a finished job straight into the server's Redis: a million lines by `fantail run` take their time. */
export function writeJob(server: Server, id: string, lines: number, format: string): void {
  const script = `
import json, sys, redis
path, id, lines, form = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
pipe = redis.Redis(unix_socket_path=path).pipeline(transaction=False)
for start in range(1, lines + 1, 5000):
    pipe.rpush(f"job:{id}:output", *[
        json.dumps({"timestamp": 1_700_000_000_000 + n, "line": form % n, "stream": "stdout"})
        for n in range(start, min(lines + 1, start + 5000))
    ])
    if start % 100_000 == 1:
        pipe.execute()
pipe.hset(f"job:{id}", mapping={"id": id, "status": "success", "name": id, "created_at": 1_700_000_000_000})
pipe.execute()
`;
  const python = process.env.FANTAIL_PYTHON ?? new URL("../../.venv/bin/python", import.meta.url).pathname;
  execFileSync(python, ["-c", script, join(server.dataDir, "valkey.sock"), id, String(lines), format]);
}
