//! The end of a run: everything has healed and clients rest; the cluster must settle, and what lies on the owners' disks is
//! held against what was promised.

use super::checkers::bounds;
use super::checkers::{FinalKey, inventions, lost_acks, zombies};
use super::script::NodeIndex;
use super::verdict::{Checker, Violation};
use super::world::World;
use crate::base::{KeyspaceId, Micros, PartitionId, Sabotage};
use crate::data::Audit;
use crate::ring::{Durability, Liveness, View, partition_of_key};
use crate::storage::MemoryDisk;
use crate::version::Cell;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

/// How long a healed cluster without clients may take to settle.
const SETTLE_MAX: Micros = Micros::from_secs(30);
/// How often it is asked.
const ASK_EVERY: Micros = Micros::from_millis(500);

impl World {
    /// Lets the cluster settle, then judges the whole run.
    pub(super) fn judge(&mut self) {
        while !self.judge_on() {}
    }
    /// Goes on with the judgement a little; `true` when it is done.
    pub fn judge_on(&mut self) -> bool {
        if self.is_judged {
            return true;
        }
        let until = *self.settle_until.get_or_insert(self.now + SETTLE_MAX);
        let why = self.unsettled();
        if why.is_some() && self.now < until && self.violations.is_empty() {
            let next = self.now + ASK_EVERY;
            self.run_until(next);
            return false;
        }
        if self.violations.is_empty()
            && let Some(why) = why
        {
            let seconds = SETTLE_MAX.as_millis() / 1_000;
            self.report(Checker::C4, format!("{seconds} s after clients rest: {why}"));
            self.heed();
        }
        if self.violations.is_empty() {
            self.judge_disks();
            self.heed();
        }
        self.is_judged = true;
        true
    }
    /// Whether the run was judged.
    pub fn is_judged(&self) -> bool {
        self.is_judged
    }
    fn report(&mut self, checker: Checker, text: String) {
        let at = self.now();
        self.violations.push(Violation { checker, at, text });
    }
    /// What is not yet at rest, as the nodes see it; `None` if everything is.
    fn unsettled(&self) -> Option<String> {
        let mut views: Vec<(NodeIndex, &Arc<View>)> = Vec::new();
        for host in &self.hosts {
            let index = host.index;
            let Some(node) = &host.node else { continue };
            let Some(view) = node.view() else { return Some(format!("{index} is not a member")) };
            views.push((index, view));
        }
        let (_, first) = views.first()?;
        for (index, view) in &views {
            if view.topology != first.topology {
                let (a, b) = (view.topology.epoch, first.topology.epoch);
                return Some(format!("{index} is in {a}, another in {b}"));
            }
            if let Some((member, state)) = view.liveness.iter().find(|(_, state)| *state != Liveness::Up) {
                return Some(format!("{index} takes {member} for {state:?}"));
            }
            if let Some(member) = view.topology.members.iter().find(|member| member.refilling) {
                return Some(format!("{} refills", member.name));
            }
        }
        for (number, state) in first.topology.partitions.iter().enumerate() {
            if !state.next.is_empty() || !state.releasing.is_empty() {
                return Some(format!("partition {number} still moves: {state:?}"));
            }
        }
        for host in &self.hosts {
            for shard in host.node.iter().flat_map(|node| node.shards()) {
                let pending = shard.gauged().hints_pending;
                if pending > 0 {
                    return Some(format!("{} still holds {pending} hints", host.index));
                }
                if shard.load() != [0, 0, 0] {
                    return Some(format!("{} is still busy: {:?}", host.index, shard.load()));
                }
                if shard.unwritten() > 0 {
                    return Some(format!("{} still writes its log", host.index));
                }
            }
        }
        self.disagreement(&views)
    }
    /// Owners whose trees differ, and those who hold what is not theirs.
    fn disagreement(&self, views: &[(NodeIndex, &Arc<View>)]) -> Option<String> {
        let (_, view) = views.first()?;
        let mut roots: Vec<Option<(NodeIndex, u128)>> = alloc::vec![None; view.topology.partitions.len()];
        for (index, own) in views {
            let node = self.node(*index)?;
            let mut held = alloc::vec![0; view.topology.partitions.len()];
            for (partition, root) in node.shards().iter().flat_map(|shard| shard.held()) {
                if !own.owns(partition) {
                    return Some(format!("{index} still holds partition {partition}, which is not its own"));
                }
                held[usize::from(partition.0)] = root;
            }
            for (number, root) in held.into_iter().enumerate() {
                if !own.owns(PartitionId(number as u16)) {
                    continue;
                }
                match roots[number] {
                    None => roots[number] = Some((*index, root)),
                    Some((_, known)) if known == root => {}
                    Some((other, _)) => {
                        return Some(format!("{index} and {other} differ in partition {number}"));
                    }
                }
            }
        }
        None
    }
    /// What lies on the disks, whatever the nodes believe.
    fn judge_disks(&mut self) {
        let mut audits: Vec<(NodeIndex, Arc<View>, Audit)> = Vec::new();
        for index in 0..self.hosts.len() {
            let node = NodeIndex(index as u8);
            let Some(view) = self.node(node).and_then(|node| node.view()).cloned() else { continue };
            match self.audit(node) {
                Ok(audit) => audits.push((node, view, audit)),
                Err(error) => {
                    return self.report(Checker::C7, format!("the disk of {node} cannot be read: {error}"));
                }
            }
        }
        let mut found = Vec::new();
        for (index, view, audit) in &audits {
            let own = audit.roots.iter().find(|(partition, _)| !view.owns(**partition));
            if let Some((partition, _)) = own {
                let text = format!("the disk of {index} holds {partition}, which is not its own");
                found.push(text);
            }
            if let Some(((target, partition, ..), _)) = audit.hints.first_key_value() {
                found.push(format!("the disk of {index} holds a hint for {target} of {partition}"));
            }
            let mut believed =
                self.node(*index).into_iter().flat_map(|node| node.shards()).flat_map(|shard| shard.held());
            let is_wrong = |(partition, root): &(PartitionId, u128)| {
                audit.roots.get(partition).copied().unwrap_or(0) != *root
            };
            if let Some((partition, _)) = believed.find(is_wrong) {
                found.push(format!("the tree of {partition} at {index} is not that of its cells"));
            }
        }
        let mut finals = Vec::new();
        for key in 0..self.history.key_count() {
            let (whole, disagreement) = self.final_key(key, &audits);
            found.extend(disagreement);
            finals.push(whole);
        }
        for text in found {
            self.report(Checker::C4, text);
        }
        self.judge_history(&finals);
    }
    /// What the owners of a key hold together, and who disagrees.
    fn final_key(&self, key: u16, audits: &[(NodeIndex, Arc<View>, Audit)]) -> (FinalKey, Option<String>) {
        let name = self.history.key_name(key);
        let mut agreed: Option<(NodeIndex, Option<&Bytes>)> = None;
        let mut whole: Option<Cell> = None;
        let mut disagreement = None;
        for (index, view, audit) in audits {
            let partition = partition_of_key(&name, view.topology.partition_count());
            if !view.owns(partition) {
                continue;
            }
            let held = audit.cells.get(&(partition, KeyspaceId(0), name.clone()));
            match held.map(Cell::decode) {
                None => {}
                Some(Err(error)) => {
                    disagreement = Some(format!("the cell of k{key} at {index} is damaged: {error}"));
                }
                Some(Ok(cell)) => {
                    let merge = |known: Cell| known.merge(&cell, self.options.resolve, Sabotage::NONE).cell;
                    whole = Some(whole.map_or(cell.clone(), merge));
                }
            }
            match agreed {
                None => agreed = Some((*index, held)),
                Some((_, known)) if known == held => {}
                Some((other, _)) => {
                    disagreement = Some(format!("{index} and {other} hold different cells of k{key}"));
                }
            }
        }
        (FinalKey { key, cell: whole, read_ms: self.true_ms() }, disagreement)
    }
    /// Whether C2 and C7 are promised: under `always`, and for a last write that wins only where majorities meet.
    pub(super) fn promises_acks(&self) -> bool {
        self.options.durability == Durability::Always
            && (2 * self.needed_least.1 > self.options.n
                || self.options.resolve == crate::version::Resolve::Siblings)
    }
    fn judge_history(&mut self, finals: &[FinalKey]) {
        let (resolve, now, voters) = (self.options.resolve, self.now(), self.quorum_checker.voters());
        let mut found = inventions(&self.history, &self.reads);
        if self.promises_acks() {
            found.extend(lost_acks(&self.history, voters, finals, resolve, self.power_cut_at, now));
            found.extend(zombies(&self.history, voters, finals, resolve, now));
        }
        let members = self.hosts.len();
        for final_key in finals {
            let count = final_key.cell.as_ref().map_or(0, Cell::identity_count);
            found.extend(bounds::siblings(final_key.key, count, members, now));
        }
        self.violations.extend(found);
    }
    /// A log with a damaged record is refused, or taken for one that was torn there: then nothing behind it may count.
    pub(super) fn judge_damaged(&mut self, node: NodeIndex, audit: &Audit) {
        let Some(disks) = self.host(node).and_then(|host| host.undamaged.take()) else { return };
        let is_like = |disks: &Vec<MemoryDisk>| {
            // What cannot be read says nothing.
            let like = self.audit_disks(disks).ok();
            like.is_none_or(|like| audit.cells == like.cells && audit.hints == like.hints)
        };
        if !disks.iter().any(is_like) {
            let text = format!("{node} took its damaged log for something else than one torn at the damage");
            self.report(Checker::C7, text);
        }
    }
}
