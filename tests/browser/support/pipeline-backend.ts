/** A pipeline backend whose answers a test decides: a real HTTP server, asked by the real poller. */
import { once } from "node:events";
import { type Server as HttpServer, createServer } from "node:http";

export class PipelineBackend {
  readonly statuses = new Map<string, string>();
  /** Whether every answer is a 500. */
  failing = false;
  readonly #server: HttpServer;

  private constructor(server: HttpServer) {
    this.#server = server;
  }

  static async start(statuses: Readonly<Record<string, string>>): Promise<PipelineBackend> {
    const server = createServer();
    const backend = new PipelineBackend(server);
    for (const [id, status] of Object.entries(statuses)) backend.statuses.set(id, status);
    server.on("request", (request, response) => {
      const id = /^\/pipeline\/([^/]+)\/health$/.exec(request.url ?? "")?.[1] ?? "";
      const status = backend.statuses.get(id);
      response.writeHead(backend.failing ? 500 : status === undefined ? 404 : 200, {
        "Content-Type": "application/json",
      });
      response.end(JSON.stringify(status === undefined ? {} : { pipeline_id: id, overall_status: status }));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return backend;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("not listening");
    return `http://127.0.0.1:${address.port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}
