//! Each checker against hand-made histories: one that it must pass, one that it must not.

use super::*;
use crate::base::trace::{Kind, Record as TraceRecord, split};
use crate::base::{MemberId, Micros, Sabotage};
use crate::sim::history::{Outcome, Seen, value_of};
use crate::sim::script::NodeIndex;
use crate::sim::verdict::{Checker, Violation};
use crate::version::{Actor, Body, Hlc, Resolve, Sibling, Stamp, VersionVector};
use alloc::vec;

const DONE: Outcome = Outcome::Done { hinted: 0, stamp: None };
const NOW_MS: u64 = 100_000;

/// Builds a history of one key, line by line.
#[derive(Default)]
struct Story(History);

impl Story {
    fn tell(&mut self, asked: Asked, started: u64, ended: u64, outcome: Outcome) -> OpNumber {
        let number = self.0.begin(0, NodeIndex(0), Micros(started), |_| asked);
        if outcome != Outcome::Unknown {
            self.0.end(number, Micros(ended), outcome);
        }
        number
    }
    fn put(&mut self, started: u64, ended: u64, outcome: Outcome) -> OpNumber {
        self.put_until(Ends::Never, None, started, ended, outcome)
    }
    fn put_until(
        &mut self,
        ends: Ends,
        seen: Option<Seen>,
        started: u64,
        ended: u64,
        o: Outcome,
    ) -> OpNumber {
        self.tell(Asked::Put { seen, ends, bytes: 8 }, started, ended, o)
    }
    fn delete(&mut self, started: u64, ended: u64, outcome: Outcome) -> OpNumber {
        self.tell(Asked::Delete { seen: None }, started, ended, outcome)
    }
    fn judge(&self, cell: Option<Cell>, resolve: Resolve, cut: Option<Micros>) -> Vec<Checker> {
        let finals = [FinalKey { key: 0, cell, read_ms: NOW_MS }];
        let mut found = lost_acks(&self.0, &Voters::default(), &finals, resolve, cut, Micros(0));
        found.extend(zombies(&self.0, &Voters::default(), &finals, resolve, Micros(0)));
        found.into_iter().map(|violation| violation.checker).collect()
    }
}

fn cell(writers: &[OpNumber]) -> Option<Cell> {
    let one = |writer: &OpNumber| {
        let actor = Actor::new(MemberId(writer.0 as u16), 1);
        Cell::first(Sibling {
            dot: Dot { actor, counter: 1 },
            stamp: Stamp { hlc: Hlc(u64::from(writer.0) + 1), member: MemberId(1) },
            body: Body::Value(value_of(*writer, 8)),
            expiry: None,
        })
    };
    let mut cells = writers.iter().map(one);
    let first = cells.next()?;
    Some(cells.fold(first, |all, next| all.merge(&next, Resolve::Siblings, Sabotage::NONE).cell))
}

#[test]
fn an_earlier_write_over_a_later_acknowledged_one_is_a_loss() {
    let mut story = Story::default();
    let first = story.put(0, 10, DONE);
    let second = story.put(20, 30, DONE);
    assert_eq!(story.judge(cell(&[second]), Resolve::Lww, None), []);
    assert_eq!(story.judge(cell(&[first]), Resolve::Lww, None), [Checker::C2]);
    assert_eq!(story.judge(None, Resolve::Lww, None), [Checker::C2]);
    assert_eq!(story.judge(None, Resolve::Lww, Some(Micros(40))), [Checker::C7]);
}

#[test]
fn of_overlapping_writes_either_may_win_and_an_unknown_one_may_win_late() {
    let mut story = Story::default();
    let unknown = story.put(0, 0, Outcome::Unknown);
    let one = story.put(10, 30, DONE);
    let other = story.put(20, 40, DONE);
    for winner in [unknown, one, other] {
        assert_eq!(story.judge(cell(&[winner]), Resolve::Lww, None), []);
    }
}

#[test]
fn absence_wants_a_delete_or_an_end() {
    let mut story = Story::default();
    story.delete(0, 5, DONE);
    story.put(10, 20, DONE);
    assert_eq!(story.judge(None, Resolve::Lww, None), [Checker::C2], "that delete was over");
    story.delete(15, 16, Outcome::Unknown);
    assert_eq!(story.judge(None, Resolve::Lww, None), []);

    let mut story = Story::default();
    story.put_until(Ends::At(NOW_MS - 1), None, 0, 1, DONE);
    assert_eq!(story.judge(None, Resolve::Lww, None), []);
    let mut story = Story::default();
    story.put_until(Ends::At(NOW_MS + 60_000), None, 0, 1, DONE);
    assert_eq!(story.judge(None, Resolve::Lww, None), [Checker::C2]);
}

#[test]
fn a_deleted_value_that_is_back_is_a_zombie() {
    let mut story = Story::default();
    let value = story.put(0, 10, DONE);
    story.delete(20, 30, DONE);
    assert_eq!(story.judge(None, Resolve::Lww, None), []);
    assert_eq!(story.judge(cell(&[value]), Resolve::Lww, None), [Checker::C3]);
}

#[test]
fn a_value_past_every_end_it_can_have_is_a_zombie() {
    let mut story = Story::default();
    let value = story.put_until(Ends::At(NOW_MS - 10_000), None, 0, 10, DONE);
    assert_eq!(story.judge(cell(&[value]), Resolve::Lww, None), [Checker::C3]);
    story.tell(Asked::Expire { ends: Ends::Never }, 20, 30, Outcome::Unknown);
    assert_eq!(story.judge(cell(&[value]), Resolve::Lww, None), []);
}

#[test]
fn a_sibling_that_nobody_covered_must_stay() {
    let mut story = Story::default();
    let blind_but_over = story.put(0, 5, DONE);
    let one = story.put_until(Ends::Never, Some(Seen::default()), 10, 20, DONE);
    let other = story.put_until(Ends::Never, Some(Seen::default()), 10, 20, DONE);
    let all = cell(&[blind_but_over, one, other]);
    assert_eq!(story.judge(all, Resolve::Siblings, None), []);
    assert_eq!(story.judge(cell(&[blind_but_over, one]), Resolve::Siblings, None), [Checker::C2]);
    let seen = Seen { values: vec![other], vector: VersionVector::new() };
    let third = story.put_until(Ends::Never, Some(seen), 30, 40, DONE);
    assert_eq!(story.judge(cell(&[blind_but_over, one, third]), Resolve::Siblings, None), []);
}

#[test]
fn a_sibling_that_an_acknowledged_context_had_seen_is_a_zombie() {
    let mut story = Story::default();
    let value = story.put(0, 10, DONE);
    let held = cell(&[value]).unwrap();
    let seen = Seen { values: vec![value], vector: held.context().clone() };
    let next = story.put_until(Ends::Never, Some(seen), 20, 30, DONE);
    assert_eq!(story.judge(cell(&[next]), Resolve::Siblings, None), []);
    assert_eq!(story.judge(cell(&[value, next]), Resolve::Siblings, None), [Checker::C3]);
}

#[test]
fn what_nobody_wrote_or_was_said_to_be_undone_is_an_invention() {
    let mut story = Story::default();
    let fine = story.put(0, 10, DONE);
    let undone = story.put(0, 10, Outcome::NotDone);
    let read = story.tell(Asked::Read, 0, 10, DONE);
    let late = story.put(50, 60, DONE);
    let judge = |key, writer| inventions(&story.0, &[(key, writer, Micros(20))]).len();
    assert_eq!(judge(0, fine), 0);
    assert_eq!(judge(1, fine), 1);
    assert_eq!(judge(0, undone), 1);
    assert_eq!(judge(0, read), 1);
    assert_eq!(judge(0, late), 1);
    assert_eq!(judge(0, OpNumber(99)), 1);
}

fn feed(checker: &mut ControlChecker, node: u32, kind: Kind, payload: &[u32]) -> Vec<Violation> {
    checker.feed(&TraceRecord { kind, node, time: Micros(0), payload }, 5);
    checker.take()
}

#[test]
fn a_down_wants_two_reporters_of_that_incarnation() {
    let mut checker = ControlChecker::default();
    let down = |bits: u64, incarnation: u64| {
        let ([a, b], [c, d]) = (split(bits), split(incarnation));
        [3, a, b, c, d]
    };
    feed(&mut checker, 0, Kind::Suspected, &[3, 0, 7, 0]);
    assert_eq!(feed(&mut checker, 0, Kind::WentDown, &down(0b01, 7)).len(), 1, "one reporter");
    // n0 heard that n1 suspects: hearsay until n1 records it.
    feed(&mut checker, 0, Kind::Suspected, &[3, 1, 7, 0]);
    assert_eq!(feed(&mut checker, 0, Kind::WentDown, &down(0b11, 7)).len(), 1, "hearsay");
    feed(&mut checker, 1, Kind::Suspected, &[3, 1, 7, 0]);
    assert_eq!(feed(&mut checker, 0, Kind::WentDown, &down(0b11, 7)).len(), 0);
    assert_eq!(feed(&mut checker, 0, Kind::WentDown, &down(0b11, 8)).len(), 2, "another incarnation");
}

#[test]
fn an_epoch_has_one_topology_and_nobody_goes_back() {
    let mut checker = ControlChecker::default();
    assert_eq!(feed(&mut checker, 0, Kind::TopologyAdopted, &[2, 0, 9, 9]).len(), 0);
    assert_eq!(feed(&mut checker, 1, Kind::TopologyAdopted, &[2, 0, 9, 9]).len(), 0);
    assert_eq!(feed(&mut checker, 2, Kind::TopologyAdopted, &[2, 0, 8, 9]).len(), 1);
    assert_eq!(feed(&mut checker, 0, Kind::TopologyAdopted, &[1, 0, 1, 1]).len(), 1);
    checker.forget(crate::sim::NodeIndex(1), Some(crate::base::MemberId(1)));
    assert_eq!(feed(&mut checker, 1, Kind::TopologyAdopted, &[1, 0, 1, 1]).len(), 0);
}
