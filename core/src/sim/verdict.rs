use super::world::World;
use crate::base::Micros;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
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

/// What the checkers say so far.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Promises broken.
    pub violations: Vec<ViolationPicture>,
    /// Requests of which their asker was told that they are done.
    pub acknowledged: u32,
    /// All requests.
    pub asked: u32,
    /// Times that a node was declared Down.
    pub downs: u32,
    /// Topologies so far.
    pub epochs: u64,
    /// Hints that wait.
    pub hints_waiting: u64,
    /// Partitions whose owners differ.
    pub partitions_differing: u32,
    /// The settled cluster was judged as well.
    pub is_final: bool,
    /// Acknowledged writes that are lost and deleted values that came back were looked for: at the end only, and not where
    /// nothing is promised of them.
    pub is_loss_judged: bool,
}

/// A promise that was broken.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct ViolationPicture {
    pub checker: String,
    pub at_us: u64,
    pub text: String,
}

impl World {
    /// What the checkers say so far.
    pub fn verdict(&self) -> Verdict {
        let shards = || self.hosts.iter().flat_map(|host| &host.node).flat_map(|node| node.shards());
        let violation = |violation: &Violation| ViolationPicture {
            checker: violation.checker.to_string(),
            at_us: violation.at.0,
            text: violation.text.clone(),
        };
        Verdict {
            violations: self.violations.iter().map(violation).collect(),
            acknowledged: self.history.done_count(),
            asked: self.history.len(),
            downs: self.control_checker.downs(),
            epochs: self.best_view().map_or(0, |(_, view)| view.topology.epoch.0),
            hints_waiting: shards().map(|shard| shard.gauged().hints_pending).sum(),
            partitions_differing: self.differing().len() as u32,
            is_final: self.is_judged(),
            is_loss_judged: self.is_judged() && self.violations.is_empty() && self.promises_acks(),
        }
    }
}
