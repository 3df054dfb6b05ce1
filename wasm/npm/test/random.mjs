/** Mulberry32: small, seeded, the same everywhere, so that a failing test can be told by its seed. */
export function randomOf(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  return {
    below: (count) => next() % count,
    chance: (part, of) => next() % of < part,
    pick: (list) => list[next() % list.length],
  };
}
