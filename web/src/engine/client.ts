/**
 * The page's end of the worker: typed commands out, posts in, and what can go wrong with a worker as `Trouble`.
 *
 * A panicked module cannot be used again, so every new world after one gets a new worker.
 */
import type { Command, Goal, Post, Reproduction, Trouble } from "./protocol.ts";
import workerUrl from "./worker.ts?worker&url";

type OpenCommand = Extract<Command, { kind: "open" }>;

/** What hears the posts, in their order. */
export type Listener = (post: Post) => void;

/** The part of a `Worker` that is used, so that tests can stand in for it. */
export interface WorkerLike {
  postMessage(command: Command): void;
  terminate(): void;
  onmessage: ((event: MessageEvent<Post>) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
  onmessageerror: ((event: MessageEvent) => void) | null;
}

export interface EngineParts {
  hasWasm: boolean;
  /** `null` where there are no workers. */
  spawn: (() => WorkerLike) | null;
  /** What comes of asking for the worker's script, to tell why it did not start. */
  probe(): Promise<Probe>;
}

/** `silent`: nobody answers where the page came from; `missing`: somebody does, and has no such file. */
export type Probe = "served" | "missing" | "silent";

/** Longer than a server needs that is there. */
const PROBE_MS_MAX = 3_000;

/** What this browser can do. */
export function browserParts(): EngineParts {
  return {
    hasWasm: typeof WebAssembly === "object" && typeof WebAssembly.instantiate === "function",
    spawn: typeof Worker === "function" ? () => new Worker(workerUrl, { type: "module" }) : null,
    probe: async () => {
      try {
        const { ok } = await fetch(workerUrl, { method: "HEAD", cache: "no-store", signal: AbortSignal.timeout(PROBE_MS_MAX) });
        return ok ? "served" : "missing";
      } catch {
        return "silent";
      }
    },
  };
}

export class Engine {
  readonly #parts: EngineParts;
  readonly #listener: Listener;
  #worker: WorkerLike | null = null;
  #isStopped = false;
  #id = 0;
  readonly #runs = new Map<number, (reached: boolean) => void>();
  readonly #links = new Map<number, (reproduction: Reproduction | null) => void>();

  constructor(listener: Listener, parts: EngineParts = browserParts()) {
    this.#listener = listener;
    this.#parts = parts;
  }

  /** Begins a world anew. */
  open(world: Omit<OpenCommand, "kind">): void {
    if (!this.#parts.hasWasm) return this.#stop({ code: "noWasm", holes: { what: "" } });
    if (this.#parts.spawn === null) return this.#stop({ code: "noWorker", holes: { what: "" } });
    this.#settle();
    if (this.#worker === null || this.#isStopped) {
      this.#worker?.terminate();
      try {
        this.#worker = this.#parts.spawn();
      } catch (error) {
        // A policy of the page's host may forbid workers.
        return this.#stop({ code: "noWorker", holes: { what: String(error) } });
      }
      this.#isStopped = false;
      this.#listen(this.#worker);
    }
    this.#worker.postMessage({ kind: "open", ...world });
  }

  send(command: Exclude<Command, { kind: "open" | "run" | "link" | "drawn" }>): void {
    if (!this.#isStopped) this.#worker?.postMessage(command);
  }

  /** Goes on to a goal, whether playing or not. `false` if the world ended before. */
  run(goal: Goal): Promise<boolean> {
    const worker = this.#worker;
    if (worker === null || this.#isStopped) return Promise.resolve(false);
    return new Promise((resolve) => {
      const id = ++this.#id;
      this.#runs.set(id, resolve);
      worker.postMessage({ kind: "run", id, goal });
    });
  }

  /** What makes the state that is shown again; `null` if the world has stopped. */
  reproduction(): Promise<Reproduction | null> {
    const worker = this.#worker;
    if (worker === null || this.#isStopped) return Promise.resolve(null);
    return new Promise((resolve) => {
      const id = ++this.#id;
      this.#links.set(id, resolve);
      worker.postMessage({ kind: "link", id });
    });
  }

  close(): void {
    this.#settle();
    this.#worker?.terminate();
    this.#worker = null;
  }

  #listen(worker: WorkerLike): void {
    worker.onmessage = (event) => {
      if (worker === this.#worker) this.#on(event.data, worker);
    };
    worker.onerror = (event) => {
      if (worker !== this.#worker) return;
      // A worker whose script did not load tells no message.
      if (event.message) return this.#stop({ code: "panicked", holes: { what: event.message, event: "0" } });
      void this.#onUnloaded({ code: "noWorker", holes: { what: "" } });
    };
    worker.onmessageerror = () => {
      if (worker === this.#worker) this.#stop({ code: "panicked", holes: { what: "", event: "0" } });
    };
  }

  #on(post: Post, worker: WorkerLike): void {
    switch (post.kind) {
      case "ran":
        if (post.id === 0) return this.#listener(post);
        this.#runs.get(post.id)?.(post.reached);
        this.#runs.delete(post.id);
        return;
      case "link":
        this.#links.get(post.id)?.(post.reproduction);
        this.#links.delete(post.id);
        return;
      case "stopped":
        this.#isStopped = true;
        this.#settle();
        if (post.trouble.code === "notLoaded") return void this.#onUnloaded(post.trouble);
        return this.#listener(post);
      case "frame":
        this.#listener(post);
        return worker.postMessage({ kind: "drawn" });
      case "replay":
        this.#listener(post);
        if (post.post.kind === "frame") worker.postMessage({ kind: "drawn" });
        return;
      default:
        return this.#listener(post);
    }
  }

  /** Something of the page did not come: why is known by asking for it once more. */
  async #onUnloaded(trouble: Trouble): Promise<void> {
    const worker = this.#worker;
    this.#isStopped = true;
    this.#settle();
    const probe = await this.#parts.probe();
    // Meanwhile another world may have been begun, or none wanted any more.
    if (worker !== this.#worker || !this.#isStopped) return;
    const code = probe === "silent" ? "serverGone" : probe === "missing" ? "notLoaded" : trouble.code;
    this.#stop({ ...trouble, code });
  }

  #stop(trouble: Trouble): void {
    this.#isStopped = true;
    this.#settle();
    this.#listener({ kind: "stopped", trouble, last: null });
  }

  /** Nobody waits for a world that is gone. */
  #settle(): void {
    for (const resolve of this.#runs.values()) resolve(false);
    for (const resolve of this.#links.values()) resolve(null);
    this.#runs.clear();
    this.#links.clear();
  }
}
