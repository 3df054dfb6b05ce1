use super::world::{Rates, Stop, World};
use crate::base::{Micros, Now, Random};
use crate::control::{Input, Notice};
use alloc::format;

#[test]
fn three_nodes_become_a_cluster_in_a_second_and_a_half() {
    for seed in 0..10 {
        let mut world = World::new(seed);
        world.start_all(3);
        let took = world.run_while(5_000, |world| world.unsettled().is_some());
        world.expect_settled();
        assert!(took < 1_500, "{took} ms");
        assert!(world.epoch.0 <= 6, "{}", world.epoch);
    }
}

#[test]
fn a_large_ring_moves_in_few_epochs() {
    let mut world = World::new(1);
    world.q = 1024;
    world.start_all(4);
    let took = world.run_while(8_000, |world| world.unsettled().is_some());
    world.expect_settled();
    assert!(took < 2_500, "{took} ms");
    let before = world.epoch.0;
    let late = world.add(2);
    world.transfer = Micros::from_millis(2_000);
    world.start(late);
    let took = world.run_while(9_000, |world| world.unsettled().is_some());
    world.expect_settled();
    assert!(took < 5_000 && world.epoch.0 - before < 20, "{took} ms, {} epochs", world.epoch.0 - before);
}

#[test]
fn six_nodes_join_over_a_bad_network() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        world.rates = Rates { loss: 100 + seed * 5, dup: 100, late: 50 };
        world.start_all(1);
        for index in 1..6 {
            let node = world.add(index / 2);
            world.start(node);
            world.run(200);
        }
        world.run(9_000);
        world.heal();
        let took = world.run_while(6_000, |world| world.unsettled().is_some());
        world.expect_settled();
        assert!(took < 6_000);
    }
}

#[test]
fn nodes_that_join_one_after_the_other_all_get_in() {
    let mut world = World::formed(3, 1);
    for count in 2..8 {
        let node = world.add(count - 2);
        world.start(node);
        let took = world.run_while(4_000, |world| world.unsettled().is_some());
        assert!(took < 2_000, "{took} ms");
    }
    world.expect_settled();
}

#[test]
fn a_taken_name_is_refused_with_a_reason() {
    let mut world = World::formed(4, 3);
    let before = world.epoch;
    let impostor = world.add(0);
    world.start_named(impostor, "n2");
    world.run(3_000);
    let refusal = world.notices.iter().find_map(|(_, node, notice)| match notice {
        Notice::Refused(reason) if *node == impostor => Some(reason.clone()),
        _ => None,
    });
    let reason = refusal.expect("it is told");
    assert!(reason.contains("n2") && reason.contains("taken"), "{reason}");
    assert_eq!(world.epoch, before);
    // Also the name of the very node that it asks.
    let impostor = world.add(0);
    world.start_named(impostor, "n0");
    world.run(1_000);
    assert!(world.notices.iter().any(|(_, node, n)| *node == impostor && matches!(n, Notice::Refused(_))));
}

#[test]
fn a_wiped_node_comes_back_as_the_member_it_was_and_is_refilled() {
    for seed in 0..20 {
        let mut world = World::formed(seed, 4);
        let victim = (seed % 4) as usize;
        let number = world.member(victim);
        world.stop(victim, Stop::Wipe);
        world.run(if seed % 2 == 0 { 20 } else { 3_000 });
        world.start(victim);
        let took = world.run_while(6_000, |world| world.unsettled().is_some());
        world.expect_settled();
        assert!(took < 4_000, "{took} ms");
        assert_eq!(world.member(victim), number);
        let lost = |(_, node, notice): &(_, usize, Notice)| *node == victim && *notice == Notice::StoreLost;
        assert!(world.notices.iter().any(lost));
        assert_eq!(world.view(0).unwrap().topology.members.len(), 4);
    }
}

#[test]
fn a_wiped_voter_of_two_is_told_that_nobody_can_decide() {
    let mut world = World::formed(5, 2);
    world.stop(1, Stop::Wipe);
    world.run(100);
    world.start(1);
    world.run(3_000);
    let refusal = world.notices.iter().any(|(_, node, notice)| {
        *node == 1 && matches!(notice, Notice::Refused(reason) if reason.contains("majority"))
    });
    assert!(refusal);
}

#[test]
fn a_node_that_moved_is_known_at_its_new_address() {
    let mut world = World::formed(6, 3);
    world.stop(2, Stop::Kill);
    world.relocate(2);
    world.run(50);
    world.start(2);
    world.run(2_000);
    world.expect_settled();
    for node in 0..3 {
        let topology = &world.view(node).unwrap().topology;
        assert_eq!(topology.members.len(), 3);
        assert_eq!(topology.member_named("n2").unwrap().listen, "node2/listen1");
    }
}

#[test]
fn a_copy_of_a_folder_is_refused_while_the_original_lives_and_moves_in_when_it_is_gone() {
    for (seed, count, victim) in [(1, 3, 1), (2, 3, 0), (3, 1, 0), (4, 5, 4), (5, 2, 1)] {
        let mut world = World::formed(seed, count);
        let (before, name) = (world.epoch, format!("n{victim}"));
        let copy = world.copy(victim);
        world.start_named(copy, &name);
        world.run(4_000);
        let reason = world.refusal(copy).unwrap_or_else(|| panic!("{count}: {}", world.picture()));
        assert!(reason.contains("a copy of") && reason.contains(&format!("node{victim}")), "{reason}");
        assert_eq!((world.epoch, world.refusal(victim)), (before, None), "{count}");
        world.stop(copy, Stop::Kill);
        world.expect_settled();
        if count == 2 {
            continue; // Nobody can decide without the one that moves, and it is asked at its old address.
        }
        world.stop(victim, Stop::Kill);
        world.notices.clear();
        world.start_named(copy, &name);
        world.run(5_000);
        assert_eq!(world.refusal(copy), None);
        world.expect_settled();
    }
}

#[test]
fn an_original_that_was_away_while_its_copy_moved_in_is_the_one_that_goes() {
    let mut world = World::formed(1, 3);
    let copy = world.copy(1);
    world.pause(1);
    world.start_named(copy, "n1");
    world.run(5_000);
    assert_eq!((world.refusal(copy), world.member(copy).0), (None, world.member(1).0));
    world.resume(1);
    world.run(4_000);
    let reason = world.refusal(1).expect("it is told");
    assert!(reason.contains("a copy of") && reason.contains("node3"), "{reason}");
    assert_eq!(world.refusal(copy), None);
}

#[test]
fn whatever_lies_in_the_slots_a_start_does_not_panic() {
    let world = World::formed(7, 3);
    let kept = world.kept(1);
    let mut random = Random::new(8);
    for round in 0..500 {
        let mut damaged = kept.clone();
        let slot = random.below(4) as usize;
        if let Some(bytes) = &mut damaged[slot] {
            let mut changed = bytes.to_vec();
            let at = random.below(changed.len() as u64) as usize;
            changed[at] = random.next_u64() as u8;
            changed.truncate(random.between(0, 2 * changed.len() as u64) as usize);
            *bytes = changed.into();
        }
        let mut control = world.revived(1, damaged);
        control.handle(Now { mono: Micros(round), wall: Micros(0) }, Input::Wake);
        while control.poll().is_some() {}
        control.check().unwrap();
    }
    assert!(world.revived(1, kept).view().is_some());
}
