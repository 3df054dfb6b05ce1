use super::tally::{Seat, Tally, VoteSet};
use crate::base::{Bug, MemberId, PartitionId, Sabotage};
use crate::ring::View;
use alloc::vec::Vec;
use smallvec::SmallVec;

/// What the quorum is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Answers of `needed` seats.
    Read,
    /// Acknowledgements of `needed` seats.
    Write,
}

/// Whom to ask about a partition, and who stands in for whom.
///
/// Source: Dynamo (SOSP 2007), §4.6, sloppy quorum. Differs: only a Down (or refusing, or refilling) owner is stood in
/// for, never a merely slow one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The seats and how many votes are needed.
    pub tally: Tally,
    /// Owners nobody could be found to stand in for: a live owner keeps a note of what they missed.
    pub vacant: SmallVec<[MemberId; 2]>,
    /// Owners that refill: they are sent writes, and their word does not count.
    pub observers: SmallVec<[MemberId; 1]>,
}

impl Plan {
    /// Draws the plan from what is known now. `None` if the view has no such partition.
    pub fn new(
        view: &View,
        partition: PartitionId,
        needed: u8,
        purpose: Purpose,
        sabotage: Sabotage,
    ) -> Option<Plan> {
        let state = view.partition(partition)?;
        let mut plan = Plan {
            tally: Tally { sets: SmallVec::new() },
            vacant: SmallVec::new(),
            observers: SmallVec::new(),
        };
        let mut fallbacks: Option<Vec<MemberId>> = None;
        let mut stand_ins: SmallVec<[(MemberId, Option<MemberId>); 2]> = SmallVec::new();
        let joint = !state.next.is_empty() && !sabotage.is(Bug::JointSetSkipped);
        let sets = [Some(&state.owners), joint.then_some(&state.next)];
        for owners in sets.into_iter().flatten() {
            let mut seats: SmallVec<[Seat; 4]> = SmallVec::new();
            for owner in owners {
                let holder = if view.is_usable(*owner) {
                    Some(*owner)
                } else if let Some((_, holder)) = stand_ins.iter().find(|(stood, _)| stood == owner) {
                    *holder
                } else {
                    let walk = fallbacks.get_or_insert_with(|| Plan::fallbacks(view, partition));
                    let holder = if walk.is_empty() { None } else { Some(walk.remove(0)) };
                    stand_ins.push((*owner, holder));
                    if holder.is_none() {
                        plan.vacant.push(*owner);
                    }
                    let refilling = view.topology.member(*owner).is_some_and(|member| member.refilling);
                    if refilling && purpose == Purpose::Write {
                        plan.observers.push(*owner);
                    }
                    holder
                };
                seats.push(Seat { owner: *owner, holder, voted: false, refused: false });
            }
            // With fewer members than N, the members there are decide.
            let needed = needed.min(owners.len() as u8).max(1);
            plan.tally.sets.push(VoteSet::new(seats, needed));
        }
        Some(plan)
    }
    /// Members that can stand in for an owner of `partition`, in order of the walk.
    pub fn fallbacks(view: &View, partition: PartitionId) -> Vec<MemberId> {
        let Some(state) = view.partition(partition) else { return Vec::new() };
        let mut walk = view.topology.walk(partition);
        walk.retain(|id| !state.owners.contains(id) && !state.next.contains(id) && view.is_usable(*id));
        walk
    }
    /// The next member of the walk that could take the seats of `owner` and holds none yet.
    pub fn another(&self, view: &View, partition: PartitionId) -> Option<MemberId> {
        Plan::fallbacks(view, partition).into_iter().find(|id| !self.tally.is_holder(*id))
    }
    /// Each holder once, with the owner it stands in for (`None` for itself), in order of the walk.
    pub fn holders(&self) -> SmallVec<[(MemberId, Option<MemberId>); 4]> {
        let mut holders: SmallVec<[(MemberId, Option<MemberId>); 4]> = SmallVec::new();
        for seat in self.tally.sets.iter().flat_map(|set| &set.seats) {
            if let Some(holder) = seat.holder
                && !holders.iter().any(|(known, _)| *known == holder)
            {
                holders.push((holder, (holder != seat.owner).then_some(seat.owner)));
            }
        }
        holders
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::{Liveness, fixture};

    fn view(members: u16, down: &[u16]) -> View {
        let liveness = down.iter().map(|id| (MemberId(*id), Liveness::Down)).collect();
        View { liveness, ..fixture::view(members, 3) }
    }

    #[test]
    fn the_next_of_the_walk_stands_in_for_a_down_owner() {
        let plan = Plan::new(&view(5, &[1]), PartitionId(0), 2, Purpose::Write, Sabotage::NONE).unwrap();
        let holders = plan.holders();
        assert_eq!(
            holders.as_slice(),
            [(MemberId(0), None), (MemberId(3), Some(MemberId(1))), (MemberId(2), None)]
        );
        assert!(plan.vacant.is_empty());
    }

    #[test]
    fn with_as_many_members_as_owners_the_seat_stays_vacant() {
        let plan = Plan::new(&view(3, &[1]), PartitionId(0), 2, Purpose::Write, Sabotage::NONE).unwrap();
        assert_eq!(plan.vacant.as_slice(), [MemberId(1)]);
        assert_eq!(plan.tally.possible(), 2);
    }
}
