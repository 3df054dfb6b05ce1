/** Native processes of the server, for the page to look at. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as after_ms } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { open, shows } from "./harness.mjs";

const BINARY = process.env.KVORUM_BIN ?? fileURLToPath(new URL("../../../target/release/kvorum", import.meta.url));

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

export class Node {
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
  /** As `kvorum import` does it; `sent` says when it is over. */
  async import(rows) {
    const file = join(this.folder, "rows.jsonl");
    await writeFile(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    const process = spawn(BINARY, ["import", file, "--key", "key", "--admin", `http://${this.admin}`], { stdio: "ignore" });
    return { sent: new Promise((resolve) => process.once("exit", resolve)) };
  }
  put(key, value) {
    return fetch(`http://${this.admin}/kv/${encodeURIComponent(key)}`, { method: "PUT", body: value });
  }
}

/** Three that know each other and hold their partitions. */
export async function threeNodes(folder) {
  const ports = await freePorts(9);
  const nodes = [];
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
  return nodes;
}

/** The page that a node serves, once it is attached to all three. */
export async function openLive(browser, node, options = {}) {
  const tab = await open(browser, `http://${node.admin}/`, options);
  await shows(tab.page, () => window.kvorum.scene.live?.status === "attached" && window.kvorum.scene.picture?.nodes.length === 3);
  return tab;
}
