/**
 * A hundred lines a second while the server is restarted, killed, or out of reach for a while: how long until the page
 * goes on, counted from when it could, and whether a line is lost or there twice in the end.
 */
import { createServer, connect } from "node:net";
import { once } from "node:events";
import { atMost, pause, row, until } from "./figures.mjs";
import { linesShown } from "./stage.mjs";

/** The network between browser and server, which can be taken away: connections are cut, and new ones refused. */
class Network {
  #sockets = new Set();
  #server = null;

  constructor(port) {
    this.upstream = port;
  }

  async up() {
    this.#server = createServer((client) => {
      const server = connect(this.upstream, "127.0.0.1");
      for (const socket of [client, server]) {
        this.#sockets.add(socket);
        const end = () => (client.destroy(), server.destroy());
        socket
          .setNoDelay(true)
          .on("error", end)
          .on("close", () => (this.#sockets.delete(socket), end()));
      }
      client.pipe(server);
      server.pipe(client);
    });
    this.#server.listen(this.port ?? 0, "127.0.0.1");
    await once(this.#server, "listening");
    this.port = this.#server.address().port;
  }

  async down() {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

export async function measureReconnect(stage) {
  const { producer, server } = stage;
  const network = new Network(server.port);
  await network.up();
  await producer.job("reconnect");
  await producer.push("reconnect", ["number 0."]);
  const page = await (await stage.context()).newPage();
  await page.goto(`http://127.0.0.1:${network.port}/jobs/reconnect`);
  await until(async () => (await linesShown(page)) === 1, "the first line");
  const writing = new Writing(stage, "reconnect");
  const back = [];
  for (const [what, breaks] of [
    [
      "the network is back after 3 s",
      async () => (await network.down(), await pause(3000), await network.up()),
    ],
    [
      "the network is back after 0.2 s",
      async () => (await network.down(), await pause(200), await network.up()),
    ],
    ["a restarted server is ready", () => writing.without(() => server.restart("SIGTERM"))],
    ["a killed server is ready again", () => server.restart("SIGKILL")],
  ]) {
    await pause(1500);
    await breaks();
    const beganMs = performance.now();
    const written = writing.count;
    await until(async () => (await linesShown(page)) > written, "lines after that", {
      everyMs: 5,
      patienceMs: 30_000,
    });
    back.push([what, performance.now() - beganMs]);
  }
  const total = await writing.end();
  await until(async () => (await linesShown(page)) >= total, "the last line");
  await pause(300);
  const numbers = await textOf(page);
  await page.context().close();
  await network.down();
  const distinct = new Set(numbers).size;
  return [
    ...back.map(([what, ms]) => atMost(1000, `lines come again once ${what}`, ms, "ms")),
    row("lines lost over these four", total - distinct, "lines", { target: "0", met: total === distinct }),
    row("lines there twice", numbers.length - distinct, "lines", {
      target: "0",
      met: numbers.length === distinct,
    }),
  ];
}

/** Writes numbered lines until it is told to end. */
class Writing {
  count = 1;
  #stage;
  #id;
  #ended = false;
  #loop;

  constructor(stage, id) {
    this.#stage = stage;
    this.#id = id;
    this.#loop = this.#write();
  }

  /** Does something during which nothing can be written: a server that is stopped takes its Valkey with it. */
  async without(something) {
    await this.end();
    await something();
    await this.#stage.openProducer();
    this.#ended = false;
    this.#loop = this.#write();
  }

  async end() {
    this.#ended = true;
    await this.#loop;
    return this.count;
  }

  async #write() {
    while (!this.#ended) {
      await this.#stage.producer.push(this.#id, [`number ${this.count}.`]);
      this.count += 1;
      await pause(10);
    }
  }
}

/** The numbers of all lines, in the page's order, by copying the whole log. */
async function textOf(page) {
  await page.locator(".log-scroller").focus();
  await page.keyboard.press("Control+a");
  const text = await page.evaluate(() => {
    const clipboardData = new DataTransfer();
    const copy = new ClipboardEvent("copy", { clipboardData, bubbles: true, cancelable: true });
    document.querySelector(".log-scroller").dispatchEvent(copy);
    return clipboardData.getData("text/plain");
  });
  return [...text.matchAll(/number (\d+)\./g)].map(([, number]) => Number(number));
}
