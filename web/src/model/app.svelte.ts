/**
 * The page's state: one `Scene` that the view draws, and the `Actions` that change it.
 *
 * Here the parts meet: the address (`link`), the simulated session, which is kept while a live one is looked at, and that one.
 */
import { type EngineParts, browserParts } from "../engine/client.ts";
import { type LiveParts, browserLiveParts, servingNode } from "../engine/live-parts.ts";
import type { Goal, Reproduction, WorldOptions } from "../engine/protocol.ts";
import { Attached } from "./attached.svelte.ts";
import { checkDraft } from "./draft.ts";
import { type Start, encodeLink, parseAddress, parseSeed, startOf } from "./link.ts";
import type { News } from "./news.ts";
import type { Actions, Scene, Trouble } from "./scene.ts";
import type { Session } from "./session.ts";
import { RECORDED } from "./recorded.ts";
import { type Beginning, DEFAULT_WORLD, FORMED_US, Simulated } from "./simulated.svelte.ts";

/** Where `kvorum server` answers if it is told nothing else. */
const ADMIN_DEFAULT = "127.0.0.1:7380";

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
  /** The address of the node that served the page, if one did. */
  servingNode(): Promise<string | null>;
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

function browserAppParts(): AppParts {
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
    servingNode: () => servingNode(location),
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
  readonly #simulated: Simulated;
  #attached = $state.raw<Attached | null>(null);
  /** Members of the cluster that the page was attached to last, the best first: any of them leads back to it. */
  #addresses: readonly string[] = [];
  /** Counts what the user has chosen: a question that was asked before is answered too late. */
  #generation = 0;
  readonly #listeners = new Set<(news: News) => void>();

  /** Of an address that was asked for; whatever is wrong with a cluster is its session's. */
  #addressTrouble = $state.raw<Trouble | null>(null);
  #fieldTrouble = $state.raw<Scene["fieldTrouble"]>(null);
  #draft = $state.raw<Scene["draft"]>({ verb: "put", key: "cart:42", value: "milk", through: 0, w: null, r: null });
  #view = $state.raw<Scene["view"]>("cluster");
  #language = $state.raw<"en" | "ko" | null>(null);

  readonly scene: Scene;
  readonly actions: Actions;

  constructor(parts: AppParts) {
    this.#parts = parts;
    this.#simulated = new Simulated(parts.engine, (news) => {
      // A world that stands still while another is looked at has nothing to say.
      if (this.#attached === null) this.#tell(news);
    });
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
    const address = start.kind === "default" ? await this.#parts.servingNode() : null;
    if (generation !== this.#generation) return;
    if (address !== null) return this.#attach(address);
    this.#start(start);
  }

  onNews(listener: (news: News) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  run(goal: Goal): Promise<boolean> {
    return this.#simulated.run(goal);
  }

  reproduction(): Promise<Reproduction | null> {
    return this.#simulated.reproduction();
  }

  close(): void {
    this.#generation += 1;
    this.#detach();
    this.#simulated.close();
  }

  /** A live cluster has no composer to say it in. */
  get #lookUpTrouble(): Trouble | null {
    return this.#attached === null ? null : (this.#fieldTrouble?.trouble ?? null);
  }

  get #session(): Session {
    return this.#attached ?? this.#simulated;
  }

  // --- beginnings ---

  #start(start: Start): void {
    switch (start.kind) {
      case "trouble":
        return this.#simulated.fail(start.trouble);
      case "live":
        return this.#attach(start.address);
      case "default":
        return this.#open(DEFAULT_WORLD);
      case "world":
        this.#language = start.link.language;
        this.#view = start.link.view ?? "cluster";
        this.#generation += 1;
        return this.#simulated.open(start.link.world, start.link);
    }
  }

  #open(world: WorldOptions, how: Beginning = {}): void {
    this.#toSimulated();
    this.#simulated.open(world, null, how);
  }

  #toSimulated(): void {
    this.#generation += 1;
    this.#detach();
    this.#addressTrouble = null;
    this.#fieldTrouble = null;
  }

  #attach(address: string, others: readonly string[] = []): void {
    this.#generation += 1;
    this.#detach();
    // It is kept as it is, to come back to.
    this.#simulated.pause();
    this.#addressTrouble = null;
    this.#fieldTrouble = null;
    this.#view = "cluster";
    // Whatever was wrong with what the user wanted instead, once somebody answers here is a cluster.
    const onAttached = (): void => {
      this.#addressTrouble = null;
      if (this.#fieldTrouble?.trouble.code === "connectionLost") this.#fieldTrouble = null;
    };
    const attached = new Attached(address, others, this.#parts.live, (news) => this.#tell(news), onAttached);
    this.#attached = attached;
    void attached.start();
  }

  #detach(): void {
    if (this.#attached !== null) this.#addresses = this.#attached.addresses;
    this.#attached?.close();
    this.#attached = null;
  }

  #tell(news: readonly News[]): void {
    for (const one of news) for (const listener of this.#listeners) listener(one);
  }

  // --- what is done ---

  #send(): boolean {
    const draft = this.#draft;
    this.#fieldTrouble = checkDraft(draft);
    return this.#fieldTrouble === null && this.#attached === null && this.#simulated.ask(draft);
  }

  /** What a live cluster is asked for is not typed in the composer, but no less a key. */
  #selectKey(key: string | null): void {
    this.#fieldTrouble = this.#attached === null ? null : checkDraft({ ...this.#draft, verb: "get", key: key ?? "" });
    const trouble = this.#attached?.shown.trouble ?? null;
    // Nobody is there to ask any more.
    if (this.#fieldTrouble === null && trouble?.code === "connectionLost") this.#fieldTrouble = { field: "key", trouble };
    if (this.#fieldTrouble === null) this.#session.select(key, this.#session.shown.selectedNode);
  }

  #merge(value: string): boolean {
    const key = this.#simulated.shown.selectedKey;
    if (key === null || this.#attached !== null) return false;
    this.#fieldTrouble = checkDraft({ ...this.#draft, verb: "put", key, value });
    return this.#fieldTrouble === null && this.#simulated.merge(key, value, this.#draft);
  }

  #setKeyspace(wish: Parameters<Actions["setKeyspace"]>[0]): boolean {
    const done = this.#attached === null ? this.#simulated.setKeyspace(wish) : "refused";
    if (done !== "another") return done === "same";
    this.#generation += 1;
    this.#fieldTrouble = null;
    // What the composer asks for by itself was meant for the keyspace before.
    this.#draft = { ...this.#draft, r: null, w: null };
    return true;
  }

  #startAgain(seed?: string): void {
    const parsed = seed === undefined ? null : parseSeed(seed);
    if (parsed !== null && !parsed.ok) return this.#simulated.fail({ code: "badSeed", holes: { seed: (seed ?? "").slice(0, 40) } });
    this.#toSimulated();
    // What the address led to is left.
    this.#parts.showLink("");
    this.#simulated.startAgain(parsed?.value ?? null);
  }

  async #copyLink(): ReturnType<Actions["copyLink"]> {
    if (this.#attached !== null) return "none";
    const generation = this.#generation;
    const simulated = this.#simulated;
    const found = await simulated.reproduction();
    if (found === null || generation !== this.#generation) return "none";
    const link = await encodeLink(found, {
      key: simulated.shown.selectedKey,
      node: simulated.shown.selectedNode,
      quorum: simulated.quorum,
      language: this.#parts.language(),
      view: this.#view,
    });
    if (generation !== this.#generation) return "none";
    simulated.onLink(link.ok ? null : { code: "noLink", holes: {}, reason: link.reason });
    if (!link.ok) return "none";
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
    if (mode === "simulated") {
      // Whoever comes back finds what they left.
      if (!this.#simulated.hasBegun) return this.#open(DEFAULT_WORLD);
      return this.#toSimulated();
    }
    if (address === undefined) {
      const generation = ++this.#generation;
      void this.#parts.servingNode().then((own) => {
        if (generation !== this.#generation) return;
        if (this.#attached !== null) this.#addresses = this.#attached.addresses;
        const [address = own ?? ADMIN_DEFAULT, ...others] = this.#addresses;
        this.#attach(address, others);
      });
      return;
    }
    const parsed = parseAddress(address);
    if (parsed.ok) this.#attach(parsed.value);
    else this.#addressTrouble = { code: "badLink", holes: {}, reason: parsed.reason };
  }

  /** A run whose link comes with the page, in the simulation. */
  #openRecorded(): void {
    this.#toSimulated();
    this.#simulated.open(RECORDED.world, RECORDED, { goal: { until: FORMED_US }, isPlaying: true });
  }

  #makeActions(): Actions {
    // A live cluster is looked at, and nothing is done to it.
    const simulate = (act: (simulated: Simulated) => unknown): void => {
      if (this.#attached === null) act(this.#simulated);
    };
    return {
      send: () => this.#send(),
      setDraft: (part) => {
        this.#draft = { ...this.#draft, ...part };
        this.#fieldTrouble = null;
      },
      selectKey: (key) => this.#selectKey(key),
      selectNode: (node) => this.#session.select(this.#session.shown.selectedKey, node),
      follow: (request) => this.#session.follow(request),
      setView: (view) => {
        this.#view = view;
        if (this.#attached !== null) this.#fieldTrouble = null;
      },
      crashOrRevive: (node) => simulate((world) => world.crashOrRevive(node)),
      cutOrHeal: (node) => simulate((world) => world.cutOrHeal(node)),
      cutHalves: (one, other) => simulate((world) => world.fault({ kind: "cut", one, other })),
      healAll: () => simulate((world) => world.fault({ kind: "heal", one: null, other: null })),
      slow: (node, ms) => simulate((world) => world.slow(node, ms)),
      loss: (node, permille) => simulate((world) => world.loss(node, permille)),
      setKeyspace: (part) => this.#setKeyspace(part),
      merge: (value) => this.#merge(value),
      play: () => this.#session.play(),
      pause: () => this.#session.pause(),
      step: () => simulate((world) => world.step()),
      stepBack: () => simulate((world) => world.stepBack()),
      runToEnd: () => simulate((world) => world.runToEnd()),
      runSeed: () => simulate((world) => this.#open({ seed: world.shown.seed }, { goal: { until: "end" }, isPlaying: false })),
      halt: () => simulate((world) => world.halt()),
      setSpeed: (speed) => simulate((world) => world.setSpeed(speed)),
      startAgain: (seed) => this.#startAgain(seed),
      openRecorded: () => this.#openRecorded(),
      copyLink: () => this.#copyLink(),
      setMode: (mode, address) => this.#setMode(mode, address),
    };
  }

  #makeScene(): Scene {
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- getters have a `this` of their own
    const app = this;
    return {
      get mode() { return app.#attached === null ? "simulated" : "live"; },
      get isLoading() { return app.#session.shown.isLoading; },
      get trouble() { return app.#addressTrouble ?? app.#lookUpTrouble ?? app.#session.shown.trouble; },
      get fieldTrouble() { return app.#fieldTrouble; },
      get picture() { return app.#session.shown.picture; },
      get selectedKey() { return app.#session.shown.selectedKey; },
      get keyPicture() { return app.#session.shown.keyPicture; },
      get selectedNode() { return app.#session.shown.selectedNode; },
      get nodePicture() { return app.#session.shown.nodePicture; },
      get followed() { return app.#session.shown.followed; },
      get requests() { return app.#session.shown.requests; },
      get flights() { return app.#session.shown.flights; },
      get marks() { return app.#session.shown.marks; },
      get verdict() { return app.#session.shown.verdict; },
      get nowUs() { return app.#session.shown.nowUs; },
      get events() { return app.#session.shown.events; },
      get isPlaying() { return app.#session.shown.isPlaying; },
      get speed() { return app.#session.shown.speed; },
      get seed() { return app.#session.shown.seed; },
      get digest() { return app.#session.shown.digest; },
      get running() { return app.#session.shown.running; },
      get live() { return app.#session.shown.live; },
      get draft() { return app.#draft; },
      get view() { return app.#view; },
    };
  }
}
