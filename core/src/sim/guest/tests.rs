use super::*;
use crate::base::trace::{Kind, records};
use crate::sim::{Options, Rest, Script, calm_script};
use alloc::string::String;
use alloc::vec::Vec;

const A: NodeIndex = NodeIndex(0);
const KEY: &[u8] = b"city:KR:Seoul";

fn calm(seed: u64, nodes: u8) -> World {
    let options = Options { keep_trace: true, ..Options::calm(seed, nodes) };
    let script = calm_script(&options);
    let mut world = World::new(options, script);
    while world.picture().nodes.iter().any(|node| node.state != "up") {
        assert!(world.now() < Micros::from_secs(20), "the cluster does not form");
        let next = world.now() + Micros::from_millis(100);
        world.run_until(next);
    }
    world
}

fn put(value: &str, seen: Option<GuestNumber>) -> GuestAsk {
    let value = Bytes::copy_from_slice(value.as_bytes());
    GuestAsk::Put { key: Bytes::from_static(KEY), value, seen, w: None, ttl_ms: None }
}

fn get() -> GuestAsk {
    GuestAsk::Get { key: Bytes::from_static(KEY), r: None }
}

/// What the judge would say if every fault ended now.
fn found_at_rest(world: &World) -> String {
    let mut rest = Rest::of(world);
    while !rest.go_on(1_000) {}
    alloc::format!("{:?}", rest.verdict().violations)
}

/// Asks and waits for the answer.
fn ask(world: &mut World, node: NodeIndex, ask: GuestAsk) -> GuestNumber {
    let number = world.submit(Action::Ask(node, ask)).unwrap().unwrap();
    let until = world.now() + Micros::from_secs(3);
    while world.guest(number).is_none_or(|guest| guest.answer.is_none()) {
        assert!(world.step(until), "no answer within all patience");
    }
    number
}

fn values(world: &World, number: GuestNumber) -> Vec<Bytes> {
    match world.guest(number).and_then(|guest| guest.answer.clone()) {
        Some(GuestAnswer::Reply(Reply::Read(read))) => {
            let cell = read.cell.unwrap();
            let mut values: Vec<Bytes> = cell.siblings().iter().filter_map(|s| s.value().cloned()).collect();
            values.sort();
            values
        }
        other => panic!("{other:?}"),
    }
}

fn wait(world: &mut World, ms: u64) {
    let until = world.now() + Micros::from_millis(ms);
    world.run_until(until);
}

#[test]
fn both_sides_of_a_cut_write_and_a_put_that_has_seen_both_merges_them() {
    let mut world = calm(7, 5);
    let sides = ([0, 1], [2, 3, 4]);
    let links = |what: fn(NodeIndex, NodeIndex) -> Action| {
        let pairs = sides.0.iter().flat_map(|one| sides.1.iter().map(move |other| (*one, *other)));
        let both = pairs.flat_map(|(one, other)| [(one, other), (other, one)]);
        both.map(move |(from, to)| what(NodeIndex(from), NodeIndex(to))).collect::<Vec<_>>()
    };
    ask(&mut world, A, put("first", None));
    for action in links(Action::Cut) {
        world.submit(action).unwrap();
    }
    wait(&mut world, 8_000);
    ask(&mut world, A, put("one side", None));
    ask(&mut world, NodeIndex(3), put("other side", None));
    for action in links(Action::Join) {
        world.submit(action).unwrap();
    }
    wait(&mut world, 15_000);
    let read = ask(&mut world, A, get());
    assert_eq!(values(&world, read), ["one side", "other side"]);
    let picture = world.key_picture(KEY).unwrap();
    assert_eq!(picture.siblings.len(), 2);
    assert!(picture.copies.iter().all(|copy| copy.is_current), "{:?}", picture.copies);
    ask(&mut world, NodeIndex(4), put("merged", Some(read)));
    let read = ask(&mut world, NodeIndex(2), get());
    assert_eq!(values(&world, read), ["merged"]);
    assert_eq!(found_at_rest(&world), "[]");
    assert!(!world.is_judged());
}

#[test]
fn the_script_of_a_world_that_was_acted_in_makes_the_same_run_again() {
    let mut world = calm(11, 4);
    ask(&mut world, A, put("v", None));
    world.submit(Action::Kill(NodeIndex(2))).unwrap();
    world.submit(Action::Slow(NodeIndex(1), 40)).unwrap();
    world.submit(Action::Lose(NodeIndex(3), 200)).unwrap();
    wait(&mut world, 3_000);
    ask(&mut world, NodeIndex(1), put("w", None));
    world.submit(Action::Start(NodeIndex(2))).unwrap();
    wait(&mut world, 2_000);
    let text = world.script().to_string();
    let mut again = World::new(world.options.clone(), Script::parse(&text).unwrap());
    while again.event_count() < world.event_count() {
        assert!(again.step(Micros(u64::MAX)));
    }
    assert_eq!(again.trace_hash(), world.trace_hash());
    assert_eq!(again.script().to_string(), text);
    assert_eq!(again.guest_count(), 2);
}

#[test]
fn a_stand_in_keeps_a_hint_and_hands_it_over() {
    let mut world = calm(3, 5);
    ask(&mut world, A, put("v", None));
    let owners: Vec<u32> = {
        let picture = world.key_picture(KEY).unwrap();
        picture.walk.iter().filter(|step| step.role == "owner").map(|step| step.node).collect()
    };
    let absent = NodeIndex(owners[1] as u8);
    let other = NodeIndex(owners[0] as u8);
    world.submit(Action::Kill(absent)).unwrap();
    wait(&mut world, 6_000);
    let state = |world: &World, node: NodeIndex| world.picture().nodes[usize::from(node.0)].clone();
    assert_eq!(state(&world, absent).state, "down");
    assert!(state(&world, absent).reporters.len() >= 2, "{:?}", state(&world, absent));
    ask(&mut world, other, put("w", None));
    let picture = world.key_picture(KEY).unwrap();
    let hint = picture.copies.iter().find(|copy| copy.hint_for == Some(u32::from(absent.0))).unwrap();
    let step = picture.walk.iter().find(|step| step.node == hint.node).unwrap();
    assert_eq!(step.role, "fallback");
    assert!(world.verdict().hints_waiting > 0);
    assert_eq!(state(&world, NodeIndex(hint.node as u8)).hints, 1);
    let holder = world.node_picture(NodeIndex(hint.node as u8), None).unwrap();
    assert_eq!(
        holder.hints.iter().map(|hint| (hint.target, hint.count)).collect::<Vec<_>>(),
        [(u32::from(absent.0), 1)]
    );
    world.submit(Action::Start(absent)).unwrap();
    wait(&mut world, 8_000);
    assert_eq!(state(&world, absent).state, "up");
    let picture = world.key_picture(KEY).unwrap();
    let owners = picture.copies.iter().map(|copy| (copy.hint_for, copy.is_current));
    assert!(owners.eq([(None, true), (None, true), (None, true)]), "{:?}", picture.copies);
    assert_eq!(world.verdict().hints_waiting, 0);
}

#[test]
fn the_walk_ends_at_the_first_fallback_that_could_stand_in() {
    let mut world = calm(7, 5);
    let fallbacks = |world: &World, key: &str| -> Vec<u32> {
        let walk = world.key_picture(key.as_bytes()).unwrap().walk;
        walk.iter().filter(|step| step.role == "fallback").map(|step| step.node).collect()
    };
    let keys: Vec<String> = (0..200).map(|number| alloc::format!("key{number}")).collect();
    for key in &keys {
        assert_eq!(fallbacks(&world, key).len(), 1, "{key}");
    }
    // One that is Down is named on the way, and passed by.
    let first = fallbacks(&world, &keys[0])[0];
    world.submit(Action::Kill(NodeIndex(first as u8))).unwrap();
    wait(&mut world, 6_000);
    for key in &keys {
        let found = fallbacks(&world, key);
        assert_eq!(found.iter().filter(|node| **node != first).count(), 1, "{key}: {found:?}");
    }
    assert_eq!(fallbacks(&world, &keys[0])[0], first);
}

#[test]
fn the_picture_of_a_node_shows_the_way_of_a_key_through_it() {
    let options = Options { memtable_bytes: 4 << 10, n: 1, r: 1, w: 1, ..Options::calm(5, 1) };
    let script = calm_script(&options);
    let mut world = World::new(options, script);
    wait(&mut world, 1_000);
    ask(&mut world, A, put("v", None));
    for number in 0..400 {
        let key = Bytes::from(alloc::format!("key{number}"));
        let value = Bytes::from_static(&[b'x'; 100]);
        ask(&mut world, A, GuestAsk::Put { key, value, seen: None, w: None, ttl_ms: None });
    }
    wait(&mut world, 2_000);
    let picture = world.node_picture(A, Some(KEY)).unwrap();
    let shard = &picture.shards[0];
    assert!(shard.table_count > 0 && shard.log.synced > 0);
    assert_eq!(shard.log.synced, shard.log.issued);
    assert!(
        shard.read.iter().any(|step| step.place == "table" && step.answer == "found"),
        "{:?}",
        shard.read
    );
    let found = shard.read.iter().position(|step| step.answer == "found").unwrap();
    assert!(shard.read[found + 1..].iter().all(|step| matches!(step.answer, "notReached" | "range")));
    let table = shard.read[found].table.unwrap();
    let at = shard.key_at.unwrap();
    let bounds = shard.levels.iter().flatten().flatten().find(|picture| picture.number == table).unwrap();
    assert!(bounds.first <= at && at <= bounds.last, "{bounds:?} {at}");
    let absent = world.node_picture(A, Some(b"nobody")).unwrap();
    assert!(absent.shards[0].read.iter().all(|step| step.answer != "found"));
}

#[test]
fn what_cannot_be_asked_is_said_and_nothing_hangs() {
    let mut world = calm(1, 3);
    world.submit(Action::Kill(NodeIndex(1))).unwrap();
    let refused = ask(&mut world, NodeIndex(1), get());
    assert!(world.guest(refused).unwrap().refusal().unwrap().contains("refused"));
    let nobody = ask(&mut world, NodeIndex(40), get());
    assert!(world.guest(nobody).unwrap().refusal().unwrap().contains("no node n40"));
    let blind = ask(&mut world, A, put("v", Some(refused)));
    assert!(world.guest(blind).unwrap().refusal().unwrap().contains("no context"));
    assert_eq!(world.guest(blind).unwrap().outcome(), Some(Outcome::NotDone));
    // A node that dies with the request in hand leaves its asker without an answer.
    let number = world.submit(Action::Ask(A, put("v", None))).unwrap().unwrap();
    let now = world.now();
    world.step(now + Micros(1));
    world.submit(Action::Kill(A)).unwrap();
    wait(&mut world, 3_000);
    assert_eq!(world.guest(number).unwrap().outcome(), Some(Outcome::Unknown));
}

#[test]
fn a_page_sees_messages_under_way_and_events_that_name_their_request() {
    let mut world = calm(2, 5);
    world.take_trace();
    let number = world.submit(Action::Ask(A, put("v", None))).unwrap().unwrap();
    let until = world.now() + Micros::from_millis(500);
    let mut with_op = 0;
    while world.guest(number).is_none_or(|guest| guest.answer.is_none()) && world.step(until) {
        for flight in world.flights() {
            assert!(flight.sent <= world.now() && flight.arrives >= world.now());
            with_op += u32::from(flight.op > 0);
        }
    }
    assert!(with_op > 0);
    world.seal();
    let words = world.take_trace();
    let kinds: Vec<Kind> = records(&words).map(|record| record.kind).collect();
    for kind in
        [Kind::OpStarted, Kind::RequestStarted, Kind::ReplicaAsked, Kind::ReplicaAnswered, Kind::OpEnded]
    {
        assert!(kinds.contains(&kind), "{kind:?} is missing");
    }
}

#[test]
fn every_node_of_a_calm_cluster_says_its_number() {
    for nodes in [1, 3, 5, 12] {
        let world = calm(u64::from(nodes), nodes);
        let mut members: Vec<Option<u32>> = world.picture().nodes.iter().map(|node| node.member).collect();
        members.sort();
        assert_eq!(members, (0..u32::from(nodes)).map(Some).collect::<Vec<_>>());
    }
}

#[test]
fn a_guest_may_be_content_with_less_and_nobody_calls_it_broken() {
    let mut world = calm(7, 5);
    for one in 0..2 {
        for other in 2..5 {
            world.submit(Action::Cut(NodeIndex(one), NodeIndex(other))).unwrap();
            world.submit(Action::Cut(NodeIndex(other), NodeIndex(one))).unwrap();
        }
    }
    wait(&mut world, 10_000);
    for number in 0..20 {
        let key = Bytes::from(alloc::format!("key{number}"));
        let put =
            GuestAsk::Put { key, value: Bytes::from_static(b"v"), seen: None, w: Some(1), ttl_ms: None };
        let number = ask(&mut world, NodeIndex(number % 5), put);
        assert_eq!(world.guest(number).unwrap().refusal(), None);
    }
    assert_eq!(world.violations(), []);
    assert_eq!(found_at_rest(&world), "[]");
}
