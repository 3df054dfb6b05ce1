use crate::base::{Bug, MemberId, Sabotage};
use smallvec::SmallVec;

/// One place in a quorum: an owner's, held by the owner or by whoever stands in for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    /// Whose place it is.
    pub owner: MemberId,
    /// Who answers for it: the owner, a fallback, or nobody.
    pub holder: Option<MemberId>,
    /// Its holder has said yes.
    pub voted: bool,
    /// Its holder has said that it cannot.
    pub refused: bool,
}

/// A set of seats of which `needed` must vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoteSet {
    /// One for each owner.
    pub seats: SmallVec<[Seat; 4]>,
    /// How many of them decide.
    pub needed: u8,
    /// Votes that only a sabotaged build counts.
    forged: u8,
}

impl VoteSet {
    /// A set of seats.
    pub fn new(seats: SmallVec<[Seat; 4]>, needed: u8) -> VoteSet {
        VoteSet { seats, needed, forged: 0 }
    }
    fn votes(&self) -> u8 {
        self.seats.iter().filter(|seat| seat.voted).count() as u8 + self.forged
    }
    fn possible(&self) -> u8 {
        self.seats.iter().filter(|seat| seat.voted || (seat.holder.is_some() && !seat.refused)).count() as u8
    }
}

/// Where a tally stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every set has its votes.
    Met,
    /// More votes can still come.
    Open,
    /// Some set can no longer get its votes.
    Lost,
}

/// Counts votes in one set, or in two while a partition moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// The sets; each must be met.
    pub sets: SmallVec<[VoteSet; 1]>,
}

impl Tally {
    /// Where it stands.
    pub fn verdict(&self) -> Verdict {
        if self.sets.iter().all(|set| set.votes() >= set.needed) {
            Verdict::Met
        } else if self.sets.iter().any(|set| set.possible() < set.needed) {
            Verdict::Lost
        } else {
            Verdict::Open
        }
    }
    /// Counts a yes of `member` once in every set where it holds a seat.
    pub fn vote(&mut self, member: MemberId, sabotage: Sabotage) {
        for set in &mut self.sets {
            for seat in set.seats.iter_mut().filter(|seat| seat.holder == Some(member)) {
                if seat.voted && sabotage.is(Bug::ReplyCountedTwice) {
                    set.forged += 1;
                }
                seat.voted = true;
            }
        }
    }
    /// Takes over the votes of an earlier tally that mean the same here: of a member for itself, or for the same owner that
    /// it stood in for. Returns who voted for whom.
    pub fn carry(&mut self, earlier: &Tally) -> SmallVec<[(MemberId, MemberId); 4]> {
        let mut carried = SmallVec::new();
        for old in earlier.sets.iter().flat_map(|set| &set.seats).filter(|seat| seat.voted) {
            for seat in self.sets.iter_mut().flat_map(|set| &mut set.seats) {
                if seat.owner == old.owner && seat.holder == old.holder && !seat.voted {
                    seat.voted = true;
                    let vote = (old.holder.unwrap_or(old.owner), old.owner);
                    if !carried.contains(&vote) {
                        carried.push(vote);
                    }
                }
            }
        }
        carried
    }
    /// Notes that `member` cannot; returns the owners whose seats it held, for somebody else to take.
    pub fn refuse(&mut self, member: MemberId) -> SmallVec<[MemberId; 2]> {
        let mut open = SmallVec::new();
        for seat in self.sets.iter_mut().flat_map(|set| &mut set.seats) {
            if seat.holder == Some(member) && !seat.voted && !seat.refused {
                seat.refused = true;
                if !open.contains(&seat.owner) {
                    open.push(seat.owner);
                }
            }
        }
        open
    }
    /// Gives the seats of `owner` to `holder`.
    pub fn stand_in(&mut self, owner: MemberId, holder: MemberId) {
        for seat in self.sets.iter_mut().flat_map(|set| &mut set.seats) {
            if seat.owner == owner && !seat.voted {
                seat.holder = Some(holder);
                seat.refused = false;
            }
        }
    }
    /// Whether `member` holds a seat.
    pub fn is_holder(&self, member: MemberId) -> bool {
        self.sets.iter().any(|set| set.seats.iter().any(|seat| seat.holder == Some(member)))
    }
    /// Whether `member` has voted.
    pub fn has_voted(&self, member: MemberId) -> bool {
        self.sets.iter().any(|set| set.seats.iter().any(|seat| seat.holder == Some(member) && seat.voted))
    }
    /// Distinct members that have voted.
    pub fn voters(&self) -> SmallVec<[MemberId; 4]> {
        let mut voters = SmallVec::new();
        for seat in self.sets.iter().flat_map(|set| &set.seats) {
            if let Some(holder) = seat.holder.filter(|holder| seat.voted && !voters.contains(holder)) {
                voters.push(holder);
            }
        }
        voters
    }
    /// How many of the votes are those of fallbacks.
    pub fn hinted(&self) -> u8 {
        let mut counted: SmallVec<[MemberId; 4]> = SmallVec::new();
        for seat in self.sets.iter().flat_map(|set| &set.seats) {
            if let Some(holder) = seat.holder
                && seat.voted
                && holder != seat.owner
                && !counted.contains(&holder)
            {
                counted.push(holder);
            }
        }
        counted.len() as u8
    }
    /// The need of the set that is furthest from it: what a client is told.
    pub fn needed(&self) -> u8 {
        self.scarcest().map_or(0, |set| set.needed)
    }
    /// The need of each set; the second is 0 where nothing moves.
    pub fn needed_of_each(&self) -> [u8; 2] {
        [0, 1].map(|set| self.sets.get(set).map_or(0, |set| set.needed))
    }
    /// Votes that can still be had in that set.
    pub fn possible(&self) -> u8 {
        self.scarcest().map_or(0, VoteSet::possible)
    }
    fn scarcest(&self) -> Option<&VoteSet> {
        self.sets.iter().min_by_key(|set| i16::from(set.possible()) - i16::from(set.needed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(owners: &[u16], needed: u8) -> VoteSet {
        let seat = |id: &u16| Seat {
            owner: MemberId(*id),
            holder: Some(MemberId(*id)),
            voted: false,
            refused: false,
        };
        VoteSet::new(owners.iter().map(seat).collect(), needed)
    }

    #[test]
    fn a_duplicated_answer_counts_once() {
        let mut tally = Tally { sets: SmallVec::from_iter([set(&[1, 2, 3], 2)]) };
        tally.vote(MemberId(1), Sabotage::NONE);
        tally.vote(MemberId(1), Sabotage::NONE);
        assert_eq!(tally.verdict(), Verdict::Open);
        tally.vote(MemberId(3), Sabotage::NONE);
        assert_eq!(tally.verdict(), Verdict::Met);
    }

    #[test]
    fn a_joint_quorum_needs_both_sets() {
        let mut tally = Tally { sets: SmallVec::from_iter([set(&[1, 2, 3], 2), set(&[3, 4, 5], 2)]) };
        for member in [1, 2] {
            tally.vote(MemberId(member), Sabotage::NONE);
        }
        assert_eq!(tally.verdict(), Verdict::Open);
        for member in [3, 4] {
            tally.vote(MemberId(member), Sabotage::NONE);
        }
        assert_eq!(tally.verdict(), Verdict::Met);
    }

    #[test]
    fn a_refusal_frees_the_seat_and_too_many_lose_the_quorum() {
        let mut tally = Tally { sets: SmallVec::from_iter([set(&[1, 2, 3], 2)]) };
        assert_eq!(tally.refuse(MemberId(1)).as_slice(), [MemberId(1)]);
        assert_eq!(tally.verdict(), Verdict::Open);
        tally.refuse(MemberId(2));
        assert_eq!(tally.verdict(), Verdict::Lost);
        tally.stand_in(MemberId(2), MemberId(9));
        tally.vote(MemberId(9), Sabotage::NONE);
        tally.vote(MemberId(3), Sabotage::NONE);
        assert_eq!((tally.verdict(), tally.hinted()), (Verdict::Met, 1));
    }

    #[test]
    fn a_vote_is_carried_to_the_same_seat_only() {
        let mut old = Tally { sets: SmallVec::from_iter([set(&[1, 2, 3], 3)]) };
        old.refuse(MemberId(2));
        old.stand_in(MemberId(2), MemberId(9));
        for member in [1, 9] {
            old.vote(MemberId(member), Sabotage::NONE);
        }
        // Member 9 stands in for another owner now: what it keeps is for member 2.
        let mut new = Tally { sets: SmallVec::from_iter([set(&[1, 2, 3], 3)]) };
        new.refuse(MemberId(3));
        new.stand_in(MemberId(3), MemberId(9));
        assert_eq!(new.carry(&old).as_slice(), [(MemberId(1), MemberId(1))]);
        assert_eq!(new.voters().as_slice(), [MemberId(1)]);
    }

    #[test]
    fn a_stranger_has_no_vote() {
        let mut tally = Tally { sets: SmallVec::from_iter([set(&[1], 1)]) };
        tally.vote(MemberId(2), Sabotage::NONE);
        assert_eq!(tally.verdict(), Verdict::Open);
    }
}
