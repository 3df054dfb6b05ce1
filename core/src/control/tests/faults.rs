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
    let first = random.between(1, 6) as usize;
    world.start_all(first);
    world.run(1_500);
    world.rates = rates;
    world.crash_at_output = level(&mut random, 30);
    let mut wiped = false;
    for _ in 0..random.between(5, 25) {
        let count = first.max(1);
        let node = random.below(count as u64) as usize;
        match random.below(13) {
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
            8 if !wiped && world.members_everywhere() >= 3 => {
                wiped = true;
                world.stop(node, Stop::Wipe);
            }
            10 => world.set_full(node, random.chance(1, 2)),
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
    for seed in 0..500 {
        let mut world = ordeal(seed, Sabotage::NONE);
        let took = world.run_while(8_000, |world| world.unsettled().is_some());
        let why = world.unsettled();
        assert!(world.violations.is_empty(), "seed {seed}: {}", world.violations[0]);
        assert!(why.is_none() && took < 6_000, "seed {seed}: {took} ms: {why:?}\n{}", world.picture());
    }
}

/// Three voters that crash right after they have spoken, while two nodes join by different ones: two proposals for one
/// epoch.
fn duel(formed: &World, seed: u64, sabotage: Sabotage) -> World {
    let mut random = Random::named(seed, "duel");
    let mut world = formed.clone();
    world.random = random.fork("world");
    for node in 0..3 {
        world.stop(node, Stop::Kill);
    }
    world.sabotage = sabotage;
    world.disk = Micros::from_millis(random.between(1, 20));
    for node in 0..3 {
        world.start(node);
    }
    world.run(600);
    world.rates = Rates { loss: random.below(400), dup: 50, late: random.below(100) };
    world.crash_at_decision = random.between(1_000, 5_000);
    for seed in [1, 2] {
        let node = world.add(seed);
        world.start(node);
    }
    for _ in 0..12 {
        let gap = random.between(10, 400);
        world.run(gap);
        for node in core::mem::take(&mut world.crashed) {
            // Some stay away for long, so that others decide without them.
            if random.chance(1, 2) {
                world.start(node);
            } else {
                world.crashed.push(node);
            }
        }
    }
    world.heal();
    world.run_while(8_000, |world| world.unsettled().is_some());
    world
}

#[test]
fn voters_that_crash_as_soon_as_they_have_spoken_keep_their_word() {
    let formed = World::formed(1, 3);
    for seed in 0..500 {
        let world = duel(&formed, seed, Sabotage::NONE);
        assert!(world.violations.is_empty(), "seed {seed}: {}", world.violations[0]);
        assert_eq!(world.unsettled(), None, "seed {seed}");
    }
}

#[test]
fn checkers_catch_the_bugs_of_this_layer() {
    let formed = World::formed(1, 3);
    for bug in [Bug::ReporterCountedTwice, Bug::PromiseNotSynced, Bug::ProposerPrefersOwn] {
        let Some(sabotage) = Sabotage::with(bug) else { return };
        let mut duels = (0..3_000).map(|seed| duel(&formed, seed, sabotage));
        assert!(duels.any(|world| !world.violations.is_empty()), "{bug}");
    }
}
