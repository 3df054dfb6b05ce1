/**
 * A run that comes with the page: what a link holds, with a story in it. For whoever wants to look at a live cluster and has
 * none at hand.
 *
 * An owner stops and misses a write, a fallback keeps the hint and hands it over; the ring is cut in two, both sides write, and
 * after it has healed there are two siblings, which are left to be merged.
 */
import type { Link } from "./link.ts";

const ONE = [0, 1];
const OTHER = [2, 3, 4];

/** Every link between the two sides, both ways. */
function links(atS: number, verb: "cut" | "join"): string[] {
  return ONE.flatMap((a) => OTHER.flatMap((b) => [`at ${atS}s ${verb} n${a} n${b}`, `at ${atS}s ${verb} n${b} n${a}`]));
}

const SCRIPT = [
  "at 0s start n0",
  "at 0.05s start n1",
  "at 0.1s start n2",
  "at 0.15s start n3",
  "at 0.2s start n4",
  "at 1.8s put n0 cart:42 milk",
  "at 2.5s stop n1 kill",
  "at 9s put n0 cart:42 milk%20and%20eggs",
  "at 10.5s start n1",
  ...links(14.5, "cut"),
  // By then each side has found out who is away, and fallbacks stand in.
  "at 21s put n0 list:7 bread",
  "at 21.1s put n3 list:7 cheese",
  ...links(22.5, "join"),
  "at 26s get n2 list:7",
  "",
].join("\n");

export const RECORDED: Link = {
  world: { seed: "7", nodes: 5, n: 3, r: 2, w: 2, resolve: "siblings", partitions: 64, memtableBytes: 65_536 },
  script: SCRIPT,
  events: null,
  digest: null,
  key: "cart:42",
  node: 0,
  quorum: null,
  language: null,
  view: null,
};
