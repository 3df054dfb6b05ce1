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

const ROUNDS = 3;
const [first, count] = [Number(process.argv[2] ?? 100), Number(process.argv[3] ?? 20)];
const binary = process.env.KVORUM_BIN ?? fileURLToPath(new URL("../../target/release/kvorum", import.meta.url));
const seeds = Array.from({ length: count }, (_, index) => BigInt(first + index));

async function inWasm() {
  let events = 0;
  const began = performance.now();
  for (const seed of seeds) {
    const cluster = await Cluster.create({ seed, events: false });
    cluster.run({ until: "end" });
    events += cluster.eventCount;
    cluster.close();
  }
  return { events, ms: performance.now() - began };
}

function natively() {
  const began = performance.now();
  // Exit 1 says that a promise was broken, which is not what is measured here.
  const words = ["sim", "--seeds", `${first}..${first + count}`, "--json"];
  execFileSync(binary, words, { stdio: ["ignore", "ignore", "inherit"] });
  return performance.now() - began;
}

const ratios = [];
for (let round = 0; round < ROUNDS; round += 1) {
  const { events, ms } = await inWasm();
  const nativeMs = natively();
  ratios.push(nativeMs / ms);
  const rate = (time) => `${Math.round(events / time)} k events/s`;
  console.log(`round ${round + 1}: ${events} events: WebAssembly ${rate(ms)}, native ${rate(nativeMs)}, ratio ${(nativeMs / ms).toFixed(2)}`);
}
const median = ratios.sort((one, other) => one - other)[Math.floor(ROUNDS / 2)];
const wasm = await readFile(new URL("dist/kvorum.wasm", import.meta.url));
console.log(`median ratio ${median.toFixed(2)} (wanted: 0.50 or more)`);
console.log(`kvorum.wasm: ${wasm.length} bytes, gzip ${gzipSync(wasm, { level: 9 }).length}, brotli ${brotliCompressSync(wasm).length}`);
