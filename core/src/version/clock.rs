use crate::base::{MemberId, Micros};
use serde::Serialize;

/// A hybrid logical time: 48 bits of Unix milliseconds, 16 bits that count within one.
///
/// Source: Kulkarni et al., "Logical physical clocks" (2014).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
pub struct Hlc(pub u64);

impl Hlc {
    /// The first instant of a Unix millisecond.
    pub fn from_millis(millis: u64) -> Hlc {
        Hlc(millis << 16)
    }
    /// The Unix millisecond it lies in.
    pub fn millis(self) -> u64 {
        self.0 >> 16
    }
}

/// The place of a write in the order that decides who wins: unique, because a member gives each time once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Stamp {
    /// When.
    pub hlc: Hlc,
    /// By whom.
    pub member: MemberId,
}

/// How far ahead of an owner's clock a stamp may lie before the write is refused where it enters.
pub const SKEW_MS_MAX: u64 = 10_000;

/// How far ahead of the last time given the persisted ceiling is set.
const CEILING_AHEAD_MS: u64 = 2_000;

/// A shard's hybrid clock. Never gives the same time twice, not even over a restart: it starts above the ceiling that
/// was written to the log before any time below it was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clock {
    last: Hlc,
    ceiling: Hlc,
}

impl Clock {
    /// A clock that goes on above what an earlier one had persisted.
    pub fn restored(ceiling: Hlc) -> Clock {
        Clock { last: ceiling, ceiling }
    }
    /// The next time, above all given and observed ones.
    pub fn next(&mut self, wall: Micros) -> Hlc {
        self.last = Hlc(self.last.0 + 1).max(Hlc::from_millis(wall.as_millis()));
        self.last
    }
    /// Goes past `seen`.
    pub fn observe(&mut self, seen: Hlc) {
        self.last = self.last.max(seen);
    }
    /// The greatest time given or observed.
    pub fn last(&self) -> Hlc {
        self.last
    }
    /// A new ceiling to put in the log before the last time given is used; `None` while the old one suffices.
    pub fn raise_ceiling(&mut self) -> Option<Hlc> {
        if self.last <= self.ceiling {
            return None;
        }
        self.ceiling = Hlc::from_millis(self.last.millis() + CEILING_AHEAD_MS);
        Some(self.ceiling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_never_goes_back_not_even_over_a_restart() {
        let mut clock = Clock::restored(Hlc(0));
        let first = clock.next(Micros::from_millis(1_000));
        let ceiling = clock.raise_ceiling().unwrap();
        assert!(ceiling > first);
        let second = clock.next(Micros::from_millis(900));
        assert!(second > first);
        assert_eq!(clock.raise_ceiling(), None);
        let mut restarted = Clock::restored(ceiling);
        assert!(restarted.next(Micros::from_millis(500)) > second);
    }
}
