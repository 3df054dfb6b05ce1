/** Whom a merge can read. */
import { type Cluster, keyPictureOf } from "./cluster.ts";

/** Of a key's owners, those that a node could have an answer from. */
export function ownersUp(cluster: Cluster, key: string, through: number): { up: number; total: number } {
  const { nodes, cuts } = cluster.inspect();
  const owners = (keyPictureOf(cluster, key)?.walk ?? []).filter((step) => step.role === "owner");
  const up = owners.filter(({ node }) => {
    const summary = nodes[node];
    const isCut = cuts.some(([from, to]) => (from === through && to === node) || (from === node && to === through));
    return summary?.isRunning === true && summary.state !== "down" && summary.state !== "paused" && !isCut;
  });
  return { up: up.length, total: owners.length };
}
