//! C7 at one replica: what it has acknowledged survives its crashes.
//!
//! Judges by the messages on the network (who was sent what, and said that it holds it) and by what its disk holds when it
//! starts again.

use crate::base::BTreeMap;
use crate::base::{KeyspaceId, MemberId, Micros, PartitionId};
use crate::data::Audit;
use crate::message::{DataMessage, PeerMessage, Reason, WriteAnswer};
use crate::sim::script::NodeIndex;
use crate::sim::verdict::{Checker, Violation};
use crate::version::{Cell, Resolve};
use alloc::{format, vec::Vec};
use bytes::Bytes;

/// A write that a node was sent.
#[derive(Debug, Clone)]
struct Sent {
    partition: PartitionId,
    keyspace: KeyspaceId,
    key: Bytes,
    cell: Bytes,
    /// For whom, if it is a hint.
    target: Option<MemberId>,
}

/// What each node has acknowledged since its disk was new.
#[derive(Debug, Clone, Default)]
pub struct HeldChecker {
    /// By sender, receiver and operation.
    sent: BTreeMap<(NodeIndex, NodeIndex, u64), Sent>,
    acknowledged: BTreeMap<NodeIndex, Vec<Sent>>,
    /// By node and key: all that it sent to owners and that is held there, merged.
    delivered: BTreeMap<(NodeIndex, Bytes), Bytes>,
}

/// Writes that may be on their way. Older ones are forgotten: their operations are over.
const SENT_MAX: usize = 4_096;

impl HeldChecker {
    /// A message leaves.
    pub fn on_sent(&mut self, from: NodeIndex, to: NodeIndex, message: &PeerMessage) {
        let PeerMessage::Data { partition, message } = message else { return };
        match message {
            DataMessage::Write { op, keyspace, reason, key, cell, .. } if *op != 0 => {
                if self.sent.len() >= SENT_MAX {
                    self.sent.pop_first();
                }
                let target = match reason {
                    Reason::Hint { target } => Some(*target),
                    _ => None,
                };
                let (partition, keyspace) = (*partition, *keyspace);
                let sent = Sent { partition, keyspace, key: key.clone(), cell: cell.clone(), target };
                self.sent.insert((from, to, *op), sent);
            }
            DataMessage::WriteAnswer { op, answer: WriteAnswer::Held | WriteAnswer::Outrun(_) } => {
                if let Some(sent) = self.sent.remove(&(to, from, *op)) {
                    if sent.target.is_none() {
                        // Hints of it that this covers have done their work.
                        let known = self.delivered.entry((to, sent.key.clone())).or_default();
                        *known = joined(known, &sent.cell);
                    }
                    self.acknowledged.entry(from).or_default().push(sent);
                }
            }
            _ => {}
        }
    }
    /// A node lost its disk.
    pub fn on_wiped(&mut self, node: NodeIndex) {
        self.acknowledged.remove(&node);
    }
    /// A node gave a partition away, and with it what it has merged and not yet acknowledged: a slow disk may let it say
    /// so only later, of a write that it handed on.
    pub fn on_dropped(&mut self, node: NodeIndex, partition: PartitionId) {
        if let Some(acknowledged) = self.acknowledged.get_mut(&node) {
            acknowledged.retain(|sent| sent.partition != partition);
        }
        self.sent.retain(|(_, to, _), sent| *to != node || sent.partition != partition);
    }
    /// A node starts again with this on its disk. With `is_rotten` its disk was damaged: it may have lost the end of its
    /// log, which nothing can tell from a torn tail. How much of it the world judges: acknowledgements do not come in
    /// the order of the log.
    pub fn on_restart(
        &mut self,
        node: NodeIndex,
        audit: &Audit,
        resolve: Resolve,
        is_rotten: bool,
        now: Micros,
    ) -> Vec<Violation> {
        let Some(acknowledged) = self.acknowledged.get_mut(&node) else { return Vec::new() };
        let delivered = &self.delivered;
        let is_delivered = |sent: &Sent| {
            let cell = delivered.get(&(node, sent.key.clone()));
            sent.target.is_some() && cell.is_some_and(|cell| covers(cell, &sent.cell))
        };
        let is_lost = |sent: &Sent| !holds(audit, sent, resolve) && !is_delivered(sent);
        if is_rotten {
            acknowledged.retain(|sent| !is_lost(sent));
            return Vec::new();
        }
        let mut violations = Vec::new();
        for sent in acknowledged.iter().filter(|sent| is_lost(sent)) {
            let key = core::str::from_utf8(&sent.key).unwrap_or("?");
            let held = audit.cells.get(&(sent.partition, sent.keyspace, sent.key.clone()));
            let held = held.and_then(|bytes| Cell::decode(bytes).ok());
            let text = format!(
                "{node} has lost a write of {key} that it had said to hold: it has {held:?}, and had {:?}",
                Cell::decode(&sent.cell)
            );
            violations.push(Violation { checker: Checker::C7, at: now, text });
        }
        violations.truncate(1); // One is enough to tell.
        violations
    }
}

fn holds(audit: &Audit, sent: &Sent, resolve: Resolve) -> bool {
    let cell = audit.cells.get(&(sent.partition, sent.keyspace, sent.key.clone()));
    // Whoever owns the partition keeps among its cells what was sent to it as a hint.
    let hint = sent
        .target
        .and_then(|target| audit.hints.get(&(target, sent.partition, sent.keyspace, sent.key.clone())));
    cell.into_iter().chain(hint).any(|held| *held == sent.cell || contains(held, &sent.cell, resolve))
}

fn contains(held: &Bytes, sent: &Bytes, resolve: Resolve) -> bool {
    let (Ok(held), Ok(sent)) = (Cell::decode(held), Cell::decode(sent)) else { return false };
    held.merge(&sent, resolve, crate::base::Sabotage::NONE).cell == held
}

fn joined(known: &Bytes, cell: &Bytes) -> Bytes {
    match (Cell::decode(known), Cell::decode(cell)) {
        (Ok(known), Ok(cell)) => {
            known.merge(&cell, Resolve::Siblings, crate::base::Sabotage::NONE).cell.to_bytes()
        }
        _ => cell.clone(),
    }
}

/// Whether `new` has seen all that `old` has.
fn covers(new: &Bytes, old: &Bytes) -> bool {
    let (Ok(new), Ok(old)) = (Cell::decode(new), Cell::decode(old)) else { return false };
    new.context().covers_all(old.context())
}
