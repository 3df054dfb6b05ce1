//! The host's two clocks, as machines are told them.

use kvorum_core::base::{Micros, Now};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Reads both clocks; one for all threads, so that their times compare.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock whose monotonic time begins now.
    pub fn start() -> Clock {
        Clock { start: Instant::now() }
    }
    /// The time.
    #[inline]
    pub fn now(&self) -> Now {
        let mono = Micros(self.start.elapsed().as_micros() as u64);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Now { mono, wall: Micros(wall.as_micros() as u64) }
    }
}
