import assert from "node:assert/strict";
import { test } from "node:test";
import { KvorumError, Store } from "kvorum";
import { randomOf } from "./random.mjs";

const text = (bytes) => (bytes === undefined ? undefined : Buffer.from(bytes).toString("latin1"));
const bytes = (latin1) => new Uint8Array(Buffer.from(latin1, "latin1"));
const fails = (code, pattern) => (error) => {
  assert.ok(error instanceof KvorumError, `a KvorumError, not ${error}`);
  assert.equal(error.code, code, error.message);
  assert.match(error.message, pattern);
  return true;
};

/** A map that does slowly and obviously what a store does. Keys and values are latin1 texts. */
class Twin {
  #pairs = new Map();
  put(key, value) {
    this.#pairs.set(key, value);
  }
  del(key) {
    this.#pairs.delete(key);
  }
  get(key) {
    return this.#pairs.get(key);
  }
  entries({ gte, gt, lt, lte, prefix, reverse, limit } = {}) {
    const order = (one, other) => Buffer.compare(Buffer.from(one, "latin1"), Buffer.from(other, "latin1"));
    const inside = (key) =>
      (gte === undefined || order(key, gte) >= 0) &&
      (gt === undefined || order(key, gt) > 0) &&
      (lt === undefined || order(key, lt) < 0) &&
      (lte === undefined || order(key, lte) <= 0) &&
      (prefix === undefined || key.startsWith(prefix));
    const all = [...this.#pairs].filter(([key]) => inside(key)).sort(([one], [other]) => order(one, other));
    if (reverse) all.reverse();
    return limit === undefined ? all : all.slice(0, limit);
  }
}

async function entriesOf(store, options) {
  const all = [];
  for await (const [key, value] of store.iterator(options)) all.push([text(key), text(value)]);
  return all;
}

/** Short keys over few bytes, the extreme ones among them: neighbours and prefixes of each other are common. */
function drawKey(random) {
  const letters = ["\x00", "a", "b", "\xff"];
  return Array.from({ length: random.below(5) }, () => random.pick(letters)).join("");
}

function drawRange(random) {
  const range = {};
  if (random.chance(1, 2)) range[random.pick(["gte", "gt"])] = drawKey(random);
  if (random.chance(1, 2)) range[random.pick(["lte", "lt"])] = drawKey(random);
  if (random.chance(1, 3)) range.prefix = drawKey(random);
  if (random.chance(1, 3)) range.limit = random.below(8);
  if (random.chance(1, 2)) range.reverse = true;
  return range;
}

const asBytes = (range) =>
  Object.fromEntries(Object.entries(range).map(([name, value]) => [name, typeof value === "string" ? bytes(value) : value]));

for (const seed of [1, 2, 3, 4]) {
  test(`a store does what its naive twin does, seed ${seed}`, async () => {
    const random = randomOf(seed);
    // From memtables that are flushed at every turn to one that never is.
    const store = await Store.open({ storage: "memory", memtableBytes: [1024, 4096, 65_536, 4 << 20][seed - 1] });
    const twin = new Twin();
    for (let turn = 0; turn < 3_000; turn += 1) {
      const key = drawKey(random);
      switch (random.below(8)) {
        case 0:
          await store.del(bytes(key));
          twin.del(key);
          break;
        case 1: {
          const operations = Array.from({ length: random.below(5) }, () => {
            const key = drawKey(random);
            return random.chance(1, 3) ? { type: "del", key } : { type: "put", key, value: `batch ${turn}` };
          });
          await store.batch(operations.map((operation) => ({ ...operation, key: bytes(operation.key) })));
          for (const { type, key, value } of operations) type === "put" ? twin.put(key, value) : twin.del(key);
          break;
        }
        case 2: {
          const range = drawRange(random);
          assert.deepEqual(await entriesOf(store, asBytes(range)), twin.entries(range), JSON.stringify(range));
          break;
        }
        case 3:
          assert.equal(text(await store.get(bytes(key))), twin.get(key));
          assert.equal(await store.has(bytes(key)), twin.get(key) !== undefined);
          break;
        default: {
          const value = `${turn}`.repeat(random.below(30));
          await store.put(bytes(key), bytes(value));
          twin.put(key, value);
        }
      }
    }
    assert.deepEqual(await entriesOf(store), twin.entries());
    await store.close();
  });
}

test("much more than a memtable is all there, in order, forwards and backwards", async () => {
  await using_(await Store.open({ storage: "memory", memtableBytes: 16_384 }), async (store) => {
    const count = 5_000;
    const name = (index) => `key ${String(index).padStart(5, "0")}`;
    for (let index = 0; index < count; index += 1) await store.put(name((index * 2_003) % count), `value ${index}`);
    const forwards = await entriesOf(store);
    assert.deepEqual(forwards.map(([key]) => key), Array.from({ length: count }, (_, index) => name(index)));
    assert.deepEqual(await entriesOf(store, { reverse: true }), forwards.toReversed());
    assert.equal(text(await store.get(name(4_242))), forwards[4_242][1]);
  });
});

test("an iterator sees the store as it was when its first entry was asked for", async () => {
  await using_(await Store.open({ storage: "memory", memtableBytes: 4_096 }), async (store) => {
    for (let index = 1_000; index < 3_000; index += 1) await store.put(`k${index}`, "old");
    const iterator = store.iterator();
    await store.put("k0999", "before the first");
    const seen = [(await iterator.next()).value];
    // Enough for flushes and compactions to replace every table that the iterator reads.
    for (let index = 1_000; index < 3_000; index += 1) {
      if (index % 2 === 0) await store.put(`k${index}`, "new");
      else await store.del(`k${index}`);
    }
    await store.put("k9999", "new");
    for await (const entry of iterator) seen.push(entry);
    assert.equal(seen.length, 2_001);
    assert.deepEqual(seen[0].map(text), ["k0999", "before the first"]);
    assert.ok(seen.slice(1).every(([, value]) => text(value) === "old"));
    assert.equal((await entriesOf(store, { prefix: "k" })).length, 1_002);
  });
});

test("an iterator that was left is at its end", async () => {
  await using_(await Store.open({ storage: "memory" }), async (store) => {
    await store.batch(["a", "b", "c"].map((key) => ({ type: "put", key, value: key })));
    const iterator = store.iterator();
    for await (const [key] of iterator) {
      assert.equal(text(key), "a");
      break;
    }
    assert.deepEqual(await iterator.next(), { done: true, value: undefined });
    assert.deepEqual(await entriesOf(store, { limit: 0 }), []);
    assert.deepEqual(await entriesOf(store, { gt: "b", lt: "b" }), []);
    assert.deepEqual(await entriesOf(store, { gte: "c", lte: "a" }), []);
  });
});

test("a batch with one bad operation changes nothing", async () => {
  await using_(await Store.open({ storage: "memory" }), async (store) => {
    await store.put("a", "1");
    const bad = [
      [{ type: "put", key: "a", value: "2" }, { type: "put", key: "b" }],
      [{ type: "del", key: "a" }, { type: "swap", key: "b" }],
      [{ type: "del", key: "a" }, { type: "put", key: new Uint8Array(65_536), value: "" }],
      [{ type: "del", key: "a" }, null],
      [{ type: "del", key: "a", value: "1" }],
    ];
    for (const operations of bad) {
      await assert.rejects(store.batch(operations), fails("INVALID_ARGUMENT", /operation [01]/));
      assert.deepEqual(await entriesOf(store), [["a", "1"]]);
    }
    await store.batch([]);
    await store.batch([{ type: "put", key: "b", value: "1" }, { type: "del", key: "b" }, { type: "put", key: "c", value: "3" }]);
    assert.deepEqual(await entriesOf(store), [["a", "1"], ["c", "3"]]);
  });
});

test("keys and values up to their limits, and not beyond", async () => {
  await using_(await Store.open({ storage: "memory", memtableBytes: 1024 }), async (store) => {
    const [key, value] = [new Uint8Array(65_535).fill(255), new Uint8Array(16 * 1024 * 1024).fill(7)];
    await store.put(key, value);
    await store.put("", "");
    assert.deepEqual(await store.get(key), value);
    assert.deepEqual(await store.get(""), new Uint8Array());
    assert.equal((await entriesOf(store, { gte: key })).length, 1);
    await assert.rejects(store.put(new Uint8Array(65_536), ""), fails("INVALID_ARGUMENT", /the key has 65536 bytes; at most 65535/));
    await assert.rejects(store.put("k", new Uint8Array(16 * 1024 * 1024 + 1)), fails("INVALID_ARGUMENT", /the value has 16777217 bytes; at most 16777216/));
  });
});

test("what is returned is the caller's own", async () => {
  await using_(await Store.open({ storage: "memory" }), async (store) => {
    const value = bytes("mine");
    await store.put("k", value);
    value.fill(0);
    const got = await store.get("k");
    got.fill(1);
    assert.equal(text(await store.get("k")), "mine");
    assert.deepEqual((await store.getMany(["k", "none", bytes("k")])).map(text), ["mine", undefined, "mine"]);
  });
});

test("a wrong argument is named, and nothing is done", async () => {
  await assert.rejects(Store.open(), fails("INVALID_ARGUMENT", /`storage` must be "memory"/));
  await assert.rejects(Store.open({ storage: "opfs" }), fails("STORAGE_UNAVAILABLE", /no storage "opfs"/));
  await assert.rejects(Store.open({ storage: "memory", memtable: 1 }), fails("INVALID_ARGUMENT", /`memtable` is none of/));
  await assert.rejects(Store.open({ storage: "memory", memtableBytes: 1.5 }), fails("INVALID_ARGUMENT", /`memtableBytes` must be a whole number from 1024 to 1073741824, not 1.5/));
  assert.throws(() => new Store(), fails("INVALID_ARGUMENT", /Store\.open/));
  await using_(await Store.open({ storage: "memory" }), async (store) => {
    await assert.rejects(store.put(7, "x"), fails("INVALID_ARGUMENT", /the key must be a string or a Uint8Array, not number/));
    await assert.rejects(store.put("k"), fails("INVALID_ARGUMENT", /the value must be .* not undefined/));
    await assert.rejects(store.put("k", new ArrayBuffer(3)), fails("INVALID_ARGUMENT", /not ArrayBuffer/));
    await assert.rejects(store.get("half \ud800 a pair"), fails("INVALID_ARGUMENT", /half a surrogate pair/));
    await assert.rejects(store.getMany("k"), fails("INVALID_ARGUMENT", /array of keys/));
    await assert.rejects(store.getMany(["k", null]), fails("INVALID_ARGUMENT", /key 1 must be/));
    assert.throws(() => store.iterator({ gt: "a", gte: "a" }), fails("INVALID_ARGUMENT", /exclude each other/));
    assert.throws(() => store.iterator({ limit: -1 }), fails("INVALID_ARGUMENT", /`limit` must be a whole number/));
    assert.throws(() => store.iterator({ reverse: 1 }), fails("INVALID_ARGUMENT", /`reverse` must be true or false/));
    assert.throws(() => store.iterator({ start: "a" }), fails("INVALID_ARGUMENT", /`start` is none of/));
    assert.deepEqual(await entriesOf(store), []);
  });
});

test("a closed store says so, and may be closed again", async () => {
  const store = await Store.open({ storage: "memory" });
  await store.put("a", "1");
  const iterator = store.iterator();
  await iterator.next();
  await store.close();
  await store.close();
  for (const call of [store.get("a"), store.put("a", "2"), store.batch([]), iterator.next(), store.iterator().next()]) {
    await call.then(
      (value) => assert.ok(value?.done === true, "an iterator that had all its entries may end"),
      fails("CLOSED", /the store is closed/),
    );
  }
});

/** `await using`, which Node 20 cannot parse. */
async function using_(store, body) {
  try {
    await body(store);
  } finally {
    await store[Symbol.asyncDispose]();
  }
  await assert.rejects(store.get("k"), fails("CLOSED", /closed/));
}
