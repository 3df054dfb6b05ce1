/**
 * The tarball, as somebody who installs it meets it: in a fresh project, in Node and in Chromium; what publint and attw say;
 * what it weighs.
 *
 *   node test/package.mjs kvorum-0.1.0.tgz
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { native } from "./native.mjs";

const WASM_GZIP_BYTES_MAX = 300_000;
const FILES = [
  "LICENSE-APACHE",
  "LICENSE-MIT",
  "README.md",
  "dist/kvorum.wasm",
  "dist/kvorum_wasm.js",
  "index.d.ts",
  "index.js",
  "lib/check.js",
  "lib/cluster.js",
  "lib/errors.js",
  "lib/load.js",
  "lib/packed.js",
  "lib/store.js",
  "package.json",
];
const MAIN = `
import { Cluster, Store } from "kvorum";
const store = await Store.open({ storage: "memory" });
await store.put("milk", "2 l");
const cluster = await Cluster.create({ seed: 7n });
cluster.run({ until: "end" });
console.log(new TextDecoder().decode(await store.get("milk")), cluster.digest());
`;

const [tarball] = process.argv.slice(2).map((path) => resolve(path));
assert.ok(tarball, "usage: node test/package.mjs TARBALL");
const own = fileURLToPath(new URL("..", import.meta.url));
const tool = (name, ...words) => execFileSync(join(own, "node_modules/.bin", name), words, { cwd: own, stdio: "inherit" });
const project = await mkdtemp(join(tmpdir(), "kvorum-project-"));
try {
  await writeFile(join(project, "package.json"), `{ "name": "fresh", "private": true, "type": "module" }`);
  await writeFile(join(project, "main.js"), MAIN);
  execFileSync("npm", ["install", "--silent", "--offline", "--no-audit", "--no-fund", tarball], { cwd: project, stdio: "inherit" });
  const listed = execFileSync("tar", ["-tzf", tarball], { encoding: "utf8" }).trim().split("\n");
  assert.deepEqual(listed.map((path) => path.replace(/^package\//, "")).sort(), FILES, "the tarball's files");

  const said = execFileSync(process.execPath, ["main.js"], { cwd: project, encoding: "utf8" }).trim();
  assert.equal(said, `2 l ${native("--seed", "7").trace_hash}`, "a fresh project in Node");
  const installed = join(project, "node_modules/kvorum");
  execFileSync(process.execPath, [join(own, "test/browser.mjs"), installed], { stdio: "inherit" });

  tool("publint", "run", "--strict", tarball);
  tool("attw", tarball, "--profile", "esm-only", "--exclude-entrypoints", "./kvorum.wasm");

  const wasm = await readFile(join(installed, "dist/kvorum.wasm"));
  const gzip = gzipSync(wasm, { level: 9 }).length;
  assert.ok(gzip <= WASM_GZIP_BYTES_MAX, `the module has ${gzip} bytes (gzip); at most ${WASM_GZIP_BYTES_MAX} are allowed`);
  console.log(`a fresh project runs in Node, in a page and in a worker; the module has ${wasm.length} bytes, ${gzip} with gzip`);
} finally {
  await rm(project, { recursive: true, force: true });
}
