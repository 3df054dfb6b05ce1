use super::shared::bump;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets, in microseconds.
pub const BOUNDS_US: [u64; 10] = [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 1_000_000];

/// How long something took, counted by size.
#[derive(Debug, Default)]
pub struct Histogram {
    /// One for each bound, and one for what is longer than all.
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Histogram {
    /// Counts one, where only one thread counts.
    #[inline]
    pub fn add_alone(&self, took_us: u64) {
        bump(self.bucket(took_us), 1);
        bump(&self.sum_us, took_us);
    }
    /// Counts one.
    pub fn add(&self, took: Duration) {
        let took_us = took.as_micros() as u64;
        self.bucket(took_us).fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(took_us, Ordering::Relaxed);
    }
    fn bucket(&self, took_us: u64) -> &AtomicU64 {
        &self.buckets[BOUNDS_US.partition_point(|bound| *bound < took_us)]
    }
    /// How many took no longer than each bound, then how many there were.
    pub fn cumulated(&self) -> [u64; BOUNDS_US.len() + 1] {
        let mut sum = 0;
        std::array::from_fn(|index| {
            sum += self.buckets[index].load(Ordering::Relaxed);
            sum
        })
    }
    /// The time of all together.
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.sum_us.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let histogram = Histogram::default();
        for micros in [1, 101] {
            histogram.add(Duration::from_micros(micros));
        }
        for micros in [100, 5_000_000] {
            histogram.add_alone(micros);
        }
        let counts = histogram.cumulated();
        assert_eq!((counts[0], counts[1], counts[9], counts[10]), (2, 3, 3, 4));
        assert_eq!(histogram.sum(), Duration::from_micros(5_000_202));
    }
}
