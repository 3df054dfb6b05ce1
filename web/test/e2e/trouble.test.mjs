/** What goes wrong is said in a sentence, and the page stays usable. */
import assert from "node:assert/strict";
import { deflateRawSync } from "node:zlib";
import { after, before, describe, it } from "node:test";
import { act, launch, open, sceneOf, send, serve, shows } from "./harness.mjs";

let site;
let browser;
before(async () => {
  browser = await launch();
  site = await serve();
});
after(async () => {
  await browser?.close();
  await site?.close();
});

const packed = (value) => `#v1.${deflateRawSync(JSON.stringify(value)).toString("base64url")}`;
/** All that can be read on the page. */
const words = (page) => page.evaluate(() => document.body.innerText);

async function startsAgain(page) {
  await act(page, "startAgain", "7");
  await shows(page, () => window.kvorum.scene.trouble === null && window.kvorum.scene.picture !== null);
  const put = await send(page, { verb: "put", key: "k", value: "v", through: 0 });
  assert.equal(put.outcome, "done");
}

describe("a bad address", { timeout: 180_000 }, () => {
  for (const [name, address, code, language, said] of [
    ["a damaged link", "#v1.abc!", "badLink", "en", /link/i],
    ["a link of another page", "#something", "badLink", "ko", /링크/],
    ["a link with a wrong field", packed({ seed: "7", options: { nodes: 99 } }), "badLink", "en", /nodes/],
    ["a script that is none", packed({ seed: "7", options: { nodes: 5 }, script: "at noon fly n0" }), "badScript", "en", /script/i],
    ["an unknown seed", "?seed=seven", "badSeed", "ko", /seven/],
  ]) {
    it(`says what is wrong with ${name}, and starts again`, async () => {
      const tab = await open(browser, `${site.page}${address}`, { language });
      const { trouble } = await sceneOf(tab.page);
      assert.equal(trouble?.code, code);
      assert.match(await words(tab.page), said);
      await startsAgain(tab.page);
      await tab.close();
    });
  }
});

describe("a browser that lacks something", { timeout: 180_000 }, () => {
  it("is told of missing WebAssembly", async () => {
    const tab = await open(browser, site.page, {
      before: (page) => page.addInitScript(() => Reflect.deleteProperty(window, "WebAssembly")),
    });
    assert.equal((await sceneOf(tab.page)).trouble?.code, "noWasm");
    assert.match(await words(tab.page), /WebAssembly/);
    await tab.close();
  });

  it("is told of missing workers", async () => {
    const tab = await open(browser, site.page, {
      before: (page) => page.addInitScript(() => Reflect.deleteProperty(window, "Worker")),
    });
    assert.equal((await sceneOf(tab.page)).trouble?.code, "noWorker");
    assert.match(await words(tab.page), /worker/i);
    await tab.close();
  });

  it("is told of a module that cannot be loaded, and tries again", async () => {
    let isBlocked = true;
    const tab = await open(browser, site.page, {
      allow: /404|Failed to load|MIME|wasm/i,
      before: (page) =>
        page.context().route(/\.wasm$/, (route) => (isBlocked ? route.fulfill({ status: 404, body: "gone" }) : route.continue())),
    });
    assert.equal((await sceneOf(tab.page)).trouble?.code, "noWasm");
    isBlocked = false;
    await startsAgain(tab.page);
    await tab.close();
  });
});

describe("a module that panics", { timeout: 180_000 }, () => {
  it("is said with its event, keeps the picture, links to the moment and starts again", async () => {
    // In front of the worker's script: after it is told so, whatever runs the cluster traps, as a Rust panic does.
    const trap = `
      let isTrapped = false;
      new BroadcastChannel("trap").onmessage = () => { isTrapped = true; };
      for (const name of ["instantiate", "instantiateStreaming"]) {
        const real = WebAssembly[name].bind(WebAssembly);
        WebAssembly[name] = async (...args) => {
          const made = await real(...args);
          const instance = made.instance ?? made;
          const exports = {};
          for (const [key, value] of Object.entries(instance.exports)) {
            exports[key] = typeof value === "function" && key.startsWith("cluster_")
              ? (...given) => { if (isTrapped) throw new WebAssembly.RuntimeError("unreachable"); return value(...given); }
              : value;
          }
          const copy = Object.create(WebAssembly.Instance.prototype, { exports: { value: exports } });
          return made.instance ? { ...made, instance: copy } : copy;
        };
      }
    `;
    const tab = await open(browser, site.page, {
      before: (page) =>
        page.context().route(/worker.*\.js$/, async (route) => {
          const response = await route.fetch();
          await route.fulfill({ response, body: trap + (await response.text()) });
        }),
    });
    const { page } = tab;
    await act(page, "pause");
    await send(page, { verb: "put", key: "k", value: "v", through: 0 });
    await page.evaluate(() => new BroadcastChannel("trap").postMessage(0));
    await act(page, "setSpeed", 100);
    await act(page, "play");
    await shows(page, () => window.kvorum.scene.trouble !== null);
    const scene = await sceneOf(page);
    assert.equal(scene.trouble.code, "panicked");
    assert(Number(scene.trouble.holes.event) > 0);
    assert(scene.picture !== null && !scene.isPlaying);
    assert.match(await words(page), /stopped at event/);
    await act(page, "copyLink");
    assert.match(page.url(), /#v1\./);
    await startsAgain(page);
    await tab.close();
  });
});

describe("a key or value beyond its limit", { timeout: 180_000 }, () => {
  it("is refused in its field, in the user's language, and nothing is sent", async () => {
    for (const [language, said] of [["en", /65,536.*65,535/s], ["ko", /65,536.*65,535/s]]) {
      const tab = await open(browser, site.page, { language });
      await act(tab.page, "setDraft", { verb: "put", key: "k".repeat(65_536), value: "v", through: 0 });
      await act(tab.page, "send");
      await shows(tab.page, () => window.kvorum.scene.fieldTrouble !== null);
      assert.deepEqual((await sceneOf(tab.page)).requests, []);
      assert.match(await words(tab.page), said);
      await act(tab.page, "setDraft", { key: "" });
      await act(tab.page, "send");
      assert.equal((await sceneOf(tab.page)).fieldTrouble.trouble.code, "emptyKey");
      await act(tab.page, "setDraft", { key: "k", value: "" });
      await act(tab.page, "pause");
      const put = await send(tab.page, { verb: "put", key: "k", value: "", through: 0 });
      assert.equal(put.outcome, "done");
      await tab.close();
    }
  });
});
