/** The model against the core itself: drawn runs, with all that a nemesis does to them. */
import { Cluster } from "kvorum";
import { describe, expect, it } from "vitest";
import { History } from "../../src/model/history.ts";
import type { RequestModel } from "../../src/model/scene.ts";

const FRAME_US = 50_000;

/** All requests of a run, as they were shown last. */
async function shown(seed: bigint): Promise<RequestModel[]> {
  const cluster = await Cluster.create({ seed });
  const history = new History();
  cluster.subscribe(({ words }) => history.onWords(words));
  const seen = new Map<number, RequestModel>();
  while (cluster.now < 20_000_000) {
    cluster.run({ until: cluster.now + FRAME_US });
    // As in a frame: what a node is called is known from the picture that follows its first words.
    history.onPicture(cluster.inspect());
    for (const one of history.requests.models()) seen.set(one.number, one);
  }
  cluster.close();
  return [...seen.values()];
}

describe("requests of drawn runs", () => {
  it.each([1n, 7n, 11n, 12n])("of seed %s are each shown once, and what was done has its votes", async (seed) => {
    const requests = await shown(seed);
    const done = requests.filter((one) => one.outcome === "done");
    expect(done.length).toBeGreaterThan(1_000);
    expect(done.filter((one) => one.votes.length < one.needed)).toEqual([]);
    expect(requests.filter((one) => one.partition < 0 && one.outcome === "done")).toEqual([]);
  });
});
