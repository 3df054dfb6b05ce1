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
    // Events carry no values; the link's script says what was put.
    assert.deepEqual(
      scene.requests.map(({ verb, key, value, outcome }) => [verb, key, value, outcome]),
      [["put", "장바구니", "우유", "done"]],
    );
    await act(second.page, "setView", "request");
    await second.page.getByRole("heading", { name: "put 장바구니 우유" }).waitFor();
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
  it("goes back one event, and forward to the very same", async () => {
    const { page, close } = await still();
    await send(page, { verb: "put", key: "cart", value: "milk", through: 0 });
    await pass(page, 50_000);
    await act(page, "step");
    const isStill = () => window.kvorum.scene.running === null;
    await shows(page, isStill);
    const here = await page.evaluate(() => window.kvorum.reproduction());
    const before = await sceneOf(page);
    await page.keyboard.press(",");
    await shows(page, (events) => window.kvorum.scene.events < events && window.kvorum.scene.running === null, before.events);
    const back = await sceneOf(page);
    assert.notEqual(back.digest, here.digest);
    assert.equal(back.isPlaying, false);
    // What was known is known again.
    assert.deepEqual(back.requests.map(({ key, value, outcome }) => [key, value, outcome]), [["cart", "milk", "done"]]);
    await page.getByRole("button", { name: "Step", exact: true }).click();
    await shows(page, (events) => window.kvorum.scene.events === events, here.events);
    assert.deepEqual(await page.evaluate(() => window.kvorum.reproduction()), here);
    await page.getByRole("button", { name: "Step back" }).click();
    await shows(page, (events) => window.kvorum.scene.events === events && window.kvorum.scene.running === null, back.events);
    assert.equal((await sceneOf(page)).digest, back.digest);
    // From there something else may be done.
    const put = await send(page, { verb: "put", key: "cart", value: "eggs", through: 1 });
    assert.equal(put.outcome, "done");
    await close();
  });

  it("runs to the end of the default script by its button, to the digest of the command line", async () => {
    const { page, close } = await still();
    await page.getByRole("button", { name: "Default script" }).click();
    await page.locator('[data-pace="end"]').filter({ hasText: "%" }).waitFor();
    await shows(page, () => window.kvorum.scene.running === null && window.kvorum.scene.verdict?.isFinal === true);
    const { Cluster } = await import(new URL("../../../wasm/npm/index.js", import.meta.url).href);
    const cluster = await Cluster.create({ seed: 7n });
    while (!cluster.run({ until: "end" }).reached);
    const { digest, isPlaying, trouble } = await sceneOf(page);
    assert.deepEqual([digest, isPlaying, trouble], [cluster.digest(), false, null]);
    cluster.close();
    assert.equal(await page.locator("[data-digest]").getAttribute("data-digest"), digest);
    await close();
  });

  it("judges at the end what is broken on purpose and stays so", async () => {
    const { page, close } = await still();
    await act(page, "crashOrRevive", 1);
    await act(page, "runToEnd");
    await shows(page, () => window.kvorum.scene.running === null && window.kvorum.scene.verdict?.isFinal === true);
    const { verdict, picture } = await sceneOf(page);
    assert.deepEqual([verdict.violations, verdict.isLossJudged, picture.nodes[1].isRunning], [[], true, false]);
    await close();
  });

  it("stops on its way to the end by a key, and goes on from there", async () => {
    const { page, close } = await open(stand.browser, `${stand.site.page}?seed=7`);
    await page.keyboard.press("e");
    await shows(page, () => window.kvorum.scene.running?.goal === "end" && window.kvorum.scene.running.part > 0.05);
    await page.keyboard.press("e");
    await shows(page, () => window.kvorum.scene.running === null);
    const { verdict, isPlaying, events } = await sceneOf(page);
    assert.deepEqual([verdict.isFinal, isPlaying], [false, false]);
    await act(page, "runToEnd");
    await shows(page, (events) => window.kvorum.scene.events > events && window.kvorum.scene.running === null, events);
    assert.equal((await sceneOf(page)).verdict.isFinal, true);
    await close();
  });

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

/** The run that comes with the page, at its end, with the key that has two siblings. */
async function recorded() {
  const { page, close } = await still();
  await act(page, "openRecorded");
  await act(page, "pause");
  await shows(page, () => window.kvorum.scene.picture !== null && window.kvorum.scene.running === null);
  await page.evaluate(() => window.kvorum.run({ until: 27_000_000 }));
  await act(page, "selectKey", "list:7");
  return { page, close };
}

describe("the run that comes with the page", { timeout: 180_000 }, () => {
  it("is a script of this core, and ends in two siblings", async () => {
    const { page, close } = await recorded();
    await shows(page, () => window.kvorum.scene.keyPicture?.key === "list:7");
    const scene = await sceneOf(page);
    assert.deepEqual(
      scene.requests.map(({ verb, key, value, outcome }) => [verb, key, value, outcome]),
      [
        ["put", "cart:42", "milk", "done"],
        ["put", "cart:42", "milk and eggs", "done"],
        ["put", "list:7", "bread", "done"],
        ["put", "list:7", "cheese", "done"],
        ["get", "list:7", null, "done"],
      ],
    );
    assert.deepEqual(scene.keyPicture.siblings.map((sibling) => sibling.value).sort(), ["bread", "cheese"]);
    assert(scene.requests[1].votes.some((vote) => vote.hinted), "a fallback keeps a hint");
    assert.deepEqual([scene.trouble, scene.verdict.violations], [null, []]);
    await close();
  });
});

describe("a merge while an owner is away", { timeout: 180_000 }, () => {
  it("merges what can be read, and says that the owner may hold more", async () => {
    const { page, close } = await recorded();
    await shows(page, () => window.kvorum.scene.keyPicture?.siblings.length === 2);
    const away = ownersOf(await sceneOf(page)).find((owner) => owner !== 0);
    await act(page, "setDraft", { through: 0 });
    await act(page, "crashOrRevive", away);
    await pass(page, 8_000_000);
    await shows(page, (away) => window.kvorum.scene.picture.nodes[away].state !== "up", away);
    await act(page, "merge", "bread and cheese");
    const merged = await passUntilSaid(page, (now) => now.requests.at(-1)?.value === "bread and cheese" && now.requests.at(-1).outcome !== "running");
    assert.equal(merged.requests.at(-1).outcome, "done");
    assert.deepEqual([merged.trouble?.code, merged.trouble?.holes], ["mayBeLeft", { away: 1, total: 3 }]);
    await page.getByText("The merge covers what could be read.").waitFor();
    const up = merged.keyPicture.copies.filter((copy) => copy.node !== away && copy.isCurrent);
    assert(up.length >= 2);
    await close();
  });
});

/** As `passUntil`, where a sentence beside the composer is what is awaited too. */
async function passUntilSaid(page, isReached) {
  for (let slice = 0; slice < 400; slice++) {
    const scene = await sceneOf(page);
    if (isReached(scene)) return scene;
    await pass(page, 5_000);
  }
  assert.fail("not reached");
}

describe("a quorum above N", { timeout: 180_000 }, () => {
  it("is refused in a sentence, and one that goes down with N is said", async () => {
    const { page, close } = await still();
    await act(page, "setKeyspace", { r: 9 });
    await page.getByText("R 9 cannot be: a key has N 3 replicas").waitFor();
    // Wherever one looks.
    await act(page, "setView", "request");
    await page.getByRole("alert").filter({ hasText: "R 9 cannot be" }).waitFor();
    await act(page, "setView", "cluster");
    await act(page, "setKeyspace", { w: 3 });
    await shows(page, () => window.kvorum.scene.picture.keyspace.w === 3 && window.kvorum.scene.trouble === null);
    await act(page, "setKeyspace", { n: 2 });
    await page.getByText("A key has only N 2 replicas now, so R is 2 and W is 2.").waitFor();
    await close();
  });
});

describe("the simulation, left for a live cluster", { timeout: 180_000 }, () => {
  it("is there again as it was", async () => {
    const { page, close } = await still({ allow: /WebSocket|ERR_|Failed to/i });
    await send(page, { verb: "put", key: "cart", value: "milk", through: 0 });
    const here = await page.evaluate(() => window.kvorum.reproduction());
    await act(page, "setMode", "live", "127.0.0.1:1");
    await shows(page, () => window.kvorum.scene.live?.status === "unreachable");
    await page.getByRole("button", { name: "Simulated", exact: true }).click();
    const scene = await sceneOf(page);
    assert.deepEqual([scene.mode, scene.isPlaying, scene.digest, scene.selectedKey], ["simulated", false, here.digest, "cart"]);
    assert.deepEqual(await page.evaluate(() => window.kvorum.reproduction()), here);
    assert.deepEqual(scene.requests.map(({ value, outcome }) => [value, outcome]), [["milk", "done"]]);
    await close();
  });
});

describe("the user's language", { timeout: 180_000 }, () => {
  it("is that of the title, the document and what is announced", async () => {
    const { page, close } = await open(stand.browser, stand.site.page, { language: "ko" });
    const said = () => page.getByRole("status").last().innerText();
    const facts = () => page.evaluate(() => [document.documentElement.lang, document.title]);
    await shows(page, () => document.documentElement.lang === "ko");
    assert.deepEqual(await facts(), ["ko", "Kvorum: 한 페이지 안의 다중화 저장소"]);
    await page.keyboard.press("3");
    await page.getByRole("status").filter({ hasText: "노드 c 선택됨" }).waitFor({ state: "attached" });
    await page.keyboard.press(" ");
    await page.getByRole("status").filter({ hasText: "일시 정지" }).waitFor({ state: "attached" });
    // What happens by itself is said in the same language.
    await send(page, { verb: "put", key: "cart", value: "milk", through: 0 });
    await page.getByRole("status").filter({ hasText: "요청 1 완료" }).waitFor({ state: "attached" });
    await page.keyboard.press("?");
    await page.getByText("한 단계 앞으로와 뒤로").waitFor();
    await page.getByRole("button", { name: "EN" }).click();
    await shows(page, () => document.documentElement.lang === "en");
    assert.deepEqual(await facts(), ["en", "Kvorum: a replicated store in a page"]);
    await page.keyboard.press("Escape");
    await page.keyboard.press("4");
    await page.getByRole("status").filter({ hasText: "Node d selected" }).waitFor({ state: "attached" });
    assert.doesNotMatch(await said(), /[가-힣]/);
    await close();
  });
});
