/**
 * The pictures in docs/screenshots, of the built page and of real processes: `make screenshots`. What they show is the same
 * every time (seed, actions and virtual times are), but for the live ones.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openLive, threeNodes } from "./e2e/cluster.mjs";
import { act, launch, open, pass, passUntil, sceneOf, send, serve, shows } from "./e2e/harness.mjs";

const OUT = fileURLToPath(new URL("../../docs/screenshots/", import.meta.url));
const KEY = "city:KR:Seoul";

const ownersOf = (scene) => scene.picture.owners[scene.keyPicture.partition];

/**
 * Both sides of a cut have written, it has healed, an owner is Down, and a put is under way: the moment that the design
 * shows, as it comes about with real nodes.
 */
async function moment(page) {
  await act(page, "pause");
  await shows(page, () => !window.kvorum.scene.isPlaying);
  await send(page, { verb: "put", key: KEY, value: "9386034", through: 0 });
  for (const [index, city] of ["Busan", "Daegu", "Incheon", "Gwangju", "Daejeon", "Ulsan"].entries()) {
    await send(page, { verb: index % 3 === 2 ? "get" : "put", key: `city:KR:${city}`, value: String(1_000_000 + index), through: index % 5 });
    await pass(page, 300_000);
  }
  await act(page, "selectKey", KEY);
  await shows(page, (key) => window.kvorum.scene.keyPicture?.key === key, KEY);
  const owners = ownersOf(await sceneOf(page));
  const others = [0, 1, 2, 3, 4].filter((node) => !owners.includes(node));
  const [first, second, third] = owners;
  await act(page, "crashOrRevive", second);
  await passUntil(page, (now) => now.picture.nodes[second].state === "down", { sliceUs: 100_000, what: "an owner is Down" });
  await act(page, "cutHalves", [first, others[0]], [third, second, others[1]]);
  await passUntil(page, (now) => now.picture.nodes.every((node) => node.state === "down"), { sliceUs: 100_000, what: "each side takes the other for Down" });
  await send(page, { verb: "put", key: KEY, value: "9386034", through: first });
  await send(page, { verb: "put", key: KEY, value: "9411260", through: third });
  await act(page, "healAll");
  await passUntil(page, (now) => now.keyPicture.siblings.length === 2 && now.picture.nodes.every((node, place) => node.state === (place === second ? "down" : "up")), { sliceUs: 200_000, what: "both values meet" });
  await pass(page, 1_500_000);
  await act(page, "slow", third, 40);
  await act(page, "selectNode", first);
  await act(page, "setSpeed", 0.1);
}

/** A request that is caught in the midst of it. */
async function caught(page, draft, isReached, what) {
  const before = (await sceneOf(page)).requests.length;
  await act(page, "setDraft", { key: KEY, r: null, w: null, ...draft });
  await act(page, "send");
  await shows(page, (before) => window.kvorum.scene.requests.length > before, before);
  return passUntil(page, isReached, { sliceUs: 200, what });
}

const VIEWS = [
  { name: "cluster-dark", theme: "dark" },
  { name: "cluster-light", theme: "light" },
  { name: "cluster-dark-1280", theme: "dark", width: 1280, height: 800 },
  { name: "cluster-light-ko", theme: "light", language: "ko" },
  { name: "request-dark", theme: "dark", view: "request" },
  { name: "request-light-ko", theme: "light", language: "ko", view: "request" },
  { name: "phone-dark", theme: "dark", width: 390, height: 844 },
  { name: "phone-light-ko", theme: "light", language: "ko", width: 390, height: 844 },
];

const LIVE = [
  { name: "live-light", theme: "light", motion: "no-preference" },
  { name: "live-dark-ko", theme: "dark", language: "ko", motion: "no-preference" },
];

/** An import runs through the ring; one node has been Down and is back. */
async function live(browser, shots) {
  const folder = await mkdtemp(join(tmpdir(), "kvorum-pictures-"));
  const nodes = await threeNodes(folder);
  try {
    await nodes[0].put(KEY, "9411260");
    const tabs = [];
    for (const { name, ...options } of shots) tabs.push({ name, ...(await openLive(browser, nodes[0], options)) });
    await nodes[2].stop();
    for (const { page } of tabs) await shows(page, () => window.kvorum.scene.picture.nodes[2].state === "down");
    nodes[2].start();
    for (const { page } of tabs) {
      await shows(page, () => window.kvorum.scene.picture.nodes[2].state === "up" && window.kvorum.scene.live.lastDown?.backAfterMs !== null);
      await act(page, "selectKey", KEY);
      await act(page, "selectNode", 1);
      await shows(page, () => window.kvorum.scene.keyPicture?.copies.length === 3 && window.kvorum.scene.nodePicture !== null);
    }
    const rows = Array.from({ length: 400_000 }, (_, index) => ({ key: `city:${String(index)}`, name: `city number ${String(index)}` }));
    const { sent } = await nodes[0].import(rows);
    for (const { name, page, close } of tabs) {
      await shows(page, () => window.kvorum.scene.live.landed.length > 100);
      await page.waitForTimeout(1_000);
      await page.screenshot({ path: join(OUT, `${name}.png`) });
      console.log(name);
      // What it complained of was the node that was stopped.
      await close().catch(() => undefined);
    }
    await sent;
  } finally {
    await Promise.all(nodes.map((node) => node.stop()));
    await rm(folder, { recursive: true, force: true });
  }
}

const wanted = process.argv.slice(2);
const chosen = (shots) => shots.filter((one) => wanted.length === 0 || wanted.includes(one.name));
await mkdir(OUT, { recursive: true });
const browser = await launch();
const site = await serve();
try {
  for (const { name, view, ...options } of chosen(VIEWS)) {
    const { page, close } = await open(browser, site.page, options);
    await moment(page);
    const hasVotes = (now) => now.requests.at(-1).votes.length >= 2;
    // A put would cover the siblings: only its own view shows one.
    await caught(page, view === "request" ? { verb: "put", value: "9411260", through: 1 } : { verb: "get", through: 1 }, hasVotes, "it has its votes");
    if (view === "request") {
      await pass(page, 120_000);
      await act(page, "setView", "request");
      await act(page, "follow", (await sceneOf(page)).requests.at(-1).number);
    }
    await page.waitForTimeout(500); // A frame of it, and what is loaded late.
    await page.screenshot({ path: join(OUT, `${name}.png`) });
    await close();
    console.log(name);
  }
  if (chosen(LIVE).length > 0) await live(browser, chosen(LIVE));
} finally {
  await browser.close();
  await site.close();
}
