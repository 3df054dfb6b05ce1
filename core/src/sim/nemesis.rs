use super::checkers::bounds::HEALED_GRACE;
use super::script::{Action, DiskMood, NetworkRates, NodeIndex, Script};
use super::swarm::{Level, Options};
use crate::base::{Bug, Micros, Random};

/// Between the starts of two nodes: so close that the first put to a calm cluster, which waits for all, can be taken after
/// about half a second.
const START_EVERY: Micros = Micros::from_millis(50);
/// When clients begin: while the cluster is still forming, on purpose.
const LOAD_AT: Micros = Micros::from_millis(800);
/// When faults begin.
const FAULTS_AT: Micros = Micros::from_millis(2_500);
/// How long clients go on after healing: these operations must succeed (C12).
const HEALED_LOAD: Micros = Micros::from_millis(3_000);

/// Turns options into the default script: a cluster forms, clients begin, faults come and go, everything heals, clients
/// rest.
pub fn default_script(options: &Options) -> Script {
    let mut nemesis = Nemesis {
        random: Random::named(options.seed, "nemesis"),
        options,
        script: Script::default(),
        until: FAULTS_AT + options.safety,
    };
    nemesis.form();
    nemesis.network();
    nemesis.clocks();
    nemesis.processes();
    nemesis.cuts();
    nemesis.disks();
    nemesis.joiners();
    nemesis.end();
    nemesis.script.sort();
    nemesis.script
}

/// A calm cluster's nodes start; nothing else happens by itself.
pub fn calm_script(options: &Options) -> Script {
    let mut script = Script::default();
    for index in 0..options.nodes {
        script.push(Micros(u64::from(index) * START_EVERY.0), Action::Start(NodeIndex(index)));
    }
    script
}

struct Nemesis<'a> {
    random: Random,
    options: &'a Options,
    script: Script,
    until: Micros,
}

impl Nemesis<'_> {
    fn form(&mut self) {
        self.script = calm_script(self.options);
        self.script.push(LOAD_AT, Action::Load(self.options.load));
    }
    fn network(&mut self) {
        let faults = &self.options.faults;
        let rates = NetworkRates {
            loss_permille: faults.loss.pick(0, 10, 100),
            dup_permille: faults.duplication.pick(0, 10, 200),
            late_permille: faults.delay.pick(0, 10, 80),
            reorder: faults.reordering != Level::Off,
        };
        if rates == NetworkRates::default() {
            return;
        }
        // In waves: what a fault breaks is often only seen when it ends.
        let mut at = FAULTS_AT;
        while at < self.until {
            self.script.push(at, Action::Network(rates));
            at = at + self.span(1_000, 5_000);
            self.script.push(at.min(self.until), Action::Network(NetworkRates::default()));
            at = at + self.span(200, 1_500);
        }
    }
    fn clocks(&mut self) {
        let spread = i64::from(self.options.faults.skew.pick(0, 50, 400));
        for index in 0..self.options.node_count() {
            if spread > 0 {
                let offset = self.random.below(2 * spread as u64) as i64 - spread;
                self.script.push(Micros(0), Action::Clock(NodeIndex(index), offset as i32));
            }
        }
        for at in self.times(self.options.faults.jumps, 4_000, 1_200) {
            let offset = self.random.below(1_000) as i32 - 500;
            let node = self.node();
            self.script.push(at, Action::Clock(node, offset));
        }
    }
    fn processes(&mut self) {
        let faults = self.options.faults;
        for at in self.times(faults.kills, 4_000, 1_500) {
            let node = self.node();
            self.down(at, Action::Kill(node), node, 3_000);
        }
        for at in self.times(faults.power, 4_000, 1_500) {
            let node = self.node();
            self.down(at, Action::Power(node), node, 3_000);
        }
        for at in self.times(faults.pauses, 4_000, 1_500) {
            let node = self.node();
            self.script.push(at, Action::Pause(node));
            let end = at + self.span(50, 3_000);
            self.script.push(end, Action::Resume(node));
        }
        // One disk at most: a second one lost before repair has made up for the first is more than W promises.
        if faults.wipes != Level::Off {
            let at = FAULTS_AT + Micros(self.random.below(self.options.safety.0 / 2));
            let node = self.node();
            let is_rot = self.options.sabotage.is(Bug::TornMiddleSkipped) || self.random.chance(1, 3);
            let how = if is_rot { Action::Rot(node) } else { Action::Wipe(node) };
            self.down(at, how, node, 1_500);
        }
    }
    fn down(&mut self, at: Micros, how: Action, node: NodeIndex, most_ms: u64) {
        self.script.push(at, how);
        let back = at + self.span(10, most_ms);
        self.script.push(back, Action::Start(node));
    }
    fn cuts(&mut self) {
        let faults = self.options.faults;
        for at in self.times(faults.cuts, 4_000, 1_500) {
            let lonely = self.node();
            let end = at + self.span(100, 3_000);
            for other in (0..self.options.node_count()).map(NodeIndex).filter(|other| *other != lonely) {
                // Sometimes only some links: bridges are what two-sided partitions never show.
                if self.random.chance(3, 4) {
                    for (from, to) in [(lonely, other), (other, lonely)] {
                        self.script.push(at, Action::Cut(from, to));
                        self.script.push(end, Action::Join(from, to));
                    }
                }
            }
        }
        for at in self.times(faults.one_way_cuts, 3_000, 1_000) {
            let (from, to) = (self.node(), self.node());
            if from != to {
                let end = at + self.span(100, 3_000);
                self.script.push(at, Action::Cut(from, to));
                self.script.push(end, Action::Join(from, to));
            }
        }
    }
    fn disks(&mut self) {
        let faults = self.options.faults;
        for (level, mood) in [(faults.slow_disks, DiskMood::Slow), (faults.full_disks, DiskMood::Full)] {
            for at in self.times(level, 5_000, 2_000) {
                let node = self.node();
                let end = at + self.span(200, 3_000);
                self.script.push(at, Action::Disk(node, mood));
                self.script.push(end, Action::Disk(node, DiskMood::Ok));
            }
        }
    }
    fn joiners(&mut self) {
        for index in self.options.nodes..self.options.node_count() {
            let at = FAULTS_AT + Micros(self.random.below(self.options.safety.0 * 2 / 3));
            self.script.push(at, Action::Start(NodeIndex(index)));
            if self.options.sabotage.is(Bug::PromiseNotSynced)
                || self.options.sabotage.is(Bug::ProposerPrefersOwn)
            {
                self.blink(at);
            }
        }
    }
    /// Voters lose power for a moment, again and again, while a join is being decided.
    fn blink(&mut self, from: Micros) {
        let mut at = from;
        for _ in 0..8 {
            at = at + self.span(10, 150);
            let node = self.node();
            self.script.push(at, Action::Power(node));
            let back = at + self.span(1, 60);
            self.script.push(back, Action::Start(node));
        }
    }
    fn end(&mut self) {
        if self.options.power_cut {
            self.script.push(self.until, Action::PowerAll);
        }
        let heal = self.until + Micros::from_millis(100);
        self.script.lines.retain(|line| line.at < heal);
        self.script.push(heal, Action::Heal);
        self.script.push(heal + HEALED_GRACE + HEALED_LOAD, Action::Load(0));
    }
    /// Times within the safety phase, at random distances up to `low_ms` or `high_ms`.
    fn times(&mut self, level: Level, low_ms: u64, high_ms: u64) -> alloc::vec::Vec<Micros> {
        let distance_ms = level.pick(0, low_ms, high_ms);
        let mut times = alloc::vec::Vec::new();
        if distance_ms == 0 {
            return times;
        }
        let mut at = FAULTS_AT + self.span(distance_ms / 4, distance_ms * 2);
        while at < self.until {
            times.push(at);
            at = at + self.span(distance_ms / 4, distance_ms * 2);
        }
        times
    }
    fn span(&mut self, low_ms: u64, high_ms: u64) -> Micros {
        Micros(self.random.between(low_ms * 1_000, high_ms * 1_000))
    }
    fn node(&mut self) -> NodeIndex {
        NodeIndex(self.random.below(u64::from(self.options.nodes)) as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_seed_is_a_script_and_heals_last() {
        for seed in 0..50 {
            let options = Options::drawn(seed);
            let script = default_script(&options);
            assert_eq!(script, default_script(&options));
            assert_eq!(Script::parse(&script.to_string()), Ok(script.clone()));
            let last = script.lines.iter().rev().map(|line| line.action.clone()).take(2);
            assert!(last.eq([Action::Load(0), Action::Heal]), "{script}");
            assert!(script.lines.len() < 500, "{}", script.lines.len());
            let wipes = script
                .lines
                .iter()
                .filter(|line| matches!(line.action, Action::Wipe(_) | Action::Rot(_)))
                .count();
            assert!(wipes <= 1);
        }
    }
}
