//! Who shall own what: a pure function from the owners of before and the members of now.
//!
//! Source: Dynamo (SOSP 2007), §6.2, strategy 3. Differs: one explicit table, filled greedily. A greedy claim never
//! gets stuck: a member above its share holds more partitions than one below it, so some partition is held by the
//! first and not by the second.

use crate::base::{MemberId, Order, checksum_seeded};
use alloc::{collections::VecDeque, vec, vec::Vec};
use serde::Serialize;

/// A claim: the new table, and what it costs to get there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claim {
    /// The owners of each partition, the primary first.
    pub owners: Vec<Vec<MemberId>>,
    /// What will move.
    pub report: ClaimReport,
}

/// What a claim moves, for people to look at before anything happens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ClaimReport {
    /// Replicas that a member gets which it did not hold before.
    pub moved: u32,
    /// Partitions whose set of owners changes.
    pub partitions: u32,
    /// One for each member, sorted.
    pub shares: Vec<Share>,
}

/// What one member holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Who.
    pub member: MemberId,
    /// Partitions of which it is the first owner.
    pub primaries: u32,
    /// Partitions of which it is an owner.
    pub replicas: u32,
    /// Replicas that it gets.
    pub gained: u32,
    /// Replicas that it gives away.
    pub lost: u32,
}

/// Claims `old.len()` partitions for `members` (sorted, each once), `n` owners each, or all members while they are
/// fewer. Each member's replicas and primaries are within one of its fair share, and about as few replicas move as
/// that takes. Owners in `old` that are no members any more lose what they had.
///
/// Which partitions move is drawn by their hash, not by their order, so that neighbours have different owners and the
/// fallbacks of a member's partitions are spread over the others.
pub fn claim(old: &[Vec<MemberId>], members: &[MemberId], n: usize) -> Claim {
    let width = n.min(members.len());
    if width == 0 {
        return Claim { owners: vec![Vec::new(); old.len()], report: ClaimReport::default() };
    }
    let mut table = Table::new(old, members, width);
    table.fill();
    table.level(old);
    let owners = table.into_owners(old);
    let report = report(old, &owners, members);
    Claim { owners, report }
}

/// A table under construction. Members are indexes into the sorted list of them.
struct Table<'a> {
    members: &'a [MemberId],
    width: usize,
    /// Holders of each partition.
    held: Vec<Vec<usize>>,
    /// Replicas of each member.
    load: Vec<usize>,
    /// Replicas that each member shall have.
    share: Vec<usize>,
    /// Partitions in the order of their hash.
    order: Vec<usize>,
}

impl<'a> Table<'a> {
    fn new(old: &[Vec<MemberId>], members: &'a [MemberId], width: usize) -> Table<'a> {
        let mut load = vec![0; members.len()];
        let mut held = Vec::with_capacity(old.len());
        for owners in old {
            let mut kept: Vec<usize> =
                owners.iter().filter_map(|id| members.binary_search(id).ok()).collect();
            kept.dedup();
            kept.truncate(width);
            for member in &kept {
                load[*member] += 1;
            }
            held.push(kept);
        }
        let mut order: Vec<usize> = (0..old.len()).collect();
        order.order_by_key(|partition| (rank(*partition, 0), *partition));
        let share = shares(&load, old.len() * width);
        Table { members, width, held, load, share, order }
    }
    /// Gives every free seat to whoever is furthest below its share.
    fn fill(&mut self) {
        for index in 0..self.order.len() {
            let partition = self.order[index];
            while self.held[partition].len() < self.width {
                let free = (0..self.members.len()).filter(|member| !self.held[partition].contains(member));
                // Ties are broken by hash: else the same members would always sit together.
                let taker = free.min_by_key(|member| {
                    let missing = self.share[*member] as i64 - self.load[*member] as i64;
                    (-missing, rank(partition, *member as u64 + 1))
                });
                let Some(taker) = taker else { break };
                self.held[partition].push(taker);
                self.load[taker] += 1;
            }
        }
    }
    /// Moves replicas from members above their share to members below it: first those that were moved anyway.
    fn level(&mut self, old: &[Vec<MemberId>]) {
        for is_free in [true, false] {
            for taker in 0..self.members.len() {
                for index in 0..self.order.len() {
                    if self.load[taker] >= self.share[taker] {
                        break;
                    }
                    let partition = self.order[index];
                    let held = &self.held[partition];
                    if held.contains(&taker) {
                        continue;
                    }
                    let excess = |member: usize| self.load[member] as i64 - self.share[member] as i64;
                    let giver = held.iter().copied().filter(|member| {
                        excess(*member) > 0 && !(is_free && old[partition].contains(&self.members[*member]))
                    });
                    let giver =
                        giver.max_by_key(|member| (excess(*member), rank(partition, *member as u64 + 1)));
                    let Some(giver) = giver else { continue };
                    if let Some(seat) = self.held[partition].iter_mut().find(|member| **member == giver) {
                        *seat = taker;
                    }
                    self.load[giver] -= 1;
                    self.load[taker] += 1;
                }
            }
        }
    }
    /// Chooses the primaries, the old ones where that is fair, and puts the others in an order of their own.
    fn into_owners(self, old: &[Vec<MemberId>]) -> Vec<Vec<MemberId>> {
        let primaries = self.primaries(old);
        let mut owners = Vec::with_capacity(self.held.len());
        for (partition, held) in self.held.into_iter().enumerate() {
            let mut held = held;
            // By hash, so that who is asked second is spread too and does not depend on history.
            held.order_by_key(|m| {
                (*m != primaries[partition], rank(partition, u64::from(self.members[*m].0) + 1))
            });
            owners.push(held.into_iter().map(|member| self.members[member]).collect());
        }
        owners
    }
    fn primaries(&self, old: &[Vec<MemberId>]) -> Vec<usize> {
        let mut count = vec![0usize; self.members.len()];
        let mut primaries = Vec::with_capacity(self.held.len());
        for (held, owners) in self.held.iter().zip(old) {
            let before = owners.first().and_then(|id| self.members.binary_search(id).ok());
            let kept = before.filter(|member| held.contains(member));
            let primary =
                kept.or_else(|| held.iter().copied().min_by_key(|member| (count[*member], *member)));
            let primary = primary.unwrap_or_default();
            count[primary] += 1;
            primaries.push(primary);
        }
        let (least, most) = (self.held.len() / count.len(), self.held.len().div_ceil(count.len()));
        // First nobody above the upper bound, then nobody below the lower one.
        while let Some(path) = self.primary_path(&primaries, |m| count[m] > most, |m| count[m] < most) {
            path.walk(&mut primaries, &mut count);
        }
        while let Some(path) = self.primary_path(&primaries, |m| count[m] > least, |m| count[m] < least) {
            path.walk(&mut primaries, &mut count);
        }
        primaries
    }
    /// A shortest chain of partitions along which primacy can be handed on from a member with too many to one with too
    /// few: each partition of it is held by both its giver and its taker.
    fn primary_path(
        &self,
        primaries: &[usize],
        is_source: impl Fn(usize) -> bool,
        is_sink: impl Fn(usize) -> bool,
    ) -> Option<Path> {
        let count = self.members.len();
        let mut of_member: Vec<Vec<usize>> = vec![Vec::new(); count];
        for partition in &self.order {
            of_member[primaries[*partition]].push(*partition);
        }
        let mut came_by: Vec<Option<(usize, usize)>> = vec![None; count];
        let mut seen: Vec<bool> = (0..count).map(&is_source).collect();
        let mut queue: VecDeque<usize> = (0..count).filter(|member| is_source(*member)).collect();
        while let Some(giver) = queue.pop_front() {
            for partition in &of_member[giver] {
                for taker in &self.held[*partition] {
                    if seen[*taker] {
                        continue;
                    }
                    seen[*taker] = true;
                    came_by[*taker] = Some((giver, *partition));
                    if is_sink(*taker) {
                        let mut path = Vec::new();
                        let mut at = *taker;
                        while let Some((from, partition)) = came_by[at] {
                            path.push((partition, at));
                            at = from;
                        }
                        path.reverse();
                        return Some(Path { from: at, steps: path });
                    }
                    queue.push_back(*taker);
                }
            }
        }
        None
    }
}

/// Primacy handed on: each step names a partition and who takes it from the one before.
struct Path {
    from: usize,
    steps: Vec<(usize, usize)>,
}

impl Path {
    fn walk(self, primaries: &mut [usize], count: &mut [usize]) {
        let mut giver = self.from;
        for (partition, taker) in self.steps {
            primaries[partition] = taker;
            count[giver] -= 1;
            count[taker] += 1;
            giver = taker;
        }
    }
}

/// Fair shares of `total`: each the floor or the ceiling of the mean, the ceilings to those who hold most already.
fn shares(load: &[usize], total: usize) -> Vec<usize> {
    let count = load.len();
    let (base, rest) = (total / count, total % count);
    let mut by_load: Vec<usize> = (0..count).collect();
    by_load.order_by_key(|member| (core::cmp::Reverse(load[*member]), *member));
    let mut share = vec![base; count];
    for member in by_load.into_iter().take(rest) {
        share[member] += 1;
    }
    share
}

/// A number without pattern for a partition, alike on every node.
fn rank(partition: usize, salt: u64) -> u64 {
    checksum_seeded(&(partition as u32).to_le_bytes(), salt)
}

fn report(old: &[Vec<MemberId>], owners: &[Vec<MemberId>], members: &[MemberId]) -> ClaimReport {
    let share = |member: &MemberId| Share { member: *member, primaries: 0, replicas: 0, gained: 0, lost: 0 };
    let mut report = ClaimReport { shares: members.iter().map(share).collect(), ..ClaimReport::default() };
    for (before, after) in old.iter().zip(owners) {
        let mut changed = before.len() != after.len();
        for (place, id) in after.iter().enumerate() {
            let Ok(index) = members.binary_search(id) else { continue };
            let gained = !before.contains(id);
            changed |= gained;
            report.moved += u32::from(gained);
            report.shares[index].primaries += u32::from(place == 0);
            report.shares[index].replicas += 1;
            report.shares[index].gained += u32::from(gained);
        }
        for id in before.iter().filter(|id| !after.contains(id)) {
            if let Ok(index) = members.binary_search(id) {
                report.shares[index].lost += 1;
            }
        }
        report.partitions += u32::from(changed);
    }
    report
}

#[cfg(test)]
mod tests;
