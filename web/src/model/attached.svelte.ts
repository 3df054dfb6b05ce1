/**
 * A live cluster that the page is attached to: read only, and gone when the page turns to something else. What only this
 * needs comes when it is needed, so that a simulation does not wait for it.
 */
import type { LiveEngine, LivePost } from "../engine/live.ts";
import type { LiveParts } from "../engine/live-parts.ts";
import type { LiveModel } from "./live.ts";
import type { Scene } from "./scene.ts";
import type { Session, Tell } from "./session.ts";

/** How often a live scene is made anew between events: ages and retry times move. */
const LIVE_TICK_MS = 100;
/** Events of many members come together: what they change is shown once. */
const LIVE_SHOW_MS = 16;

export class Attached implements Session {
  readonly verdict = null;
  readonly speed = 1;
  readonly seed = "";
  readonly digest = "";
  readonly running = null;
  readonly #start: { address: string; others: readonly string[] };
  readonly #parts: LiveParts;
  readonly #tell: Tell;
  readonly #onAttached: () => void;
  /** Nothing before they have come. */
  #inside: { engine: LiveEngine; model: LiveModel } | null = null;
  #timer: ReturnType<typeof setInterval> | null = null;
  #cancelShow: (() => void) | null = null;
  #isClosed = false;

  #facts = $state.raw<Scene["live"]>(null);
  #trouble = $state.raw<Scene["trouble"]>(null);
  #picture = $state.raw<Scene["picture"]>(null);
  #selectedKey = $state.raw<string | null>(null);
  #keyPicture = $state.raw<Scene["keyPicture"]>(null);
  #selectedNode = $state.raw<number | null>(null);
  #nodePicture = $state.raw<Scene["nodePicture"]>(null);
  #followed = $state.raw<number | null>(null);
  #requests = $state.raw<Scene["requests"]>([]);
  #flights = $state.raw<Scene["flights"]>([]);
  #marks = $state.raw<Scene["marks"]>([]);
  #nowUs = $state.raw(0);
  #events = $state.raw(0);
  #isPlaying = $state.raw(true);

  /** To whoever answers first, there or at the other addresses, and to all that it names. `onAttached` is called whenever a member answers. */
  constructor(address: string, others: readonly string[], parts: LiveParts, tell: Tell, onAttached: () => void) {
    this.#start = { address, others };
    this.#parts = parts;
    this.#tell = tell;
    this.#onAttached = onAttached;
  }

  async start(): Promise<void> {
    try {
      const [{ LiveEngine }, { LiveModel }] = await Promise.all([import("../engine/live.ts"), import("./live.ts")]);
      if (this.#isClosed) return;
      const { address, others } = this.#start;
      const engine = new LiveEngine(address, this.#parts, (post) => this.#on(post), others);
      this.#inside = { engine, model: new LiveModel(address, others) };
    } catch {
      this.#trouble = { code: "part", holes: {} };
      return;
    }
    // Ages and retry times move without events.
    this.#timer = setInterval(() => {
      this.#inside?.model.tick(this.#parts.wallMs());
      this.#show();
    }, LIVE_TICK_MS);
    if (!this.#isPlaying) this.#inside.model.hold(true);
    this.#inside.engine.start();
    this.#select();
    this.#show();
  }

  #on(post: LivePost): void {
    if (this.#inside === null) return;
    const { model } = this.#inside;
    model.on(post);
    if (post.kind === "attached") this.#onAttached();
    this.#tell(model.takeNews());
    this.#showSoon();
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#cancelShow?.();
    this.#inside?.engine.close();
  }

  /** Where the cluster can be found again, best first. */
  get addresses(): readonly string[] { return this.#inside?.model.addresses() ?? [this.#start.address, ...this.#start.others]; }
  get isLoading(): boolean { return this.#picture === null && this.#trouble?.code !== "part" && (this.#facts === null || this.#facts.status === "attaching"); }
  get live(): Scene["live"] { return this.#facts; }
  get trouble(): Scene["trouble"] { return this.#trouble; }
  get picture(): Scene["picture"] { return this.#picture; }
  get selectedKey(): string | null { return this.#selectedKey; }
  get keyPicture(): Scene["keyPicture"] { return this.#keyPicture; }
  get selectedNode(): number | null { return this.#selectedNode; }
  get nodePicture(): Scene["nodePicture"] { return this.#nodePicture; }
  get followed(): number | null { return this.#followed; }
  get requests(): Scene["requests"] { return this.#requests; }
  get flights(): Scene["flights"] { return this.#flights; }
  get marks(): Scene["marks"] { return this.#marks; }
  get nowUs(): number { return this.#nowUs; }
  get events(): number { return this.#events; }
  get isPlaying(): boolean { return this.#isPlaying; }

  select(key: string | null, node: number | null): void {
    this.#selectedKey = key;
    this.#selectedNode = node;
    this.#select();
  }

  #select(): void {
    if (this.#inside === null) return;
    const { engine, model } = this.#inside;
    const [key, node] = [this.#selectedKey, this.#selectedNode];
    engine.select(key, node === null ? null : (this.#picture?.nodes[node]?.name ?? null));
    this.#keyPicture = model.keyPicture(key);
    this.#nodePicture = model.nodePicture(node);
  }

  follow(request: number | null): void {
    this.#followed = request;
  }

  play(): void {
    this.#hold(false);
  }

  pause(): void {
    this.#hold(true);
  }

  /** A live cluster does not stop for anybody: its picture is held still. */
  #hold(isHeld: boolean): void {
    this.#isPlaying = !isHeld;
    this.#inside?.model.hold(isHeld);
    this.#show();
  }

  #showSoon(): void {
    if (this.#isClosed || this.#cancelShow !== null) return;
    this.#cancelShow = this.#parts.later(LIVE_SHOW_MS, () => this.#show());
  }

  #show(): void {
    if (this.#isClosed || this.#inside === null) return;
    this.#cancelShow?.();
    this.#cancelShow = null;
    const { model } = this.#inside;
    this.#facts = model.facts();
    this.#requests = model.requests();
    this.#marks = model.marks();
    this.#flights = model.flights();
    this.#nowUs = model.nowUs();
    this.#events = model.events();
    this.#trouble = model.trouble();
    this.#picture = model.picture();
    this.#keyPicture = model.keyPicture(this.#selectedKey);
    this.#nodePicture = model.nodePicture(this.#selectedNode);
    // A stranger sees the inside of a node at once.
    if (this.#selectedNode === null && this.#picture !== null && this.#picture.nodes.length > 0) this.select(this.#selectedKey, 0);
  }
}
