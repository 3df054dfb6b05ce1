/**
 * When a copy that was acknowledged was on its node's disk: in the turn in which the log was synced, whichever of the two is
 * told of first.
 */
export class Syncs<Copy> {
  readonly #syncedAt = new Map<number, number>();
  /** Copies that were acknowledged, by node, in case their sync is told of later in the same turn. */
  readonly #acknowledged = new Map<number, { copy: Copy; us: number }[]>();

  /** Whether the sync was told of already; else `onSynced` says so. */
  onAcknowledged(node: number, us: number, copy: Copy): boolean {
    if (this.#syncedAt.get(node) === us) return true;
    const now = (this.#acknowledged.get(node) ?? []).filter((one) => one.us === us);
    this.#acknowledged.set(node, [...now, { copy, us }]);
    return false;
  }

  /** The copies that this sync made durable. */
  onSynced(node: number, us: number): Copy[] {
    this.#syncedAt.set(node, us);
    const copies = (this.#acknowledged.get(node) ?? []).filter((one) => one.us === us).map((one) => one.copy);
    this.#acknowledged.delete(node);
    return copies;
  }
}
