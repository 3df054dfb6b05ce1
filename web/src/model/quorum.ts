/** N, R and W: what is asked for against what can be. Whatever is refused or lowered is said, never done in silence. */
import type { ClusterPicture, Resolve } from "kvorum";
import type { Reason, Trouble } from "./scene.ts";

type Keyspace = ClusterPicture["keyspace"];

/** What one may ask for; what is left out stays as it is. */
export interface KeyspaceWish {
  n?: number;
  r?: number;
  w?: number;
  resolve?: Resolve;
}

export type Wished = { ok: true; keyspace: Keyspace; lowered: Trouble | null } | { ok: false; trouble: Trouble };

/** A keyspace as it is wished for, in a cluster of so many nodes. */
export function wished(now: Keyspace, wish: KeyspaceWish, nodeCount: number): Wished {
  const n = wish.n ?? now.n;
  if (!isCount(n, nodeCount)) {
    const reason: Reason = { code: "range", holes: { field: "N", least: 1, most: nodeCount } };
    return { ok: false, trouble: { code: "notPossible", holes: {}, reason } };
  }
  const trouble = quorumTrouble(wish, n);
  if (trouble !== null) return { ok: false, trouble };
  // Who lowers N has not said what is to become of R and W.
  const r = wish.r ?? Math.min(now.r, n);
  const w = wish.w ?? Math.min(now.w, n);
  const isLowered = (wish.r === undefined && r < now.r) || (wish.w === undefined && w < now.w);
  const lowered: Trouble | null = isLowered ? { code: "lowered", holes: { n, r, w } } : null;
  return { ok: true, keyspace: { n, r, w, resolve: wish.resolve ?? now.resolve }, lowered };
}

/** A request can be answered by as many nodes as keep its key, and by no more. */
export function quorumTrouble(asked: { r?: number | null; w?: number | null }, n: number): Trouble | null {
  for (const [part, value] of [["R", asked.r], ["W", asked.w]] as const) {
    if (value === undefined || value === null || isCount(value, n)) continue;
    return { code: "aboveN", holes: { part, value, n } };
  }
  return null;
}

function isCount(value: number, most: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= most;
}
