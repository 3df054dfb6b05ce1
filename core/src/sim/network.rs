use super::script::{NetworkRates, NodeIndex};
use crate::base::{BTreeMap, BTreeSet};
use crate::base::{Micros, Random};
use smallvec::SmallVec;

/// Fastest a message arrives.
const DELAY_MIN: Micros = Micros(100);
/// Usually slowest.
const DELAY_MAX: Micros = Micros(900);
/// How long a late message may be held back.
const LATE_MAX: Micros = Micros::from_millis(1_000);

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// It arrives, once or twice, at these times.
    Arrives(SmallVec<[Micros; 2]>),
    /// Dropped by chance.
    Lost,
    /// Dropped by a cut.
    Cut,
}

/// The links between nodes: delay, loss, duplication, reordering, cuts in one or both directions.
///
/// Knows no messages: only who speaks to whom, and when.
#[derive(Debug, Clone)]
pub(super) struct Network {
    random: Random,
    rates: NetworkRates,
    cuts: BTreeSet<(NodeIndex, NodeIndex)>,
    /// How much longer messages of a node take, both ways.
    slow: BTreeMap<NodeIndex, Micros>,
    /// How many of a thousand messages of a node are lost, both ways.
    lossy: BTreeMap<NodeIndex, u16>,
    /// When the last message of a link arrives, so that the next does not overtake it unless reordering is on.
    last: BTreeMap<(NodeIndex, NodeIndex), Micros>,
}

impl Network {
    pub fn new(seed: u64) -> Network {
        Network {
            random: Random::named(seed, "network"),
            rates: NetworkRates::default(),
            cuts: BTreeSet::new(),
            slow: BTreeMap::new(),
            lossy: BTreeMap::new(),
            last: BTreeMap::new(),
        }
    }
    pub fn set_rates(&mut self, rates: NetworkRates) {
        self.rates = rates;
    }
    pub fn cut(&mut self, from: NodeIndex, to: NodeIndex) {
        self.cuts.insert((from, to));
    }
    pub fn join(&mut self, from: NodeIndex, to: NodeIndex) {
        self.cuts.remove(&(from, to));
    }
    pub fn is_cut(&self, from: NodeIndex, to: NodeIndex) -> bool {
        self.cuts.contains(&(from, to))
    }
    /// All cuts, in order.
    pub fn cuts(&self) -> impl Iterator<Item = (NodeIndex, NodeIndex)> + '_ {
        self.cuts.iter().copied()
    }
    pub fn set_slow(&mut self, node: NodeIndex, by: Micros) {
        self.slow.insert(node, by);
        self.slow.retain(|_, by| by.0 > 0);
    }
    pub fn slow(&self, node: NodeIndex) -> Micros {
        self.slow.get(&node).copied().unwrap_or_default()
    }
    pub fn set_lossy(&mut self, node: NodeIndex, permille: u16) {
        self.lossy.insert(node, permille);
        self.lossy.retain(|_, permille| *permille > 0);
    }
    pub fn lossy(&self, node: NodeIndex) -> u16 {
        self.lossy.get(&node).copied().unwrap_or_default()
    }
    /// Ends every fault.
    pub fn heal(&mut self) {
        self.cuts.clear();
        self.slow.clear();
        self.lossy.clear();
        self.rates = NetworkRates::default();
    }
    /// Decides about one message.
    pub fn send(&mut self, now: Micros, from: NodeIndex, to: NodeIndex) -> Fate {
        if self.is_cut(from, to) {
            return Fate::Cut;
        }
        if self.random.chance(u64::from(self.rates.loss_permille), 1000) {
            return Fate::Lost;
        }
        // Drawn only where there is something to draw: scripts without it keep their runs.
        let lossy = self.lossy(from).max(self.lossy(to));
        if lossy > 0 && self.random.chance(u64::from(lossy), 1000) {
            return Fate::Lost;
        }
        let slow = self.slow(from) + self.slow(to);
        let copies = 1 + u8::from(self.random.chance(u64::from(self.rates.dup_permille), 1000));
        let mut arrivals = SmallVec::new();
        for _ in 0..copies {
            let mut delay = self.random.between(DELAY_MIN.0, DELAY_MAX.0);
            if self.random.chance(u64::from(self.rates.late_permille), 1000) {
                delay += self.random.below(LATE_MAX.0);
            }
            let mut at = now + Micros(delay) + slow;
            if !self.rates.reorder {
                let last = self.last.entry((from, to)).or_insert(at);
                at = at.max(*last);
                *last = at;
            }
            arrivals.push(at);
        }
        Fate::Arrives(arrivals)
    }
    /// How long a connection that ends is noticed after.
    pub fn notice(&mut self) -> Micros {
        Micros(self.random.between(DELAY_MIN.0, DELAY_MAX.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeIndex = NodeIndex(0);
    const B: NodeIndex = NodeIndex(1);

    #[test]
    fn a_cut_is_one_way_and_heals() {
        let mut network = Network::new(1);
        network.cut(A, B);
        assert_eq!(network.send(Micros(0), A, B), Fate::Cut);
        assert!(matches!(network.send(Micros(0), B, A), Fate::Arrives(_)));
        network.heal();
        assert!(matches!(network.send(Micros(0), A, B), Fate::Arrives(_)));
    }

    #[test]
    fn a_slow_and_a_lossy_node_are_so_both_ways_until_it_ends() {
        let mut network = Network::new(1);
        network.set_slow(A, Micros::from_millis(40));
        for (from, to) in [(A, B), (B, A)] {
            let Fate::Arrives(at) = network.send(Micros(0), from, to) else { panic!("it was lost") };
            assert!(at[0] > Micros::from_millis(40), "{at:?}");
        }
        network.set_lossy(B, 1000);
        assert_eq!(network.send(Micros(0), A, B), Fate::Lost);
        assert_eq!(network.send(Micros(0), B, A), Fate::Lost);
        network.set_slow(A, Micros(0));
        network.set_lossy(B, 0);
        let Fate::Arrives(at) = network.send(Micros::from_secs(1), A, B) else { panic!("it was lost") };
        assert!(at[0] < Micros::from_millis(1_002), "{at:?}");
    }

    #[test]
    fn messages_overtake_only_when_they_may() {
        for reorder in [false, true] {
            let mut network = Network::new(2);
            network.set_rates(NetworkRates { late_permille: 200, reorder, ..NetworkRates::default() });
            let mut last = Micros(0);
            let mut overtaken = 0;
            for now in 0..1_000 {
                let Fate::Arrives(at) = network.send(Micros(now * 100), A, B) else { continue };
                overtaken += u32::from(at[0] < last);
                last = last.max(at[0]);
            }
            assert_eq!(overtaken > 0, reorder);
        }
    }

    #[test]
    fn rates_are_kept_about() {
        let mut network = Network::new(3);
        network.set_rates(NetworkRates { loss_permille: 300, dup_permille: 500, ..NetworkRates::default() });
        let fates: alloc::vec::Vec<Fate> = (0..2_000).map(|_| network.send(Micros(0), A, B)).collect();
        let lost = fates.iter().filter(|fate| **fate == Fate::Lost).count();
        let twice = fates.iter().filter(|fate| matches!(fate, Fate::Arrives(at) if at.len() == 2)).count();
        assert!((500..700).contains(&lost), "{lost}");
        assert!((600..800).contains(&twice), "{twice}");
    }
}
