/** Everybody can use the page: by keyboard, with a screen reader, on a phone. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { describe, it } from "node:test";
import { deflateRawSync } from "node:zlib";
import { act, fixture, open, pass, passUntil, sceneOf, send, shows } from "./harness.mjs";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const stand = fixture();

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
          const { page, close } = await open(stand.browser, stand.site.page, { language, theme, width, height });
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
    const { page, close } = await open(stand.browser, stand.site.page);
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

/** Boxes of what matches, as they are on the screen. */
function boxesOf(page, selector) {
  return page.evaluate(
    (selector) =>
      [...document.querySelectorAll(selector)].map((element) => {
        const { left, top, right, bottom } = element.getBoundingClientRect();
        return { left, top, right, bottom, text: element.textContent };
      }),
    selector,
  );
}

/** Pairs that share more than their edges. */
function overlaps(boxes, slack = 1) {
  return boxes.flatMap((a, index) =>
    boxes
      .slice(index + 1)
      .filter((b) => a.left < b.right - slack && b.left < a.right - slack && a.top < b.bottom - slack && b.top < a.bottom - slack)
      .map((b) => [a, b]),
  );
}

/** Before that a node may not run yet, and what stops it would start it. */
function formed(page) {
  return passUntil(page, (now) => now.picture.nodes.every((node) => node.isRunning && node.state === "up"), { sliceUs: 200_000, what: "all nodes are up" });
}

const linked = (options) => `${stand.site.page}#v1.${deflateRawSync(JSON.stringify({ seed: "7", options })).toString("base64url")}`;

describe("in every window", { timeout: 180_000 }, () => {
  const SIZES = [[1440, 900], [1280, 800], [1280, 720], [1200, 700], [1024, 768], [1100, 500], [900, 560], [900, 430], [390, 844], [360, 640], [844, 390], [640, 400], [360, 480], [320, 400]];

  it("everything that can be done can be reached, and the document is no larger than the window", async () => {
    const { page, close } = await open(stand.browser, stand.site.page);
    await act(page, "pause");
    await act(page, "selectNode", 1);
    for (const [width, height] of SIZES) {
      const where = `${width} × ${height}`;
      await page.setViewportSize({ width, height });
      await act(page, "setDraft", { key: "a key that is rather long for a narrow window", value: "and a value as long as that, at least" });
      const size = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.scrollHeight]);
      assert.deepEqual(size, [width, height], where);
      // A click waits until nothing lies above the button, and scrolls to it.
      const before = (await sceneOf(page)).requests.length;
      await page.getByRole("button", { name: "Send", exact: true }).click({ timeout: 5_000 });
      await shows(page, (before) => window.kvorum.scene.requests.length > before, before);
      const send = await page.getByRole("button", { name: "Send", exact: true }).boundingBox();
      assert.ok(send.x >= 0 && send.x + send.width <= width && send.y >= 0 && send.y + send.height <= height, `Send at ${where}: ${JSON.stringify(send)}`);
      // Instruments are in the corners of the stage, or under a tab.
      const crash = page.locator("[data-fault=crash]");
      const writes = page.getByRole("combobox", { name: "Acks that a write waits for, W" });
      for (const [one, tabs] of [[crash, ["Faults", "Cluster"]], [writes, ["Members", "Cluster"]]]) {
        if (!(await one.isVisible())) {
          for (const name of tabs) {
            const tab = page.getByRole("tab", { name, exact: true });
            if (await tab.isVisible()) await tab.click({ timeout: 5_000 });
          }
        }
        await one.click({ trial: true, timeout: 5_000 });
      }
      const key = page.getByRole("tab", { name: "Key", exact: true });
      if (await key.isVisible()) await key.click({ timeout: 5_000 });
      await page.getByRole("button", { name: "Step", exact: true }).click({ trial: true, timeout: 5_000 });
    }
    await close();
  });

  it("all that the checkers say is in sight", async () => {
    const { page, close } = await open(stand.browser, stand.site.page);
    await act(page, "pause");
    for (const language of ["EN", "한국어"]) {
      await page.setViewportSize({ width: 1440, height: 900 });
      await page.getByRole("button", { name: language, exact: true }).click();
      for (const [width, height] of SIZES.filter(([width]) => width >= 900)) {
        await page.setViewportSize({ width, height });
        const [line] = await boxesOf(page, "[data-verdict]");
        const said = await boxesOf(page, "[data-verdict] > span");
        assert.ok(said.length >= 5, `${language} ${width}`);
        for (const box of said) {
          assert.ok(box.right > box.left && box.left >= 0 && box.right <= width && box.top >= line.top && box.bottom <= line.bottom + 1, `${language} ${width}: ${box.text}`);
        }
        assert.deepEqual(overlaps(said), [], `${language} ${width}`);
        assert.ok(line.top > 0 && line.bottom <= height + 1, `${language} ${width} × ${height}: in sight`);
      }
    }
    await close();
  });

  it("of a low one, gauges and routes keep off the dial, and the lanes of time are under a tab", async () => {
    for (const [width, height] of [[1100, 500], [1280, 550], [900, 430]]) {
      const { page, close } = await open(stand.browser, stand.site.page, { width, height });
      await act(page, "pause");
      await formed(page);
      const [dial, discs] = await page.evaluate(() => {
        const of = (circle) => {
          const { left, top, right, bottom } = circle.getBoundingClientRect();
          return { x: (left + right) / 2, y: (top + bottom) / 2, radius: (right - left) / 2 };
        };
        const band = document.querySelector("[data-stage] svg circle");
        // What a node keeps free of lines has its gauge within.
        const nodes = [...document.querySelectorAll("[data-stage] svg.pass g > circle:first-child")].map(of);
        return [{ ...of(band), band: Number(band.getAttribute("stroke-width")) }, nodes];
      });
      assert.equal(discs.length, 5);
      for (const { x, y, radius } of discs) assert.ok(Math.hypot(x - dial.x, y - dial.y) + radius <= dial.radius - dial.band / 2, `${width} × ${height}: ${JSON.stringify({ x, y, radius, dial })}`);
      await page.getByRole("tab", { name: "Time", exact: true }).click();
      await page.locator("#panel .lanes").waitFor();
      await close();
    }
  });

  it("a thumb meets the choices of N, R and W on a phone", async () => {
    for (const [width, height] of [[390, 844], [844, 390]]) {
      const { page, close } = await open(stand.browser, stand.site.page, { width, height });
      await page.getByRole("tab", { name: "Members" }).click();
      const choices = await boxesOf(page, ".quorum select");
      assert.equal(choices.length, 4);
      for (const { left, right, top, bottom } of choices) assert.ok(right - left >= 44 && bottom - top >= 44, JSON.stringify(choices));
      assert.deepEqual(overlaps(choices), []);
      await close();
    }
  });

  it("a phone's menu hides nothing that could be met, and closes on Esc, by a tap outside and by what it does", async () => {
    const { page, close } = await open(stand.browser, stand.site.page, { width: 390, height: 844 });
    await act(page, "pause");
    const menu = page.getByRole("button", { name: "Menu" });
    const list = page.getByRole("navigation", { name: "Menu" });
    const { selectedNode, view } = await sceneOf(page);
    for (const leave of [() => page.keyboard.press("Escape"), () => page.mouse.click(120, 200), () => page.mouse.click(200, 700), () => menu.click()]) {
      await menu.click();
      await list.waitFor();
      assert.deepEqual(await violations(page), []);
      await leave();
      await list.waitFor({ state: "detached" });
      assert.equal(await menu.evaluate((button) => document.activeElement === button), true);
    }
    const now = await sceneOf(page);
    assert.deepEqual([now.selectedNode, now.view], [selectedNode, view]);
    await menu.click();
    await page.getByRole("button", { name: "Stage as table" }).click();
    await list.waitFor({ state: "detached" });
    await page.getByRole("table").first().waitFor();
    await close();
  });

  it("words beside a walk name all of its owners, or none", async () => {
    for (const [width, height] of [[900, 600], [1440, 900]]) {
      const { page, close } = await open(stand.browser, stand.site.page, { width, height });
      await act(page, "pause");
      await formed(page);
      let worded = 0;
      for (const key of ["cart", "x1", "x3", "x9", "city:KR:Seoul"]) {
        await act(page, "selectKey", key);
        await shows(page, (key) => window.kvorum.scene.keyPicture?.key === key && document.querySelector("[data-key-name]") !== null, key);
        const said = (await boxesOf(page, "[data-stage] svg text.w5")).filter(({ text }) => text.endsWith("owner"));
        assert.ok(said.length === 0 || said.length === 3, `${width}, ${key}: ${said.map(({ text }) => text).join("; ")}`);
        worded += said.length;
      }
      assert.ok(worded > 0, `${width}`);
      await close();
    }
  });
});

/** Words and marks on the lanes of time lie on nothing. */
async function lanesAreClear(page, when) {
  const words = await boxesOf(page, ".lanes text");
  assert.deepEqual(overlaps(words), [], when);
  const marks = await boxesOf(page, "[data-crash] > g, [data-opinion] > g, [data-opinion] > circle");
  assert.deepEqual(overlaps(marks), [], when);
  assert.deepEqual(overlaps([...words, ...marks]), [], when);
}

describe("what has happened", { timeout: 180_000 }, () => {
  it("three crashes at one time are all named, and nothing hides anything", async () => {
    const { page, close } = await open(stand.browser, stand.site.page);
    await act(page, "pause");
    await send(page, { verb: "put", key: "cart", value: "milk", through: 0 });
    for (const node of [1, 2, 3]) await act(page, "crashOrRevive", node);
    await pass(page, 3_000_000);
    await page.locator("[data-crash] text").first().waitFor();
    const [crashes] = await boxesOf(page, "[data-crash] text");
    assert.equal(crashes.text, "crash b c d");
    await lanesAreClear(page, "all three are down");
    assert.deepEqual(overlaps(await boxesOf(page, "[data-label]")), []);
    for (const node of [1, 2, 3]) await act(page, "crashOrRevive", node);
    await pass(page, 400_000);
    await act(page, "crashOrRevive", 1);
    await passUntil(page, (now) => now.picture.nodes[1].state === "down" || now.picture.nodes[1].reporters.length > 1, { sliceUs: 100_000, what: "b is down again" });
    for (const us of [0, 5_000_000, 20_000_000, 30_000_000]) {
      await pass(page, us);
      await lanesAreClear(page, `after ${us}`);
      const said = (await boxesOf(page, "[data-crash] text")).map(({ text }) => text);
      assert.deepEqual([...new Set(said.join(" ").match(/\b[bcd]\b/g))].sort(), ["b", "c", "d"]);
    }
    await close();
  });

  it("of the run that a seed alone makes can be read, or is counted", async () => {
    for (const seed of [5, 7, 44]) {
      const { page, close } = await open(stand.browser, stand.site.page);
      await act(page, "startAgain", String(seed));
      await shows(page, (seed) => window.kvorum.scene.seed === seed, String(seed));
      await act(page, "runSeed");
      await shows(page, () => window.kvorum.scene.running === null && window.kvorum.scene.verdict?.isFinal);
      await page.locator("[data-frame]").first().waitFor();
      await lanesAreClear(page, `seed ${seed}`);
      const frames = await boxesOf(page, "[data-frame]");
      assert.ok(frames.length >= 2);
      assert.equal((await boxesOf(page, "[data-frame] text")).length, frames.length, `seed ${seed}: each has words`);
      assert.deepEqual(overlaps(await boxesOf(page, "[data-frame] rect"), 2), [], `seed ${seed}: frames`);
      assert.deepEqual(overlaps([...(await boxesOf(page, "[data-crash] text")), ...(await boxesOf(page, "[data-frame] rect"))], 2), [], `seed ${seed}: crashes and frames`);
      await close();
    }
  });

  it("with all nodes down, ring and key stay, and a sentence says what to do", async () => {
    const { page, close } = await open(stand.browser, stand.site.page);
    await act(page, "pause");
    await send(page, { verb: "put", key: "cart", value: "milk", through: 0 });
    for (const node of [0, 1, 2, 3, 4]) await act(page, "crashOrRevive", node);
    await pass(page, 3_000_000);
    await page.getByRole("heading", { name: "cart" }).waitFor();
    assert.match(await page.locator("[data-stage]").innerText(), /nobody can answer/);
    assert.ok((await page.locator("[data-stage] svg text").count()) > 64, "the arcs have their letters");
    assert.deepEqual(await violations(page), []);
    await page.getByRole("button", { name: "Start a" }).click();
    await shows(page, () => window.kvorum.scene.picture.nodes[0].isRunning);
    await passUntil(page, (now) => now.keyPicture !== null, { sliceUs: 100_000, what: "it knows the key's place" });
    assert.doesNotMatch(await page.locator("[data-stage]").innerText(), /nobody can answer/);
    await close();
  });

  it("a fallback that is down is drawn as down, and none is drawn that could not stand in", async () => {
    const { page, close } = await open(stand.browser, stand.site.page);
    await act(page, "pause");
    await send(page, { verb: "put", key: "cart", value: "milk", through: 0 });
    const rows = () => page.locator("aside ol").first().innerText();
    assert.doesNotMatch(await rows(), /fallback/);
    const [first, second] = await page.evaluate(() => window.kvorum.scene.picture.owners[window.kvorum.scene.keyPicture.partition]);
    await act(page, "crashOrRevive", second);
    await passUntil(page, (now) => now.picture.nodes[second].state === "down", { sliceUs: 100_000, what: "an owner is down" });
    assert.match(await rows(), /fallback/);
    assert.doesNotMatch(await rows(), /hint for/);
    await send(page, { verb: "put", key: "cart", value: "eggs", through: first });
    const scene = await passUntil(page, (now) => now.keyPicture.copies.some((copy) => copy.hintFor !== null), { what: "somebody keeps a hint" });
    assert.match(await rows(), /fallback\s*hint for/);
    const { node } = scene.keyPicture.copies.find((copy) => copy.hintFor !== null);
    await act(page, "crashOrRevive", node);
    await passUntil(page, (now) => now.picture.nodes[node].state === "down" || now.picture.nodes[node].state === "stopped", { sliceUs: 100_000, what: "the fallback is down" });
    assert.match(await rows(), /fallback, down/);
    await close();
  });
});

describe("on the stage", { timeout: 180_000 }, () => {
  it("the sentence about suspicions keeps off the ring", async () => {
    for (const [width, height] of [[1440, 900], [1280, 800], [1280, 720]]) {
      const { page, close } = await open(stand.browser, stand.site.page, { width, height });
      await act(page, "pause");
      await formed(page);
      for (const node of [2, 3]) await act(page, "crashOrRevive", node);
      await passUntil(page, (now) => [2, 3].every((node) => now.picture.nodes[node].reporters.length > 1), { sliceUs: 100_000, what: "both are reported" });
      const [said] = await boxesOf(page, ".matrix .said");
      assert.match(said.text, /Down/);
      const dial = await page.evaluate(() => {
        const { left, top, right, bottom } = document.querySelector("[data-stage] svg circle").getBoundingClientRect();
        const band = Number(document.querySelector("[data-stage] svg circle").getAttribute("stroke-width"));
        return { x: (left + right) / 2, y: (top + bottom) / 2, radius: (right - left) / 2 + band / 2 };
      });
      for (const y of [said.top, said.bottom]) {
        assert.ok(Math.hypot(said.right - dial.x, y - dial.y) > dial.radius + 4, `${width}: ${JSON.stringify({ said, dial })}`);
      }
      await close();
    }
  });

  it("fifty nodes stand apart, are named where it matters, and are walked through by keys", async () => {
    const { page, close } = await open(stand.browser, linked({ nodes: 50 }));
    await act(page, "pause");
    await formed(page);
    for (const node of [2, 3, 17]) await act(page, "crashOrRevive", node);
    await act(page, "selectNode", 7);
    await passUntil(page, (now) => [2, 3, 17].every((node) => now.picture.nodes[node].state !== "up"), { sliceUs: 200_000, what: "three are down" });
    const discs = await boxesOf(page, "[data-node]");
    assert.equal(discs.length, 50);
    const middle = ({ left, right, top, bottom }) => [(left + right) / 2, (top + bottom) / 2];
    discs.forEach((disc, index) => {
      const [[x, y], [nextX, nextY]] = [middle(disc), middle(discs[(index + 1) % 50])];
      assert.ok(Math.hypot(nextX - x, nextY - y) >= (disc.right - disc.left + discs[(index + 1) % 50].right - discs[(index + 1) % 50].left) / 2 - 0.5, `node ${index}`);
    });
    const labels = await boxesOf(page, "[data-label]");
    assert.deepEqual(overlaps(labels), []);
    for (const name of ["h", "c, down", "d, down", "r, down"]) assert.ok(labels.some(({ text }) => text.startsWith(name)), `${name}: ${labels.map(({ text }) => text).join("; ")}`);
    assert.deepEqual(overlaps(await boxesOf(page, "[data-stage] svg text[font-size='11']")), [], "letters of the arcs");
    await page.locator("[data-node=n7]").focus();
    await page.keyboard.press("ArrowRight");
    await shows(page, () => window.kvorum.scene.selectedNode === 8);
    assert.equal(await page.evaluate(() => document.activeElement.dataset.node), "n8");
    await close();
  });

  it("each of fifty nodes can be met: no two of their circles of 24 px meet", async () => {
    for (const [width, height] of [[1440, 900], [1280, 800], [390, 844]]) {
      const { page, close } = await open(stand.browser, linked({ nodes: 50 }), { width, height });
      await act(page, "pause");
      const middles = (await boxesOf(page, "[data-node]")).map(({ left, right, top, bottom }) => [(left + right) / 2, (top + bottom) / 2]);
      assert.equal(middles.length, 50);
      middles.forEach(([x, y], index) => {
        const least = Math.min(...middles.flatMap(([otherX, otherY], other) => (other === index ? [] : [Math.hypot(otherX - x, otherY - y)])));
        assert.ok(least >= 24, `${width}: node ${index}, ${least} px`);
      });
      await close();
    }
  });

  it("more space between letters, words and lines hides nothing", async () => {
    const SPACING = "* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important; } p { margin-bottom: 2em !important; }";
    for (const [width, height] of [[1440, 900], [1280, 800], [1100, 500], [390, 844], [360, 640]]) {
      const { page, close } = await open(stand.browser, stand.site.page, { width, height });
      await act(page, "pause");
      await send(page, { verb: "put", key: "cart", value: "milk", through: 0 });
      await act(page, "selectNode", 1);
      await act(page, "crashOrRevive", 2);
      await passUntil(page, (now) => now.picture.nodes[2].state === "down", { sliceUs: 100_000, what: "c is down" });
      await send(page, { verb: "put", key: "cart", value: "milk", through: 0 });
      const before = await page.evaluate(() => document.querySelector(".sample").clientWidth);
      await page.evaluate((css) => {
        const sheet = new CSSStyleSheet();
        sheet.replaceSync(css);
        document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
      }, SPACING);
      await shows(page, (before) => document.querySelector(".sample").clientWidth > before, before);
      // Two frames: the measure is heard of in one, and what follows from it is drawn in the next.
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      const where = `${width} × ${height}`;
      assert.deepEqual(await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.scrollHeight]), [width, height], where);
      await lanesAreClear(page, where);
      const cut = await page.evaluate(() =>
        [...document.querySelectorAll("button, label, h1, h2, h2 > span, [data-verdict] > span, .legend li")].flatMap((element) => {
          const style = getComputedStyle(element);
          const isCut = style.overflow !== "visible" && (element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1);
          const { left, right, width } = element.getBoundingClientRect();
          return !element.closest(".hidden-text") && width > 1 && (isCut || left < -1 || right > innerWidth + 1) ? [element.textContent.trim()] : [];
        }),
      );
      assert.deepEqual(cut, [], where);
      assert.deepEqual(overlaps(await boxesOf(page, "header button, header b, .transport button, .transport > span, .composer button, .composer label")), [], where);
      assert.deepEqual(overlaps([...(await boxesOf(page, "[data-label]")), ...(await boxesOf(page, ".corner button, .corner select, .corner .meaning, .corner caption, .corner .said"))]), [], where);
      await close();
    }
  });

  it("with forced colours, nothing is told by a fill that is not there", async () => {
    const { page, close } = await open(stand.browser, stand.site.page);
    await page.emulateMedia({ forcedColors: "active" });
    await act(page, "pause");
    await send(page, { verb: "put", key: "cart", value: "milk", through: 0 });
    await act(page, "selectNode", 1);
    // All that is drawn has the reader's colours: lines against the background, and letters against their discs.
    const seen = await page.evaluate(() => {
      const probe = document.createElement("i");
      document.body.append(probe);
      const colour = (value) => {
        probe.style.color = value;
        return getComputedStyle(probe).color;
      };
      const [canvas, ink] = [colour("Canvas"), colour("CanvasText")];
      const of = (selector, property) => getComputedStyle(document.querySelector(selector))[property];
      const node = document.querySelectorAll("[data-stage] svg.pass g > circle + circle");
      const answer = {
        same: canvas === ink,
        discs: [...node].slice(0, 3).map((circle) => [getComputedStyle(circle).fill, getComputedStyle(circle).stroke]),
        canvas,
        ink,
        send: [of(".primary", "backgroundColor"), of(".primary", "color"), of(".primary", "borderTopWidth")],
        on: of(".verbs .on", "textDecorationLine"),
        off: of(".verbs button:not(.on)", "textDecorationLine"),
      };
      probe.remove();
      return answer;
    });
    assert.equal(seen.same, false);
    assert.deepEqual(seen.discs[0], [seen.canvas, seen.ink], "a plain disc");
    assert.ok(seen.discs.some(([fill]) => fill === seen.ink), "the selected one is filled");
    assert.notEqual(seen.send[0], seen.send[1]);
    assert.equal(seen.send[2], "1px");
    assert.deepEqual([seen.on, seen.off], ["underline", "none"]);
    await close();
  });

  it("words in the figure of a request keep off each other", async () => {
    for (const [width, height] of [[1440, 900], [1024, 768], [390, 844]]) {
      const { page, close } = await open(stand.browser, stand.site.page, { width, height });
      await act(page, "pause");
      await formed(page);
      await act(page, "crashOrRevive", 3);
      await passUntil(page, (now) => now.picture.nodes[3].state === "down", { sliceUs: 100_000, what: "d is down" });
      for (const [number, verb] of ["put", "put", "get", "put", "put", "get"].entries()) await send(page, { verb, key: `cart:${number}`, value: "milk", through: number % 3 });
      await pass(page, 100_000);
      if (width > 600) await act(page, "setView", "request");
      else await page.getByRole("tab", { name: "Request" }).click();
      for (const request of (await sceneOf(page)).requests) {
        await act(page, "follow", request.number);
        await shows(page, (number) => window.kvorum.scene.followed === number, request.number);
        const words = await boxesOf(page, ".figure text.halo");
        assert.ok(words.length >= 3, `${width}, request ${request.number}`);
        assert.deepEqual(overlaps(words, 2), [], `${width}, request ${request.number}`);
      }
      await close();
    }
  });

  it("a long number of a request keeps off the words beside it", async () => {
    const { page, close } = await open(stand.browser, stand.site.page);
    await act(page, "pause");
    await send(page, { verb: "put", key: "cart", value: "milk", through: 0 });
    await act(page, "setView", "request");
    // Thousands of requests take too long: the row is told that it is a later one.
    const [number, what] = await page.evaluate(() => {
      const row = document.querySelector("aside ol button");
      row.closest("ol").style.setProperty("--digits", "6");
      row.children[0].textContent = "123456";
      const range = document.createRange();
      range.selectNodeContents(row.children[0]);
      return [range.getBoundingClientRect().right, row.children[1].getBoundingClientRect().left];
    });
    assert.ok(what - number >= 6, `${what - number} px`);
    await close();
  });
});
