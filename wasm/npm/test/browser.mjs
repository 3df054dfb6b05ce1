/**
 * The same digests in Chromium's page and in a worker as natively, and a store that works there.
 *
 *   node test/browser.mjs [folder of the package]
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { native } from "./native.mjs";
import { serve } from "./serve.mjs";

const SEEDS = ["7", "8"];
const folder = process.argv[2] ?? fileURLToPath(new URL("..", import.meta.url));

const WORK = `
import { Cluster, Store } from "/kvorum/index.js";
export async function work(seeds) {
  const digests = [];
  for (const seed of [...seeds, ...seeds]) {
    const cluster = await Cluster.create({ seed });
    cluster.run({ until: "end" });
    digests.push(cluster.digest());
    cluster.close();
  }
  const store = await Store.open({ storage: "memory" });
  await store.put("milk", "2 l");
  return { digests, stored: new TextDecoder().decode(await store.get("milk")) };
}`;
const PAGES = {
  "/": "<!doctype html><title>kvorum</title><script type=module src=/page.js></script>",
  "/work.js": WORK,
  "/page.js": `import { work } from "/work.js"; globalThis.work = work;`,
  "/worker.js": `import { work } from "/work.js"; onmessage = async ({ data }) => postMessage(await work(data));`,
};

/** The browser of the system; none is downloaded. */
function executable() {
  return process.env.CHROMIUM ?? execFileSync("sh", ["-c", "command -v chromium"], { encoding: "utf8" }).trim();
}

const QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const profile = await mkdtemp(join(tmpdir(), "kvorum-browser-"));
const site = await serve(folder, PAGES);
const browser = await chromium.launchPersistentContext(profile, { executablePath: executable(), headless: true, args: QUIET });
try {
  const page = await browser.newPage();
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(site.address);
  await page.waitForFunction(() => globalThis.work !== undefined);
  const inPage = await page.evaluate((seeds) => globalThis.work(seeds), SEEDS);
  const inWorker = await page.evaluate(
    (seeds) =>
      new Promise((done, fail) => {
        const worker = new Worker("/worker.js", { type: "module" });
        worker.onmessage = ({ data }) => done(data);
        worker.onerror = (event) => fail(new Error(event.message));
        worker.postMessage(seeds);
      }),
    SEEDS,
  );
  const expected = SEEDS.map((seed) => native("--seed", seed).trace_hash);
  const twice = { digests: [...expected, ...expected], stored: "2 l" };
  assert.deepEqual(inPage, twice, "in the page");
  assert.deepEqual(inWorker, twice, "in a worker");
  assert.deepEqual(complaints.filter((text) => !text.includes("favicon")), []);
  console.log(`seeds ${SEEDS.join(" and ")}: the same digests natively, in a page and in a worker, twice`);
} finally {
  await browser.close();
  await site.close();
  await rm(profile, { recursive: true, force: true });
}
