/** What there can be at most, as the core has it, and how far the page's controls go. */

/** Nodes of a simulated cluster, and members of a live one that are attached to. */
export const NODE_COUNT_MAX = 50;
/** Places that a key's hash can have on the ring, and so the most partitions that there can be. */
export const SLOT_COUNT = 16_384;
export const PARTITION_COUNT_MIN = 64;
export const KEY_BYTES_MAX = 65_535;
export const VALUE_BYTES_MAX = 16 << 20;

/** Of virtual time to real time. */
export const SPEED_MIN = 0.1;
export const SPEED_MAX = 100;
export const SLOW_MS_MAX = 60_000;

/** What a control can be moved to: what lies beyond is its end. */
export function within(value: number, least: number, most: number): number {
  return Number.isFinite(value) ? Math.min(most, Math.max(least, value)) : least;
}
