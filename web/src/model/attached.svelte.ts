/**
 * A live cluster that the page is attached to: read only, and gone when the page turns to something else. What only this
 * needs comes when it is needed, so that a simulation does not wait for it.
 */
import type { LiveEngine, LivePost } from "../engine/live.ts";
import type { LiveParts } from "../engine/live-parts.ts";
import type { LiveModel } from "./live.ts";
import type { Session, Tell } from "./session.ts";
import { Shown } from "./shown.svelte.ts";

/** How often a live scene is made anew between events: ages and retry times move. */
const LIVE_TICK_MS = 100;
/** Events of many members come together: what they change is shown once. */
const LIVE_SHOW_MS = 16;

export class Attached implements Session {
  readonly shown = new Shown();
  readonly #start: { address: string; others: readonly string[] };
  readonly #parts: LiveParts;
  readonly #tell: Tell;
  readonly #onAttached: () => void;
  /** Nothing before they have come. */
  #inside: { engine: LiveEngine; model: LiveModel } | null = null;
  #timer: ReturnType<typeof setInterval> | null = null;
  #cancelShow: (() => void) | null = null;
  #isClosed = false;

  /** To whoever answers first, there or at the other addresses, and to all that it names. `onAttached` is called whenever a member answers. */
  constructor(address: string, others: readonly string[], parts: LiveParts, tell: Tell, onAttached: () => void) {
    this.shown.isPlaying = true;
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
      this.shown.trouble = { code: "part", holes: {} };
      this.shown.isLoading = false;
      return;
    }
    // Ages and retry times move without events.
    this.#timer = setInterval(() => {
      this.#inside?.model.tick(this.#parts.wallMs());
      this.#show();
    }, LIVE_TICK_MS);
    if (!this.shown.isPlaying) this.#inside.model.hold(true);
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

  select(key: string | null, node: number | null): void {
    this.shown.selectedKey = key;
    this.shown.selectedNode = node;
    this.#select();
  }

  #select(): void {
    if (this.#inside === null) return;
    const { engine, model } = this.#inside;
    const [key, node] = [this.shown.selectedKey, this.shown.selectedNode];
    engine.select(key, node === null ? null : (this.shown.picture?.nodes[node]?.name ?? null));
    this.shown.keyPicture = model.keyPicture(key);
    this.shown.nodePicture = model.nodePicture(node);
  }

  follow(request: number | null): void {
    this.shown.followed = request;
  }

  play(): void {
    this.#hold(false);
  }

  pause(): void {
    this.#hold(true);
  }

  /** A live cluster does not stop for anybody: its picture is held still. */
  #hold(isHeld: boolean): void {
    this.shown.isPlaying = !isHeld;
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
    const { shown } = this;
    shown.live = model.facts();
    shown.requests = model.requests();
    shown.marks = model.marks();
    shown.flights = model.flights();
    shown.nowUs = model.nowUs();
    shown.events = model.events();
    shown.trouble = model.trouble();
    shown.picture = model.picture();
    shown.isLoading = shown.picture === null && shown.live?.status === "attaching";
    shown.keyPicture = model.keyPicture(shown.selectedKey);
    shown.nodePicture = model.nodePicture(shown.selectedNode);
    // A stranger sees the inside of a node at once.
    if (shown.selectedNode === null && shown.picture !== null && shown.picture.nodes.length > 0) this.select(shown.selectedKey, 0);
  }
}
