import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";

/** A module is loaded once for each process: each of these needs one of its own. */
async function inItsOwnProcess(source) {
  const run = promisify(execFile);
  const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", source], { cwd: new URL("..", import.meta.url) });
  return stdout.trim().split("\n");
}
const told = `const told = (error) => console.log(error.constructor.name, error.code, error.message);`;

test("bytes that are no module are refused, and a good module may follow", async () => {
  const [refused, loaded] = await inItsOwnProcess(`
    import { load, Store } from "kvorum";
    ${told}
    await load({ wasm: new Uint8Array([1, 2, 3]) }).catch(told);
    const store = await Store.open({ storage: "memory" });
    await store.put("k", "v");
    console.log(await store.has("k"));
  `);
  assert.match(refused, /^KvorumError LOAD_FAILED the WebAssembly module could not be loaded: .+/);
  assert.equal(loaded, "true");
});

test("a module may be given as bytes, as a compiled module and as an address", async () => {
  const [path] = await inItsOwnProcess(`console.log(import.meta.resolve("kvorum/kvorum.wasm"))`);
  const sources = [
    `new URL(${JSON.stringify(path)})`,
    JSON.stringify(path),
    `await readFile(new URL(${JSON.stringify(path)}))`,
    `await WebAssembly.compile(await readFile(new URL(${JSON.stringify(path)})))`,
  ];
  for (const source of sources) {
    const [has] = await inItsOwnProcess(`
      import { readFile } from "node:fs/promises";
      import { Store } from "kvorum";
      const store = await Store.open({ storage: "memory", wasm: ${source} });
      console.log(await store.has("k"));
    `);
    assert.equal(has, "false", source);
  }
});

test("a file that is not there is told by name", async () => {
  const [refused] = await inItsOwnProcess(`
    import { load } from "kvorum";
    ${told}
    await load({ wasm: new URL("file:///nowhere/kvorum.wasm") }).catch(told);
  `);
  assert.match(refused, /^KvorumError LOAD_FAILED .*nowhere\/kvorum\.wasm/);
});

test("after a trap every call of every object says so", async () => {
  // Memory is overwritten as a bug inside might do it; what then happens is a trap, not an answer.
  const lines = await inItsOwnProcess(`
    import { Cluster, Store } from "kvorum";
    import init from "./dist/kvorum_wasm.js";
    ${told}
    const store = await Store.open({ storage: "memory" });
    const cluster = await Cluster.create({ seed: 1 });
    const iterator = store.iterator();
    const { memory } = await init();
    new Uint8Array(memory.buffer).fill(0xff);
    await store.put("k", "v").catch(told);
    await store.get("k").catch(told);
    await iterator.next().catch(told);
    await Cluster.create({ seed: 1 }).catch(told);
    for (const call of [() => cluster.step(), () => cluster.now, () => cluster.digest()]) try { call(); } catch (error) { told(error); }
    process.exit(0);
  `);
  assert.equal(lines.length, 7, lines.join("\n"));
  for (const line of lines) assert.match(line, /^KvorumError PANICKED the module has stopped for good: ./);
});
