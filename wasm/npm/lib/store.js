import { choice, flag, integer, keyBytes, optionsOf, valueBytes } from "./check.js";
import { KvorumError, invalid } from "./errors.js";
import { call, load } from "./load.js";

const MEMTABLE_BYTES = 4 * 1024 * 1024;
const LIMIT_MAX = 0xffff_ffff;
const BATCH_BYTES_MAX = 256 * 1024 * 1024;
/** Known to this file alone, so that only `open` makes stores. */
const INSIDE = Symbol("inside");

/** One engine: commit log, memtable, SSTables. */
export class Store {
  #handle;

  constructor(inside, handle) {
    if (inside !== INSIDE) throw invalid("a store is made with `await Store.open(options)`");
    this.#handle = handle;
  }

  static async open(options) {
    const { storage, memtableBytes = MEMTABLE_BYTES, wasm } = optionsOf(options, "the store's options", ["storage", "memtableBytes", "wasm"]);
    if (typeof storage === "string" && storage !== "memory") {
      throw new KvorumError("STORAGE_UNAVAILABLE", `there is no storage "${storage}" here; there is "memory"`);
    }
    choice(storage, "storage", ["memory"]);
    integer(memtableBytes, "memtableBytes", 1024, 1024 * 1024 * 1024);
    await load({ wasm });
    return new Store(INSIDE, call((module) => module.Store.open(memtableBytes)));
  }

  get storage() {
    return "memory";
  }
  async put(key, value) {
    const [keyed, valued] = [keyBytes(key), valueBytes(value)];
    this.#call((handle) => handle.put(keyed, valued));
  }
  async get(key) {
    const keyed = keyBytes(key);
    return this.#call((handle) => handle.get(keyed));
  }
  async del(key) {
    const keyed = keyBytes(key);
    this.#call((handle) => handle.del(keyed));
  }
  async has(key) {
    const keyed = keyBytes(key);
    return this.#call((handle) => handle.has(keyed));
  }
  async getMany(keys) {
    if (!Array.isArray(keys)) throw invalid("`keys` must be an array of keys");
    const all = keys.map((key, index) => keyBytes(key, `key ${index}`));
    return this.#call((handle) => all.map((keyed) => handle.get(keyed)));
  }
  async batch(operations) {
    if (!Array.isArray(operations)) throw invalid("`operations` must be an array of puts and dels");
    // All is checked before anything is handed over: a bad operation leaves the others undone.
    const checked = operations.map(checkedOperation);
    const bytes = checked.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0);
    if (bytes > BATCH_BYTES_MAX) {
      throw invalid(`the batch has ${bytes} bytes; at most ${BATCH_BYTES_MAX} are allowed`);
    }
    this.#call((handle, module) => {
      const batch = new module.WriteBatch();
      try {
        for (const { key, value } of checked) {
          if (value === null) batch.del(key);
          else batch.put(key, value);
        }
        handle.write(batch);
      } finally {
        batch.free();
      }
    });
  }
  iterator(options) {
    const { from, to, reverse, limit } = rangeOf(options);
    return new Entries((cursor) => this.#call((handle) => handle.page(cursor)), () => call((module) => new module.Cursor(from, to, reverse, limit)));
  }
  async close() {
    const handle = this.#handle;
    this.#handle = null;
    if (handle !== null) call(() => handle.free());
  }
  async [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
    await this.close();
  }

  #call(body) {
    const handle = this.#handle;
    if (handle === null) throw new KvorumError("CLOSED", "the store is closed");
    return call((module) => body(handle, module));
  }
}

function checkedOperation(operation, index) {
  const name = `operation ${index}`;
  const { type, key, value } = optionsOf(operation ?? null, name, ["type", "key", "value"]);
  switch (choice(type, `type of ${name}`, ["put", "del"])) {
    case "put":
      return { key: keyBytes(key, `the key of ${name}`), value: valueBytes(value, `the value of ${name}`) };
    case "del":
      if (value !== undefined) throw invalid(`${name} deletes and has a value`);
      return { key: keyBytes(key, `the key of ${name}`), value: null };
  }
}

/** Bounds as the engine takes them: the first key, and the first key behind; `undefined` where there is none. */
function rangeOf(options) {
  const given = optionsOf(options, "an iterator's options", ["gte", "gt", "lt", "lte", "prefix", "reverse", "limit"]);
  for (const [one, other] of [["gte", "gt"], ["lte", "lt"]]) {
    if (given[one] !== undefined && given[other] !== undefined) throw invalid(`\`${one}\` and \`${other}\` exclude each other`);
  }
  const bound = (name) => (given[name] === undefined ? undefined : keyBytes(given[name], `\`${name}\``));
  const [gte, gt, lt, lte, prefix] = ["gte", "gt", "lt", "lte", "prefix"].map(bound);
  let from = gte ?? (gt && successor(gt)) ?? new Uint8Array();
  let to = lt ?? (lte && successor(lte));
  if (prefix !== undefined) {
    if (compare(prefix, from) > 0) from = prefix;
    const end = endOfPrefix(prefix);
    if (end !== undefined && (to === undefined || compare(end, to) < 0)) to = end;
  }
  const limit = given.limit === undefined ? LIMIT_MAX : integer(given.limit, "limit", 0, LIMIT_MAX);
  return { from, to, reverse: given.reverse === undefined ? false : flag(given.reverse, "reverse"), limit };
}

/** The next key in order: nothing lies between a key and itself with a zero behind. */
function successor(key) {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}

/** The first key behind all that begin with `prefix`; none if it is all ones. */
function endOfPrefix(prefix) {
  const last = prefix.findLastIndex((byte) => byte !== 0xff);
  if (last === -1) return undefined;
  const end = prefix.slice(0, last + 1);
  end[last] += 1;
  return end;
}

function compare(one, other) {
  const length = Math.min(one.length, other.length);
  for (let index = 0; index < length; index += 1) {
    if (one[index] !== other[index]) return one[index] - other[index];
  }
  return one.length - other.length;
}

/** Entries page by page. The cursor is made when the first one is asked for: what is seen is the store of that time. */
class Entries {
  #page;
  #begin;
  #cursor = null;
  #entries = [];
  #at = 0;
  #isDone = false;

  constructor(page, begin) {
    this.#page = page;
    this.#begin = begin;
  }
  async next() {
    if (this.#at === this.#entries.length && !this.#isDone) {
      this.#cursor ??= this.#begin();
      this.#entries = this.#page(this.#cursor);
      this.#at = 0;
      if (this.#entries.length === 0) this.#end();
    }
    if (this.#isDone) return { done: true, value: undefined };
    const entry = [this.#entries[this.#at], this.#entries[this.#at + 1]];
    this.#at += 2;
    return { done: false, value: entry };
  }
  async return(value) {
    this.#end();
    return { done: true, value };
  }
  async throw(error) {
    this.#end();
    throw error;
  }
  #end() {
    this.#isDone = true;
    this.#entries = [];
    this.#at = 0;
    const cursor = this.#cursor;
    this.#cursor = null;
    if (cursor !== null) call(() => cursor.free());
  }
  [Symbol.asyncIterator]() {
    return this;
  }
}
