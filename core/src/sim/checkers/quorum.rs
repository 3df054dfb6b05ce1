//! C2, the half of it that needs no ending: nothing is acknowledged without its quorum. From the trace alone: who answered
//! an operation before it was called done.

use super::Voters;
use crate::base::trace::{Answered, Ended, Kind, Record, Verb, join};
use crate::base::{BTreeMap, BTreeSet};
use crate::base::{MemberId, Micros, PartitionId};
use crate::sim::verdict::{Checker, Violation};
use crate::version::{Hlc, Stamp};
use alloc::{format, string::String, vec::Vec};

/// An operation in flight: its partition and verb, and the distinct members that have said yes.
#[derive(Debug, Clone, Default)]
struct Running {
    partition: u16,
    is_write: bool,
    /// Stamped above all that W holders named: what wins over it was concurrent.
    is_final: bool,
    /// A holder said that another write wins.
    is_outrun: bool,
    /// Who was asked for whom, where that is somebody else.
    stand_ins: BTreeMap<u32, u32>,
    voters: BTreeSet<u32>,
    stamp: Option<Stamp>,
}

/// How many distinct answers an operation needs at least, and whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// Of a read.
    pub r: u8,
    /// Of a write.
    pub w: u8,
    /// Owners of the partition: with fewer members than N, those there are decide.
    pub owners: Vec<u32>,
    /// Owners to be, while it moves.
    pub next: Vec<u32>,
}

/// Watches operations from their beginning to their end.
#[derive(Debug, Clone, Default)]
pub struct QuorumChecker {
    /// By node and operation.
    running: BTreeMap<(u32, u64), Running>,
    voters: Voters,
}

/// Operations in flight; the oldest are forgotten, for their node has died.
const RUNNING_MAX: usize = 20_000;

fn op_of(record: &Record<'_>) -> u64 {
    let word = |index: usize| record.payload.get(index).copied().unwrap_or_default();
    join(word(0), word(1))
}

impl QuorumChecker {
    /// Who said yes to what was called done.
    pub fn voters(&self) -> &Voters {
        &self.voters
    }
    /// Looks at one record; `needed` tells what a partition's operations need as the recording node sees it.
    pub fn feed(
        &mut self,
        record: &Record<'_>,
        needed: impl Fn(PartitionId) -> Option<Needed>,
    ) -> Option<Violation> {
        let name = (record.node, op_of(record));
        match (record.kind, record.payload) {
            (Kind::RequestStarted, [_, _, verb, partition, ..]) if *verb != Verb::Forward as u32 => {
                if self.running.len() >= RUNNING_MAX {
                    self.running.pop_first();
                }
                let running = Running {
                    partition: *partition as u16,
                    is_write: *verb != Verb::Read as u32,
                    is_final: *verb == Verb::Final as u32,
                    ..Running::default()
                };
                self.running.insert(name, running);
            }
            (Kind::ReplicaAsked, [_, _, member, _, stood_for, ..]) => {
                if let Some(running) = self.running.get_mut(&name) {
                    match stood_for.checked_sub(1) {
                        Some(owner) => running.stand_ins.insert(*member, owner),
                        None => running.stand_ins.remove(member),
                    };
                }
            }
            (Kind::ReplicaAnswered, [_, _, member, answer, ..]) => {
                if let Some(running) = self.running.get_mut(&name) {
                    let yes = match running.is_write {
                        true => [Answered::Ack, Answered::Outrun],
                        false => [Answered::Absent, Answered::Cell],
                    };
                    if yes.iter().any(|yes| *answer == *yes as u32) {
                        running.voters.insert(*member);
                    }
                    running.is_outrun |= running.is_write && *answer == Answered::Outrun as u32;
                }
            }
            (kind @ (Kind::Restamped | Kind::PlannedAgain), [_, _, low, high, ..]) => {
                let again = join(*low, *high);
                if again != name.1
                    && let Some(Running { partition, is_write, is_final, is_outrun, stamp, .. }) =
                        self.running.remove(&name)
                {
                    let is_restamped = kind == Kind::Restamped;
                    let running = Running {
                        partition,
                        is_write,
                        is_final: is_final || is_restamped,
                        is_outrun: is_outrun && !is_restamped,
                        stamp: stamp.filter(|_| !is_restamped),
                        ..Running::default()
                    };
                    self.running.insert((record.node, again), running);
                }
            }
            (Kind::Stamped, [_, _, low, high, member]) => {
                if let Some(running) = self.running.get_mut(&name) {
                    let hlc = Hlc(join(*low, *high));
                    running.stamp = Some(Stamp { hlc, member: MemberId(*member as u16) });
                }
            }
            (Kind::RequestEnded, [_, _, outcome, ..]) => {
                let running = self.running.remove(&name)?;
                if let Some(stamp) = running.stamp.filter(|_| *outcome == Ended::Done as u32) {
                    self.voters.note(stamp, &running.voters);
                }
                let needed = needed(PartitionId(running.partition))?;
                return (*outcome == Ended::Done as u32)
                    .then(|| running.judge(record.time, name, needed))
                    .flatten();
            }
            _ => {}
        }
        None
    }
}

impl Running {
    fn judge(&self, at: Micros, (node, op): (u32, u64), needed: Needed) -> Option<Violation> {
        let wanted = if self.is_write { needed.w } else { needed.r };
        let what = if self.is_write { "write" } else { "read" };
        let report = |why: String| {
            let text = format!("member {node} called {what} {op} of p{} done {why}", self.partition);
            Some(Violation { checker: Checker::C2, at, text })
        };
        if self.is_outrun && !self.is_final {
            return report("although it had lost to a write that it had not seen".into());
        }
        let count = self.voters.len();
        let most = usize::from(wanted).min(needed.owners.len());
        if count < most {
            return report(format!("with the word of {count} of {most} members"));
        }
        // For whom the voters speak. Whoever speaks for nobody known was asked under an earlier topology.
        let spoken: BTreeSet<u32> =
            self.voters.iter().map(|voter| *self.stand_ins.get(voter).unwrap_or(voter)).collect();
        let is_known = |member: &u32| needed.owners.contains(member) || needed.next.contains(member);
        if !self.is_write || !spoken.iter().all(is_known) {
            return None;
        }
        for set in [&needed.owners, &needed.next] {
            let votes = set.iter().filter(|member| spoken.contains(member)).count();
            let most = usize::from(wanted).min(set.len());
            if votes < most {
                return report(format!("with {votes} of {most} votes of {set:?}"));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end_of(answers: &[u32]) -> Option<Violation> {
        let mut checker = QuorumChecker::default();
        let needed = |_| Some(Needed { r: 2, w: 2, owners: alloc::vec![1, 2, 3], next: Vec::new() });
        let mut feed = |kind, payload: &[u32]| {
            let record = Record { kind, node: 0, time: Micros(1), payload };
            checker.feed(&record, needed)
        };
        assert_eq!(feed(Kind::RequestStarted, &[7, 0, 1, 5, 0]), None);
        for member in answers {
            assert_eq!(feed(Kind::ReplicaAnswered, &[7, 0, *member, 0]), None);
        }
        feed(Kind::RequestEnded, &[7, 0, 0, 2, 0])
    }

    #[test]
    fn one_member_that_answers_twice_is_no_quorum() {
        assert_eq!(end_of(&[1, 2]), None);
        assert_eq!(end_of(&[1, 1]).map(|violation| violation.checker), Some(Checker::C2));
    }
}
