use crate::base::{Bug, MemberId, PartitionId, Sabotage, ShardIndex};
use crate::version::{Actor, Dot, VersionVector};
use alloc::vec::Vec;

/// Gives dots. *Whoever forgets takes a new name*: each start counts generations up from another random point, each
/// partition that is gained gets one of its own, and a write to a key of which nothing is held gets one for itself.
///
/// Counters are one per generation over all its keys: gaps in a key's counters do no harm, repeats would.
#[derive(Debug, Clone)]
pub(super) struct Actors {
    me: MemberId,
    /// The shard's number stands in its low bits, so that shards never meet.
    generation: u64,
    /// By partition. Looked at with every write.
    living: Vec<Option<Dot>>,
}

const STEP: u64 = ShardIndex::COUNT_MAX as u64;

impl Actors {
    pub fn new(me: MemberId, shard: ShardIndex, entropy: u64, sabotage: Sabotage) -> Actors {
        // The bug: a name that does not depend on this life.
        let start = if sabotage.is(Bug::ActorReusedAfterWipe) { 0 } else { entropy / STEP * STEP };
        Actors { me, generation: start | u64::from(shard.0), living: Vec::new() }
    }
    fn birth(&mut self) -> Actor {
        self.generation = self.generation.wrapping_add(STEP);
        Actor::new(self.me, self.generation)
    }
    /// The dot of a write to a key of which a cell is held.
    pub fn next(&mut self, partition: PartitionId) -> Dot {
        let place = usize::from(partition.0);
        let last = match self.living.get(place) {
            Some(Some(dot)) => *dot,
            _ => Dot { actor: self.birth(), counter: 0 },
        };
        let dot = Dot { counter: last.counter + 1, ..last };
        if self.living.len() <= place {
            self.living.resize(place + 1, None);
        }
        self.living[place] = Some(dot);
        dot
    }
    /// The dot of a write to a key of which nothing is held.
    pub fn first(&mut self) -> Dot {
        Dot { actor: self.birth(), counter: 1 }
    }
    /// The partition was gained, lost or found damaged: its next write takes a new generation.
    pub fn forget(&mut self, partition: PartitionId) {
        if let Some(living) = self.living.get_mut(usize::from(partition.0)) {
            *living = None;
        }
    }
    /// Whether `seen` knows more of this node's living generation than it does itself: somebody else uses its name.
    pub fn is_known_better(&self, partition: PartitionId, seen: &VersionVector) -> bool {
        let living = self.living.get(usize::from(partition.0)).copied().flatten();
        living.is_some_and(|dot| seen.counter(dot.actor) > dot.counter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::BTreeSet;

    #[test]
    fn no_dot_is_given_twice_by_any_shard_or_life() {
        let mut given = BTreeSet::new();
        for shard in 0..4 {
            for life in [1u64 << 40, 2 << 40] {
                let mut actors = Actors::new(MemberId(1), ShardIndex(shard), life, Sabotage::NONE);
                for round in 0..50 {
                    assert!(given.insert(actors.next(PartitionId(3))));
                    assert!(given.insert(actors.next(PartitionId(4))));
                    assert!(given.insert(actors.first()));
                    if round % 7 == 0 {
                        actors.forget(PartitionId(3));
                    }
                }
            }
        }
    }
}
