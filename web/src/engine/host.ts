/**
 * Holds one simulated cluster and paces it: what the worker does, without the worker.
 *
 * A turn has two ceilings, the virtual time that is due at the chosen speed and 8 ms of real time, so that a command never
 * waits long; and the page draws before it is sent a third frame, so that a slow page is never flooded.
 */
import type { ClusterOptions, EventBatch, ReadResult } from "kvorum";
import { BACK_EVENTS_MAX, backFrom } from "./back.ts";
import type { Cluster } from "./cluster.ts";
import { errorOf, isAnswer, isRefusal, refusalReason, troubleOf } from "./errors.ts";
import { SPEED_MAX, SPEED_MIN, within } from "./limits.ts";
import { ownersUp } from "./merge.ts";
import type { Command, Fault, Goal, Post, Reproduction, Running, Trouble } from "./protocol.ts";
import { Traces } from "./replay.ts";
import { lastLineUs } from "./script.ts";
import { frameOf, picturesOf } from "./snapshots.ts";

/** Real time that a turn may take. */
const TURN_MS = 8;
/** Between two turns while playing: one frame. */
const FRAME_MS = 16;
/** Pictures are objects, and dear: ten a second are enough for what is read. */
const PICTURE_EVERY_MS = 100;
/** Of a large world they take long: then this much of the time is left for all else. */
const PICTURE_REST = 4;
/** Longest stretch that a turn makes good: after a hidden tab wakes up, time does not jump. */
const CATCH_UP_MS = 100;
/** Frames under way to the page. */
const UNDRAWN_COUNT_MAX = 2;
/** How far behind its script's last line a run to the end goes, before it is judged: core's `LAST_ANSWERS`, here only for a bar. */
const JUDGEMENT_US = 1_500_000;
/** Steps that leave no trace (a timer that found nothing to do) are passed over, so many at most. */
const SILENT_STEP_COUNT_MAX = 10_000;

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
  /** How far it is. */
  part(): number;
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
  /** What the last pictures took. */
  #pictureMs = 0;
  #selected: { key: string | null; node: number | null } = { key: null, node: null };
  #runs: Run[] = [];
  #isTurning = false;
  #last: Reproduction | null = null;
  /** What the world was opened with. */
  #script: string | null = null;
  /** Counts ways back: one that is not the latest is not wanted any more. */
  #replays = 0;
  #traces = new Traces();
  /** As the page has them. */
  #owners: Uint8Array | null = null;
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
    // Whatever else is wanted goes on from what is shown; what is selected meanwhile is not.
    if (command.kind !== "select" && command.kind !== "link" && command.kind !== "speed") this.#replays += 1;
    if (command.kind === "ask" || command.kind === "merge" || command.kind === "fault") this.#traces.forgetAfter(cluster.eventCount);
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
        this.#speed = within(command.speed, SPEED_MIN, SPEED_MAX);
        return this.#shell.post({ kind: "playing", isPlaying: this.#isPlaying, speed: this.#speed }, []);
      case "step":
        return this.#step(cluster);
      case "back":
        return this.#back(cluster);
      case "halt":
        return this.#halt(cluster);
      case "run":
        this.#begin(cluster, command.id, command.goal);
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
        this.#speed = within(command.speed, SPEED_MIN, SPEED_MAX);
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
      case "back":
      case "halt":
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
    this.#owners = null;
    this.#replays += 1;
    this.#traces = new Traces();
    this.#asks.clear();
    this.#isPlaying = command.isPlaying;
    this.#speed = command.speed;
    this.#selected = { key: command.key, node: command.node };
    try {
      const script = command.script === null ? {} : { script: command.script };
      const cluster = await this.#shell.create({ ...command.world, ...script });
      if (life !== this.#life) return cluster.close();
      this.#cluster = cluster;
      this.#listen(cluster);
      this.#traces.know([], cluster.eventCount);
      const options = cluster.options();
      this.#shell.post({ kind: "opened", options, script: this.#script, isPlaying: this.#isPlaying, speed: this.#speed }, []);
      this.#turnAt = null;
      this.#dueUs = 0;
      this.#picturedAt = -Infinity;
      if (command.goal !== null) this.#begin(cluster, 0, command.goal);
      this.#last = reproductionOf(cluster);
      this.#show(cluster);
      this.#goOn();
    } catch (error) {
      if (life === this.#life) this.#onError(error);
    }
  }

  #listen(cluster: Cluster): void {
    cluster.subscribe((batch: EventBatch) => {
      if (batch.words.length > 0) this.#batches.push(batch.words);
    });
  }

  // --- time ---

  #begin(cluster: Cluster, id: number, goal: Goal): void {
    this.#runs.push({ id, goal, part: partOf(cluster, goal) });
  }

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
    // A broken promise ends a world: then nothing happens any more. The judgement of one with faults left happens in another.
    const isOver = reached || (cluster.eventCount === before && cluster.verdicts().violations.length > 0);
    if (isOver) this.#runs.shift();
    this.#turnAt = null;
    this.#tellRunning(isOver ? null : { goal: "until" in run.goal && run.goal.until === "end" ? "end" : "moment", part: run.part() });
    this.#post(cluster, isOver);
    if (isOver) this.#shell.post({ kind: "ran", id: run.id, reached }, []);
  }

  /** As often as pictures, and at the end. */
  #tellRunning(running: Running | null): void {
    if (running !== null && this.#shell.wallMs() - this.#picturedAt < PICTURE_EVERY_MS) return;
    this.#shell.post({ kind: "running", running }, []);
  }

  #halt(cluster: Cluster): void {
    const runs = this.#runs;
    this.#runs = [];
    this.#tellRunning(null);
    this.#show(cluster);
    for (const run of runs) this.#shell.post({ kind: "ran", id: run.id, reached: false }, []);
  }

  async #back(cluster: Cluster): Promise<void> {
    const [life, replay] = [this.#life, this.#replays];
    const isWanted = (): boolean => life === this.#life && replay === this.#replays;
    this.#isPlaying = false;
    this.#shell.post({ kind: "playing", isPlaying: false, speed: this.#speed }, []);
    this.#show(cluster);
    try {
      const back = await backFrom(cluster, this.#traces, {
        create: (options) => this.#shell.create(options),
        post: (post, transfer) => {
          if (post.kind === "replay" && post.post.kind === "frame") this.#undrawn += 1;
          this.#shell.post(post, transfer);
        },
        wallMs: () => this.#shell.wallMs(),
        selected: () => this.#selected,
        speed: () => this.#speed,
        breathe: () => this.#breathe(isWanted),
      });
      if (life !== this.#life) return;
      this.#shell.post({ kind: "replayed", isThere: back.kind === "there" }, []);
      this.#shell.post({ kind: "running", running: null }, []);
      if (back.kind === "there") return this.#turnBack(cluster, back.cluster, back.script);
      if (back.kind === "unwanted") return;
      const trouble: Trouble =
        back.kind === "nothing" ? { code: "noBack", holes: {} } : { code: "tooFarBack", holes: { events: back.events, max: BACK_EVENTS_MAX } };
      this.#shell.post({ kind: "trouble", trouble }, []);
    } catch (error) {
      if (life === this.#life) this.#onError(error);
    }
  }

  /** The world as it was made again takes the place of the one that was shown. */
  #turnBack(shown: Cluster, made: Cluster, script: string): void {
    // Whoever still waits for an answer in the other world has it told by events in this one.
    this.#life += 1;
    this.#asks.clear();
    for (const run of this.#runs.splice(0)) this.#shell.post({ kind: "ran", id: run.id, reached: false }, []);
    shown.close();
    this.#cluster = made;
    this.#script = script;
    this.#owners = null;
    this.#batches = [];
    this.#listen(made);
    this.#last = reproductionOf(made);
    this.#dueUs = 0;
    this.#turnAt = null;
    this.#show(made);
  }

  async #breathe(isWanted: () => boolean): Promise<boolean> {
    do {
      await new Promise<void>((resolve) => this.#shell.later(0, resolve));
    } while (isWanted() && this.#undrawn >= UNDRAWN_COUNT_MAX);
    return isWanted();
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
    const before = cluster.eventCount;
    for (let count = 0; count < SILENT_STEP_COUNT_MAX && this.#batches.length === 0; count++) {
      if (!cluster.step()) break;
    }
    this.#traces.onStep(before, cluster.eventCount, this.#batches.length > 0);
    this.#shell.post({ kind: "playing", isPlaying: false, speed: this.#speed }, []);
    this.#post(cluster, true);
  }

  // --- what is shown ---

  #post(cluster: Cluster, withPictures: boolean): void {
    const frame = frameOf(cluster, this.#batches);
    this.#batches = [];
    this.#undrawn += 1;
    this.#shell.post(frame, [frame.words.buffer, frame.flights.buffer]);
    const wall = this.#shell.wallMs();
    if (withPictures || wall - this.#picturedAt >= Math.max(PICTURE_EVERY_MS, PICTURE_REST * this.#pictureMs)) this.#picture(cluster);
  }

  /** Shows the world as it is, when it was changed from outside or stands still. */
  #show(cluster: Cluster): void {
    this.#post(cluster, true);
  }

  #picture(cluster: Cluster): void {
    const beganAt = this.#shell.wallMs();
    const { owners, pictures } = picturesOf(cluster, this.#selected);
    this.#picturedAt = this.#shell.wallMs();
    this.#pictureMs = this.#picturedAt - beganAt;
    if (pictures.verdict.violations.length > 0) this.#giveUp(cluster);
    const known = this.#owners;
    if (known?.length !== owners.length || owners.some((one, at) => one !== known[at])) {
      this.#owners = owners;
      this.#shell.post({ kind: "owners", owners }, []);
    }
    this.#shell.post(pictures, []);
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
      const { code, refusal, message } = errorOf(error);
      if (life !== this.#life || code === "CLOSED") return;
      if (!isAnswer(code)) throw error;
      const outcome = code === "IN_DOUBT" ? "unknown" : "notDone";
      if (code === "SCRIPT_FULL") this.#refused(code, message);
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

  #refused(code: string | null, message: string): void {
    const trouble: Trouble = { code: "notPossible", holes: {}, reason: refusalReason(code, message) };
    this.#shell.post({ kind: "trouble", trouble }, []);
  }

  #onError(error: unknown): void {
    const told = errorOf(error);
    const { code, message } = told;
    if (code === "CLOSED") return;
    // Refused, with the world as it was: a wrong place, or a script that takes no more.
    if (isRefusal(code) && this.#cluster !== null) return this.#refused(code, message);
    const last = this.#last;
    this.#cluster = null;
    this.#isPlaying = false;
    this.#runs = [];
    this.#shell.post({ kind: "stopped", trouble: troubleOf(told, last), last }, []);
  }
}

function reproductionOf(cluster: Cluster): Reproduction {
  return {
    options: cluster.options(),
    script: cluster.script(),
    events: cluster.eventCount,
    digest: cluster.digest(),
  };
}

/** How far a run to a goal is: by events, or by virtual time up to the last line of the script and its judgement. */
function partOf(cluster: Cluster, goal: Goal): () => number {
  const { now, eventCount } = cluster;
  const done = (is: number, from: number, to: number): number => (to <= from ? 1 : Math.min(1, (is - from) / (to - from)));
  if ("events" in goal) return () => done(cluster.eventCount, eventCount, goal.events);
  const until = goal.until === "end" ? lastLineUs(cluster.script()) + JUDGEMENT_US : goal.until;
  return () => done(cluster.now, now, until);
}

