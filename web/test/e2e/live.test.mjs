/** Three native processes, and the page that one of them serves. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { threeNodes } from "./cluster.mjs";
import { DIST, POLICY, act, fixture, open, sceneOf, shows } from "./harness.mjs";

/** A binary that carries another page than `web/dist`, or none, is given this one: for work on the page alone. */
const IS_DIST_SERVED = process.env.KVORUM_PAGE === "dist";

// A page that is put in comes from no address, and such a one may not ask this machine.
const stand = fixture({ flags: IS_DIST_SERVED ? ["--disable-features=LocalNetworkAccessChecks"] : [] });
let folder;
let nodes = [];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "kvorum-page-"));
  nodes = await threeNodes(folder);
});
after(async () => {
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
  const tab = await open(stand.browser, `http://${admin}/`, { ...options, ...(IS_DIST_SERVED ? { before: serveDist } : {}) });
  await shows(tab.page, () => window.kvorum.scene.live?.status === "attached" && window.kvorum.scene.picture?.nodes.length === 3);
  return tab;
}

/** A lost connection is an error to the console, and meant to be. */
const LOST = /WebSocket|ERR_CONNECTION|Failed to load resource|Failed to fetch/i;

describe("a page that a node serves", { timeout: 150_000 }, () => {
  it("keeps the name of a key off the words in its corners, wherever the key is", async () => {
    for (const [width, height] of [[1440, 900], [1280, 800]]) {
      const { page, close } = await attached({ width, height });
      await act(page, "selectNode", 1);
      let named = 0;
      for (let number = 0; number < 24; number++) {
        const key = `a rather long name of a key: ${number}`;
        await act(page, "selectKey", key);
        await shows(page, (key) => window.kvorum.scene.keyPicture?.key === key, key);
        const [names, corners] = await page.evaluate(() =>
          ["[data-key-name]", ".corner div, .corner .quorum svg"].map((selector) =>
            [...document.querySelectorAll(selector)].map((element) => {
              const { left, top, right, bottom } = element.getBoundingClientRect();
              return { left, top, right, bottom, text: element.textContent };
            }),
          ),
        );
        named += names.length;
        assert(corners.length >= 4);
        for (const name of names) {
          for (const corner of corners) {
            const isClear = name.right <= corner.left || corner.right <= name.left || name.bottom <= corner.top || corner.bottom <= name.top;
            assert(isClear, `${width}: ${JSON.stringify({ name, corner })}`);
          }
        }
      }
      assert(named > 12, `${named} of 24 are named`);
      await close();
    }
  });

  it("says beside its field what is wrong with a key that is looked up", async () => {
    const { page, close } = await attached();
    const field = page.locator("#live-key");
    await field.fill("k".repeat(65_536));
    await field.press("Enter");
    const said = page.locator("#live-key-trouble");
    await said.waitFor();
    assert.match(await said.innerText(), /65,535/);
    assert.equal(await field.getAttribute("aria-invalid"), "true");
    assert.doesNotMatch(await page.locator("[data-stage]").innerText(), /65,535/);
    await field.fill("k");
    await field.press("Enter");
    await said.waitFor({ state: "detached" });
    await close();
  });

  it("shows the live cluster, what is written to it, and where a key lies", async () => {
    const { page, close } = await attached();
    const scene = await sceneOf(page);
    assert.equal(scene.mode, "live");
    // Their places are by number, which are given out in the order in which they came.
    const shown = scene.picture.nodes.map(({ name, state, admin }) => ({ name, state, admin })).sort((a, b) => (a.name < b.name ? -1 : 1));
    assert.deepEqual(shown, nodes.map(({ admin }, index) => ({ name: `n${index + 1}`, state: "up", admin })));
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
    await act(page, "selectNode", scene.picture.nodes.findIndex((node) => node.name === "n3"));
    await shows(page, () => window.kvorum.scene.nodePicture?.name === "n3");
    await close();
  });

  it("names both reporters soon after a process is killed, and sees it come back", async () => {
    const { page, close } = await attached({ allow: LOST });
    const names = (await sceneOf(page)).picture.nodes.map((node) => node.name);
    const [killed, ...others] = ["n3", "n1", "n2"].map((name) => names.indexOf(name));
    others.sort();
    const began = Date.now();
    await nodes[2].stop("SIGKILL");
    await shows(page, (killed) => window.kvorum.scene.picture.nodes[killed].state === "down" && window.kvorum.scene.live.lastDown !== null, killed);
    console.log(`a killed process showed as Down after ${Date.now() - began} ms`);
    const { live, picture } = await sceneOf(page);
    assert.deepEqual([live.lastDown.node, [...live.lastDown.reporters].sort()], [killed, others]);
    assert.deepEqual([...picture.nodes[killed].reporters].sort(), others);
    assert.equal(live.status, "attached");
    nodes[2].start();
    await shows(page, (killed) => window.kvorum.scene.picture.nodes[killed].state === "up" && window.kvorum.scene.live.lastDown.backAfterMs !== null, killed);
    // A second death is told of by its own reports.
    const first = live.lastDown;
    await nodes[2].stop("SIGKILL");
    await shows(page, (atMs) => window.kvorum.scene.live.lastDown.atMs > atMs, first.atMs);
    const second = (await sceneOf(page)).live.lastDown;
    assert(second.apartMs < second.atMs - first.atMs - first.apartMs, JSON.stringify([first, second]));
    console.log(`reports came ${first.apartMs} and ${second.apartMs} ms apart`);
    nodes[2].start();
    await shows(page, (killed) => window.kvorum.scene.picture.nodes[killed].state === "up" && window.kvorum.scene.live.lastDown.backAfterMs !== null, killed);
    await close();
  });

  it("draws what was answered as arrived, in order, from the moment it attaches", async () => {
    let isWriting = true;
    const writing = (async () => {
      for (let number = 0; isWriting; number++) await (await nodes[number % 3].put(`order:${number}`, "Seoul")).text();
    })();
    const { page, close } = await attached();
    await shows(page, () => window.kvorum.scene.requests.filter((request) => request.outcome === "done").length > 30);
    isWriting = false;
    await writing;
    const done = (await sceneOf(page)).requests.filter((request) => request.outcome === "done");
    const wrong = done.flatMap(({ number, legs }) => legs.filter((leg) => {
      if (leg.answeredUs === null) return false;
      const times = [leg.askedUs, leg.reachedUs, leg.syncedUs ?? leg.reachedUs, leg.answeredUs];
      return times.some((us, index) => us === null || us < (times[index - 1] ?? 0));
    }).map((leg) => [number, leg]));
    assert.deepEqual(wrong, []);
    await close();
  });

  it("goes back to the cluster by another member when the one that served it is gone", async () => {
    const { page, close } = await attached({ allow: LOST });
    await shows(page, () => window.kvorum.scene.live.status === "attached" && window.kvorum.scene.live.writesPerSecond.length === 3);
    await nodes[0].stop("SIGKILL");
    await shows(page, (admin) => window.kvorum.scene.live.status === "attached" && window.kvorum.scene.live.address !== admin, nodes[0].admin);
    await act(page, "setMode", "simulated");
    await shows(page, () => window.kvorum.scene.mode === "simulated");
    await act(page, "setMode", "live");
    await shows(page, () => window.kvorum.scene.live?.status === "attached" && window.kvorum.scene.picture?.nodes.length === 3);
    nodes[0].start();
    await shows(page, () => window.kvorum.scene.picture.nodes.every((node) => node.state === "up"));
    await close();
  });

  it("keeps its picture when all connections are lost, and attaches again by itself", async () => {
    const { page, close } = await attached({ allow: LOST });
    // Who serves the page is about to be gone: its parts are there before they are wanted.
    await shows(page, () => performance.getEntriesByType("resource").some((one) => /RequestView.*\.js/.test(one.name)));
    await Promise.all(nodes.map((node) => node.stop("SIGKILL")));
    await shows(page, () => window.kvorum.scene.live.status === "lost");
    const { trouble, picture } = await sceneOf(page);
    assert.equal(trouble.code, "connectionLost");
    assert.equal(picture.nodes.length, 3);
    // It is said wherever one looks, and nothing there asks to write.
    await act(page, "setView", "request");
    await page.getByRole("alert").filter({ hasText: "The connection to" }).waitFor();
    assert.equal(await page.getByRole("button", { name: "Go to the composer" }).count(), 0);
    await act(page, "setView", "cluster");
    await act(page, "selectKey", "nobody-answers");
    assert.equal((await sceneOf(page)).fieldTrouble?.trouble.code, "connectionLost");
    await page.getByRole("button", { name: "한국어" }).click();
    await shows(page, () => document.documentElement.lang === "ko");
    await page.getByRole("button", { name: "EN" }).click();
    for (const node of nodes) node.start();
    await shows(page, () => window.kvorum.scene.live.status === "attached" && window.kvorum.scene.trouble === null);
    await shows(page, () => window.kvorum.scene.picture.nodes.every((node) => node.state === "up"));
    await close();
  });

  it("believes those that answer, when the one that served it hangs", async () => {
    const { page, close } = await attached({ allow: LOST });
    const [{ process: hung }] = nodes;
    hung.kill("SIGSTOP");
    try {
      await shows(page, () => window.kvorum.scene.picture.nodes.find((node) => node.name === "n1").state === "down");
    } finally {
      hung.kill("SIGCONT");
    }
    await shows(page, () => window.kvorum.scene.picture.nodes.every((node) => node.state === "up"));
    await close();
  });

  it("says that an address cannot be reached, though the page's own policy keeps it from asking", async () => {
    const tab = await open(stand.browser, `http://${nodes[0].admin}/?live=127.0.0.1:1`, { allow: /Content Security Policy|Content-Security-Policy|ERR_|Refused|WebSocket/i });
    await shows(tab.page, () => window.kvorum.scene.trouble?.code === "unreachable");
    await tab.close();
  });

  it("lets no page of another origin read, and that page says so", async () => {
    const { admin } = nodes[0];
    const tab = await open(stand.browser, `${stand.site.page}?live=${admin}`, { allow: /WebSocket|CORS|ERR_|Failed to/i });
    await shows(tab.page, () => window.kvorum.scene.live?.status === "unreachable");
    assert.equal((await sceneOf(tab.page)).trouble.code, "unreachable");
    const link = tab.page.getByRole("link", { name: `Open ${admin}` });
    assert.equal(await link.getAttribute("href"), `http://${admin}/`);
    await tab.close();
  });

  it("is read only in the request view too", async () => {
    const { page, close } = await attached();
    await act(page, "setView", "request");
    await page.getByRole("heading", { level: 1 }).first().waitFor();
    if ((await sceneOf(page)).requests.length === 0) await page.getByText("This page only reads.").waitFor();
    assert.equal(await page.getByRole("button", { name: "Go to the composer" }).count(), 0);
    await close();
  });
});
