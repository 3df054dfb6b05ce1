use super::*;
use crate::base::{MemberId, Random};
use crate::version::{Actor, decode_context, encode_context, peek_winner_stamp};
use alloc::vec::Vec;

fn stamp(hlc: u64, member: u16) -> Stamp {
    Stamp { hlc: Hlc(hlc), member: MemberId(member) }
}

fn sibling(member: u16, counter: u64, hlc: u64, value: &'static str) -> Sibling {
    Sibling {
        dot: Dot { actor: Actor::new(MemberId(member), 1), counter },
        stamp: stamp(hlc, member),
        body: Body::Value(Bytes::from_static(value.as_bytes())),
        expiry: None,
    }
}

fn merge(a: &Cell, b: &Cell, resolve: Resolve) -> Cell {
    a.merge(b, resolve, Sabotage::NONE).cell
}

/// Cells that a real history could make: three owners put (each stamped above what it covers), exchange and expire.
fn history(seed: u64, resolve: Resolve) -> Vec<Cell> {
    let mut random = Random::new(seed);
    let mut owners: [Option<Cell>; 3] = [None, None, None];
    let mut counters = [0u64; 3];
    let mut hlc = 100;
    let mut all = Vec::new();
    for _ in 0..24 {
        let at = random.below(3) as usize;
        let from = random.below(3) as usize;
        match (random.below(5), owners[at].clone(), owners[from].clone()) {
            (0, Some(mine), Some(theirs)) if at != from => owners[at] = Some(merge(&mine, &theirs, resolve)),
            (1, Some(mut mine), _) => {
                hlc += 1;
                let dot = mine.top().dot;
                mine.set_expiry(
                    dot,
                    ExpiryMark { stamp: stamp(hlc, at as u16), at_ms: Some(random.below(9)) },
                );
                owners[at] = Some(mine);
            }
            (_, held, read) => {
                counters[at] += 1;
                // Clocks differ: a stamp may lie behind another owner's, never behind what the put covers.
                hlc += random.below(3);
                let seen = read.map(|cell| cell.context().clone());
                let floor = held.as_ref().map_or(0, |cell| cell.hlc_max().0);
                let lag = random.below(10);
                let mut new = sibling(at as u16, counters[at], (hlc - lag).max(floor + 1), "v");
                if random.chance(1, 4) {
                    new.body = Body::Tombstone;
                }
                let cell = match (&held, &seen) {
                    (None, _) => Cell::first(new),
                    (Some(held), Some(seen)) if random.chance(1, 2) => {
                        let floor = all.iter().map(|cell: &Cell| cell.hlc_max().0).max().unwrap_or(0);
                        new.stamp = stamp(floor + 1, at as u16);
                        held.put(new, Cover::Context(seen), resolve).cell
                    }
                    (Some(held), _) => held.put(new, Cover::Held, resolve).cell,
                };
                owners[at] = Some(cell);
            }
        }
        all.extend(owners.iter().flatten().cloned());
    }
    all
}

#[test]
fn merge_is_commutative_associative_and_idempotent() {
    for resolve in [Resolve::Lww, Resolve::Siblings] {
        for seed in 0..300 {
            let cells = history(seed, resolve);
            let mut random = Random::new(seed);
            for _ in 0..40 {
                let mut draw = || random.pick(&cells).unwrap().clone();
                let (a, b, c) = (draw(), draw(), draw());
                assert_eq!(merge(&a, &b, resolve), merge(&b, &a, resolve), "seed {seed}");
                let left = merge(&merge(&a, &b, resolve), &c, resolve);
                let right = merge(&a, &merge(&b, &c, resolve), resolve);
                assert_eq!(left, right, "seed {seed} {resolve:?}");
                assert_eq!(merge(&a, &a, resolve), a, "seed {seed}");
                left.check().unwrap();
            }
        }
    }
}

#[test]
fn cells_read_back_and_damaged_bytes_never_panic() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        for cell in history(seed, Resolve::Siblings) {
            let bytes = cell.to_bytes();
            assert_eq!(Cell::decode(&bytes).as_ref(), Ok(&cell));
            if cell.siblings().len() == 1 {
                assert_eq!(peek_winner_stamp(&bytes), Some(cell.stamp_max()));
            }
            let mut damaged = bytes.to_vec();
            let at = random.below(damaged.len() as u64) as usize;
            damaged[at] ^= 1 << random.below(8);
            damaged.truncate(random.between(0, damaged.len() as u64) as usize);
            let _ = Cell::decode(&Bytes::from(damaged));
        }
    }
}

#[test]
fn a_write_that_saw_nothing_does_not_erase_a_write_it_never_saw() {
    let milk = Cell::first(sibling(1, 1, 10, "milk"));
    let eggs = Cell::first(sibling(2, 1, 11, "eggs"));
    let both = merge(&milk, &eggs, Resolve::Siblings);
    assert_eq!(both.live(0).len(), 2);
    assert_eq!(both.winner(0).unwrap().value().unwrap(), "eggs");
    let mended = both.put(sibling(1, 2, 12, "both"), Cover::Context(both.context()), Resolve::Siblings).cell;
    assert_eq!(mended.siblings().len(), 1);
    // The stale siblings coming back change nothing.
    assert_eq!(merge(&mended, &milk, Resolve::Siblings), mended);
    assert_eq!(merge(&eggs, &mended, Resolve::Siblings), mended);
}

#[test]
fn lww_keeps_the_greatest_stamp_and_counts_what_it_discards() {
    let early = Cell::first(sibling(1, 1, 10, "early"));
    let late = Cell::first(sibling(2, 1, 11, "late"));
    let merged = late.merge(&early, Resolve::Lww, Sabotage::NONE);
    assert_eq!((merged.discarded, merged.cell.top().value().unwrap().as_ref()), (1, b"late".as_ref()));
    assert!(merged.cell.context().covers(sibling(1, 1, 0, "").dot));
}

#[test]
fn a_put_that_would_cover_a_later_stamp_is_hindered_and_a_repeated_one_is_not() {
    let held = Cell::first(sibling(1, 1, 50, "x"));
    assert_eq!(held.hinders(stamp(40, 2), Cover::Held, Resolve::Lww), Some(stamp(50, 1)));
    assert_eq!(held.hinders(stamp(51, 2), Cover::Held, Resolve::Lww), None);
    assert_eq!(held.hinders(stamp(50, 1), Cover::Held, Resolve::Lww), None);
    let blind = VersionVector::new();
    assert_eq!(held.hinders(stamp(40, 2), Cover::Context(&blind), Resolve::Siblings), None);
}

#[test]
fn an_equal_dot_with_another_body_keeps_both_and_alarms() {
    let one = Cell::first(sibling(1, 1, 10, "one"));
    let other = Cell::first(sibling(1, 1, 10, "other"));
    let merged = one.merge(&other, Resolve::Siblings, Sabotage::NONE);
    assert_eq!((merged.cell.siblings().len(), merged.collisions), (2, 1));
}

#[test]
fn contexts_are_bound_to_key_and_cluster() {
    let cell = Cell::first(sibling(1, 1, 10, "one"));
    let context = encode_context(7, b"a", &cell);
    let read = decode_context(7, b"a", &context).unwrap();
    assert_eq!((&read.seen, read.hlc), (cell.context(), Hlc(10)));
    assert!(decode_context(7, b"b", &context).is_err());
    assert!(decode_context(8, b"a", &context).is_err());
    assert!(decode_context(7, b"a", b"").is_err());
    let mut damaged = context.to_vec();
    damaged[3] ^= 1;
    assert!(decode_context(7, b"a", &damaged).is_err());
}
