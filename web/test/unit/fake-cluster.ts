/**
 * A cluster that only keeps time: one step a millisecond, each of which leaves one event. Enough to see how a host paces;
 * what a real cluster does is tested with the real package, in a browser.
 */
import type {
  ClusterClient,
  ClusterOptions,
  ClusterPicture,
  EventBatch,
  Faults,
  Goal,
  KeyPicture,
  NodePicture,
  ReadResult,
  ResolvedOptions,
  ScriptFault,
  Verdict,
  WriteResult,
} from "kvorum";
import type { Cluster } from "../../src/engine/cluster.ts";
import { cluster, summary } from "./pictures.ts";
import { Words } from "./words.ts";

export const STEP_US = 1_000;

export class Refused extends Error {
  readonly code: string;
  readonly retryable = false;
  readonly script: ScriptFault | null;

  constructor(code: string, message = code, script: ScriptFault | null = null) {
    super(message);
    this.code = code;
    this.script = script;
  }
}

const REPAIR: NodePicture["repair"] = [
  { partition: 5, differs: true, moving: false },
  { partition: 6, differs: false, moving: true },
];

interface Pending {
  dueUs: number;
  settle(): void;
}

export class FakeCluster implements Cluster {
  now = 0;
  eventCount = 0;
  isClosed = false;
  /** What was done to it, in order. */
  readonly done: string[] = [];
  /** Real time that a step takes: moves the test's clock. */
  onStep: () => void = () => undefined;
  /** Real time that a picture of all takes: moves the test's clock. */
  onInspect: () => void = () => undefined;
  /** Owners are others after each change. */
  epochOfOwners = 0;
  failNext: Error | null = null;
  answerAfterUs = 3_000;
  answerWith: Error | null = null;
  context: string | null = "context of all";
  /** Places of nodes that are Down. Any key is owned by the first three. */
  downNodes: readonly number[] = [];
  /** A promise was broken: nothing happens any more. */
  isBroken = false;
  readonly #listeners = new Set<(batch: EventBatch) => void>();
  readonly #options: ClusterOptions;
  readonly #tracedEvery: number;
  #pending: Pending[] = [];

  /** `tracedEvery`: one of so many steps leaves a trace. */
  constructor(options: ClusterOptions, tracedEvery = 1) {
    this.#options = options;
    this.#tracedEvery = tracedEvery;
  }

  get fault(): Faults {
    const note = (...parts: unknown[]): void => {
      this.#fail();
      this.done.push(JSON.stringify(parts));
    };
    return {
      crash: (node) => note("crash", node),
      restart: (node) => note("restart", node),
      cut: (one, other) => note("cut", one, other),
      heal: (one, other) => note("heal", one, other),
      slow: (node, ms) => note("slow", node, ms),
      loss: (node, permille) => note("loss", node, permille),
    };
  }

  client(node: string | number): ClusterClient {
    const answer = <T>(verb: string, key: unknown, options: unknown, value: T): Promise<T> => {
      this.done.push(JSON.stringify([verb, key, node, options]));
      const error = this.answerWith;
      return new Promise((resolve, reject) => {
        const settle = (): void => (error === null ? resolve(value) : reject(error));
        this.#pending.push({ dueUs: this.now + this.answerAfterUs, settle });
      });
    };
    const write: WriteResult = { acks: 2, hinted: 0 };
    const read: ReadResult = {
      siblings: [1, 2].map((counter) => ({ value: Uint8Array.of(counter), dot: `n0·${counter}`, expiresAtMs: null })),
      context: this.context,
      acks: 2,
    };
    return {
      node: String(node),
      put: (key, _value, options) => answer("put", key, options, write),
      get: (key, options) => answer("get", key, options, read),
      del: (key, options) => answer("del", key, options, write),
    };
  }

  step(until = Infinity): boolean {
    this.#fail();
    if (this.isBroken || this.now + STEP_US > until) return false;
    this.now += STEP_US;
    this.eventCount += 1;
    this.onStep();
    this.#answer();
    if (this.eventCount % this.#tracedEvery !== 0) return true;
    const words = new Words().record("restarted", 0, this.now).array;
    for (const listener of this.#listeners) listener({ words });
    return true;
  }

  #answer(): void {
    const due = this.#pending.filter((one) => one.dueUs <= this.now);
    this.#pending = this.#pending.filter((one) => one.dueUs > this.now);
    for (const one of due) one.settle();
  }

  run(goal: Goal): { reached: boolean } {
    // A hundred steps are what a turn's budget is worth here.
    for (let count = 0; count < 100; count++) {
      if (this.isBroken) return { reached: goal.events === undefined };
      if (goal.events !== undefined && this.eventCount >= goal.events) return { reached: true };
      if (goal.until === "end" && this.now >= 1_000_000) return { reached: true };
      if (typeof goal.until === "number" && this.now + STEP_US > goal.until) {
        this.now = Math.max(this.now, goal.until);
        return { reached: true };
      }
      this.step();
    }
    return { reached: false };
  }

  digest(): string {
    return this.eventCount.toString(16).padStart(32, "0");
  }
  script(): string {
    return this.done.join("\n");
  }
  options(): ResolvedOptions {
    const { seed, nodes = 5, n = 3, r = 2, w = 2, resolve = "siblings" } = this.#options;
    return { seed: String(seed), nodes, n, r, w, resolve, partitions: 64, memtableBytes: 65_536, drawn: false };
  }
  verdicts(): Verdict {
    return {
      violations: this.isBroken ? [{ checker: "C2", atUs: this.now, text: "a write is lost" }] : [],
      acknowledged: 0,
      asked: 0,
      downs: 0,
      epochs: 1,
      hintsWaiting: 0,
      partitionsDiffering: 0,
      isLossJudged: false,
      isFinal: false,
    };
  }
  inspect(): ClusterPicture;
  inspect(what: { node: string | number; key?: string | Uint8Array }): NodePicture;
  inspect(what: { key: string | Uint8Array }): KeyPicture;
  inspect(what?: { node?: string | number; key?: string | Uint8Array }): ClusterPicture | NodePicture | KeyPicture {
    this.#fail();
    const nodes = [0, 1, 2, 3, 4].map((index) => summary(`n${index}`, this.downNodes.includes(index) ? { state: "down", isRunning: false } : {}));
    if (what === undefined) this.onInspect();
    const owners = Array.from({ length: 64 }, (_, partition) => [0, 1, 2].map((add) => (partition + add + this.epochOfOwners) % 5));
    if (what === undefined) return cluster(5, { owners, nowUs: this.now, events: this.eventCount, digest: this.digest(), nodes });
    if (what.node !== undefined) return { name: `n${what.node}`, state: "up", shards: [], hints: [], repair: REPAIR };
    // As long as a picture shows.
    const key = String(what.key).slice(0, 64);
    const walk = [0, 1, 2].map((node) => ({ partition: 0, node, role: "owner" as const, place: node + 1 }));
    return { key, slot: 1, partition: 0, walk, copies: [], siblings: [], common: [], actors: [] };
  }
  flights(): Float64Array {
    return Float64Array.of(1, 0, 1, 257, this.now, this.now + 500, 0, 0);
  }
  subscribe(listener: (batch: EventBatch) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
  close(): void {
    this.isClosed = true;
  }

  #fail(): void {
    const error = this.failNext;
    this.failNext = null;
    if (error !== null) throw error;
  }
}
