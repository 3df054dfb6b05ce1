use super::history::History;
use super::nemesis::default_script;
use super::script::Script;
use super::swarm::Options;
use super::verdict::{Checker, Violation};
use super::world::World;
use crate::base::Micros;
use alloc::format;
use alloc::vec::Vec;
use serde::Serialize;

/// How long after the script's end clients that were told to rest still wait for their last answers. Only then is a run
/// judged, so it is a part of what a digest stands for.
pub const LAST_ANSWERS: Micros = Micros::from_millis(1_500);

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunReport {
    /// What it was drawn from.
    pub seed: u64,
    /// The hash over all events.
    #[serde(serialize_with = "hex")]
    pub trace_hash: u128,
    /// Promises broken; empty is good.
    pub violations: Vec<Violation>,
    /// Events that happened.
    pub events: u64,
    /// Operations of clients.
    pub operations: u32,
    /// How much virtual time went by.
    pub virtual_time: Micros,
}

fn hex<S: serde::Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{value:032x}"))
}

/// Runs a script to its end, lets the cluster settle and judges it.
pub fn run(options: Options, script: Script) -> RunReport {
    let seed = options.seed;
    let end = script.end();
    let mut world = World::new(options, script);
    world.run_until(end + LAST_ANSWERS);
    world.judge();
    RunReport {
        seed,
        trace_hash: world.trace_hash(),
        violations: world.violations.clone(),
        events: world.event_count(),
        operations: world.history.len(),
        virtual_time: world.now(),
    }
}

/// Runs options with the script that their seed draws.
pub fn run_options(options: Options) -> RunReport {
    let script = default_script(&options);
    run(options, script)
}

/// All events of options, run to the end of the script that their seed draws, and what clients asked and were told.
/// Nothing is judged.
pub fn trace_of(options: Options) -> (Vec<u32>, History) {
    let options = Options { keep_trace: true, ..options };
    let script = default_script(&options);
    let end = script.end();
    let mut world = World::new(options, script);
    world.run_until(end);
    world.seal();
    (world.take_trace(), world.history)
}

/// Runs the same options twice: C11.
pub fn run_twice(options: Options) -> RunReport {
    let mut report = run_options(options.clone());
    let again = run_options(options);
    if report.violations.is_empty() && again.trace_hash != report.trace_hash {
        let text =
            format!("the trace hash is {:032x}, and again {:032x}", report.trace_hash, again.trace_hash);
        report.violations.push(Violation { checker: Checker::C11, at: report.virtual_time, text });
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::BTreeSet;
    use crate::base::trace::{Kind, records};

    #[test]
    fn every_kind_of_event_happens() {
        let mut missing: BTreeSet<Kind> = Kind::ALL.iter().copied().collect();
        // Seeds draw none of these.
        let options = Options { keep_trace: true, ..Options::calm(1, 1) };
        let script = Script::parse("at 0s start n0\nat 1s slow n0 40\nat 1s lose n0 10").unwrap();
        let mut world = World::new(options, script);
        world.run_until(Micros::from_secs(2));
        world.seal();
        records(&world.take_trace()).for_each(|record| {
            missing.remove(&record.kind);
        });
        for seed in 0..200 {
            records(&trace_of(Options::drawn(seed)).0).for_each(|record| {
                missing.remove(&record.kind);
            });
            if missing.is_empty() {
                return;
            }
        }
        panic!("never: {missing:?}");
    }
}
