/** The simulated cluster on the built page: what one can do with it, by virtual time. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { act, fixture, open, pass, passUntil, sceneOf, send, shows } from "./harness.mjs";

const stand = fixture();

/** A page that stands still, with five nodes that know each other. */
async function still(options) {
  const tab = await open(stand.browser, stand.site.page, options);
  await act(tab.page, "pause");
  await shows(tab.page, () => !window.kvorum.scene.isPlaying);
  return tab;
}

const ownersOf = (scene) => scene.picture.owners[scene.keyPicture.partition];
const copyOf = (scene, node) => scene.keyPicture?.copies.find((copy) => copy.node === node && copy.hintFor === null);

describe("a put", { timeout: 180_000 }, () => {
  it("reaches its owners, message by message", async () => {
    const { page, close } = await still();
    await act(page, "setDraft", { verb: "put", key: "cart", value: "milk", through: 0 });
    await act(page, "send");
    await shows(page, () => window.kvorum.scene.requests.length === 1);
    const carried = new Set();
    const note = (now) => {
      for (const flight of now.flights) if (flight.request === 1) carried.add(flight.label);
    };
    const scene = await passUntil(
      page,
      (now) => {
        note(now);
        const owners = now.keyPicture ? ownersOf(now) : [];
        return owners.length === 3 && owners.every((owner) => copyOf(now, owner)?.isCurrent);
      },
      { sliceUs: 200, withinUs: 1_000_000, what: "all owners hold the value" },
    );
    const [request] = (
      await passUntil(
        page,
        (now) => {
          note(now);
          return now.requests[0].outcome !== "running" && now.requests[0].legs.every((leg) => leg.answeredUs !== null);
        },
        { sliceUs: 200, what: "the put ends" },
      )
    ).requests;
    assert(carried.has("flight.write") && carried.has("flight.ack"), [...carried].join());
    assert.deepEqual([request.outcome, request.key, request.value], ["done", "cart", "milk"]);
    assert(request.votes.length >= request.needed && request.needed === 2);
    assert(ownersOf(scene).includes(request.coordinator));
    for (const leg of request.legs) assert(ownersOf(scene).includes(leg.node), "nobody but owners was asked");
    assert.deepEqual(scene.keyPicture.siblings.map((sibling) => sibling.value), ["milk"]);
    const read = await send(page, { verb: "get", key: "cart", through: 4 });
    assert.deepEqual([read.outcome, read.verb, read.siblings], ["done", "get", 1]);
    await close();
  });
});

describe("an owner that stops", { timeout: 180_000 }, () => {
  it("is Down by two reporters, misses a write, and gets it as a hint when it is back", async () => {
    const { page, close } = await still();
    const first = await send(page, { verb: "put", key: "cart", value: "milk", through: 0 });
    const away = ownersOf(await sceneOf(page)).find((owner) => owner !== first.coordinator && owner !== 0);
    await act(page, "crashOrRevive", away);
    await shows(page, (away) => !window.kvorum.scene.picture.nodes[away].isRunning, away);
    const down = await passUntil(page, (now) => now.marks.some((mark) => mark.kind === "down" && mark.of === away), {
      sliceUs: 100_000,
      what: "the stopped owner is Down",
    });
    const mark = down.marks.find((one) => one.kind === "down");
    assert(new Set(mark.reporters).size >= 2 && !mark.reporters.includes(away), JSON.stringify(mark));
    // All have heard of it before the put, so that nobody waits for it.
    await pass(page, 2_000_000);
    const second = await send(page, { verb: "put", key: "cart", value: "eggs", through: first.coordinator });
    assert.equal(second.outcome, "done");
    assert.deepEqual(second.skipped, [away]);
    const kept = await passUntil(page, (now) => now.keyPicture.copies.some((copy) => copy.hintFor === away), {
      what: "a fallback keeps the hint",
    });
    const keeper = kept.keyPicture.copies.find((copy) => copy.hintFor === away).node;
    assert(!ownersOf(kept).includes(keeper));
    assert(kept.picture.nodes[keeper].hints >= 1);
    await act(page, "crashOrRevive", away);
    const back = await passUntil(
      page,
      (now) => copyOf(now, away)?.isCurrent && now.picture.nodes[keeper].hints === 0,
      { sliceUs: 100_000, what: "the hint arrives" },
    );
    assert(!back.keyPicture.copies.some((copy) => copy.hintFor === away));
    assert.deepEqual(back.verdict.violations, []);
    await close();
  });
});

describe("a ring that is cut in two", { timeout: 180_000 }, () => {
  it("takes writes on both sides, keeps both as siblings when it is healed, and one put merges them", async () => {
    const { page, close } = await still();
    const base = await send(page, { verb: "put", key: "cart", value: "milk", through: 0 });
    assert.equal(base.outcome, "done");
    await act(page, "cutHalves", [0, 1], [2, 3, 4]);
    await shows(page, () => window.kvorum.scene.picture.cuts.length === 12);
    // Each side finds out who is away, and fallbacks step in.
    await pass(page, 10_000_000);
    const one = await send(page, { verb: "put", key: "list", value: "milk", through: 0 });
    const other = await send(page, { verb: "put", key: "list", value: "eggs", through: 3 });
    assert.deepEqual([one.outcome, other.outcome], ["done", "done"]);
    await act(page, "healAll");
    const healed = await passUntil(
      page,
      (now) => now.keyPicture?.siblings.length === 2 && ownersOf(now).every((owner) => copyOf(now, owner)?.isCurrent),
      { sliceUs: 200_000, withinUs: 60_000_000, what: "both values are with all owners" },
    );
    assert.equal(healed.picture.cuts.length, 0);
    assert.deepEqual(healed.keyPicture.siblings.map((sibling) => sibling.value).sort(), ["eggs", "milk"]);
    const cut = healed.marks.find((mark) => mark.kind === "cut");
    assert.deepEqual([cut.one, cut.other, cut.toUs !== null], [[0, 1], [2, 3, 4], true]);
    await act(page, "merge", "milk and eggs");
    const merged = await passUntil(
      page,
      (now) => now.keyPicture.siblings.length === 1 && ownersOf(now).every((owner) => copyOf(now, owner)?.isCurrent),
      { sliceUs: 20_000, what: "the merge is with all owners" },
    );
    assert.equal(merged.keyPicture.siblings[0].value, "milk and eggs");
    assert.deepEqual(merged.verdict.violations, []);
    await close();
  });
});

describe("a link", { timeout: 180_000 }, () => {
  it("shows the same trace in a fresh profile, and goes on the same from there", async () => {
    const first = await still();
    await send(first.page, { verb: "put", key: "장바구니", value: "우유", through: 2 });
    await act(first.page, "slow", 1, 40);
    await act(first.page, "crashOrRevive", 3);
    await pass(first.page, 700_000);
    await act(first.page, "selectNode", 1);
    await act(first.page, "copyLink");
    const url = first.page.url();
    assert.match(url, /#v1\.[A-Za-z0-9_-]+$/);
    assert(url.length < 2_048, `${url.length} characters`);
    const here = await first.page.evaluate(() => window.kvorum.reproduction());
    const second = await open(stand.browser, url);
    await shows(second.page, (events) => window.kvorum.scene.events === events, here.events);
    const there = await second.page.evaluate(() => window.kvorum.reproduction());
    assert.deepEqual([there.digest, there.events, there.script], [here.digest, here.events, here.script]);
    const scene = await sceneOf(second.page);
    assert.deepEqual([scene.trouble, scene.isPlaying, scene.selectedNode, scene.selectedKey], [null, false, 1, "장바구니"]);
    assert.equal(scene.digest, here.digest);
    // What the link selects is drawn, not only named.
    assert.deepEqual([scene.keyPicture?.key, scene.nodePicture?.name], ["장바구니", scene.picture.nodes[1].name]);
    assert.deepEqual(scene.keyPicture.siblings.map((sibling) => sibling.value), ["우유"]);
    assert.deepEqual(
      scene.requests.map(({ verb, key, outcome }) => [verb, key, outcome]),
      [["put", "장바구니", "done"]],
    );
    const until = scene.nowUs + 3_000_000;
    for (const tab of [first, second]) await tab.page.evaluate((until) => window.kvorum.run({ until }), until);
    const ends = await Promise.all([first, second].map((tab) => tab.page.evaluate(() => window.kvorum.reproduction())));
    assert.equal(ends[0].digest, ends[1].digest);
    assert.notEqual(ends[0].digest, here.digest);
    await first.close();
    await second.close();
  });
});

describe("a link into a drawn run", { timeout: 180_000 }, () => {
  it("brings its faults, its clients and what was done to it", async () => {
    const first = await open(stand.browser, `${stand.site.page}?seed=11`);
    await act(first.page, "pause");
    await pass(first.page, 3_000_000);
    await act(first.page, "setDraft", { verb: "put", key: "mine", value: "too", through: 1 });
    await act(first.page, "send");
    await pass(first.page, 2_000_000);
    await act(first.page, "copyLink");
    const here = await first.page.evaluate(() => window.kvorum.reproduction());
    const second = await open(stand.browser, first.page.url());
    await shows(second.page, (events) => window.kvorum.scene.events === events, here.events);
    assert.deepEqual(await second.page.evaluate(() => window.kvorum.reproduction()), here);
    assert.equal(here.options.drawn, true);
    const [one, other] = await Promise.all([first, second].map(({ page }) => sceneOf(page)));
    assert(one.requests.length > 1 && one.requests.some((request) => request.key === "mine"));
    // Values that this page put are known to it alone; all else is told by events.
    const told = (scene) => scene.requests.map(({ number, verb, key, entry, startedUs, endedUs, outcome }) => [number, verb, key, entry, startedUs, endedUs, outcome]);
    assert.deepEqual(told(other), told(one));
    assert.deepEqual(other.marks, one.marks);
    await first.close();
    await second.close();
  });
});

describe("a seed", { timeout: 180_000 }, () => {
  it("makes the same trace in a worker, in a page and in Node, twice", async () => {
    const { Cluster } = await import(new URL("../../../wasm/npm/index.js", import.meta.url).href);
    const digests = {};
    for (const round of [1, 2]) {
      const cluster = await Cluster.create({ seed: 7n });
      while (!cluster.run({ until: "end" }).reached);
      digests[`node ${round}`] = cluster.digest();
      cluster.close();
      const tab = await open(stand.browser, `${stand.site.page}?seed=7`);
      await act(tab.page, "pause");
      assert.equal(await tab.page.evaluate(() => window.kvorum.run({ until: "end" })), true);
      digests[`worker ${round}`] = (await tab.page.evaluate(() => window.kvorum.reproduction())).digest;
      assert.equal((await sceneOf(tab.page)).verdict.isFinal, true);
      digests[`page ${round}`] = await tab.page.evaluate(async (url) => {
        const { Cluster } = await import(url);
        const cluster = await Cluster.create({ seed: 7n });
        while (!cluster.run({ until: "end" }).reached);
        return cluster.digest();
      }, `${stand.site.origin}/npm/index.js`);
      await tab.close();
    }
    assert.equal(new Set(Object.values(digests)).size, 1, JSON.stringify(digests, null, 1));
    if (process.env.KVORUM_BIN) {
      // The native build, if there is one at hand.
      const { execFileSync } = await import("node:child_process");
      const report = JSON.parse(execFileSync(process.env.KVORUM_BIN, ["sim", "--seed", "7", "--json"], { encoding: "utf8" }));
      assert.equal(JSON.stringify(report).includes(digests["node 1"]), true, JSON.stringify(report).slice(0, 400));
    }
  });
});

describe("time", { timeout: 180_000 }, () => {
  it("stands still, steps one event, and plays at its speed", async () => {
    const { page, close } = await still();
    const before = await sceneOf(page);
    await act(page, "step");
    await shows(page, (events) => window.kvorum.scene.events > events, before.events);
    const stepped = await sceneOf(page);
    assert(!stepped.isPlaying && stepped.nowUs >= before.nowUs);
    await act(page, "setSpeed", 100);
    await act(page, "play");
    await shows(page, (us) => window.kvorum.scene.nowUs > us + 1_000_000, stepped.nowUs);
    await act(page, "pause");
    await shows(page, () => !window.kvorum.scene.isPlaying);
    assert.equal((await sceneOf(page)).speed, 100);
    await close();
  });
});
