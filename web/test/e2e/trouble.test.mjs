/** What goes wrong is said in a sentence, and the page stays usable. */
import assert from "node:assert/strict";
import { deflateRawSync } from "node:zlib";
import { describe, it } from "node:test";
import { act, fixture, open, sceneOf, send, serve, shows } from "./harness.mjs";

const stand = fixture();

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
    ["a script that is none", packed({ seed: "7", options: { nodes: 5 }, script: "at noon fly n0" }), "badScript", "en", /line 1: “noon” is no time/],
    ["a script that is none, in Korean and nothing else", packed({ seed: "7", options: { nodes: 5 }, script: "at 1s fly n0" }), "badScript", "ko", /1번째 줄 “fly n0”: 없는 동작/],
    ["a link that asks for more answers than there are replicas", packed({ seed: "7", options: { nodes: 5, n: 3, r: 9, w: 9 } }), "badLink", "en", /r is no whole number from 1 to 3/],
    ["a link whose own quorum is above N", packed({ seed: "7", options: { nodes: 5, n: 2 }, quorum: { r: 1, w: 3 } }), "badLink", "ko", /quorum\.w/],
    ["an unknown seed", "?seed=seven", "badSeed", "ko", /seven/],
  ]) {
    it(`says what is wrong with ${name}, and starts again`, async () => {
      const tab = await open(stand.browser, `${stand.site.page}${address}`, { language });
      const { trouble } = await sceneOf(tab.page);
      assert.equal(trouble?.code, code);
      // Whatever is said, it is in the language of the page, whose words may come a moment later.
      await shows(tab.page, (language) => document.documentElement.lang === language, language);
      assert.match(await words(tab.page), said);
      if (language === "ko") assert.doesNotMatch(await words(tab.page), /\b(is no|cannot be|of the script|at most|whole number)\b/);
      await startsAgain(tab.page);
      await tab.close();
    });
  }
});

describe("a browser that lacks something", { timeout: 180_000 }, () => {
  it("is told of missing WebAssembly", async () => {
    const tab = await open(stand.browser, stand.site.page, {
      before: (page) => page.addInitScript(() => Reflect.deleteProperty(window, "WebAssembly")),
    });
    assert.equal((await sceneOf(tab.page)).trouble?.code, "noWasm");
    assert.match(await words(tab.page), /no WebAssembly.*Firefox 114, Safari 16\.4/s);
    await tab.page.getByRole("button", { name: "Load the page anew" }).waitFor();
    await tab.close();
  });

  it("is told of missing workers", async () => {
    const tab = await open(stand.browser, stand.site.page, {
      before: (page) => page.addInitScript(() => Reflect.deleteProperty(window, "Worker")),
    });
    assert.equal((await sceneOf(tab.page)).trouble?.code, "noWorker");
    assert.match(await words(tab.page), /allows no worker.*Firefox 114, Safari 16\.4/s);
    await tab.page.getByRole("button", { name: "Load the page anew" }).waitFor();
    await tab.close();
  });

  it("is told of a module that cannot be loaded, and tries again", async () => {
    let isBlocked = true;
    const tab = await open(stand.browser, stand.site.page, {
      allow: /404|Failed to load|MIME|wasm/i,
      before: (page) =>
        page.context().route(/\.wasm$/, (route) => (isBlocked ? route.fulfill({ status: 404, body: "gone" }) : route.continue())),
    });
    assert.equal((await sceneOf(tab.page)).trouble?.code, "notLoaded");
    isBlocked = false;
    await startsAgain(tab.page);
    await tab.close();
  });

  it("is told of a worker whose file is missing, with a button that loads the page anew", async () => {
    let isMissing = true;
    const tab = await open(stand.browser, stand.site.page, {
      allow: /404|Failed to load|MIME/i,
      before: (page) => page.context().route(/worker.*\.js$/, (route) => (isMissing ? route.fulfill({ status: 404, body: "gone" }) : route.continue())),
    });
    await shows(tab.page, () => window.kvorum.scene.trouble !== null);
    assert.equal((await sceneOf(tab.page)).trouble.code, "notLoaded");
    isMissing = false;
    await tab.page.getByRole("button", { name: "Load the page anew" }).click();
    await shows(tab.page, () => window.kvorum?.scene.picture != null && window.kvorum.scene.trouble === null);
    await tab.close();
  });

  it("is told that what only live needs did not come, and goes back to its simulation", async () => {
    const tab = await open(stand.browser, stand.site.page, {
      allow: /404|Failed to load|MIME/i,
      before: (page) => page.context().route(/\/live-.*\.js$/, (route) => route.fulfill({ status: 404, body: "gone" })),
    });
    await act(tab.page, "setMode", "live", "127.0.0.1:1");
    await shows(tab.page, () => window.kvorum.scene.trouble !== null);
    assert.equal((await sceneOf(tab.page)).trouble.code, "part");
    assert.match(await words(tab.page), /part of the page could not be loaded/);
    await tab.page.getByRole("button", { name: "Load the page anew" }).waitFor();
    await tab.page.getByRole("button", { name: "Go to the simulation" }).click();
    await shows(tab.page, () => window.kvorum.scene.trouble === null && window.kvorum.scene.picture !== null);
    assert.equal((await sceneOf(tab.page)).picture.nodes.length, 5);
    await tab.close();
  });

  it("is told the true cause when the host of the page is gone, and goes on when it is back", async () => {
    const first = await serve();
    const tab = await open(stand.browser, `${first.page}?live=127.0.0.1:1`, { allow: /ERR_|Failed to|WebSocket/i, language: "ko" });
    await tab.page.getByRole("button", { name: "시뮬레이션으로 가기" }).waitFor();
    await tab.page.waitForLoadState("networkidle");
    await first.close();
    await tab.page.getByRole("button", { name: "시뮬레이션으로 가기" }).click();
    await shows(tab.page, () => window.kvorum.scene.trouble !== null);
    assert.equal((await sceneOf(tab.page)).trouble.code, "serverGone");
    assert.match(await words(tab.page), /이 페이지를 제공한 서버가 응답하지 않아요/);
    const again = await serve(undefined, first.port);
    await tab.page.getByRole("button", { name: "다시 시도" }).click();
    await shows(tab.page, () => window.kvorum.scene.trouble === null && window.kvorum.scene.picture !== null);
    await tab.close();
    await again.close();
  });
});

describe("a live address where nobody answers", { timeout: 180_000 }, () => {
  const allow = /ERR_|Failed to|WebSocket/i;

  for (const [language, said, opens, recorded] of [
    ["en", /cannot be reached from here: no node answers there, or it does not let a page of another origin read/, "Open 127.0.0.1:1", "See a recorded run"],
    ["ko", /여기서는 연결할 수 없어요.*노드가 없거나, 노드가 다른 출처의 페이지에 읽기를 허용하지 않아요/, "127.0.0.1:1 열기", "기록된 실행 보기"],
  ]) {
    it(`is no lost connection, and says both causes and what to do (${language})`, async () => {
      const tab = await open(stand.browser, `${stand.site.page}?live=127.0.0.1:1`, { language, allow });
      const { page } = tab;
      const { live, trouble } = await sceneOf(page);
      assert.deepEqual([live.status, trouble.code], ["unreachable", "unreachable"]);
      for (const view of ["cluster", "request"]) {
        await act(page, "setView", view);
        await page.getByRole("alert").filter({ hasText: said }).waitFor();
        assert.equal(await page.getByRole("link", { name: opens }).getAttribute("href"), "http://127.0.0.1:1/");
        assert.doesNotMatch(await words(page), /lost|끊/);
      }
      // Whoever has no cluster sees a run all the same.
      await page.getByRole("button", { name: recorded }).click();
      await shows(page, () => window.kvorum.scene.mode === "simulated" && window.kvorum.scene.isPlaying && window.kvorum.scene.picture?.nodes.length === 5);
      assert.equal((await sceneOf(page)).trouble, null);
      await tab.close();
    });
  }
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
    const tab = await open(stand.browser, stand.site.page, {
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
      const tab = await open(stand.browser, stand.site.page, { language });
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
