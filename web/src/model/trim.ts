/** Forgets the oldest entries of a map beyond a count. */
export function trim<K, V>(map: Map<K, V>, countMax: number): void {
  for (const oldest of map.keys()) {
    if (map.size <= countMax) return;
    map.delete(oldest);
  }
}
