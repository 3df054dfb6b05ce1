use crate::base::BTreeMap;
use crate::base::{MemberId, PartitionId};

/// How many hints are held, for whom and of which partition. Derived from the hints column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct HintLedger {
    counts: BTreeMap<(MemberId, PartitionId), u64>,
    count: u64,
    bytes: u64,
}

impl HintLedger {
    /// One hint changed its size, came or went.
    pub fn change(&mut self, target: MemberId, partition: PartitionId, old: Option<u64>, new: Option<u64>) {
        self.bytes = self.bytes + new.unwrap_or(0) - old.unwrap_or(0);
        match (old, new) {
            (None, Some(_)) => {
                self.count += 1;
                *self.counts.entry((target, partition)).or_default() += 1;
            }
            (Some(_), None) => {
                self.count -= 1;
                if let Some(count) = self.counts.get_mut(&(target, partition)) {
                    *count -= 1;
                    if *count == 0 {
                        self.counts.remove(&(target, partition));
                    }
                }
            }
            _ => {}
        }
    }
    /// All of them.
    pub fn count(&self) -> u64 {
        self.count
    }
    /// Their size on disk, keys counted in.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
    /// Whether a hint of that size, key counted in, may take the place of one of the size `old`.
    pub fn has_room(&self, old: u64, new: u64, bytes_max: u64) -> bool {
        new <= old || self.bytes - old + new <= bytes_max
    }
    /// For whom there are any, in order.
    pub fn targets(&self) -> impl Iterator<Item = MemberId> + '_ {
        let mut last = None;
        self.counts.keys().filter_map(move |(target, _)| {
            let is_new = last != Some(*target);
            last = Some(*target);
            is_new.then_some(*target)
        })
    }
    /// How many there are, by target and partition.
    pub fn counts(&self) -> impl Iterator<Item = (MemberId, PartitionId, u64)> + '_ {
        self.counts.iter().map(|((target, partition), count)| (*target, *partition, *count))
    }
    /// Whether there are any of that partition, for whomever.
    pub fn has(&self, partition: PartitionId) -> bool {
        self.counts.keys().any(|(_, of)| *of == partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_counted_by_target_and_partition() {
        let mut ledger = HintLedger::default();
        let (a, b) = (MemberId(1), MemberId(2));
        ledger.change(a, PartitionId(1), None, Some(10));
        ledger.change(a, PartitionId(2), None, Some(10));
        ledger.change(b, PartitionId(2), None, Some(10));
        ledger.change(a, PartitionId(1), Some(10), Some(30));
        assert_eq!((ledger.count(), ledger.bytes()), (3, 50));
        assert!(ledger.has_room(0, 10, 60) && !ledger.has_room(0, 11, 60));
        assert!(ledger.has_room(30, 40, 60) && ledger.has_room(30, 30, 20));
        assert!(ledger.targets().eq([a, b]));
        ledger.change(a, PartitionId(1), Some(30), None);
        assert!(!ledger.has(PartitionId(1)) && ledger.has(PartitionId(2)));
    }
}
