/** A TCP proxy between browser and server that cuts connections at a byte of the test's choosing. */
import { once } from "node:events";
import { type AddressInfo, type Server, type Socket, connect, createServer } from "node:net";

export class CuttingProxy {
  /** Connections that were cut so far. */
  cuts = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #cutAfterBytes: number | null = null;

  private constructor(upstreamPort: number) {
    this.#server = createServer((client) => this.#forward(client, connect(upstreamPort, "127.0.0.1")));
  }

  static async before(upstreamPort: number): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(upstreamPort);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Lets so many more bytes through to the browser, over all connections, and resets the one that reaches them. */
  cutAfter(bytes: number): void {
    this.#cutAfterBytes = bytes;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }

  #forward(client: Socket, server: Socket): void {
    const both = [client, server];
    const end = (): void => both.forEach((socket) => socket.destroy());
    for (const socket of both) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", end).on("close", () => {
        this.#sockets.delete(socket);
        end();
      });
    }
    client.pipe(server);
    server.on("data", (chunk: Buffer) => {
      const left = this.#cutAfterBytes;
      if (left === null || chunk.length < left) {
        if (left !== null) this.#cutAfterBytes = left - chunk.length;
        client.write(chunk);
        return;
      }
      this.#cutAfterBytes = null;
      this.cuts += 1;
      client.write(chunk.subarray(0, left), () => client.resetAndDestroy());
      server.destroy();
    });
  }
}
