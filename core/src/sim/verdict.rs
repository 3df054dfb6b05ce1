use crate::base::Micros;
use alloc::string::String;
use core::fmt;
use serde::Serialize;

/// A promise that a run is judged by, with its number in the design.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Checker {
    /// No acknowledged write is lost: it is there, superseded by a write that overlapped it or began later, or expired.
    C2,
    /// Nothing dead comes back, nothing is read that nobody wrote or that was said not to be done.
    C3,
    /// After healing all owners agree to the byte, and nothing is left over.
    C4,
    /// What was acknowledged survives a power cut of the whole cluster.
    C7,
    /// Every Down has its distinct reporters.
    C8,
    /// One topology for each epoch, and a valid one.
    C9,
    /// Everything stays within its bound.
    C10,
    /// The same seed gives the same trace.
    C11,
    /// Every operation ends in time; after healing all succeed.
    C12,
    /// The machines' own invariants.
    Invariant,
}

impl fmt::Display for Checker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A promise broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Which.
    pub checker: Checker,
    /// When it was found, in virtual time.
    pub at: Micros,
    /// What, where, which values.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} ms: {}", self.checker, self.at.as_millis(), self.text)
    }
}
