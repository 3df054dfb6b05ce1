/**
 * The page's state: one `Scene` that the view draws, and the `Actions` that change it.
 *
 * Here the parts meet: the address (`link`), the worker (`engine`) or live members (`engine/live`), and the models made of
 * what they tell. Snapshots are replaced, never changed, so whatever did not change is drawn from the same object.
 */
import { Engine, type EngineParts, browserParts } from "../engine/client.ts";
import { LiveEngine, type LiveParts, browserLiveParts, isAdminPort } from "../engine/live.ts";
import type { Goal, Post, Reproduction, WorldOptions } from "../engine/protocol.ts";
import { checkDraft } from "./draft.ts";
import { LiveModel } from "./live.ts";
import { type Link, type Start, encodeLink, parseAddress, parseSeed, startOf } from "./link.ts";
import type { News } from "./news.ts";
import { isPassing } from "./passing.ts";
import { quorumTrouble, wished } from "./quorum.ts";
import type { Actions, Scene, Trouble } from "./scene.ts";
import { WorldModel } from "./world.ts";

/** A page that is told nothing: a calm cluster, small enough to see everything and big enough for a fallback. */
export const DEFAULT_WORLD: WorldOptions = { seed: "7", nodes: 5, n: 3, r: 2, w: 2, resolve: "siblings" };
/** By then nodes have met and the first put can be taken, so a new world begins there. */
const FORMED_US = 1_500_000;
/** Where `kvorum server` answers if it is told nothing else. */
const ADMIN_DEFAULT = "127.0.0.1:7380";
export const SPEED_MIN = 0.1;
export const SPEED_MAX = 100;
/** How often a live scene is made anew between events: ages and retry times move. */
const LIVE_TICK_MS = 100;
/** Events of many members come together: what they change is shown once. */
const LIVE_SHOW_MS = 16;

/** What the app touches of the world outside. */
export interface AppParts {
  engine: EngineParts;
  live: LiveParts;
  address: { hash: string; search: string };
  /** Shows a fragment in the address bar. */
  showLink(fragment: string): string;
  copy(text: string): Promise<void>;
  /** In which the page speaks now. */
  language(): "en" | "ko" | null;
  /** Whether the page comes from a native node. */
  isServedByNode(): Promise<string | null>;
}

export interface App {
  readonly scene: Scene;
  readonly actions: Actions;
  /** Language that a link asks for. */
  readonly language: "en" | "ko" | null;
  /** Hears what is worth a sentence. */
  onNews(listener: (news: News) => void): () => void;
  /** For tests and the curious, see `debug.ts`. */
  run(goal: Goal): Promise<boolean>;
  reproduction(): Promise<Reproduction | null>;
  close(): void;
}

export function browserAppParts(): AppParts {
  return {
    engine: browserParts(),
    live: browserLiveParts(),
    address: location,
    showLink: (fragment) => {
      const url = new URL(location.href);
      url.search = "";
      url.hash = fragment;
      history.replaceState(null, "", url);
      return url.href;
    },
    language: () => (document.documentElement.lang === "ko" ? "ko" : "en"),
    copy: (text) => navigator.clipboard.writeText(text),
    isServedByNode: () => isAdminPort(location),
  };
}

/** Begins at once. With no parts it is this page's own. */
export function createApp(parts?: AppParts): App {
  const app = new PageApp(parts ?? browserAppParts());
  void app.begin();
  return app;
}

class PageApp implements App {
  readonly #parts: AppParts;
  readonly #engine: Engine;
  #world = new WorldModel();
  #live: { engine: LiveEngine; model: LiveModel; timer: ReturnType<typeof setInterval>; cancelShow: (() => void) | null } | null = null;
  /** Counts beginnings: a question that was asked for an earlier one is answered too late. */
  #generation = 0;
  readonly #listeners = new Set<(news: News) => void>();
  #ask = 0;
  /** What the next world is to come to. */
  #expected: Link | null = null;
  /** What leads to a world that stopped. */
  #last: Reproduction | null = null;
  #opened: WorldOptions = DEFAULT_WORLD;
  /** The page follows the request that it made last, until the user follows another. */
  #followsLatest = true;
  /** Quorums that this page asks for; a core's keyspace has its own for whoever names none. */
  #quorum: { r: number; w: number } | null = null;

  #mode = $state.raw<Scene["mode"]>("simulated");
  #isLoading = $state.raw(true);
  /** Of what the user did or asked for. */
  #trouble = $state.raw<Trouble | null>(null);
  /** Of the live cluster, as long as it lasts. */
  #liveTrouble = $state.raw<Trouble | null>(null);
  #fieldTrouble = $state.raw<Scene["fieldTrouble"]>(null);
  #picture = $state.raw<Scene["picture"]>(null);
  #selectedKey = $state.raw<string | null>(null);
  #keyPicture = $state.raw<Scene["keyPicture"]>(null);
  #selectedNode = $state.raw<number | null>(null);
  #nodePicture = $state.raw<Scene["nodePicture"]>(null);
  #followed = $state.raw<number | null>(null);
  #requests = $state.raw<Scene["requests"]>([]);
  #flights = $state.raw<Scene["flights"]>([]);
  #marks = $state.raw<Scene["marks"]>([]);
  #verdict = $state.raw<Scene["verdict"]>(null);
  #nowUs = $state.raw(0);
  #events = $state.raw(0);
  #isPlaying = $state.raw(false);
  #speed = $state.raw(1);
  #seed = $state.raw(DEFAULT_WORLD.seed);
  #digest = $state.raw("");
  #facts = $state.raw<Scene["live"]>(null);
  #draft = $state.raw<Scene["draft"]>({ verb: "put", key: "cart:42", value: "milk", through: 0, w: null, r: null });
  #view = $state.raw<Scene["view"]>("cluster");
  #language = $state.raw<"en" | "ko" | null>(null);

  readonly scene: Scene;
  readonly actions: Actions;

  constructor(parts: AppParts) {
    this.#parts = parts;
    this.#engine = new Engine((post) => this.#on(post), parts.engine);
    this.scene = this.#makeScene();
    this.actions = this.#makeActions();
  }

  get language(): "en" | "ko" | null {
    return this.#language;
  }

  /** Begins where the address says; an address that says nothing, at the node that served the page, or in the simulation. */
  async begin(): Promise<void> {
    const generation = this.#generation;
    const start = await startOf(this.#parts.address);
    const address = start.kind === "default" ? await this.#parts.isServedByNode() : null;
    if (generation !== this.#generation) return;
    if (address !== null) return this.#attach(address);
    this.#start(start);
  }

  onNews(listener: (news: News) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  run(goal: Goal): Promise<boolean> {
    return this.#engine.run(goal);
  }

  reproduction(): Promise<Reproduction | null> {
    return this.#engine.reproduction();
  }

  close(): void {
    this.#generation += 1;
    this.#detach();
    this.#engine.close();
  }

  // --- beginnings ---

  #start(start: Start): void {
    switch (start.kind) {
      case "trouble":
        this.#trouble = start.trouble;
        this.#isLoading = false;
        return;
      case "live":
        return this.#attach(start.address);
      case "default":
        return this.#open(DEFAULT_WORLD, null);
      case "world":
        this.#language = start.link.language;
        this.#selectedKey = start.link.key;
        this.#selectedNode = start.link.node;
        this.#view = start.link.view ?? "cluster";
        this.#open(start.link.world, start.link);
        this.#quorum = start.link.quorum;
        return;
    }
  }

  #open(world: WorldOptions, link: Link | null): void {
    this.#generation += 1;
    this.#detach();
    this.#world = new WorldModel();
    this.#opened = world;
    this.#expected = link;
    this.#last = null;
    this.#followsLatest = true;
    this.#quorum = null;
    this.#mode = "simulated";
    this.#isLoading = true;
    this.#trouble = null;
    this.#fieldTrouble = null;
    this.#picture = null;
    this.#keyPicture = null;
    this.#nodePicture = null;
    this.#followed = null;
    this.#seed = world.seed;
    const events = link?.events ?? null;
    const isCalm = link === null && world.nodes !== undefined;
    this.#engine.open({
      world,
      script: link?.script ?? null,
      goal: events !== null ? { events } : isCalm ? { until: FORMED_US } : null,
      // A link shows a moment; it stays there until somebody goes on.
      isPlaying: events === null,
      speed: this.#speed,
      key: this.#selectedKey,
      node: this.#selectedNode,
    });
  }

  #attach(address: string): void {
    this.#generation += 1;
    this.#detach();
    this.#engine.close();
    const model = new LiveModel(address);
    const engine = new LiveEngine(address, this.#parts.live, (post) => {
      model.on(post);
      // Whatever was wrong with what the user wanted instead, here is a cluster.
      if (post.kind === "attached") this.#trouble = null;
      this.#tell(model.takeNews());
      this.#showLiveSoon(model);
    });
    // Ages and retry times move without events.
    const timer = setInterval(() => {
      model.tick(this.#parts.live.wallMs());
      this.#showLive(model);
    }, LIVE_TICK_MS);
    this.#live = { engine, model, timer, cancelShow: null };
    this.#mode = "live";
    this.#isLoading = true;
    this.#trouble = null;
    this.#fieldTrouble = null;
    this.#picture = null;
    this.#verdict = null;
    this.#selectedKey = null;
    this.#selectedNode = null;
    this.#view = "cluster";
    this.#followed = null;
    this.#isPlaying = true;
    engine.start();
    this.#showLive(model);
  }

  #detach(): void {
    if (this.#live === null) return;
    clearInterval(this.#live.timer);
    this.#live.cancelShow?.();
    this.#live.engine.close();
    this.#live = null;
    this.#facts = null;
    this.#liveTrouble = null;
  }

  // --- what is heard ---

  #on(post: Post): void {
    if (this.#live !== null) return;
    this.#world.on(post);
    switch (post.kind) {
      case "stopped":
        this.#trouble = post.trouble;
        this.#last = post.last;
        this.#isLoading = false;
        break;
      case "trouble":
        this.#trouble = post.trouble;
        break;
      case "ran":
        if (post.id === 0) void this.#verify();
        break;
      case "opened":
        // Only now it is known what a drawn world's N is.
        if (this.#quorum !== null) this.#refuse(quorumTrouble(this.#quorum, post.options.n));
        break;
      case "asked":
        if (this.#followsLatest) this.#followed = this.#world.latest;
        break;
      default:
        break;
    }
    this.#tell(this.#world.takeNews());
    this.#show();
  }

  /** A quorum that cannot be is not asked for: the keyspace's own is, and that is said. */
  #refuse(trouble: Trouble | null): void {
    if (trouble === null) return;
    this.#quorum = null;
    this.#trouble = trouble;
  }

  /** The run that a link led to is compared with the one that it was taken from. */
  async #verify(): Promise<void> {
    const expected = this.#expected?.digest ?? null;
    const generation = this.#generation;
    const found = await this.#engine.reproduction();
    if (expected === null || found === null || generation !== this.#generation || found.digest === expected) return;
    this.#trouble = { code: "badLink", holes: {}, reason: { code: "otherTrace", holes: { expected, found: found.digest } } };
  }

  #show(): void {
    const world = this.#world;
    this.#requests = world.requests();
    this.#marks = world.marks();
    this.#flights = world.flights;
    this.#nowUs = world.nowUs;
    this.#events = world.events;
    this.#isPlaying = world.isPlaying;
    this.#speed = world.options === null ? this.#speed : world.speed;
    this.#seed = world.options?.seed ?? this.#seed;
    this.#verdict = world.verdict;
    if (world.picture === null) return;
    this.#isLoading = false;
    const { keyspace } = world.picture;
    this.#picture =
      this.#quorum === null ? world.picture : { ...world.picture, keyspace: { ...keyspace, ...this.#quorum } };
    this.#digest = world.picture.digest;
    // A picture of what was selected before is not one of what is selected now.
    this.#keyPicture = world.askedKey === this.#selectedKey ? world.keyPicture : null;
    this.#nodePicture =
      this.#selectedNode !== null && world.nodePicture?.name === world.picture.nodes[this.#selectedNode]?.name
        ? world.nodePicture
        : null;
  }

  #showLiveSoon(model: LiveModel): void {
    const live = this.#live;
    if (live?.model !== model || live.cancelShow !== null) return;
    live.cancelShow = this.#parts.live.later(LIVE_SHOW_MS, () => this.#showLive(model));
  }

  #showLive(model: LiveModel): void {
    if (this.#live?.model !== model) return;
    this.#live.cancelShow?.();
    this.#live.cancelShow = null;
    this.#facts = model.facts();
    this.#requests = model.requests();
    this.#marks = model.marks();
    this.#flights = model.flights();
    this.#nowUs = model.nowUs();
    this.#events = model.events();
    this.#liveTrouble = model.trouble();
    this.#picture = model.picture();
    this.#keyPicture = model.keyPicture(this.#selectedKey);
    this.#nodePicture = model.nodePicture(this.#selectedNode);
    this.#isLoading = this.#picture === null && this.#facts.status === "attaching";
    // A stranger sees the inside of a node at once.
    if (this.#selectedNode === null && this.#picture !== null && this.#picture.nodes.length > 0) this.#select(this.#selectedKey, 0);
  }

  #tell(news: readonly News[]): void {
    for (const one of news) for (const listener of this.#listeners) listener(one);
  }

  // --- what is done ---

  #select(key: string | null, node: number | null): void {
    const isOtherKey = key !== this.#selectedKey;
    this.#selectedKey = key;
    this.#selectedNode = node;
    if (this.#live !== null) {
      this.#live.engine.select(key, node === null ? null : (this.#picture?.nodes[node]?.name ?? null));
      this.#keyPicture = this.#live.model.keyPicture(key);
      this.#nodePicture = this.#live.model.nodePicture(node);
    } else {
      if (isOtherKey) this.#keyPicture = null;
      if (this.#nodePicture?.name !== (node === null ? null : this.#picture?.nodes[node]?.name)) this.#nodePicture = null;
      this.#engine.send({ kind: "select", key, node });
    }
  }

  #send(): void {
    const draft = this.#draft;
    this.#fieldTrouble = checkDraft(draft);
    if (this.#fieldTrouble !== null || this.#mode === "live") return;
    // There is no world to ask: what is wrong stays in sight, with its way out.
    if (this.#trouble?.code === "panicked" || (this.#trouble !== null && this.#picture === null)) return;
    const { verb, key, value, through } = draft;
    const r = draft.r ?? this.#quorum?.r ?? null;
    const w = draft.w ?? this.#quorum?.w ?? null;
    const { n } = this.#picture?.keyspace ?? { n: Infinity };
    this.#trouble = quorumTrouble(verb === "get" ? { r } : { w }, n);
    if (this.#trouble !== null) return;
    this.#followsLatest = true;
    this.#select(draft.key, this.#selectedNode);
    this.#engine.send({ kind: "ask", ask: ++this.#ask, verb, key, value, through, r, w });
  }

  #merge(value: string): void {
    const key = this.#selectedKey;
    if (key === null || this.#mode === "live") return;
    const trouble = checkDraft({ ...this.#draft, verb: "put", key, value });
    this.#fieldTrouble = trouble;
    if (trouble !== null) return;
    if (this.#trouble !== null && isPassing(this.#trouble)) this.#trouble = null;
    this.#followsLatest = true;
    const { through } = this.#draft;
    const w = this.#draft.w ?? this.#quorum?.w ?? null;
    // That includes the page's own R.
    const r = this.#picture?.keyspace.r ?? 1;
    this.#engine.send({ kind: "merge", ask: ++this.#ask, key, value, through, r, w });
  }

  /** R and W are every request's own; N and `resolve` are of the data, so another of them is another world. */
  #setKeyspace(part: Parameters<Actions["setKeyspace"]>[0]): void {
    const now = this.#picture?.keyspace;
    if (now === undefined || this.#mode === "live") return;
    const nodes = this.#picture?.nodes.length ?? 1;
    const found = wished(now, part, nodes);
    if (!found.ok) {
      this.#trouble = found.trouble;
      return;
    }
    const { n, r, w, resolve } = found.keyspace;
    if (n !== now.n || resolve !== now.resolve) {
      const { seed, partitions, memtableBytes } = this.#world.options ?? DEFAULT_WORLD;
      const rest = { ...(partitions === undefined ? {} : { partitions }), ...(memtableBytes === undefined ? {} : { memtableBytes }) };
      this.#open({ seed, nodes, ...rest, n, r, w, resolve }, null);
      // What the composer asks for by itself was meant for the keyspace before.
      this.#draft = { ...this.#draft, r: null, w: null };
      this.#trouble = found.lowered;
      return;
    }
    if (this.#trouble !== null && isPassing(this.#trouble)) this.#trouble = null;
    this.#quorum = { r, w };
    this.#show();
  }

  /** One that stopped is soon Down in the eyes of the others, and one that runs may be. */
  #isStopped(node: number): boolean {
    return this.#picture?.nodes[node]?.isRunning === false;
  }

  #cutOrHeal(node: number): void {
    const picture = this.#picture;
    if (picture === null || this.#live !== null) return;
    const others = picture.nodes.map((_, place) => place).filter((place) => place !== node);
    const isCut = picture.cuts.some(([from, to]) => from === node || to === node);
    this.#engine.send({
      kind: "fault",
      fault: isCut ? { kind: "heal", one: [node], other: others } : { kind: "cut", one: [node], other: others },
    });
  }

  #startAgain(seed?: string): void {
    if (seed === undefined) return this.#open(this.#opened, null);
    const parsed = parseSeed(seed);
    if (!parsed.ok) {
      this.#trouble = { code: "badSeed", holes: { seed: seed.slice(0, 40) } };
      return;
    }
    // Options that were refused once would be refused again.
    const isUsable = this.#trouble === null && this.#opened.nodes !== undefined;
    this.#open({ ...(isUsable ? this.#opened : DEFAULT_WORLD), seed: parsed.value }, null);
  }

  async #copyLink(): ReturnType<Actions["copyLink"]> {
    if (this.#live !== null) return "none";
    const generation = this.#generation;
    const found = (await this.#engine.reproduction()) ?? this.#last;
    // Another world is not the one that was asked for.
    if (found === null || generation !== this.#generation) return "none";
    const link = await encodeLink(found, {
      key: this.#selectedKey,
      node: this.#selectedNode,
      quorum: this.#quorum,
      language: this.#parts.language(),
      view: this.#view,
    });
    if (generation !== this.#generation) return "none";
    if (!link.ok) {
      // A world that stopped says what is more important.
      if (this.#last === null) this.#trouble = { code: "noLink", holes: {}, reason: link.reason };
      return "none";
    }
    if (this.#trouble?.code === "noLink") this.#trouble = null;
    const url = this.#parts.showLink(link.value);
    try {
      await this.#parts.copy(url);
      return "copied";
    } catch {
      // Without permission the address bar has it.
      return "shown";
    }
  }

  #setMode(mode: Scene["mode"], address?: string): void {
    if (mode === "simulated") return this.#open(DEFAULT_WORLD, null);
    if (address === undefined) {
      const generation = ++this.#generation;
      void this.#parts.isServedByNode().then((own) => {
        if (generation === this.#generation) this.#attach(own ?? ADMIN_DEFAULT);
      });
      return;
    }
    const parsed = parseAddress(address);
    if (parsed.ok) this.#attach(parsed.value);
    else this.#trouble = { code: "badLink", holes: {}, reason: parsed.reason };
  }

  #makeActions(): Actions {
    // A live cluster is looked at, and nothing is done to it.
    const send = (command: Parameters<Engine["send"]>[0]): void => {
      if (this.#live === null) this.#engine.send(command);
    };
    const fault = (fault: Extract<Parameters<Engine["send"]>[0], { kind: "fault" }>["fault"]): void => send({ kind: "fault", fault });
    return {
      send: () => this.#send(),
      setDraft: (part) => {
        this.#draft = { ...this.#draft, ...part };
        this.#fieldTrouble = null;
      },
      selectKey: (key) => this.#select(key, this.#selectedNode),
      selectNode: (node) => this.#select(this.#selectedKey, node),
      follow: (request) => {
        this.#followed = request;
        this.#followsLatest = request === null || request === this.#world.latest;
      },
      setView: (view) => {
        this.#view = view;
      },
      crashOrRevive: (node) => fault({ kind: this.#isStopped(node) ? "restart" : "crash", node }),
      cutOrHeal: (node) => this.#cutOrHeal(node),
      cutHalves: (one, other) => fault({ kind: "cut", one, other }),
      healAll: () => fault({ kind: "heal", one: null, other: null }),
      slow: (node, ms) => fault({ kind: "slow", node, ms: within(Math.round(ms), 0, 60_000) }),
      loss: (node, permille) => fault({ kind: "loss", node, permille: within(Math.round(permille), 0, 1_000) }),
      setKeyspace: (part) => this.#setKeyspace(part),
      merge: (value) => this.#merge(value),
      play: () => this.#pace("play"),
      pause: () => this.#pace("pause"),
      step: () => send({ kind: "step" }),
      setSpeed: (speed) => {
        this.#speed = within(speed, SPEED_MIN, SPEED_MAX);
        send({ kind: "speed", speed: this.#speed });
      },
      startAgain: (seed) => this.#startAgain(seed),
      copyLink: () => this.#copyLink(),
      setMode: (mode, address) => this.#setMode(mode, address),
    };
  }

  /** A live cluster does not stop for anybody: its picture is held still. */
  #pace(kind: "play" | "pause"): void {
    if (this.#live === null) return this.#engine.send({ kind });
    this.#isPlaying = kind === "play";
    this.#live.model.hold(kind === "pause");
    this.#showLive(this.#live.model);
  }

  #makeScene(): Scene {
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- getters have a `this` of their own
    const app = this;
    return {
      get mode() { return app.#mode; },
      get isLoading() { return app.#isLoading; },
      get trouble() { return app.#trouble ?? app.#liveTrouble; },
      get fieldTrouble() { return app.#fieldTrouble; },
      get picture() { return app.#picture; },
      get selectedKey() { return app.#selectedKey; },
      get keyPicture() { return app.#keyPicture; },
      get selectedNode() { return app.#selectedNode; },
      get nodePicture() { return app.#nodePicture; },
      get followed() { return app.#followed; },
      get requests() { return app.#requests; },
      get flights() { return app.#flights; },
      get marks() { return app.#marks; },
      get verdict() { return app.#verdict; },
      get nowUs() { return app.#nowUs; },
      get events() { return app.#events; },
      get isPlaying() { return app.#isPlaying; },
      get speed() { return app.#speed; },
      get seed() { return app.#seed; },
      get digest() { return app.#digest; },
      get live() { return app.#facts; },
      get draft() { return app.#draft; },
      get view() { return app.#view; },
    };
  }
}

function within(value: number, least: number, most: number): number {
  return Number.isFinite(value) ? Math.min(most, Math.max(least, value)) : least;
}
