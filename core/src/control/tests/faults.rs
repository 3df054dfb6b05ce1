use super::world::{Rates, Stop, World};
use crate::base::{Bug, Micros, Random, Sabotage};

/// A cluster under everything at once, then healed; judged by the checkers all the way.
fn ordeal(seed: u64, sabotage: Sabotage) -> World {
    let mut random = Random::named(seed, "ordeal");
    let mut world = World::new(seed);
    world.sabotage = sabotage;
    world.n = random.between(1, 3) as u8;
    world.transfer = Micros::from_millis(random.between(1, 400));
    world.disk = Micros::from_millis(random.between(1, 30));
    let level = |random: &mut Random, most| if random.chance(1, 2) { 0 } else { random.below(most) };
    let rates =
        Rates { loss: level(&mut random, 200), dup: level(&mut random, 200), late: level(&mut random, 100) };
    let first = random.between(1, 4) as usize;
    world.start_all(first);
    world.run(1_500);
    world.rates = rates;
    world.crash_at_output = level(&mut random, 30);
    let mut wiped = false;
    for _ in 0..random.between(5, 25) {
        let count = first.max(1);
        let node = random.below(count as u64) as usize;
        match random.below(12) {
            0..3 => world.stop(node, if random.chance(1, 2) { Stop::Kill } else { Stop::Power }),
            3 => {
                let other = random.below(count as u64) as usize;
                world.cut(node, other);
                if random.chance(1, 2) {
                    world.cut(other, node);
                }
            }
            4 => world.pause(node),
            5 => world.resume(node),
            6..8 if world.view(0).is_some() || world.view(1 % count).is_some() => {
                if world.violations.is_empty() && random.chance(1, 2) {
                    let seed = random.below(count as u64) as usize;
                    let node = world.add(seed);
                    world.start(node);
                }
            }
            8 if !wiped && first >= 3 && world.unsettled().is_none() => {
                wiped = true;
                world.stop(node, Stop::Wipe);
            }
            9 => world.cuts.clear(),
            _ => world.start(node),
        }
        let gap = random.between(1, 600);
        world.run(gap);
        // What crashed at an output starts again.
        for node in core::mem::take(&mut world.crashed) {
            if random.chance(2, 3) {
                world.start(node);
            }
        }
    }
    world.heal();
    world
}

#[test]
fn one_topology_for_each_epoch_whatever_happens() {
    for seed in 0..400 {
        let mut world = ordeal(seed, Sabotage::NONE);
        let took = world.run_while(8_000, |world| world.unsettled().is_some());
        let why = world.unsettled();
        assert!(world.violations.is_empty(), "seed {seed}: {}", world.violations[0]);
        assert!(why.is_none() && took < 6_000, "seed {seed}: {took} ms: {why:?}");
    }
}

#[test]
fn checkers_catch_the_bugs_of_this_layer() {
    for bug in [Bug::ReporterCountedTwice, Bug::PromiseNotSynced, Bug::ProposerPrefersOwn] {
        let Some(sabotage) = Sabotage::with(bug) else { return };
        let caught = (0..400).filter(|seed| !ordeal(*seed, sabotage).violations.is_empty()).count();
        std::eprintln!("{bug}: caught by {caught} of 400 seeds");
        assert!(caught > 0, "{bug}");
    }
}
