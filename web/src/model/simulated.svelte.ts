/**
 * The simulated cluster of the page: its worker, the model made of what that tells, and what the user does to it.
 *
 * Snapshots are replaced, never changed, so whatever did not change is drawn from the same object. A session outlives a look
 * at a live cluster: it then stands still.
 */
import { Engine, type EngineParts } from "../engine/client.ts";
import { SLOW_MS_MAX, SPEED_MAX, SPEED_MIN, within } from "../engine/limits.ts";
import type { Fault, Goal, Post, Reproduction, WorldOptions } from "../engine/protocol.ts";
import type { Link } from "./link.ts";
import { isPassing } from "./passing.ts";
import { quorumTrouble, wished, type KeyspaceWish } from "./quorum.ts";
import type { Scene, Trouble } from "./scene.ts";
import type { Session, Tell } from "./session.ts";
import { Shown } from "./shown.svelte.ts";
import { WorldModel } from "./world.ts";

/** A page that is told nothing: a calm cluster, small enough to see everything and big enough for a fallback. */
export const DEFAULT_WORLD: WorldOptions = { seed: "7", nodes: 5, n: 3, r: 2, w: 2, resolve: "siblings" };
/** By then nodes have met and the first put can be taken, so a new world begins there. */
export const FORMED_US = 1_500_000;

type Draft = Scene["draft"];

/** How a world begins, if not as its link says. */
export interface Beginning {
  goal?: Goal;
  isPlaying?: boolean;
}

export class Simulated implements Session {
  readonly shown = new Shown();
  readonly #engine: Engine;
  readonly #tell: Tell;
  #world = new WorldModel();
  /** The world as it is made again for a step back; it is shown when it is there. */
  #again: WorldModel | null = null;
  /** Counts worlds: a question that was asked for an earlier one is answered too late. */
  #generation = 0;
  #ask = 0;
  /** What the world is to come to. */
  #expected: Link | null = null;
  /** What leads to a world that stopped. */
  #last: Reproduction | null = null;
  #opened: WorldOptions = DEFAULT_WORLD;
  #hasBegun = false;
  #isStopped = false;
  /** The page follows the request that it made last, until the user follows another. */
  #followsLatest = true;
  /** Quorums that this page asks for; a core's keyspace has its own for whoever names none. */
  #quorum: { r: number; w: number } | null = null;

  /** What `shown.picture` was made of: made of the same, it is the same object. */
  #pictured: { of: Scene["picture"]; quorum: { r: number; w: number } | null } = { of: null, quorum: null };

  constructor(parts: EngineParts, tell: Tell) {
    this.shown.seed = DEFAULT_WORLD.seed;
    this.#tell = tell;
    this.#engine = new Engine((post) => this.#on(post), parts);
  }

  /** Whether there is a world, or was one. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** Quorums that a link keeps, where they are not the keyspace's own. */
  get quorum(): { r: number; w: number } | null {
    return this.#quorum;
  }

  // --- beginnings ---

  /** Something was asked for that cannot be begun, or done; what is drawn stays. */
  fail(trouble: Trouble): void {
    this.shown.trouble = trouble;
    this.shown.isLoading = this.shown.isLoading && this.#hasBegun;
  }

  /** Begins a world, at the moment that a link names if there is one. */
  open(world: WorldOptions, link: Link | null, how: Beginning = {}): void {
    this.#generation += 1;
    this.#hasBegun = true;
    this.#isStopped = false;
    this.#world = new WorldModel();
    this.#again = null;
    this.#opened = world;
    this.#expected = link;
    this.#last = null;
    this.#followsLatest = true;
    this.#quorum = link?.quorum ?? null;
    this.shown.isLoading = true;
    this.shown.trouble = null;
    this.shown.running = null;
    this.shown.picture = null;
    this.#pictured = { of: null, quorum: null };
    this.shown.keyPicture = null;
    this.shown.nodePicture = null;
    this.shown.followed = null;
    this.shown.seed = world.seed;
    if (link !== null) {
      this.shown.selectedKey = link.key;
      this.shown.selectedNode = link.node;
    }
    const events = link?.events ?? null;
    const isCalm = link === null && world.nodes !== undefined;
    const goal = how.goal ?? (events !== null ? { events } : isCalm ? { until: FORMED_US } : null);
    this.#engine.open({
      world,
      script: link?.script ?? null,
      goal,
      // A link shows a moment; it stays there until somebody goes on.
      isPlaying: how.isPlaying ?? events === null,
      speed: this.shown.speed,
      key: this.shown.selectedKey,
      node: this.shown.selectedNode,
    });
  }

  /** Another seed, or the same world from its beginning; `null` is what there was. */
  startAgain(seed: string | null): void {
    if (seed === null) return this.open(this.#opened, null);
    // Options that were refused once would be refused again.
    const isUsable = this.shown.trouble === null && this.#opened.nodes !== undefined;
    this.open({ ...(isUsable ? this.#opened : DEFAULT_WORLD), seed }, null);
  }

  close(): void {
    this.#generation += 1;
    this.#engine.close();
  }

  // --- what is heard ---

  #on(post: Post): void {
    switch (post.kind) {
      case "replay":
        this.#again ??= new WorldModel();
        return this.#again.on(post.post);
      case "replayed":
        if (post.isThere && this.#again !== null) this.#turnBack(this.#again);
        this.#again = null;
        return;
      case "running":
        // Coming to where a new world begins is no more than starting it.
        this.shown.running = this.#expected === null && post.running?.goal === "moment" ? null : post.running;
        return;
      default:
        break;
    }
    this.#world.on(post);
    switch (post.kind) {
      case "stopped":
        this.shown.trouble = post.trouble;
        this.#last = post.last;
        this.shown.isLoading = false;
        this.#isStopped = true;
        this.shown.running = null;
        break;
      case "trouble":
        this.shown.trouble = post.trouble;
        break;
      case "ran":
        if (post.id === 0) void this.#verify();
        break;
      case "opened":
        // Only now it is known what a drawn world's N is.
        if (this.#quorum !== null) this.#refuse(quorumTrouble(this.#quorum, post.options.n));
        // A link may select a node that its world does not have.
        if (this.shown.selectedNode !== null && this.shown.selectedNode >= post.options.nodes) this.select(this.shown.selectedKey, null);
        break;
      case "asked":
        if (this.#followsLatest) this.shown.followed = this.#world.latest;
        break;
      default:
        break;
    }
    this.#tell(this.#world.takeNews());
    this.#show();
  }

  #turnBack(world: WorldModel): void {
    // What happened on the way was news when it happened first.
    world.takeNews();
    this.#world = world;
    const numbers = world.requests().map((request) => request.number);
    if (this.shown.followed !== null && !numbers.includes(this.shown.followed)) this.shown.followed = numbers.at(-1) ?? null;
    this.#show();
  }

  /** A quorum that cannot be is not asked for: the keyspace's own is, and that is said. */
  #refuse(trouble: Trouble | null): void {
    if (trouble === null) return;
    this.#quorum = null;
    this.shown.trouble = trouble;
  }

  /** The run that a link led to is compared with the one that it was taken from. */
  async #verify(): Promise<void> {
    const expected = this.#expected?.digest ?? null;
    const generation = this.#generation;
    const found = await this.#engine.reproduction();
    if (expected === null || found === null || generation !== this.#generation || found.digest === expected) return;
    this.shown.trouble = { code: "otherRun", holes: {}, reason: { code: "otherTrace", holes: { expected, found: found.digest } } };
  }

  #show(): void {
    const world = this.#world;
    this.shown.requests = world.requests();
    this.shown.marks = world.marks();
    this.shown.flights = world.flights;
    this.shown.nowUs = world.nowUs;
    this.shown.events = world.events;
    this.shown.isPlaying = world.isPlaying;
    this.shown.speed = world.options === null ? this.shown.speed : world.speed;
    this.shown.seed = world.options?.seed ?? this.shown.seed;
    this.shown.verdict = world.verdict;
    if (world.picture === null) return;
    this.shown.isLoading = false;
    if (world.picture !== this.#pictured.of || this.#quorum !== this.#pictured.quorum) {
      this.#pictured = { of: world.picture, quorum: this.#quorum };
      const { keyspace } = world.picture;
      this.shown.picture =
        this.#quorum === null ? world.picture : { ...world.picture, keyspace: { ...keyspace, ...this.#quorum } };
    }
    this.shown.digest = world.picture.digest;
    // A picture of what was selected before is not one of what is selected now.
    this.shown.keyPicture = world.askedKey === this.shown.selectedKey ? world.keyPicture : null;
    this.shown.nodePicture =
      this.shown.selectedNode !== null && world.nodePicture?.name === world.picture.nodes[this.shown.selectedNode]?.name
        ? world.nodePicture
        : null;
  }

  // --- what is looked at ---

  select(key: string | null, node: number | null): void {
    if (key !== this.shown.selectedKey) this.shown.keyPicture = null;
    this.shown.selectedKey = key;
    this.shown.selectedNode = node;
    if (this.shown.nodePicture?.name !== (node === null ? null : this.shown.picture?.nodes[node]?.name)) this.shown.nodePicture = null;
    this.#engine.send({ kind: "select", key, node });
  }

  follow(request: number | null): void {
    this.shown.followed = request;
    this.#followsLatest = request === null || request === this.#world.latest;
  }

  // --- time ---

  /** Whoever plays or pauses while something is under way ends that first. */
  play(): void {
    if (this.shown.running !== null) return this.halt();
    this.#engine.send({ kind: "play" });
  }

  pause(): void {
    if (this.shown.running !== null) this.halt();
    this.#engine.send({ kind: "pause" });
  }

  halt(): void {
    this.#engine.send({ kind: "halt" });
  }

  step(): void {
    this.#forgive();
    if (this.shown.running !== null) this.halt();
    this.#engine.send({ kind: "step" });
  }

  /** Whoever asks again before it is back has one step back, not none: each way begins anew. */
  stepBack(): void {
    if (this.shown.picture === null || this.#isStopped || this.shown.running?.goal === "back") return;
    this.#forgive();
    if (this.shown.running !== null) this.halt();
    this.shown.running = { goal: "back", part: 0 };
    this.#engine.send({ kind: "back" });
  }

  /** To the end of the script and its judgement; there it stands. */
  async runToEnd(): Promise<void> {
    this.#engine.send({ kind: "pause" });
    this.shown.running = { goal: "end", part: 0 };
    const generation = this.#generation;
    await this.#engine.run({ until: "end" });
    if (generation === this.#generation) this.shown.running = null;
  }

  setSpeed(speed: number): void {
    this.shown.speed = within(speed, SPEED_MIN, SPEED_MAX);
    this.#engine.send({ kind: "speed", speed: this.shown.speed });
  }

  run(goal: Goal): Promise<boolean> {
    return this.#engine.run(goal);
  }

  // --- what is done ---

  /** Sends what the composer holds, whose fields were looked at; `false` if it cannot be. */
  ask(draft: Draft): boolean {
    // There is no world to ask: what is wrong stays in sight, with its way out.
    if (this.shown.trouble?.code === "panicked" || (this.shown.trouble !== null && this.shown.picture === null)) return false;
    const { verb, key, value, through } = draft;
    const r = draft.r ?? this.#quorum?.r ?? null;
    const w = draft.w ?? this.#quorum?.w ?? null;
    this.shown.trouble = quorumTrouble(verb === "get" ? { r } : { w }, this.shown.picture?.keyspace.n ?? Infinity);
    if (this.shown.trouble !== null) return false;
    this.#followsLatest = true;
    this.select(key, this.shown.selectedNode);
    this.#engine.send({ kind: "ask", ask: ++this.#ask, verb, key, value, through, r, w });
    return true;
  }

  /** A put whose context covers all siblings of a key that can be read. */
  merge(key: string, value: string, { through, w: asked }: Draft): boolean {
    this.#forgive();
    const w = asked ?? this.#quorum?.w ?? null;
    this.shown.trouble ??= quorumTrouble({ w }, this.shown.picture?.keyspace.n ?? Infinity);
    if (this.shown.trouble !== null) return false;
    this.#followsLatest = true;
    const r = this.shown.picture?.keyspace.r ?? 1;
    this.#engine.send({ kind: "merge", ask: ++this.#ask, key, value, through, r, w });
    return true;
  }

  fault(fault: Fault): void {
    this.#engine.send({ kind: "fault", fault });
  }

  crashOrRevive(node: number): void {
    // One that stopped is soon Down in the eyes of the others, and one that runs may be.
    const isStopped = this.shown.picture?.nodes[node]?.isRunning === false;
    this.fault({ kind: isStopped ? "restart" : "crash", node });
  }

  cutOrHeal(node: number): void {
    const picture = this.shown.picture;
    if (picture === null) return;
    const others = picture.nodes.map((_, place) => place).filter((place) => place !== node);
    const isCut = picture.cuts.some(([from, to]) => from === node || to === node);
    this.fault({ kind: isCut ? "heal" : "cut", one: [node], other: others });
  }

  slow(node: number, ms: number): void {
    this.fault({ kind: "slow", node, ms: within(Math.round(ms), 0, SLOW_MS_MAX) });
  }

  loss(node: number, permille: number): void {
    this.fault({ kind: "loss", node, permille: within(Math.round(permille), 0, 1_000) });
  }

  /** R and W are every request's own; N and `resolve` are of the data, so another of them is another world, which is told. */
  setKeyspace(wish: KeyspaceWish): "refused" | "same" | "another" {
    const now = this.shown.picture?.keyspace;
    if (now === undefined) return "refused";
    const nodes = this.shown.picture?.nodes.length ?? 1;
    const found = wished(now, wish, nodes);
    if (!found.ok) {
      this.shown.trouble = found.trouble;
      return "refused";
    }
    const { n, r, w, resolve } = found.keyspace;
    if (n !== now.n || resolve !== now.resolve) {
      const { seed, partitions, memtableBytes } = this.#world.options ?? DEFAULT_WORLD;
      const rest = { ...(partitions === undefined ? {} : { partitions }), ...(memtableBytes === undefined ? {} : { memtableBytes }) };
      this.open({ seed, nodes, ...rest, n, r, w, resolve }, null);
      this.shown.trouble = found.lowered;
      return "another";
    }
    this.#forgive();
    this.#quorum = { r, w };
    this.#show();
    return "same";
  }

  /** What leads to the moment that is shown, or to the one before a stop; `null` if there is none. */
  async reproduction(): Promise<Reproduction | null> {
    const generation = this.#generation;
    const found = (await this.#engine.reproduction()) ?? this.#last;
    // Another world is not the one that was asked for.
    return generation === this.#generation ? found : null;
  }

  /** A link was made, or why none could be. A world that stopped says what is more important. */
  onLink(trouble: Trouble | null): void {
    if (trouble === null) this.#forgive();
    else if (this.#last === null) this.shown.trouble = trouble;
  }

  /** What was not possible before may be now. */
  #forgive(): void {
    if (this.shown.trouble !== null && isPassing(this.shown.trouble)) this.shown.trouble = null;
  }
}
