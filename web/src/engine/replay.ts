/**
 * Makes a world again up to a count of its events: a world is a function of its seed, options and script, so that is the way
 * back to any moment of it.
 *
 * Works in slices, between which commands are heard; whoever called says after each slice whether it is still wanted.
 */
import type { ClusterOptions, EventBatch } from "kvorum";
import type { Cluster } from "./cluster.ts";
import type { Reproduction } from "./protocol.ts";

/** Real time of a slice. */
const SLICE_MS = 12;
/** So many events before the end are looked at one by one; nearly always the last of them that left a trace is there. */
const LOOK_COUNT = 256;

export interface Way {
  create(options: ClusterOptions): Promise<Cluster>;
  /** Between two slices. `false`: not wanted any more. `part` is how much is done, from 0 to 1. */
  goesOn(part: number): Promise<boolean>;
}

/** Options that make the same world again. */
export function optionsOf({ options, script }: Pick<Reproduction, "options" | "script">): ClusterOptions {
  const { drawn, seed, ...calm } = options;
  // Drawn options come of the seed; naming them would make another kind of world.
  return { seed, script, ...(drawn ? {} : calm) };
}

/** A world at a count of events; `null` if it was not wanted to the end. `onMade` has it before anything happens in it. */
export async function worldAt(way: Way, from: ClusterOptions, events: number, onMade: (cluster: Cluster) => void = () => undefined): Promise<Cluster | null> {
  const cluster = await way.create(from);
  onMade(cluster);
  for (;;) {
    const { reached } = cluster.run({ events, budgetMs: SLICE_MS });
    if (!(await way.goesOn(events === 0 ? 1 : cluster.eventCount / events))) {
      cluster.close();
      return null;
    }
    if (reached) return cluster;
  }
}

/**
 * Counts of the last events, up to `end`, that left a trace, ascending: the way back steps over silent ones, as the way
 * forward does. Empty if no event did; `null` if it was not wanted to the end.
 */
export async function tracedBefore(way: Way, from: ClusterOptions, end: number): Promise<number[] | null> {
  for (let look = LOOK_COUNT; ; look *= 16) {
    const begin = Math.max(0, end - look);
    let isTraced = false;
    const cluster = await worldAt(way, from, begin, (made) => {
      made.subscribe((batch: EventBatch) => {
        isTraced ||= batch.words.length > 0;
      });
    });
    if (cluster === null) return null;
    const traced: number[] = [];
    while (cluster.eventCount < end) {
      isTraced = false;
      if (!cluster.step()) break;
      if (isTraced) traced.push(cluster.eventCount);
      if (cluster.eventCount % LOOK_COUNT === 0 && !(await way.goesOn(1))) {
        cluster.close();
        return null;
      }
    }
    cluster.close();
    if (traced.length > 0 || begin === 0) return traced;
  }
}

/** Which of a stretch of a world's events left a trace, by their counts. */
export class Traces {
  /** Ascending. */
  #counts: number[] = [];
  /** The last event that is known of; none before the first of the stretch is. */
  #end = -1;

  /** Of a stretch that ends so. */
  know(counts: readonly number[], end: number): void {
    this.#counts = [...counts];
    this.#end = end;
  }

  /** A step went on from one count to another, and only the last of its events left a trace. */
  onStep(before: number, after: number, isTraced: boolean): void {
    if (before > this.#end || after <= this.#end) return;
    if (before < this.#end) return this.know([], -1);
    if (isTraced) this.#counts.push(after);
    this.#end = after;
  }

  /** What comes after it is not known any more: something else was done then. */
  forgetAfter(count: number): void {
    if (count >= this.#end) return;
    this.know(this.#counts.filter((one) => one <= count), count);
  }

  /** The last up to a count; `null` if it is not known which that is. */
  lastUpTo(count: number): number | null {
    return count > this.#end ? null : (this.#counts.filter((one) => one <= count).at(-1) ?? null);
  }
}
