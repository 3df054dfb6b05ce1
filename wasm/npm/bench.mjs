/**
 * Events a second of the simulator in WebAssembly against native, on the same seeds, one after the other in one run; and what
 * the module weighs.
 *
 *   node wasm/npm/bench.mjs [first seed] [count]     after `make build wasm`; KVORUM_BIN names another binary
 */
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { Cluster } from "kvorum";

const ROUNDS = 5;
/** Seeds that are run in one go: enough that the start of a process does not count, few enough that both meet the same machine. */
const GROUP = 5;
const [first, count] = [Number(process.argv[2] ?? 100), Number(process.argv[3] ?? 20)];
const binary = process.env.KVORUM_BIN ?? fileURLToPath(new URL("../../target/release/kvorum", import.meta.url));
const groups = Array.from({ length: Math.ceil(count / GROUP) }, (_, index) => first + index * GROUP);

async function inWasm(from) {
  let events = 0;
  const began = performance.now();
  for (let seed = from; seed < from + GROUP; seed += 1) {
    const cluster = await Cluster.create({ seed: BigInt(seed), events: false });
    cluster.run({ until: "end" });
    events += cluster.eventCount;
    cluster.close();
  }
  return { events, ms: performance.now() - began };
}

function natively(from) {
  const began = performance.now();
  // Exit 1 says that a promise was broken, which is not what is measured here.
  const words = ["sim", "--seeds", `${from}..${from + GROUP}`, "--json"];
  execFileSync(binary, words, { stdio: ["ignore", "ignore", "inherit"] });
  return performance.now() - began;
}

/** The least time that each group took: whatever else the machine did only ever adds. */
const best = new Map(groups.map((from) => [from, { events: 0, wasmMs: Infinity, nativeMs: Infinity }]));
for (let round = 0; round < ROUNDS; round += 1) {
  for (const from of groups) {
    const group = best.get(from);
    const { events, ms } = await inWasm(from);
    group.events = events;
    group.wasmMs = Math.min(group.wasmMs, ms);
    group.nativeMs = Math.min(group.nativeMs, natively(from));
  }
}
const sum = (part) => [...best.values()].reduce((all, group) => all + group[part], 0);
const [events, wasmMs, nativeMs] = ["events", "wasmMs", "nativeMs"].map(sum);
const rate = (ms) => `${Math.round(events / ms)} k events/s`;
console.log(`${events} events, the best of ${ROUNDS} rounds: WebAssembly ${rate(wasmMs)}, native ${rate(nativeMs)}`);
console.log(`ratio ${(nativeMs / wasmMs).toFixed(3)} (wanted: 0.50 or more)`);
const wasm = await readFile(new URL("dist/kvorum.wasm", import.meta.url));
console.log(`kvorum.wasm: ${wasm.length} bytes, gzip ${gzipSync(wasm, { level: 9 }).length}, brotli ${brotliCompressSync(wasm).length}`);
