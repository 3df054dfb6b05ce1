import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { Cluster, FLIGHT_FIELDS, KvorumError, MESSAGE_KINDS } from "kvorum";
import { native, nativeScript } from "./native.mjs";
import { randomOf } from "./random.mjs";

const text = (bytes) => (bytes === null ? null : new TextDecoder().decode(bytes));
const values = ({ siblings }) => siblings.map(({ value }) => text(value)).sort();
const fails = (code, pattern) => (error) => {
  assert.ok(error instanceof KvorumError, `a KvorumError, not ${error}`);
  assert.equal(error.code, code, error.message);
  assert.match(error.message, pattern);
  return true;
};
const second = 1_000_000;

async function calm(options, body) {
  const cluster = await Cluster.create({ seed: 1, nodes: 5, ...options });
  try {
    await body(cluster);
    assert.deepEqual(cluster.verdicts().violations, []);
  } finally {
    cluster.close();
  }
}

// --- the same run everywhere ---

for (const seed of [0n, 7n, 8n, 41n, 18446744073709551615n]) {
  test(`seed ${seed} makes the native run, twice, whoever looks`, async () => {
    const expected = native("--seed", String(seed));
    const last = [];
    // Unseen, watched at every turn, in small slices: nothing of that may show.
    for (const [events, goal] of [[false, {}], [true, {}], [true, { budgetMs: 1 }]]) {
      const cluster = await Cluster.create({ seed, events });
      let words = 0;
      cluster.subscribe((batch) => (words += batch.words.length));
      while (!cluster.run({ until: "end", ...goal }).reached) cluster.inspect();
      last.push({ trace_hash: cluster.digest(), events: cluster.eventCount, violations: cluster.verdicts().violations.length });
      assert.equal(words > 0, events);
      assert.equal(cluster.verdicts().isFinal, expected.violations.length === 0);
      assert.equal(cluster.script(), nativeScript(seed));
      cluster.close();
    }
    const { trace_hash, events, violations } = expected;
    for (const run of last) assert.deepEqual(run, { trace_hash, events, violations: violations.length });
  });
}

test("a seed is the same as bigint, number, digits and hexadecimal", async () => {
  const digests = new Set();
  for (const seed of [7n, 7, "7", "0x7"]) {
    const cluster = await Cluster.create({ seed });
    cluster.run({ events: 500 });
    digests.add(cluster.digest());
    assert.equal(cluster.options().seed, "7");
    assert.equal(cluster.options().drawn, true);
    cluster.close();
  }
  assert.equal(digests.size, 1);
});

test("steps, slices and one stretch are one run", async () => {
  const all = [];
  for (const go of [
    (cluster) => { while (cluster.step(2 * second)); cluster.run({ until: 2 * second }); },
    (cluster) => cluster.run({ until: 2 * second }),
    (cluster) => { for (let us = 0; us <= 2 * second; us += 1_000) cluster.run({ until: us }); },
  ]) {
    const cluster = await Cluster.create({ seed: 3 });
    go(cluster);
    all.push([cluster.digest(), cluster.eventCount, cluster.now]);
    cluster.close();
  }
  assert.deepEqual(all[1], all[0]);
  assert.deepEqual(all[2], all[0]);
});

for (const seed of [1, 2, 3]) {
  test(`the script of what was done makes the same run, seed ${seed}`, async () => {
    const random = randomOf(seed);
    const options = { seed, nodes: 3 + random.below(4), resolve: random.pick(["siblings", "lww"]) };
    const cluster = await Cluster.create(options);
    const { nodes } = cluster.options();
    const contexts = [null];
    for (let turn = 0; turn < 60; turn += 1) {
      const [node, key] = [random.below(nodes), `key ${random.below(4)}`];
      const unlessRefused = (answer) => answer.catch((error) => assert.ok(["NOT_DONE", "IN_DOUBT", "INVALID_ARGUMENT"].includes(error.code), error));
      switch (random.below(10)) {
        case 0: cluster.fault.crash(node, { power: random.chance(1, 2) }); break;
        case 1: case 2: cluster.fault.restart(node); break;
        case 3: cluster.fault.cut([node], [(node + 1) % nodes]); break;
        case 4: cluster.fault.heal(); break;
        case 5: cluster.fault.slow(node, random.below(50)); break;
        case 6: cluster.fault.loss(node, random.below(200)); break;
        case 7: await unlessRefused(cluster.client(node).get(key).then(({ context }) => contexts.push(context))); break;
        case 8: await unlessRefused(cluster.client(node).put(key, `turn ${turn}\n#%`, { context: random.pick(contexts) })); break;
        default: cluster.run({ until: cluster.now + random.below(second) });
      }
    }
    cluster.run({ until: "end" });
    const [digest, events, script] = [cluster.digest(), cluster.eventCount, cluster.script()];
    const verdict = cluster.verdicts();
    assert.deepEqual(verdict.violations, [], script);
    assert.equal(verdict.isFinal, true);
    assert.equal(verdict.isLossJudged, true);
    cluster.close();

    const again = await Cluster.create({ ...options, script });
    assert.equal(again.script(), script);
    assert.deepEqual(again.run({ events }), { reached: true });
    assert.deepEqual([again.digest(), again.eventCount], [digest, events]);
    again.run({ until: "end" });
    assert.deepEqual([again.digest(), again.verdicts()], [digest, verdict]);
    again.close();
  });
}

// --- requests ---

test("what is written through one node is read through another", async () => {
  await calm({}, async (cluster) => {
    assert.deepEqual(await cluster.client("n1").put("milk", "2 l"), { acks: 2, hinted: 0 });
    const got = await cluster.client(3).get("milk");
    assert.deepEqual(values(got), ["2 l"]);
    assert.match(got.siblings[0].dot, /^n\d·1$/);
    await cluster.client("n4").del("milk", { context: got.context });
    const gone = await cluster.client("n0").get("milk");
    assert.deepEqual(gone.siblings.map(({ value }) => value), [null]);
    assert.deepEqual(await cluster.client("n0").get("nothing"), { siblings: [], context: null, acks: 2 });
    assert.equal(cluster.client(2).node, "n2");
  });
});

test("both sides of a cut write; the siblings are merged by a put with their context", async () => {
  await calm({}, async (cluster) => {
    await cluster.client("n0").put("cart", "bread");
    cluster.fault.cut(["n0", "n1"], ["n2", "n3", "n4"]);
    cluster.run({ until: cluster.now + 5 * second });
    assert.equal(cluster.inspect().cuts.length, 12);
    const seen = await cluster.client("n0").get("cart");
    await cluster.client("n0").put("cart", "bread, milk", { context: seen.context });
    await cluster.client("n4").put("cart", "bread, eggs", { context: seen.context });
    cluster.fault.heal();
    cluster.run({ until: cluster.now + 10 * second });
    assert.equal(cluster.inspect().cuts.length, 0);
    const both = await cluster.client("n2").get("cart", { r: 3 });
    assert.deepEqual(values(both), ["bread, eggs", "bread, milk"]);
    assert.equal(cluster.inspect({ key: "cart" }).siblings.length, 2);
    await cluster.client("n3").put("cart", "bread, eggs, milk", { context: both.context });
    assert.deepEqual(values(await cluster.client("n1").get("cart", { r: 3 })), ["bread, eggs, milk"]);
  });
});

test("the last writer wins where the keyspace says so", async () => {
  await calm({ resolve: "lww", nodes: 3 }, async (cluster) => {
    await cluster.client(0).put("k", "one");
    await cluster.client(1).put("k", "two");
    assert.deepEqual(values(await cluster.client(2).get("k")), ["two"]);
  });
});

test("a crashed owner is declared down by two reporters, its writes are hinted and arrive when it is back", async () => {
  await calm({}, async (cluster) => {
    await cluster.client(0).put("k", "before");
    const owner = cluster.inspect({ key: "k" }).walk[0].node;
    cluster.fault.crash(owner);
    cluster.run({ until: cluster.now + 5 * second });
    const down = cluster.inspect().nodes[owner];
    assert.equal(down.state, "down");
    assert.ok(down.reporters.length >= 2, String(down.reporters));
    assert.deepEqual(down.isRunning, false);
    await assert.rejects(cluster.client(owner).get("k"), fails("NOT_DONE", /does not run/));
    const other = (owner + 1) % 5;
    const { hinted } = await cluster.client(other).put("k", "meanwhile", { w: 3 });
    assert.equal(hinted, 1);
    assert.equal(cluster.verdicts().hintsWaiting, 1);
    cluster.fault.restart(owner);
    cluster.run({ until: cluster.now + 10 * second });
    assert.equal(cluster.verdicts().hintsWaiting, 0);
    assert.ok(cluster.inspect({ key: "k" }).copies.some(({ node, isCurrent }) => node === owner && isCurrent));
  });
});

test("what too few can answer is refused, and says so", async () => {
  await calm({}, async (cluster) => {
    await cluster.client(0).put("k", "v");
    for (const node of [2, 3, 4]) cluster.fault.crash(node, { power: node === 3 });
    // Nobody is down yet: they are asked, and nobody knows what became of it.
    await assert.rejects(cluster.client(0).put("k", "w", { w: 3 }), fails("IN_DOUBT", /of 3/));
    cluster.run({ until: cluster.now + 5 * second });
    await assert.rejects(cluster.client(0).put("k", "x", { w: 3 }), (error) => {
      fails("NOT_DONE", /./)(error);
      assert.equal(error.retryable, true);
      assert.equal(error.refusal, "CLUSTERDOWN");
      return true;
    });
  });
});

test("a request that is only asked is answered by a later run", async () => {
  await calm({}, async (cluster) => {
    await cluster.client(0).put("k", "v");
    let got = null;
    const [at, events] = [cluster.now, cluster.eventCount];
    const answer = cluster.client(1).get("k", { run: false }).then((read) => (got = read));
    await null;
    assert.deepEqual([cluster.now, cluster.eventCount, got], [at, events, null]);
    cluster.run({ until: at + second });
    assert.deepEqual(values(await answer), ["v"]);
    const never = cluster.client(1).get("k", { run: false });
    cluster.close();
    await assert.rejects(never, fails("CLOSED", /closed/));
    assert.throws(() => cluster.now, fails("CLOSED", /closed/));
    assert.doesNotThrow(() => cluster.close());
  }).catch((error) => assert.equal(error.code, "CLOSED"));
});

test("values end", async () => {
  await calm({}, async (cluster) => {
    await cluster.client(0).put("k", "v", { ttlMs: 2_000 });
    const [sibling] = (await cluster.client(1).get("k")).siblings;
    assert.equal(typeof sibling.expiresAtMs, "number");
    cluster.run({ until: cluster.now + 3 * second });
    assert.deepEqual((await cluster.client(1).get("k")).siblings, []);
  });
});

// --- faults and pictures ---

test("slow and lossy nodes are pictured so until it ends", async () => {
  await calm({}, async (cluster) => {
    const node = () => cluster.inspect().nodes[2];
    cluster.fault.slow("n2", 40);
    cluster.fault.loss(2, 250);
    cluster.run({ until: cluster.now + 1 });
    assert.deepEqual([node().slowMs, node().lossPermille], [40, 250]);
    cluster.fault.slow("n2", 0);
    cluster.fault.loss(2, 0);
    cluster.run({ until: cluster.now + 1 });
    assert.deepEqual([node().slowMs, node().lossPermille], [0, 0]);
  });
});

test("messages under way are packed, with kinds that have names", async () => {
  await calm({}, async (cluster) => {
    await cluster.client(0).put("k", "v");
    const kinds = new Set();
    for (let count = 0; count < 2_000; count += 1) {
      cluster.step();
      const flights = cluster.flights();
      assert.equal(flights.length % FLIGHT_FIELDS, 0);
      for (let at = 0; at < flights.length; at += FLIGHT_FIELDS) {
        const [, from, to, kind, sent, arrives] = flights.subarray(at, at + FLIGHT_FIELDS);
        assert.ok(from < 5 && to < 5 && from !== to && sent <= cluster.now && arrives >= cluster.now);
        kinds.add(MESSAGE_KINDS[kind]);
      }
    }
    assert.ok(kinds.has("Probe") && !kinds.has(undefined), [...kinds].join());
  });
});

test("message kinds are named as in core", async () => {
  const named = {};
  for (const [file, first] of [["control", 0], ["data", 256]]) {
    const source = await readFile(new URL(`../../../core/src/message/${file}.rs`, import.meta.url), "utf8");
    for (const [, name, number] of source.matchAll(/(?:ControlMessage|DataMessage|Word)::(\w+)(?: \{[^}]*\}|\([^)]*\))? => (\d+),/g)) if (number !== "0") named[first + Number(number)] = name;
  }
  assert.deepEqual({ ...MESSAGE_KINDS }, named);
});

test("events come in whole batches, once", async () => {
  await calm({}, async (cluster) => {
    const records = [];
    const end = cluster.subscribe(({ words }) => {
      for (let at = 0; at < words.length; at += words[at] >>> 16) records.push(words[at] & 0xffff);
    });
    await cluster.client(0).put("k", "v");
    assert.ok(records.includes(10) && records.includes(33), "sent, and a request's end");
    const count = records.length;
    end();
    cluster.run({ until: cluster.now + second });
    assert.equal(records.length, count);
  });
});

test("a node's picture shows the way of a key through its engine", async () => {
  await calm({ memtableBytes: 2_048 }, async (cluster) => {
    for (let index = 0; index < 60; index += 1) await cluster.client(index % 5).put(`key ${index}`, "v".repeat(200));
    cluster.run({ until: cluster.now + second });
    const { walk, slot, partition } = cluster.inspect({ key: "key 0" });
    assert.ok(slot < 16_384 && partition < 64 && walk.length >= 3);
    const { shards } = cluster.inspect({ node: walk[0].node, key: "key 0" });
    assert.ok(shards[0].tableCount > 0 && shards[0].read.some(({ answer }) => answer === "found"), JSON.stringify(shards[0].read));
    assert.equal(cluster.inspect({ node: "n0" }).name, "n0");
  });
});

test("before its birth a cluster has pictures too", async () => {
  await calm({}, async (cluster) => {
    assert.deepEqual(cluster.inspect().owners, []);
    assert.deepEqual(cluster.inspect().nodes.map(({ name }) => name), ["n0", "n1", "n2", "n3", "n4"]);
    assert.throws(() => cluster.inspect({ key: "k" }), fails("NOT_DONE", /member yet/));
    assert.deepEqual(cluster.inspect({ node: 0 }).shards, []);
  });
});

// --- bad input ---

test("a script that is full says so, and the cluster goes on", async () => {
  await calm({ nodes: 3 }, async (cluster) => {
    const fill = () => {
      for (;;) cluster.fault.slow("n0", 0);
    };
    assert.throws(fill, fails("SCRIPT_FULL", /full/));
    assert.throws(() => cluster.fault.cut(["n0"], ["n1", "n2"]), fails("SCRIPT_FULL", /no room/));
    assert.deepEqual(cluster.run({ until: cluster.now + 10_000 }), { reached: true });
  });
});

test("a wrong option is named, with what is allowed", async () => {
  const bad = [
    [{}, /`seed` must be/],
    [{ seed: -1 }, /`seed` must be a whole number from 0/],
    [{ seed: 2n ** 64n }, /`seed` must lie between 0 and 18446744073709551615/],
    [{ seed: "seven" }, /`seed` must be decimal/],
    [{ seed: 1.5 }, /whole number/],
    [{ seed: 1, nodes: 51 }, /`nodes` must be a whole number from 1 to 50, not 51/],
    [{ seed: 1, nodes: 3, n: 4 }, /`n` must be a whole number from 1 to 3/],
    [{ seed: 1, n: 2, r: 3 }, /`r` must be a whole number from 1 to 2/],
    [{ seed: 1, w: 0 }, /`w` must be/],
    [{ seed: 1, resolve: "merge" }, /`resolve` must be "siblings" or "lww", not "merge"/],
    [{ seed: 1, partitions: 100 }, /power of two/],
    [{ seed: 1, memtableBytes: 1 }, /`memtableBytes`/],
    [{ seed: 1, events: "yes" }, /`events` must be true or false/],
    [{ seed: 1, sead: 2 }, /`sead` is none of/],
  ];
  for (const [options, pattern] of bad) await assert.rejects(Cluster.create(options), fails("INVALID_ARGUMENT", pattern));
  await assert.rejects(Cluster.create({ seed: 1, script: "at 1s start n0\nat 2s dance n1" }), fails("BAD_SCRIPT", /line 2/));
  for (const [line, fault] of [
    ["fly", { problem: "noLine", found: "fly" }],
    ["at noon start n0", { problem: "noTime", found: "noon" }],
    ["at 1s dance n1", { problem: "noAction", found: "dance n1" }],
    ["at 1s start n99", { problem: "noNode", found: "n99", most: 49 }],
    ["at 1s load many", { problem: "noNumber", found: "many" }],
    ["at 1s slow n1 99999999", { problem: "tooLarge", found: "99999999", most: 60_000 }],
    ["at 1s network loss=2000", { problem: "tooLarge", found: "2000", most: 1_000 }],
    ["at 1s get n1 %zz", { problem: "noWord", found: "%zz" }],
    ["at 1s get n1 k x=1", { problem: "noOption", found: "x=1" }],
    ["at 1s heal\n".repeat(10_001), { line: 10_001, problem: "tooLong", found: "", most: 10_000 }],
  ]) {
    const { script } = await Cluster.create({ seed: 1, script: line }).catch((error) => error);
    assert.deepEqual({ ...script }, { line: 1, most: undefined, ...fault }, line);
  }
  assert.throws(() => new Cluster(), fails("INVALID_ARGUMENT", /Cluster\.create/));
});

test("what nothing is promised of is not said to have been judged", async () => {
  for (const [options, isJudged] of [
    [{ resolve: "lww", w: 1 }, false],
    [{ resolve: "lww", w: 2 }, true],
    [{ resolve: "siblings", w: 1 }, true],
  ]) {
    await calm({ seed: 4, nodes: 3, n: 3, r: 1, ...options }, async (cluster) => {
      await cluster.client(0).put("k", "v");
      assert.equal(cluster.verdicts().isLossJudged, false, "not before the end");
      cluster.run({ until: "end" });
      const { isFinal, isLossJudged } = cluster.verdicts();
      assert.deepEqual([isFinal, isLossJudged], [true, isJudged], JSON.stringify(options));
    });
  }
});

test("a wrong call is named, and does nothing", async () => {
  await calm({}, async (cluster) => {
    const script = cluster.script();
    const wrong = [
      [() => cluster.client("n5"), /there is no node "n5"; nodes are "n0" to "n4"/],
      [() => cluster.client(-1), /no node -1/],
      [() => cluster.client("a"), /no node "a"/],
      [() => cluster.fault.crash(7), /no node 7/],
      [() => cluster.fault.crash(0, { force: true }), /`force` is none of/],
      [() => cluster.fault.cut([0], []), /at least one node/],
      [() => cluster.fault.cut([0, 1], [1]), /n1 is on both sides/],
      [() => cluster.fault.slow(0, -1), /`ms`/],
      [() => cluster.fault.loss(0, 1_001), /`permille` must be a whole number from 0 to 1000/],
      [() => cluster.run({}), /either `until` or `events`/],
      [() => cluster.run({ until: 1, events: 1 }), /either/],
      [() => cluster.run({ until: Infinity }), /finite/],
      [() => cluster.run({ until: "noon" }), /"end"/],
      [() => cluster.run({ until: 1, budgetMs: -1 }), /budgetMs/],
      [() => cluster.step(-1), /until/],
      [() => cluster.subscribe("me"), /function/],
      [() => cluster.inspect({ key: 5 }), /the key must be/],
      [() => cluster.inspect({ nod: 5 }), /`nod` is none of/],
    ];
    for (const [call, pattern] of wrong) assert.throws(call, fails("INVALID_ARGUMENT", pattern));
    const client = cluster.client(0);
    await assert.rejects(client.put("k", "v", { context: "made up" }), fails("INVALID_ARGUMENT", /context is none/));
    await assert.rejects(client.put("k", "v", { w: 0 }), fails("INVALID_ARGUMENT", /`w`/));
    await assert.rejects(client.put(new Uint8Array(70_000), "v"), fails("INVALID_ARGUMENT", /at most 65535/));
    await assert.rejects(client.put("k", "v", { ttlMs: 0 }), fails("INVALID_ARGUMENT", /`ttlMs`/));
    await assert.rejects(client.get("k", { w: 1 }), fails("INVALID_ARGUMENT", /`w` is none of/));
    assert.equal(cluster.script(), script);
  });
});
