/** What is built: relative, without inline scripts, and small. */
import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { DIST } from "./harness.mjs";

const WASM_BYTES_MAX = 300_000;
const FIRST_JS_BYTES_MAX = 90_000;

describe("the built page", () => {
  it("refers to its files by relative paths, and has no inline script", async () => {
    const html = await readFile(join(DIST, "index.html"), "utf8");
    const references = [...html.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, path]) => path);
    assert(references.length >= 2);
    for (const path of references) assert.match(path, /^\.\//);
    for (const [, attributes, body] of html.matchAll(/<script([^>]*)>([^<]*)<\/script>/g)) {
      assert.match(attributes, /src=/);
      assert.equal(body.trim(), "");
    }
  });

  it("is small: first script and module, as gzip sends them", async () => {
    const html = await readFile(join(DIST, "index.html"), "utf8");
    const scripts = [...html.matchAll(/(?:src|href)="(\.\/[^"]*\.js)"/g)].map(([, path]) => path);
    const size = async (path) => gzipSync(await readFile(join(DIST, path))).length;
    const first = (await Promise.all(scripts.map(size))).reduce((sum, bytes) => sum + bytes, 0);
    const modules = (await readdir(DIST, { recursive: true })).filter((path) => path.endsWith(".wasm"));
    assert.equal(modules.length, 1);
    const wasm = await size(modules[0]);
    console.log(`first JS ${first} bytes, wasm ${wasm} bytes, gzip`);
    assert(first <= FIRST_JS_BYTES_MAX, `first JS ${first}`);
    assert(wasm <= WASM_BYTES_MAX, `wasm ${wasm}`);
  });
});
