//! C8 and C9, from the trace alone: every Down has its distinct reporters, each by its own suspicion; each epoch has one
//! topology, and no node goes back.

use crate::base::trace::{Kind, Record};
use crate::base::{BTreeMap, BTreeSet};
use crate::base::{MemberId, Micros};
use crate::message::{Ballot, ControlMessage, PeerMessage, Word};
use crate::sim::script::NodeIndex;
use crate::sim::verdict::{Checker, Violation};
use alloc::{format, string::String, vec::Vec};

/// What the trace has said so far about failures and topologies.
#[derive(Debug, Clone, Default)]
pub struct ControlChecker {
    /// (target, incarnation, reporter), each recorded by the reporter itself.
    suspected: BTreeSet<(u32, u64, u32)>,
    /// Epoch to hash, and who adopted it first.
    topologies: BTreeMap<u64, (u64, u32)>,
    /// Latest epoch by node.
    adopted: BTreeMap<u32, u64>,
    /// The greatest ballot that each node has promised for an epoch.
    promised: BTreeMap<(NodeIndex, u64), Ballot>,
    violations: Vec<Violation>,
    /// (target, incarnation) that anybody took for Down, and whose reports the first to do so had counted.
    downs: BTreeMap<(u32, u64), u64>,
}

fn long(words: &[u32], index: usize) -> u64 {
    let word = |index| u64::from(words.get(index).copied().unwrap_or_default());
    word(index) | word(index + 1) << 32
}

impl ControlChecker {
    /// Times that a member was taken for Down, whoever did.
    pub fn downs(&self) -> u32 {
        self.downs.len() as u32
    }
    /// Whose reports took a member for Down last, as bits by member number.
    pub fn last_reporters(&self, target: u32) -> Option<u64> {
        self.downs.range((target, 0)..=(target, u64::MAX)).next_back().map(|(_, reporters)| *reporters)
    }
    /// Looks at one record. `members` is how many members the recording node knows of.
    pub fn feed(&mut self, record: &Record<'_>, members: u32) {
        match (record.kind, record.payload) {
            // Hearsay is recorded too; only the reporter's own word is evidence.
            (Kind::Suspected, [target, reporter, ..]) if *reporter == record.node => {
                self.suspected.insert((*target, long(record.payload, 2), *reporter));
            }
            (Kind::WentDown, [target, ..]) => {
                self.on_down(record, *target, long(record.payload, 1), long(record.payload, 3), members);
            }
            (Kind::TopologyAdopted, _) => {
                self.on_topology(record, long(record.payload, 0), long(record.payload, 2));
            }
            _ => {}
        }
    }
    fn on_down(&mut self, record: &Record<'_>, target: u32, reporters: u64, incarnation: u64, members: u32) {
        self.downs.entry((target, incarnation)).or_insert(reporters);
        let needed = 2.min(members.saturating_sub(1));
        if reporters.count_ones() < needed {
            let count = reporters.count_ones();
            let text = format!(
                "n{} took n{target} for Down on the word of {count} of {needed} reporters (bits {reporters:b})",
                record.node
            );
            self.report(Checker::C8, record.time, text);
        }
        for reporter in (0..64).filter(|bit| reporters >> bit & 1 == 1) {
            if !self.suspected.contains(&(target, incarnation, reporter)) {
                let text = format!(
                    "n{} took n{target} (incarnation {incarnation}) for Down, but n{reporter} never suspected it",
                    record.node
                );
                self.report(Checker::C8, record.time, text);
            }
        }
    }
    fn on_topology(&mut self, record: &Record<'_>, epoch: u64, hash: u64) {
        let (first, by) = *self.topologies.entry(epoch).or_insert((hash, record.node));
        if first != hash {
            let text = format!(
                "epoch {epoch} has two topologies: {first:016x} at n{by}, {hash:016x} at n{}",
                record.node
            );
            self.report(Checker::C9, record.time, text);
        }
        let latest = self.adopted.entry(record.node).or_insert(epoch);
        if epoch < *latest {
            let text = format!("n{} went back from epoch {latest} to {epoch}", record.node);
            self.report(Checker::C9, record.time, text);
        } else {
            *latest = epoch;
        }
    }
    /// A node lost its disk: it may start again from nothing. `number` is its number in the cluster, if anybody knows it.
    pub fn forget(&mut self, node: NodeIndex, number: Option<MemberId>) {
        if let Some(number) = number {
            self.adopted.remove(&u32::from(number.0));
        }
        self.promised.retain(|(promiser, _), _| *promiser != node);
    }
    /// A message leaves: whoever has promised a ballot promises and accepts no smaller one, whatever it has been through.
    pub fn on_sent(&mut self, from: NodeIndex, message: &PeerMessage, at: Micros) -> Option<Violation> {
        let PeerMessage::Control(ControlMessage::Said { word, .. }) = message else { return None };
        let (epoch, ballot) = match word {
            Word::Promise { epoch, ballot, .. } | Word::Accepted { epoch, ballot } => (*epoch, *ballot),
            _ => return None,
        };
        let promised = self.promised.entry((from, epoch.0)).or_insert(ballot);
        if ballot < *promised {
            let text = format!("{from} had promised {promised:?} for {epoch}, and then took {ballot:?}");
            return Some(Violation { checker: Checker::C9, at, text });
        }
        *promised = ballot;
        None
    }
    fn report(&mut self, checker: Checker, at: Micros, text: String) {
        self.violations.push(Violation { checker, at, text });
    }
    /// Takes what was found since the last call.
    pub fn take(&mut self) -> Vec<Violation> {
        core::mem::take(&mut self.violations)
    }
}
