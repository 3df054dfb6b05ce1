/** Everybody can use the page: by keyboard, with a screen reader, on a phone. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, describe, it } from "node:test";
import { act, launch, open, pass, sceneOf, send, serve, shows } from "./harness.mjs";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

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

/** Violations of WCAG 2.2 AA, each with where it is. */
async function violations(page) {
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const { violations } = await window.axe.run(document, {
      runOnly: { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] },
    });
    return violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id}: ${target.join(" ")} ${failureSummary}`));
  });
}

describe("axe finds nothing", { timeout: 180_000 }, () => {
  for (const language of ["en", "ko"]) {
    for (const theme of ["dark", "light"]) {
      for (const [width, height] of [[1440, 900], [390, 844]]) {
        it(`${language}, ${theme}, ${width} wide`, async () => {
          const { page, close } = await open(browser, site.page, { language, theme, width, height });
          await act(page, "pause");
          await send(page, { verb: "put", key: "cart", value: "milk", through: 0 });
          await act(page, "selectNode", 1);
          await act(page, "crashOrRevive", 2);
          await pass(page, 5_000_000);
          await shows(page, () => window.kvorum.scene.nodePicture !== null);
          assert.equal(await page.evaluate(() => document.documentElement.lang), language);
          assert.deepEqual(await violations(page), [], "cluster");
          await act(page, "setView", "request");
          await shows(page, () => window.kvorum.scene.view === "request");
          assert.deepEqual(await violations(page), [], "request");
          assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, "scrolls sideways");
          await close();
        });
      }
    }
  }
});

describe("keys", { timeout: 180_000 }, () => {
  it("pause, step, select, crash, cut and send", async () => {
    const { page, close } = await open(browser, site.page);
    await shows(page, () => window.kvorum.scene.isPlaying);
    await page.keyboard.press("Space");
    await shows(page, () => !window.kvorum.scene.isPlaying);
    const { events } = await sceneOf(page);
    await page.keyboard.press(".");
    await shows(page, (events) => window.kvorum.scene.events > events, events);
    await page.keyboard.press("4");
    await shows(page, () => window.kvorum.scene.selectedNode === 3);
    await page.keyboard.press("x");
    await shows(page, () => !window.kvorum.scene.picture.nodes[3].isRunning);
    await page.keyboard.press("x");
    await shows(page, () => window.kvorum.scene.picture.nodes[3].isRunning);
    await page.keyboard.press("2");
    await page.keyboard.press("c");
    await shows(page, () => window.kvorum.scene.picture.cuts.length === 8);
    await page.keyboard.press("c");
    await shows(page, () => window.kvorum.scene.picture.cuts.length === 0);
    // P goes to the composer; what is typed there is text, and Enter sends it.
    await page.keyboard.press("p");
    await page.keyboard.press("ControlOrMeta+a");
    await page.keyboard.type("xc1");
    await page.keyboard.press("Enter");
    await shows(page, () => window.kvorum.scene.requests.length === 1);
    assert.deepEqual((await sceneOf(page)).requests[0].key, "xc1");
    await close();
  });
});
