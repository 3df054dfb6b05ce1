use super::hash::checksum_seeded;

/// A deterministic stream of numbers; the same seed gives the same stream on every target.
///
/// Each part of a machine forks its own named stream, so that a new draw here shifts no dice there.
#[derive(Debug, Clone)]
pub struct Random(oorandom::Rand64);

impl Random {
    /// A stream from a seed.
    pub fn new(seed: u64) -> Random {
        Random(oorandom::Rand64::new(u128::from(seed) << 64 | u128::from(!seed)))
    }
    /// The stream called `name` under `seed`.
    pub fn named(seed: u64, name: &str) -> Random {
        Random::new(checksum_seeded(name.as_bytes(), seed))
    }
    /// A new stream called `name`; advances this one by one draw.
    pub fn fork(&mut self, name: &str) -> Random {
        Random::named(self.next_u64(), name)
    }
    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.rand_u64()
    }
    /// Uniform in `0..bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.0.rand_range(0..bound) }
    }
    /// Uniform in `low..=high`; `low` when the range is empty.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        if high <= low { low } else { low + self.below(high - low + 1) }
    }
    /// True `numerator` times out of `denominator`.
    pub fn chance(&mut self, numerator: u64, denominator: u64) -> bool {
        self.below(denominator) < numerator
    }
    /// A Fisher-Yates shuffle.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u64 + 1) as usize);
        }
    }
    /// One of `items`; `None` when there are none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        if items.is_empty() { None } else { items.get(self.below(items.len() as u64) as usize) }
    }
}
