/** Small pictures for tests. */
import type { ClusterPicture, NodeSummary } from "kvorum";

export function summary(name: string, part: Partial<NodeSummary> = {}): NodeSummary {
  return {
    name,
    member: Number(name.slice(1)),
    state: "up",
    isRunning: true,
    reporters: [],
    reportersNeeded: 2,
    partitions: 64,
    memtableBytes: 0,
    memtableBytesMax: 65_536,
    hints: 0,
    slowMs: 0,
    lossPermille: 0,
    keys: 0,
    listen: "",
    admin: "",
    ...part,
  };
}

/** `count` nodes; partition p belongs to p, p + 1, p + 2. */
export function cluster(count: number, part: Partial<ClusterPicture> = {}): ClusterPicture {
  return {
    nowUs: 0,
    events: 0,
    digest: "0".repeat(32),
    epoch: 1,
    keyspace: { n: 3, r: 2, w: 2, resolve: "siblings" },
    nodes: Array.from({ length: count }, (_, index) => summary(`n${index}`)),
    owners: Array.from({ length: 64 }, (_, partition) => [0, 1, 2].map((add) => (partition + add) % count)),
    moving: [],
    cuts: [],
    suspicions: [],
    requests: { asked: 0, done: 0 },
    ...part,
  };
}
