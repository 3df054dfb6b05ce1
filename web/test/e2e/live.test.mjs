/** Three native processes, and the page that one of them serves. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { setTimeout as after_ms } from "node:timers/promises";
import { DIST, POLICY, act, launch, open, sceneOf, shows } from "./harness.mjs";

const BINARY = process.env.KVORUM_BIN ?? fileURLToPath(new URL("../../../target/release/kvorum", import.meta.url));
/** A binary that carries another page than `web/dist`, or none, is given this one: for work on the page alone. */
const IS_DIST_SERVED = process.env.KVORUM_PAGE === "dist";

/** Ports that are free now. */
async function freePorts(count) {
  const servers = await Promise.all(
    Array.from({ length: count }, () => new Promise((resolve) => {
      const server = createServer().listen(0, "127.0.0.1", () => resolve(server));
    })),
  );
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

class Node {
  constructor(name, folder, [listen, admin, peer], first) {
    Object.assign(this, { name, folder, first, listen: `127.0.0.1:${listen}`, admin: `127.0.0.1:${admin}`, peer: `127.0.0.1:${peer}` });
  }
  start() {
    const way = this.first === null ? ["--bootstrap"] : ["--join", this.first.peer];
    const { name, listen, admin, peer } = this;
    const data = join(this.folder, name);
    const options = ["--data", data, "--name", name, "--listen", listen, "--admin", admin, "--peer", peer, ...way];
    this.process = spawn(BINARY, ["server", ...options], { stdio: ["ignore", "ignore", "pipe"] });
    this.words = "";
    this.process.stderr.on("data", (bytes) => (this.words = (this.words + bytes).slice(-4_000)));
  }
  async stop(signal = "SIGKILL") {
    if (this.process === undefined || this.process.exitCode !== null || this.process.signalCode !== null) return;
    const gone = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.kill(signal);
    await gone;
  }
  async status() {
    try {
      return await (await fetch(`http://${this.admin}/status`)).json();
    } catch {
      return null; // Not up yet.
    }
  }
  put(key, value) {
    return fetch(`http://${this.admin}/kv/${encodeURIComponent(key)}`, { method: "PUT", body: value });
  }
}

let browser;
let folder;
let nodes = [];

before(async () => {
  // A page that is put in comes from no address, and such a one may not ask this machine.
  browser = await launch(...(IS_DIST_SERVED ? ["--disable-features=LocalNetworkAccessChecks"] : []));
  folder = await mkdtemp(join(tmpdir(), "kvorum-page-"));
  const ports = await freePorts(9);
  nodes = [];
  for (const [index, name] of ["n1", "n2", "n3"].entries()) {
    nodes.push(new Node(name, folder, ports.slice(index * 3, index * 3 + 3), nodes[0] ?? null));
    nodes[index].start();
  }
  const deadline = Date.now() + 60_000;
  const isReady = (status) => status?.nodes?.length === 3 && status.nodes.every((node) => String(node.state).toLowerCase() === "up" && node.answers) && status.moving === 0;
  while (!isReady(await nodes[0].status())) {
    assert(Date.now() < deadline, `three nodes do not form: ${nodes.map((node) => node.words).join("\n")}`);
    await after_ms(100); // Outside of the page there is nothing to wait on.
  }
});
after(async () => {
  await browser?.close();
  await Promise.all(nodes.map((node) => node.stop()));
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm", ".svg": "image/svg+xml" };

async function attached(options = {}) {
  const { admin } = nodes[0];
  const serveDist = (page) =>
    page.route(`http://${admin}/**`, async (route) => {
      const path = new URL(route.request().url()).pathname;
      if (path !== "/" && !path.startsWith("/assets/")) return route.continue();
      const file = path === "/" ? "index.html" : path.slice(1);
      const headers = { "content-type": TYPES[extname(file)] ?? "text/plain", "content-security-policy": POLICY };
      await route.fulfill({ headers, body: await readFile(join(DIST, file)) });
    });
  const tab = await open(browser, `http://${admin}/`, { ...options, ...(IS_DIST_SERVED ? { before: serveDist } : {}) });
  await shows(tab.page, () => window.kvorum.scene.live?.status === "attached" && window.kvorum.scene.picture?.nodes.length === 3);
  return tab;
}

/** A lost connection is an error to the console, and meant to be. */
const LOST = /WebSocket|ERR_CONNECTION|Failed to load resource|Failed to fetch/i;

describe("a page that a node serves", { timeout: 150_000 }, () => {
  it("shows the live cluster, what is written to it, and where a key lies", async () => {
    const { page, close } = await attached();
    const scene = await sceneOf(page);
    assert.equal(scene.mode, "live");
    assert.deepEqual(scene.picture.nodes.map((node) => [node.name, node.state]), [["n1", "up"], ["n2", "up"], ["n3", "up"]]);
    assert.deepEqual(scene.picture.nodes.map((node) => node.admin), nodes.map((node) => node.admin));
    assert(scene.picture.owners.every((owners) => owners.length === 3));
    let isWriting = true;
    const writing = (async () => {
      for (let number = 0; isWriting; number++) {
        const answer = await nodes[number % 3].put(`city:${number}`, "Seoul");
        assert(answer.ok, await answer.text());
      }
    })();
    await shows(page, () => window.kvorum.scene.requests.some((request) => request.outcome === "done" && request.votes.length >= 2));
    await shows(page, () => window.kvorum.scene.flights.some((flight) => flight.label === "flight.write"));
    await shows(page, () => window.kvorum.scene.live.landed.length > 0 && window.kvorum.scene.live.eventsPerSecond > 0);
    await shows(page, () => window.kvorum.scene.live.writesPerSecond.some((rate) => rate > 0));
    isWriting = false;
    await writing;
    await act(page, "selectKey", "city:0");
    await shows(page, () => window.kvorum.scene.keyPicture?.key === "city:0" && window.kvorum.scene.keyPicture.copies.length === 3);
    assert((await sceneOf(page)).keyPicture.copies.every((copy) => copy.isCurrent));
    await act(page, "selectNode", 2);
    await shows(page, () => window.kvorum.scene.nodePicture?.name === "n3");
    await close();
  });

  it("names both reporters soon after a process is killed, and sees it come back", async () => {
    const { page, close } = await attached({ allow: LOST });
    const began = Date.now();
    await nodes[2].stop("SIGKILL");
    await shows(page, () => window.kvorum.scene.picture.nodes[2].state === "down" && window.kvorum.scene.live.lastDown !== null);
    console.log(`a killed process showed as Down after ${Date.now() - began} ms`);
    const { live, picture } = await sceneOf(page);
    assert.deepEqual([live.lastDown.node, [...live.lastDown.reporters].sort()], [2, [0, 1]]);
    assert.deepEqual([...picture.nodes[2].reporters].sort(), [0, 1]);
    assert.equal(live.status, "attached");
    nodes[2].start();
    await shows(page, () => window.kvorum.scene.picture.nodes[2].state === "up" && window.kvorum.scene.live.lastDown.backAfterMs !== null);
    await close();
  });

  it("keeps its picture when all connections are lost, and attaches again by itself", async () => {
    const { page, close } = await attached({ allow: LOST });
    await Promise.all(nodes.map((node) => node.stop("SIGKILL")));
    await shows(page, () => window.kvorum.scene.live.status === "lost");
    const { trouble, picture } = await sceneOf(page);
    assert.equal(trouble.code, "connectionLost");
    assert.equal(picture.nodes.length, 3);
    for (const node of nodes) node.start();
    await shows(page, () => window.kvorum.scene.live.status === "attached" && window.kvorum.scene.trouble === null);
    await shows(page, () => window.kvorum.scene.picture.nodes.every((node) => node.state === "up"));
    await close();
  });
});
