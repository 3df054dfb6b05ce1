use super::world::{Rates, Stop, World};
use crate::control::Notice;
use crate::ring::Liveness;

fn downs(world: &World) -> usize {
    world.notices.iter().filter(|(_, _, notice)| matches!(notice, Notice::WentDown(..))).count()
}

#[test]
fn a_killed_node_is_down_everywhere_within_a_second_and_a_half() {
    for count in [2, 3, 5] {
        for seed in 0..10 {
            let mut world = World::formed(seed, count);
            let victim = count - 1;
            world.stop(victim, Stop::Kill);
            let others = 0..victim;
            let took = world.run_while(4_000, |world| {
                others.clone().any(|other| world.opinion(other, victim) != Liveness::Down)
            });
            world.expect_no_violation();
            assert!(took < 1_500, "{took} ms of {count}");
            world.start(victim);
            let took = world.run_while(4_000, |world| world.unsettled().is_some());
            assert!(took < 1_500, "{took} ms of {count} to come back");
            world.expect_settled();
        }
    }
}

#[test]
fn a_broken_link_is_in_the_view_at_once() {
    let mut world = World::formed(1, 3);
    world.stop(2, Stop::Kill);
    world.run(5);
    let view = world.view(0).unwrap();
    assert_eq!(view.unreachable, [world.view(1).unwrap().unreachable[0]]);
    assert_eq!(world.opinion(0, 2), Liveness::Up);
}

#[test]
fn a_paused_node_goes_down_and_comes_up_again() {
    for seed in 0..10 {
        let mut world = World::formed(seed, 4);
        let before = downs(&world);
        world.pause(1);
        let took = world.run_while(6_000, |world| {
            [0, 2, 3].iter().any(|other| world.opinion(*other, 1) != Liveness::Down)
        });
        assert!(took < 3_500, "{took} ms");
        assert_eq!(downs(&world) - before, 3);
        world.run(1_000);
        world.resume(1);
        let took = world.run_while(4_000, |world| world.unsettled().is_some());
        world.expect_settled();
        assert!(took < 1_500, "{took} ms to come back");
        // Having stood still itself, it blames nobody.
        world.run(3_000);
        assert_eq!(downs(&world) - before, 3);
    }
}

#[test]
fn one_bad_link_takes_nobody_down() {
    for seed in 0..10 {
        let mut world = World::formed(seed, 4);
        let before = downs(&world);
        world.cut(0, 1);
        if seed % 2 == 0 {
            world.cut(1, 0);
        }
        world.run(15_000);
        assert_eq!(downs(&world), before);
        world.expect_settled();
    }
}

#[test]
fn one_reporter_is_not_enough() {
    // n0 hears from nobody; nobody else misses n1 and n2, and the three others agree about n0.
    let mut world = World::formed(2, 4);
    for other in 1..4 {
        world.cut(other, 0);
    }
    world.run(8_000);
    for other in 1..4 {
        assert_ne!(world.opinion(0, other), Liveness::Down, "by the word of n0 alone");
        for third in 1..4 {
            assert_ne!(world.opinion(other, third), Liveness::Down);
        }
    }
    world.expect_no_violation();
    world.heal();
    world.run(3_000);
    world.expect_settled();
}

#[test]
fn loss_takes_hardly_anybody_down() {
    let mut wrong = 0;
    for seed in 0..5 {
        let mut world = World::formed(seed, 5);
        let before = downs(&world);
        world.rates = Rates { loss: 100, dup: 100, late: 50 };
        world.run(60_000);
        wrong += downs(&world) - before;
        world.heal();
        world.run(3_000);
        world.expect_settled();
    }
    assert!(wrong <= 5, "{wrong}");
}

#[test]
fn a_snapshot_says_who_suspects_whom() {
    let mut world = World::formed(3, 4);
    world.stop(3, Stop::Kill);
    world.run(1_500);
    let snapshot = world.control(0).snapshot();
    assert_eq!((snapshot.me, snapshot.lineage, snapshot.epoch), (Some(world.member(0)), 77, world.epoch));
    assert_eq!((snapshot.moving_count, snapshot.releasing_count, snapshot.voters.len()), (0, 0, 4));
    let lost = snapshot.members.iter().find(|member| member.name == "n3").unwrap();
    assert!(lost.liveness == Liveness::Down && lost.is_unreachable && lost.partition_count > 0);
    assert!(lost.suspected_by.len() >= 2 && lost.suspected_by.iter().all(|line| line.age_ms < 5_000));
    let other = snapshot.members.iter().find(|member| member.name == "n1").unwrap();
    assert!(other.heard_ms_ago.is_some_and(|age| age < 3_000) && other.suspected_by.is_empty());
}
