/**
 * Holds one simulated cluster and paces it: what the worker does, without the worker.
 *
 * A turn has two ceilings, the virtual time that is due at the chosen speed and 8 ms of real time, so that a command never
 * waits long; and the page draws before it is sent a third frame, so that a slow page is never flooded.
 */
import type { Cluster as RealCluster, ClusterOptions, EventBatch, KeyPicture, NodePicture, ReadResult } from "kvorum";
import { scriptReason } from "./script.ts";
import type { Command, Fault, Goal, Post, Reason, Reproduction, Trouble } from "./protocol.ts";

/** Real time that a turn may take. */
const TURN_MS = 8;
/** Between two turns while playing: one frame. */
const FRAME_MS = 16;
/** Pictures are objects, and dear: ten a second are enough for what is read. */
const PICTURE_EVERY_MS = 100;
/** Longest stretch that a turn makes good: after a hidden tab wakes up, time does not jump. */
const CATCH_UP_MS = 100;
/** Frames under way to the page. */
const UNDRAWN_COUNT_MAX = 2;
/** Steps that leave no trace (a timer that found nothing to do) are passed over, so many at most. */
const SILENT_STEP_COUNT_MAX = 10_000;

/** What a host does with a cluster; the package's own has it. */
export type Cluster = Pick<
  RealCluster,
  | "client"
  | "fault"
  | "now"
  | "eventCount"
  | "step"
  | "run"
  | "digest"
  | "script"
  | "options"
  | "verdicts"
  | "inspect"
  | "flights"
  | "subscribe"
  | "close"
>;

/** What the host needs of the world outside. */
export interface Shell {
  create(options: ClusterOptions): Promise<Cluster>;
  post(post: Post, transfer: ArrayBuffer[]): void;
  wallMs(): number;
  /** Calls back once, later. */
  later(ms: number, then: () => void): void;
}

/** Of a read or a write. */
interface Answer {
  acks: number;
  siblings?: readonly unknown[];
}

interface Run {
  id: number;
  goal: Goal;
}

export class Host {
  readonly #shell: Shell;
  #cluster: Cluster | null = null;
  /** Counts worlds: what was begun for an earlier one is dropped. */
  #life = 0;
  #isPlaying = false;
  #speed = 1;
  #batches: Uint32Array[] = [];
  #undrawn = 0;
  #turnAt: number | null = null;
  /** Virtual time that is due and not yet made, in µs: below one step of the clock it adds up. */
  #dueUs = 0;
  #picturedAt = -Infinity;
  #selected: { key: string | null; node: number | null } = { key: null, node: null };
  #runs: Run[] = [];
  #isTurning = false;
  #last: Reproduction | null = null;
  /** What the world was opened with. */
  #script: string | null = null;
  /** Requests whose client waits. */
  readonly #asks = new Set<number>();

  constructor(shell: Shell) {
    this.#shell = shell;
  }

  async handle(command: Command): Promise<void> {
    if (command.kind === "open") return this.#open(command);
    if (command.kind === "drawn") {
      this.#undrawn = Math.max(0, this.#undrawn - 1);
      return this.#goOn();
    }
    const cluster = this.#cluster;
    if (cluster === null) return this.#performNowhere(command);
    const life = this.#life;
    try {
      await this.#perform(cluster, command);
    } catch (error) {
      if (life === this.#life) this.#onError(error);
    }
  }

  async #perform(cluster: Cluster, command: Exclude<Command, { kind: "open" | "drawn" }>): Promise<void> {
    switch (command.kind) {
      case "play":
      case "pause":
        this.#isPlaying = command.kind === "play";
        this.#turnAt = null;
        this.#shell.post({ kind: "playing", isPlaying: this.#isPlaying, speed: this.#speed }, []);
        if (!this.#isPlaying) this.#show(cluster);
        return this.#goOn();
      case "speed":
        this.#speed = speedOf(command.speed);
        return this.#shell.post({ kind: "playing", isPlaying: this.#isPlaying, speed: this.#speed }, []);
      case "step":
        return this.#step(cluster);
      case "run":
        this.#runs.push({ id: command.id, goal: command.goal });
        return this.#goOn();
      case "ask":
        return this.#ask(cluster, command);
      case "merge":
        return this.#merge(cluster, command);
      case "fault":
        this.#fault(cluster, command.fault);
        return this.#remember(cluster);
      case "select":
        this.#selected = { key: command.key, node: command.node };
        return this.#show(cluster);
      case "link":
        return this.#shell.post({ kind: "link", id: command.id, reproduction: reproductionOf(cluster) }, []);
    }
  }

  /** While a world loads: how it is to begin is remembered, and whoever waits for an answer has one. */
  #performNowhere(command: Exclude<Command, { kind: "open" | "drawn" }>): void {
    switch (command.kind) {
      case "play":
      case "pause":
        this.#isPlaying = command.kind === "play";
        return;
      case "speed":
        this.#speed = speedOf(command.speed);
        return;
      case "select":
        this.#selected = { key: command.key, node: command.node };
        return;
      case "run":
        return this.#shell.post({ kind: "ran", id: command.id, reached: false }, []);
      case "link":
        return this.#shell.post({ kind: "link", id: command.id, reproduction: null }, []);
      case "ask":
      case "merge": {
        const { ask, key, value, through: entry } = command;
        const verb = command.kind === "merge" ? "put" : command.verb;
        const put = verb === "put" ? value : null;
        this.#shell.post({ kind: "asked", ask, verb, key, value: put, entry, needed: null, atUs: 0 }, []);
        return this.#shell.post({ kind: "answered", ask, outcome: "notDone", why: "loading", siblings: 0, atUs: 0 }, []);
      }
      case "step":
      case "fault":
        // Nothing waits for these, and there is nothing yet that they could be done to.
        return;
    }
  }

  // --- worlds ---

  async #open(command: Extract<Command, { kind: "open" }>): Promise<void> {
    const life = ++this.#life;
    this.#cluster?.close();
    this.#cluster = null;
    this.#batches = [];
    this.#runs = [];
    this.#undrawn = 0;
    this.#last = null;
    this.#script = command.script;
    this.#asks.clear();
    this.#isPlaying = command.isPlaying;
    this.#speed = command.speed;
    this.#selected = { key: command.key, node: command.node };
    try {
      const script = command.script === null ? {} : { script: command.script };
      const cluster = await this.#shell.create({ ...command.world, ...script });
      if (life !== this.#life) return cluster.close();
      this.#cluster = cluster;
      cluster.subscribe((batch: EventBatch) => {
        if (batch.words.length > 0) this.#batches.push(batch.words);
      });
      const options = cluster.options();
      this.#shell.post({ kind: "opened", options, isPlaying: this.#isPlaying, speed: this.#speed }, []);
      this.#turnAt = null;
      this.#dueUs = 0;
      this.#picturedAt = -Infinity;
      if (command.goal !== null) this.#runs.push({ id: 0, goal: command.goal });
      this.#last = reproductionOf(cluster);
      this.#show(cluster);
      this.#goOn();
    } catch (error) {
      if (life === this.#life) this.#onError(error);
    }
  }

  // --- time ---

  /** Makes sure that a turn comes if there is anything to do. */
  #goOn(): void {
    if (this.#isTurning || !this.#isWanted()) return;
    this.#isTurning = true;
    this.#shell.later(this.#runs.length > 0 ? 0 : FRAME_MS, () => {
      this.#isTurning = false;
      this.#turn();
      this.#goOn();
    });
  }

  #isWanted(): boolean {
    return this.#cluster !== null && this.#undrawn < UNDRAWN_COUNT_MAX && (this.#isPlaying || this.#runs.length > 0);
  }

  #turn(): void {
    const cluster = this.#cluster;
    if (cluster === null || !this.#isWanted()) return;
    try {
      const run = this.#runs[0];
      if (run !== undefined) this.#turnRun(cluster, run);
      else this.#turnPlay(cluster);
    } catch (error) {
      this.#onError(error);
    }
  }

  #turnRun(cluster: Cluster, run: Run): void {
    const before = cluster.eventCount;
    const { reached } = cluster.run({ ...run.goal, budgetMs: TURN_MS });
    // A broken promise ends a world: then nothing happens any more.
    const isOver = reached || cluster.eventCount === before;
    if (isOver) this.#runs.shift();
    this.#turnAt = null;
    this.#post(cluster, isOver);
    if (isOver) this.#shell.post({ kind: "ran", id: run.id, reached }, []);
  }

  #turnPlay(cluster: Cluster): void {
    const wall = this.#shell.wallMs();
    const passed = this.#turnAt === null ? FRAME_MS : Math.min(CATCH_UP_MS, wall - this.#turnAt);
    this.#turnAt = wall;
    this.#dueUs += passed * 1_000 * this.#speed;
    const whole = Math.floor(this.#dueUs);
    this.#dueUs -= whole;
    // What the second ceiling leaves undone is not made good: the world is then slower than was asked for.
    cluster.run({ until: cluster.now + whole, budgetMs: TURN_MS });
    this.#post(cluster, false);
  }

  #step(cluster: Cluster): void {
    this.#isPlaying = false;
    for (let count = 0; count < SILENT_STEP_COUNT_MAX && this.#batches.length === 0; count++) {
      if (!cluster.step()) break;
    }
    this.#shell.post({ kind: "playing", isPlaying: false, speed: this.#speed }, []);
    this.#post(cluster, true);
  }

  // --- what is shown ---

  #post(cluster: Cluster, withPictures: boolean): void {
    const words = joined(this.#batches);
    this.#batches = [];
    const flights = whole(cluster.flights());
    this.#undrawn += 1;
    const post: Post = { kind: "frame", words, flights, nowUs: cluster.now, events: cluster.eventCount };
    this.#shell.post(post, [words.buffer, flights.buffer]);
    const wall = this.#shell.wallMs();
    if (withPictures || wall - this.#picturedAt >= PICTURE_EVERY_MS) this.#picture(cluster);
  }

  /** Shows the world as it is, when it was changed from outside or stands still. */
  #show(cluster: Cluster): void {
    this.#post(cluster, true);
  }

  #picture(cluster: Cluster): void {
    this.#picturedAt = this.#shell.wallMs();
    const { key, node } = this.#selected;
    const picture = cluster.inspect();
    const verdict = cluster.verdicts();
    if (verdict.violations.length > 0) this.#giveUp(cluster);
    this.#shell.post(
      {
        kind: "pictures",
        cluster: picture,
        key: key === null ? null : keyPictureOf(cluster, key),
        askedKey: key,
        node: node === null || node >= picture.nodes.length ? null : nodePictureOf(cluster, node, key),
        verdict,
      },
      [],
    );
  }

  /**
   * After something was done to the world: it happens a microsecond later, so that much goes by even while paused. And what
   * leads here is kept, should the world stop.
   */
  #remember(cluster: Cluster): void {
    cluster.run({ until: cluster.now + 1, budgetMs: TURN_MS });
    this.#last = reproductionOf(cluster);
    this.#show(cluster);
  }

  // --- what is asked ---

  async #ask(cluster: Cluster, command: Extract<Command, { kind: "ask" }>): Promise<void> {
    const { ask, verb, key, value, through, r, w } = command;
    const needed = verb === "get" ? r : w;
    const life = this.#life;
    this.#shell.post(
      { kind: "asked", ask, verb, key, value: verb === "put" ? value : null, entry: through, needed, atUs: cluster.now },
      [],
    );
    const client = cluster.client(through);
    const quorum = w === null ? {} : { w };
    const answer = (): Promise<Answer> => {
      switch (verb) {
        case "get":
          return client.get(key, { ...(r === null ? {} : { r }), run: false });
        case "put":
          return client.put(key, value, { ...quorum, run: false });
        case "del":
          return client.del(key, { ...quorum, run: false });
      }
    };
    const answered = this.#answered(cluster, life, ask, answer());
    this.#remember(cluster);
    await answered;
  }

  /**
   * A read, then a put with the context of what was read: it may end what it has seen, and nothing else. All owners that are
   * up are read, for a sibling may be with one of them only; failing that, as many as any read waits for.
   */
  async #merge(cluster: Cluster, command: Extract<Command, { kind: "merge" }>): Promise<void> {
    const { ask, key, value, through, r, w } = command;
    const life = this.#life;
    const client = cluster.client(through);
    const { up, total } = ownersUp(cluster, key, through);
    const read = (count: number): Promise<ReadResult> => client.get(key, { r: count, run: false });
    const reading = up > r ? read(up).catch(() => read(r)) : read(Math.max(1, up));
    this.#remember(cluster);
    let found: ReadResult;
    try {
      found = await reading;
    } catch (error) {
      const { code } = errorOf(error);
      if (life !== this.#life || code === "CLOSED") return;
      if (!isAnswer(code)) throw error;
      this.#shell.post({ kind: "trouble", trouble: { code: "notMerged", holes: { needed: Math.max(1, Math.min(up, r)), up, total } } }, []);
      return this.#show(cluster);
    }
    if (life !== this.#life) return;
    const quorum = w === null ? {} : { w };
    this.#shell.post({ kind: "asked", ask, verb: "put", key, value, entry: through, needed: w, atUs: cluster.now }, []);
    const answered = this.#answered(cluster, life, ask, client.put(key, value, { ...quorum, context: found.context, run: false }));
    this.#remember(cluster);
    // What is out of reach was not read, and the put ends none of it.
    if (up < total) this.#shell.post({ kind: "trouble", trouble: { code: "mayBeLeft", holes: { away: total - up, total } } }, []);
    await answered;
  }

  async #answered(
    cluster: Cluster,
    life: number,
    ask: number,
    answer: Promise<Answer>,
  ): Promise<void> {
    let post: Post;
    this.#asks.add(ask);
    try {
      const { siblings } = await answer;
      const count = siblings?.length ?? 0;
      post = { kind: "answered", ask, outcome: "done", why: null, siblings: count, atUs: cluster.now };
    } catch (error) {
      const { code, refusal } = errorOf(error);
      if (life !== this.#life || code === "CLOSED") return;
      if (!isAnswer(code)) throw error;
      const outcome = code === "IN_DOUBT" ? "unknown" : "notDone";
      post = { kind: "answered", ask, outcome, why: refusal ?? code, siblings: 0, atUs: cluster.now };
    }
    if (life !== this.#life || !this.#asks.delete(ask)) return;
    this.#shell.post(post, []);
    this.#show(cluster);
  }

  /** A broken promise ended the world, and with it whatever was under way. */
  #giveUp(cluster: Cluster): void {
    for (const ask of this.#asks) {
      this.#shell.post({ kind: "answered", ask, outcome: "unknown", why: null, siblings: 0, atUs: cluster.now }, []);
    }
    this.#asks.clear();
  }

  #fault(cluster: Cluster, fault: Fault): void {
    switch (fault.kind) {
      case "crash":
        return cluster.fault.crash(fault.node);
      case "restart":
        return cluster.fault.restart(fault.node);
      case "cut":
        return cluster.fault.cut(fault.one, fault.other);
      case "heal":
        return fault.one === null || fault.other === null
          ? cluster.fault.heal()
          : cluster.fault.heal(fault.one, fault.other);
      case "slow":
        return cluster.fault.slow(fault.node, fault.ms);
      case "loss":
        return cluster.fault.loss(fault.node, fault.permille);
    }
  }

  // --- what goes wrong ---

  #onError(error: unknown): void {
    const { code, message } = errorOf(error);
    if (code === "CLOSED") return;
    // Refused, with the world as it was: a wrong place, or a script that takes no more.
    if (isRefusal(code) && this.#cluster !== null) {
      const reason: Reason = /^the script is full\b/.test(message) ? { code: "scriptFull", holes: {} } : { code: "core", holes: { words: message } };
      const trouble: Trouble = { code: "notPossible", holes: {}, reason };
      return this.#shell.post({ kind: "trouble", trouble }, []);
    }
    const last = this.#last;
    this.#cluster = null;
    this.#isPlaying = false;
    this.#runs = [];
    this.#shell.post({ kind: "stopped", trouble: troubleOf(code, message, last, this.#script), last }, []);
  }
}

function troubleOf(code: string | null, message: string, last: Reproduction | null, script: string | null): Trouble {
  switch (code) {
    case "BAD_SCRIPT":
      return { code: "badScript", holes: {}, reason: scriptReason(message, script) };
    case "INVALID_ARGUMENT":
    case "NOT_DONE":
      return { code: "badLink", holes: {}, reason: { code: "core", holes: { words: message } } };
    case "LOAD_FAILED":
      return { code: hasWasm() ? "notLoaded" : "noWasm", holes: { what: message } };
    default:
      // A panic, or what only a panic leaves behind.
      return { code: "panicked", holes: { what: message, event: String(last?.events ?? 0) } };
  }
}

/** A browser may give it to pages and keep it from workers. */
function hasWasm(): boolean {
  return typeof WebAssembly === "object";
}

/** Nothing was done, and the world goes on. */
function isRefusal(code: string | null): boolean {
  return code === "NOT_DONE" || code === "INVALID_ARGUMENT";
}

function isAnswer(code: string | null): boolean {
  return isRefusal(code) || code === "IN_DOUBT";
}

function speedOf(speed: number): number {
  return Math.min(100, Math.max(0.1, speed));
}

function errorOf(error: unknown): { code: string | null; refusal: string | null; message: string } {
  const text = (value: unknown): string | null => (typeof value === "string" ? value : null);
  if (!(error instanceof Error)) return { code: null, refusal: null, message: String(error) };
  const code = "code" in error ? text(error.code) : null;
  const refusal = "refusal" in error ? text(error.refusal) : null;
  return { code, refusal, message: error.message };
}

function reproductionOf(cluster: Cluster): Reproduction {
  return {
    options: cluster.options(),
    script: cluster.script(),
    events: cluster.eventCount,
    digest: cluster.digest(),
  };
}

/** A picture of one key or node that cannot be taken now (the node is stopped) is no trouble of the whole. */
function keyPictureOf(cluster: Cluster, key: string): KeyPicture | null {
  return unlessRefused(() => cluster.inspect({ key }));
}

/** Of a key's owners, those that a node could have an answer from. */
function ownersUp(cluster: Cluster, key: string, through: number): { up: number; total: number } {
  const { nodes, cuts } = cluster.inspect();
  const owners = (keyPictureOf(cluster, key)?.walk ?? []).filter((step) => step.role === "owner");
  const up = owners.filter(({ node }) => {
    const summary = nodes[node];
    const isCut = cuts.some(([from, to]) => (from === through && to === node) || (from === node && to === through));
    return summary?.isRunning === true && summary.state !== "down" && summary.state !== "paused" && !isCut;
  });
  return { up: up.length, total: owners.length };
}

function nodePictureOf(cluster: Cluster, node: number, key: string | null): NodePicture | null {
  return unlessRefused(() => cluster.inspect(key === null ? { node } : { node, key }));
}

function unlessRefused<T>(take: () => T): T | null {
  try {
    return take();
  } catch (error) {
    if (isRefusal(errorOf(error).code)) return null;
    throw error;
  }
}

/** All words in one array of its own, to be given away. */
function joined(batches: readonly Uint32Array[]): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(batches.reduce((sum, batch) => sum + batch.length, 0));
  let at = 0;
  for (const batch of batches) {
    words.set(batch, at);
    at += batch.length;
  }
  return words;
}

/** An array of its own, to be given away: a view of the module's memory cannot be. */
function whole(array: Float64Array): Float64Array<ArrayBuffer> {
  const { buffer } = array;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === array.byteLength) return new Float64Array(buffer);
  return new Float64Array(array);
}
