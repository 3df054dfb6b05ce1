import { choice, flag, integer, keyBytes, optionsOf, valueBytes } from "./check.js";
import { KvorumError, invalid } from "./errors.js";
import { call, load } from "./load.js";

const SEED_MAX = 2n ** 64n - 1n;
const NODES_MAX = 50;
const PARTITIONS = [64, 16_384];
const SLOW_MS_MAX = 60_000;
const TTL_MS_MAX = Number.MAX_SAFE_INTEGER / 2_000;
/** Between two looks at the clock: well below a millisecond's work, most of the time. */
const SLICE_EVENTS = 128;
/** A cluster that has not formed by then never will. */
const FORM_US_MAX = 10_000_000;
const FORM_LOOK_US = 50_000;
/** Core's clients give up sooner than that: a bound of the loop, not a decision. */
const PATIENCE_US_MAX = 5_000_000;
const CALM = ["nodes", "n", "r", "w", "resolve", "partitions", "memtableBytes"];
const ALL = ["seed", ...CALM, "script", "events", "wasm"];
/** Known to this file alone, so that only `create` makes clusters. */
const INSIDE = Symbol("inside");

/** A whole simulated cluster in one thread. */
export class Cluster {
  #handle;
  #options;
  #isFormed = false;
  #listeners = new Set();
  /** Requests that were asked and are not over: number, and what to call then. */
  #waiting = new Map();
  /** @type {import("../index.js").Faults} */
  fault;

  constructor(inside, handle) {
    if (inside !== INSIDE) throw invalid("a cluster is made with `await Cluster.create(options)`");
    this.#handle = handle;
    this.#options = Object.freeze(call(() => handle.options()));
    this.fault = Object.freeze(this.#faults());
  }

  static async create(options) {
    const given = optionsOf(options, "the cluster's options", ALL);
    const seed = seedOf(given.seed);
    const script = given.script ?? undefined;
    if (script !== undefined && typeof script !== "string") throw invalid("`script` must be text");
    const events = given.events === undefined ? true : flag(given.events, "events");
    const calm = CALM.some((name) => given[name] !== undefined) ? calmOf(given) : null;
    await load({ wasm: given.wasm });
    const handle = call((module) => {
      if (calm === null) return module.Cluster.drawn(seed, script, events);
      return module.Cluster.calm(seed, new module.Calm(...calm), script, events);
    });
    return new Cluster(INSIDE, handle);
  }

  client(node) {
    return new Client(this.#nodeOf(node), (asked) => this.#ask(asked));
  }

  // --- time ---

  get now() {
    return this.#call((handle) => handle.now);
  }
  get eventCount() {
    return this.#call((handle) => handle.eventCount);
  }
  step(until = Infinity) {
    const to = timeOf(until);
    const happened = this.#call((handle) => handle.step(to));
    this.#settle();
    return happened;
  }
  run(goal) {
    const { until, events, budgetMs } = optionsOf(goal ?? null, "a goal", ["until", "events", "budgetMs"]);
    if ((until === undefined) === (events === undefined)) throw invalid("a goal has either `until` or `events`");
    const goOn = until === undefined ? towardsCount(integer(events, "events", 0, Number.MAX_SAFE_INTEGER)) : towardsTime(until);
    const deadline = budgetMs === undefined ? Infinity : performance.now() + budgetOf(budgetMs);
    let reached = false;
    do {
      reached = this.#call(goOn);
    } while (!reached && performance.now() < deadline);
    this.#settle();
    // A broken promise ends a run: then a count may never be reached.
    return { reached: reached && (events === undefined || this.eventCount >= events) };
  }

  // --- what is told ---

  digest() {
    return this.#call((handle) => handle.digest());
  }
  script() {
    return this.#call((handle) => handle.script());
  }
  options() {
    return this.#options;
  }
  verdicts() {
    return this.#call((handle) => handle.verdicts());
  }
  inspect(what) {
    const { node, key } = optionsOf(what, "what is inspected", ["node", "key"]);
    const keyed = key === undefined ? undefined : keyBytes(key);
    if (node !== undefined) {
      const index = this.#nodeOf(node);
      return this.#call((handle) => handle.nodePicture(index, keyed));
    }
    return this.#call((handle) => (keyed === undefined ? handle.clusterPicture() : handle.keyPicture(keyed)));
  }
  flights() {
    return this.#call((handle) => handle.flights());
  }
  subscribe(listener) {
    if (typeof listener !== "function") throw invalid("a listener must be a function");
    this.#deliver(); // What happened before is not for it.
    const entry = { listener };
    this.#listeners.add(entry);
    return () => void this.#listeners.delete(entry);
  }
  close() {
    const handle = this.#handle;
    if (handle === null) return;
    this.#handle = null;
    this.#listeners.clear();
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { fail } of waiting) fail(closed());
    call(() => handle.free());
  }

  // --- inside ---

  #call(body) {
    const handle = this.#handle;
    if (handle === null) throw closed();
    return call(() => body(handle));
  }

  /** A node by its name or place, as its place. */
  #nodeOf(node) {
    const count = this.#options.nodes;
    const index = typeof node === "string" && /^n\d{1,2}$/.test(node) ? Number(node.slice(1)) : node;
    if (typeof index !== "number" || !Number.isInteger(index) || index < 0 || index >= count) {
      throw invalid(`there is no node ${JSON.stringify(node) ?? String(node)}; nodes are "n0" to "n${count - 1}", or 0 to ${count - 1}`);
    }
    return index;
  }
  #nodesOf(nodes, name) {
    if (!Array.isArray(nodes) || nodes.length === 0) throw invalid(`\`${name}\` must be an array of at least one node`);
    return new Uint8Array(new Set(nodes.map((node) => this.#nodeOf(node))));
  }
  #sidesOf(one, other) {
    const sides = [this.#nodesOf(one, "one"), this.#nodesOf(other, "other")];
    const both = sides[0].find((node) => sides[1].includes(node));
    if (both !== undefined) throw invalid(`n${both} is on both sides`);
    return sides;
  }
  #faults() {
    return {
      crash: (node, options) => {
        const { power = false } = optionsOf(options, "a crash's options", ["power"]);
        const [index, isPower] = [this.#nodeOf(node), flag(power, "power")];
        this.#call((handle) => handle.crash(index, isPower));
      },
      restart: (node) => {
        const index = this.#nodeOf(node);
        this.#call((handle) => handle.restart(index));
      },
      cut: (one, other) => {
        const sides = this.#sidesOf(one, other);
        this.#call((handle) => handle.cut(...sides));
      },
      heal: (one, other) => {
        const all = Uint8Array.from({ length: this.#options.nodes }, (_, index) => index);
        const sides = one === undefined && other === undefined ? [all, all] : this.#sidesOf(one, other);
        this.#call((handle) => handle.heal(...sides));
      },
      slow: (node, ms) => {
        const [index, longer] = [this.#nodeOf(node), integer(ms, "ms", 0, SLOW_MS_MAX)];
        this.#call((handle) => handle.slow(index, longer));
      },
      loss: (node, permille) => {
        const [index, lost] = [this.#nodeOf(node), integer(permille, "permille", 0, 1000)];
        this.#call((handle) => handle.loss(index, lost));
      },
    };
  }

  /** Asks, and lets the cluster run until the answer has come, unless `run` is false: then any later step or run may bring it. */
  async #ask({ submit, run }) {
    if (run) this.#form();
    const number = this.#call(submit);
    const answer = new Promise((done, fail) => this.#waiting.set(number, { done, fail }));
    if (run) {
      const last = this.now + PATIENCE_US_MAX;
      while (this.#waiting.has(number)) {
        const isEnd = !this.#call((handle) => handle.step(last));
        this.#settle();
        if (isEnd && this.#waiting.has(number)) this.#giveUp(number);
      }
    }
    return answer;
  }
  #giveUp(number) {
    const { fail } = this.#waiting.get(number);
    this.#waiting.delete(number);
    const broken = this.verdicts().violations[0];
    const why = broken ? `the run has ended: ${broken.checker}: ${broken.text}` : "no answer came";
    fail(new KvorumError("IN_DOUBT", why));
  }
  /** A calm cluster's first request waits until the cluster is there. In drawn ones, forming is part of what is tried. */
  #form() {
    if (this.#isFormed || this.#options.drawn) return;
    this.#isFormed = true;
    const last = this.now + FORM_US_MAX;
    while (this.now < last && !this.#call((handle) => handle.isFormed || handle.isOver)) {
      const until = this.now + FORM_LOOK_US;
      while (!this.#call((handle) => handle.goOn(until, SLICE_EVENTS)));
      this.#settle();
    }
  }
  /** After something happened: answers go to whoever waits, events to whoever listens. */
  #settle() {
    for (const [number, { done, fail }] of this.#waiting) {
      if (!this.#call((handle) => handle.isAnswered(number))) continue;
      this.#waiting.delete(number);
      try {
        done(this.#call((handle) => handle.answer(number)));
      } catch (error) {
        fail(error);
      }
    }
    this.#deliver();
  }
  #deliver() {
    // Taken even if nobody listens, so that they do not pile up.
    const words = this.#call((handle) => handle.takeEvents());
    if (words.length === 0) return;
    for (const { listener } of [...this.#listeners]) listener({ words });
  }
}

/** Asks one node. */
class Client {
  node;
  #index;
  #ask;

  constructor(index, ask) {
    this.node = `n${index}`;
    this.#index = index;
    this.#ask = ask;
  }
  async put(key, value, options) {
    const { context, w, ttlMs, run = true } = optionsOf(options, "a put's options", ["context", "w", "ttlMs", "run"]);
    const [keyed, valued] = [keyBytes(key), valueBytes(value)];
    const asked = [contextOf(context), quorum(w, "w"), ttlMs === undefined ? undefined : integer(ttlMs, "ttlMs", 1, TTL_MS_MAX)];
    return this.#ask({ submit: (handle) => handle.put(this.#index, keyed, valued, ...asked), run: flag(run, "run") });
  }
  async get(key, options) {
    const { r, run = true } = optionsOf(options, "a get's options", ["r", "run"]);
    const [keyed, votes] = [keyBytes(key), quorum(r, "r")];
    return this.#ask({ submit: (handle) => handle.get(this.#index, keyed, votes), run: flag(run, "run") });
  }
  async del(key, options) {
    const { context, w, run = true } = optionsOf(options, "a del's options", ["context", "w", "run"]);
    const [keyed, seen, votes] = [keyBytes(key), contextOf(context), quorum(w, "w")];
    return this.#ask({ submit: (handle) => handle.del(this.#index, keyed, seen, votes), run: flag(run, "run") });
  }
}

function closed() {
  return new KvorumError("CLOSED", "the cluster is closed");
}

function contextOf(context) {
  if (context === undefined || context === null) return undefined;
  if (typeof context !== "string") throw invalid("`context` must be what a get returned, or null");
  return context;
}

/** More votes than N are the node's to refuse: it knows N. */
function quorum(votes, name) {
  return votes === undefined ? undefined : integer(votes, name, 1, 255);
}

function seedOf(seed) {
  if (typeof seed === "number") return BigInt(integer(seed, "seed", 0, Number.MAX_SAFE_INTEGER));
  if (typeof seed === "string" && !/^(\d{1,20}|0x[0-9a-f]{1,16})$/i.test(seed)) {
    throw invalid(`\`seed\` must be decimal or, after 0x, hexadecimal digits, not ${JSON.stringify(seed.slice(0, 40))}`);
  }
  if (typeof seed !== "bigint" && typeof seed !== "string") throw invalid("`seed` must be a bigint, digits, or a safe integer");
  const whole = BigInt(seed);
  if (whole < 0n || whole > SEED_MAX) throw invalid(`\`seed\` must lie between 0 and ${SEED_MAX}`);
  return whole;
}

/** The numbers of a calm cluster in the order in which the module takes them. */
function calmOf(given) {
  const nodes = integer(given.nodes ?? 5, "nodes", 1, NODES_MAX);
  const n = integer(given.n ?? Math.min(3, nodes), "n", 1, nodes);
  const r = integer(given.r ?? Math.min(2, n), "r", 1, n);
  const w = integer(given.w ?? Math.min(2, n), "w", 1, n);
  const keepsSiblings = choice(given.resolve ?? "siblings", "resolve", ["siblings", "lww"]) === "siblings";
  const partitions = integer(given.partitions ?? PARTITIONS[0], "partitions", ...PARTITIONS);
  if (!Number.isInteger(Math.log2(partitions))) throw invalid(`\`partitions\` must be a power of two, not ${partitions}`);
  const memtableBytes = integer(given.memtableBytes ?? 65_536, "memtableBytes", 1024, 64 * 1024 * 1024);
  return [nodes, n, r, w, keepsSiblings, partitions, memtableBytes];
}

function timeOf(until) {
  if (typeof until !== "number" || !(until >= 0)) throw invalid("`until` must be a virtual time in microseconds");
  return until;
}

function towardsTime(until) {
  if (until === "end") return (handle) => handle.goOnToEnd(SLICE_EVENTS);
  if (typeof until === "string") throw invalid('`until` must be a virtual time in microseconds, or "end"');
  const to = timeOf(until);
  if (to === Infinity) throw invalid('`until` must be finite: a cluster never rests; "end" is the end of its script');
  return (handle) => handle.goOn(to, SLICE_EVENTS);
}

function towardsCount(events) {
  return (handle) => handle.goOnToCount(events, SLICE_EVENTS);
}

function budgetOf(budgetMs) {
  if (typeof budgetMs !== "number" || !(budgetMs >= 0)) throw invalid("`budgetMs` must be a number of milliseconds");
  return budgetMs;
}
