/**
 * The way back to before the last thing that left a trace. The world is made again beside the one that is shown, which is kept
 * until the other is there: whoever does something else meanwhile has lost nothing.
 */
import type { ClusterOptions, EventBatch } from "kvorum";
import type { Cluster } from "./cluster.ts";
import type { Frame, Opened, Owners, PicturesPost, Post } from "./protocol.ts";
import { type Traces, optionsOf, tracedBefore, worldAt } from "./replay.ts";
import { frameOf, picturesOf } from "./snapshots.ts";

/** Everything that led to a moment is made again, which takes seconds for so much. */
export const BACK_EVENTS_MAX = 500_000;
/** As often as pictures of a world that plays. */
const TELL_EVERY_MS = 100;

/** What the way back needs of the host. */
export interface Desk {
  create(options: ClusterOptions): Promise<Cluster>;
  post(post: Post, transfer: ArrayBuffer[]): void;
  wallMs(): number;
  selected(): { key: string | null; node: number | null };
  speed(): number;
  /** Lets commands in, and waits for a page that has not drawn what it has. `false`: not wanted any more. */
  breathe(): Promise<boolean>;
}

export type Back =
  | { kind: "there"; cluster: Cluster; script: string }
  /** No event left a trace yet. */
  | { kind: "nothing" }
  | { kind: "tooFar"; events: number }
  | { kind: "unwanted" };

export async function backFrom(shown: Cluster, traces: Traces, desk: Desk): Promise<Back> {
  const end = shown.eventCount;
  if (end > BACK_EVENTS_MAX) return { kind: "tooFar", events: end };
  const [options, script] = [shown.options(), shown.script()];
  const from = optionsOf({ options, script });
  let toldAt = -Infinity;
  const tell = (part: number): Promise<boolean> => {
    const wall = desk.wallMs();
    if (wall - toldAt >= TELL_EVERY_MS) {
      toldAt = wall;
      desk.post({ kind: "running", running: { goal: "back", part } }, []);
    }
    return desk.breathe();
  };

  const known = traces.lastUpTo(end);
  if (known === null) {
    const traced = await tracedBefore({ create: (given) => desk.create(given), goesOn: (part) => tell(part / 2) }, from, end);
    if (traced === null) return { kind: "unwanted" };
    traces.know(traced, end);
  }
  const last = known ?? traces.lastUpTo(end);
  if (last === null) return { kind: "nothing" };

  const again = new Again(desk);
  again.post({ kind: "opened", options, script, isPlaying: false, speed: desk.speed() });
  const goesOn = (part: number): Promise<boolean> => {
    again.show(part >= 1);
    return tell(known === null ? (1 + part) / 2 : part);
  };
  const cluster = await worldAt({ create: (given) => desk.create(given), goesOn }, from, last - 1, (made) => again.watch(made));
  again.end();
  return cluster === null ? { kind: "unwanted" } : { kind: "there", cluster, script };
}

/** Tells the page of the world that is made again, beside the one that it shows. */
class Again {
  readonly #desk: Desk;
  #cluster: Cluster | null = null;
  #batches: Uint32Array[] = [];
  #picturedAt: number;
  #unsubscribe: () => void = () => undefined;

  constructor(desk: Desk) {
    this.#desk = desk;
    this.#picturedAt = desk.wallMs();
  }

  watch(cluster: Cluster): void {
    this.#cluster = cluster;
    this.#unsubscribe = cluster.subscribe((batch: EventBatch) => {
      if (batch.words.length > 0) this.#batches.push(batch.words);
    });
  }

  /** What happened since the last time, and pictures as often as is needed to understand it. */
  show(isLast: boolean): void {
    const cluster = this.#cluster;
    if (cluster === null) return;
    const frame = frameOf(cluster, this.#batches);
    this.#batches = [];
    this.post(frame, [frame.words.buffer, frame.flights.buffer]);
    const wall = this.#desk.wallMs();
    if (!isLast && wall - this.#picturedAt < TELL_EVERY_MS) return;
    this.#picturedAt = wall;
    const { owners, pictures } = picturesOf(cluster, this.#desk.selected());
    this.post({ kind: "owners", owners });
    this.post(pictures);
  }

  post(post: Opened | Frame | Owners | PicturesPost, transfer: ArrayBuffer[] = []): void {
    this.#desk.post({ kind: "replay", post }, transfer);
  }

  /** Whoever takes the world over listens by themselves. */
  end(): void {
    this.#unsubscribe();
  }
}
