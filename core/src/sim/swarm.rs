use super::catch::checker_of;
use super::script::NODE_COUNT_MAX;
use super::verdict::Checker;
use crate::base::{Bug, Micros, Random, Sabotage};
use crate::ring::Durability;
use crate::version::Resolve;
use serde::Serialize;

/// How much of one class of faults a run has. Off entirely in some seeds and frequent in others: a uniform mix finds
/// less, for faults hide each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// None.
    Off,
    /// Now and then.
    Low,
    /// Often.
    High,
}

impl Level {
    fn drawn(random: &mut Random) -> Level {
        match random.below(10) {
            0..5 => Level::Off,
            5..8 => Level::Low,
            _ => Level::High,
        }
    }
    /// One of three numbers.
    pub fn pick<T>(self, off: T, low: T, high: T) -> T {
        match self {
            Level::Off => off,
            Level::Low => low,
            Level::High => high,
        }
    }
}

/// The classes of faults, each at its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FaultLevels {
    /// Messages held back.
    pub delay: Level,
    /// Messages lost.
    pub loss: Level,
    /// Messages doubled.
    pub duplication: Level,
    /// Messages that overtake each other.
    pub reordering: Level,
    /// Nodes cut off from others, both ways.
    pub cuts: Level,
    /// The same, one way.
    pub one_way_cuts: Level,
    /// Processes killed; the page cache survives.
    pub kills: Level,
    /// Power losses of single nodes.
    pub power: Level,
    /// A disk lost.
    pub wipes: Level,
    /// Processes that stand still for a while.
    pub pauses: Level,
    /// Disks that take many times longer.
    pub slow_disks: Level,
    /// Disks without space.
    pub full_disks: Level,
    /// Clocks that differ.
    pub skew: Level,
    /// Clocks that jump.
    pub jumps: Level,
    /// Nodes that join in the midst of it.
    pub joins: Level,
}

impl FaultLevels {
    /// No faults at all.
    pub const NONE: FaultLevels = FaultLevels {
        delay: Level::Off,
        loss: Level::Off,
        duplication: Level::Off,
        reordering: Level::Off,
        cuts: Level::Off,
        one_way_cuts: Level::Off,
        kills: Level::Off,
        power: Level::Off,
        wipes: Level::Off,
        pauses: Level::Off,
        slow_disks: Level::Off,
        full_disks: Level::Off,
        skew: Level::Off,
        jumps: Level::Off,
        joins: Level::Off,
    };
}

/// All that makes a run, beside its script. Drawn from the seed, any of it may be set otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Options {
    /// The source of every draw.
    pub seed: u64,
    /// Nodes that start at the beginning.
    pub nodes: u8,
    /// Nodes that join later.
    pub joiners: u8,
    /// Shards of each node.
    pub shards: u8,
    /// Q.
    pub partitions: u16,
    /// Replicas of each key.
    pub n: u8,
    /// Answers that a read waits for.
    pub r: u8,
    /// Acknowledgements that a write waits for.
    pub w: u8,
    /// What happens to concurrent values.
    pub resolve: Resolve,
    /// When a replica acknowledges. C2 and C7 are judged under `always` alone.
    pub durability: Durability,
    /// Clients, each with one operation at a time.
    pub clients: u16,
    /// Keys that they use.
    pub keys: u16,
    /// Operations a second, all clients together.
    pub load: u32,
    /// Longest value.
    pub value_bytes_max: u32,
    /// How long faults last.
    pub safety: Micros,
    /// Which faults.
    pub faults: FaultLevels,
    /// Whether the whole cluster loses power at the end of the safety phase.
    pub power_cut: bool,
    /// Bytes of a memtable: small ones make flushes and compactions happen in a short run.
    pub memtable_bytes: u32,
    /// Bytes of an engine's newest records of keys in use: none, too few, enough.
    pub row_bytes: u32,
    /// Most events of a run: far above what any takes, for messages that beget messages have no end. `None` for a world that
    /// somebody watches, which goes on as long as it is let.
    pub events_max: Option<u64>,
    /// Which bug is built in.
    #[serde(skip)]
    pub sabotage: Sabotage,
    /// Judge by this checker alone: that a bug is caught by the one named for it, whoever else would have caught it.
    #[serde(skip)]
    pub judged_by: Option<Checker>,
    /// Keep the trace's words for [`super::World::take_trace`]; the hash is always made.
    pub keep_trace: bool,
}

impl Options {
    /// The options of a seed.
    pub fn drawn(seed: u64) -> Options {
        let mut random = Random::named(seed, "swarm");
        let nodes = [3, 3, 3, 4, 5, 5, 5, 6][random.below(8) as usize];
        let n = [3, 3, 3, 3, 3, 2, 1][random.below(7) as usize];
        let (r, w) = match (n, random.below(8)) {
            (3, 0..5) => (2, 2),
            (3, 5) => (1, 3),
            (3, 6) => (2, 3),
            (3, _) => (3, 1),
            (2, 0..4) => (1, 2),
            (2, _) => (2, 1),
            _ => (1, 1),
        };
        let mut level = || Level::drawn(&mut random);
        let mut faults = FaultLevels {
            delay: level(),
            loss: level(),
            duplication: level(),
            reordering: level(),
            cuts: level(),
            one_way_cuts: level(),
            kills: level(),
            power: level(),
            wipes: level(),
            pauses: level(),
            slow_disks: level(),
            full_disks: level(),
            skew: level(),
            jumps: level(),
            joins: level(),
        };
        if w < 2 {
            faults.wipes = Level::Off; // One copy and one lost disk: nothing promises more.
        }
        let joiners = faults.joins.pick(0, 1, 2);
        Options {
            seed,
            nodes,
            joiners,
            shards: 1 + random.below(2) as u8,
            partitions: 64,
            n,
            r,
            w,
            resolve: if random.chance(1, 2) { Resolve::Lww } else { Resolve::Siblings },
            durability: Durability::Always,
            clients: 4 + random.below(13) as u16,
            keys: [6, 12, 40, 120][random.below(4) as usize],
            load: 200,
            value_bytes_max: [16, 100, 100, 2_000][random.below(4) as usize],
            safety: Micros::from_millis(9_000 + random.below(5_000)),
            faults,
            power_cut: random.chance(1, 4),
            memtable_bytes: [4, 16, 64, 1024][random.below(4) as usize] << 10,
            row_bytes: [0, 8 << 10, 1 << 20][(seed % 3) as usize],
            events_max: Some(1_500_000),
            sabotage: Sabotage::NONE,
            judged_by: None,
            keep_trace: false,
        }
    }
    /// A calm cluster without faults or clients, for a page and its guests. A look-up there goes through memtables and
    /// tables, so that its way can be seen.
    pub fn calm(seed: u64, nodes: u8) -> Options {
        Options {
            nodes,
            joiners: 0,
            shards: 1,
            partitions: 64,
            n: 3.min(nodes),
            r: 2.min(nodes),
            w: 2.min(nodes),
            resolve: Resolve::Siblings,
            clients: 0,
            keys: 0,
            load: 0,
            faults: FaultLevels::NONE,
            power_cut: false,
            memtable_bytes: 64 << 10,
            row_bytes: 0,
            events_max: None,
            ..Options::drawn(seed)
        }
    }
    /// The options of a seed with a bug built in, and the conditions under which it can show: a bug in the transfer of
    /// partitions needs joins. `None` in a build that cannot break.
    pub fn sabotaged(seed: u64, bug: Bug) -> Option<Options> {
        let mut options = Options::drawn(seed);
        options.sabotage = Sabotage::with(bug)?;
        options.judged_by = Some(checker_of(bug));
        options.focus(bug);
        Some(options)
    }
    fn focus(&mut self, bug: Bug) {
        let faults = &mut self.faults;
        let strict_quorum = |options: &mut Options| (options.n, options.r, options.w) = (3, 2, 2);
        match bug {
            Bug::AckBeforeSync => self.power_cut = true,
            Bug::TornMiddleSkipped => {
                faults.wipes = Level::High;
                strict_quorum(self);
            }
            Bug::HintAckBeforeSync => {
                (faults.kills, faults.power, faults.slow_disks) = (Level::High, Level::High, Level::High);
                self.nodes = self.nodes.max(5);
                strict_quorum(self);
            }
            Bug::ReplyCountedTwice => {
                faults.duplication = Level::High;
                strict_quorum(self);
            }
            Bug::ActorReusedAfterWipe => {
                faults.wipes = Level::High;
                strict_quorum(self);
            }
            Bug::OldOwnerDropsEarly => {
                (faults.joins, self.joiners) = (Level::High, 2);
                (self.n, self.r, self.w) = (1, 1, 1);
            }
            Bug::JointSetSkipped => {
                (faults.joins, self.joiners) = (Level::High, 2);
                faults.delay = Level::High;
                strict_quorum(self);
            }
            Bug::PromiseNotSynced | Bug::ProposerPrefersOwn => {
                // Many epochs, and voters that lose power in the midst of deciding them.
                (faults.joins, self.joiners) = (Level::High, 4);
                (faults.loss, faults.delay) = (Level::High, Level::High);
            }
            Bug::ReporterCountedTwice => faults.loss = Level::High,
            Bug::MergeDropsSibling | Bug::SiblingBoundIgnored => self.resolve = Resolve::Siblings,
            Bug::LostWriteNotRestamped => {
                faults.skew = Level::High;
                (self.resolve, self.keys) = (Resolve::Lww, 6);
                strict_quorum(self);
            }
            Bug::TombstoneDroppedEarly => {
                (self.memtable_bytes, self.keys, self.resolve) = (4 << 10, 40, Resolve::Lww);
                faults.kills = Level::High;
                strict_quorum(self);
            }
            Bug::TreeKeepsOldHash | Bug::DeadlineNeverArmed | Bug::ProcessDependentOrder => {}
        }
    }
    /// Nodes there may ever be.
    pub fn node_count(&self) -> u8 {
        (self.nodes + self.joiners).clamp(1, NODE_COUNT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_differ_in_every_option_and_stay_within_what_is_promised() {
        let all: alloc::vec::Vec<Options> = (0..200).map(Options::drawn).collect();
        for options in &all {
            assert!(options.r + options.w > options.n, "{options:?}");
            assert!(options.w >= 2 || options.faults.wipes == Level::Off, "{options:?}");
            assert!(options.node_count() >= options.n);
        }
        assert!(all.iter().any(|o| o.shards == 2) && all.iter().any(|o| o.shards == 1));
        assert!(all.iter().any(|o| o.n == 1) && all.iter().any(|o| o.n == 2));
        assert!(all.iter().any(|o| o.power_cut) && all.iter().any(|o| o.joiners == 2));
        assert!(all.iter().any(|o| o.resolve == Resolve::Siblings));
    }
}
