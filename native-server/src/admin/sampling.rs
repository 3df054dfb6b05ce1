//! Which events go to listeners when there are more than a page can draw: whole requests, one in so many.
//!
//! A request is kept or left out by a hash of its number, so all its records share its fate, on every node. One in 2N is
//! a part of one in N: nodes that keep differently many still agree on some.

use kvorum_core::base::Micros;
use kvorum_core::base::trace::{Kind, Record, join, records};
use kvorum_core::message::DATA_KIND_FIRST;

/// Records a second that a node hands on, about. A page listens to every member, and each costs the node, the wire and
/// the page some microseconds.
const RECORDS_PER_SECOND: u64 = 1_500;
/// How often the share is found anew.
const WINDOW: Micros = Micros::from_millis(250);
const RECORDS_PER_WINDOW: u64 = RECORDS_PER_SECOND * WINDOW.0 / 1_000_000;
/// The smallest share is one in so many, as a power of two.
const SHIFT_MAX: u32 = 16;

/// Chooses.
#[derive(Debug, Default)]
pub struct Sampler {
    /// One in 2^shift is kept.
    shift: u32,
    /// Counts records that belong to no request and are many.
    beats: u64,
    window: Window,
    totals: Totals,
}

#[derive(Debug, Default)]
struct Window {
    began: Micros,
    /// Records that may be left out.
    seen: u64,
    /// Those of them that were not, since the share last changed.
    kept: u64,
}

/// Counts of all there was, kept or not.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Records, without string-table entries.
    pub events: u64,
    /// Reads that began here.
    pub reads: u64,
    /// Writes that were given a coordinator here.
    pub writes: u64,
}

/// What decides about a record.
enum Fate {
    /// Rare, and what a page is about: members, tables, partitions.
    Kept,
    /// The hash of this: a request, a key, a message.
    By(u64),
    /// One in so many.
    Counted,
}

impl Sampler {
    /// One in so many is kept now.
    pub fn one_in(&self) -> u32 {
        1 << self.shift
    }
    /// Counts since the start.
    pub fn totals(&self) -> Totals {
        self.totals
    }
    /// What of a batch goes on. A string-table entry goes with the record behind it that names it.
    pub fn pass(&mut self, now: Micros, words: Vec<u32>) -> Vec<u32> {
        self.turn(now);
        let mut kept = Vec::new();
        let mut string: Option<&[u32]> = None;
        let mut at = 0;
        let mut all_kept = true;
        for record in records(&words) {
            let whole = &words[at..at + 4 + record.payload.len()];
            at += whole.len();
            if record.kind == Kind::String {
                string = Some(whole);
                continue;
            }
            self.count(&record);
            if !self.keeps(&record) {
                all_kept = false;
                continue;
            }
            if let Some(entry) = string
                && key_of(&record) == entry.get(4).copied()
            {
                kept.extend_from_slice(entry);
                string = None;
            }
            kept.extend_from_slice(whole);
        }
        if all_kept { words } else { kept }
    }
    fn count(&mut self, record: &Record<'_>) {
        self.totals.events += 1;
        if record.kind == Kind::RequestStarted {
            match record.payload.get(2) {
                Some(0) => self.totals.reads += 1,
                Some(1 | 3) => self.totals.writes += 1,
                _ => {} // Handed to an owner, who counts it.
            }
        }
    }
    fn keeps(&mut self, record: &Record<'_>) -> bool {
        let is_kept = match fate_of(record) {
            Fate::Kept => return true,
            Fate::By(number) => is_in(number, self.shift),
            Fate::Counted => {
                self.beats += 1;
                self.beats & ((1 << self.shift) - 1) == 0
            }
        };
        self.window.seen += 1;
        self.window.kept += u64::from(is_kept);
        // Not at the window's end: a load that begins at once would be through by then.
        if self.window.kept > 2 * RECORDS_PER_WINDOW && self.shift < SHIFT_MAX {
            self.shift += 1;
            self.window.kept = 0;
        }
        is_kept
    }
    fn turn(&mut self, now: Micros) {
        let windows = now.since(self.window.began).0 / WINDOW.0;
        if windows == 0 {
            return;
        }
        let wanted = self.window.seen / windows;
        let needed = (0..SHIFT_MAX).find(|shift| wanted >> shift <= RECORDS_PER_WINDOW).unwrap_or(SHIFT_MAX);
        // Back in steps, so that a load that stutters does not tear its requests.
        let eased = self.shift.saturating_sub(u32::try_from(windows).unwrap_or(SHIFT_MAX));
        self.shift = needed.max(eased);
        self.window = Window { began: now, seen: 0, kept: 0 };
    }
}

/// The same answer on every node.
fn is_in(number: u64, shift: u32) -> bool {
    let hash = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let hash = (hash ^ hash >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    shift == 0 || hash >> (64 - shift) == 0
}

fn fate_of(record: &Record<'_>) -> Fate {
    let word = |index: usize| record.payload.get(index).copied().unwrap_or(0);
    let number = |index: usize| join(word(index), word(index + 1));
    match record.kind {
        Kind::RequestStarted
        | Kind::ReplicaAsked
        | Kind::ReplicaAnswered
        | Kind::RequestEnded
        | Kind::Restamped
        | Kind::ReadRepaired
        | Kind::PlannedAgain
        | Kind::Stamped => Fate::By(number(0)),
        // What control says is little. Any other message goes with its request, if it belongs to one.
        Kind::Sent | Kind::Received if word(4) < DATA_KIND_FIRST => Fate::Kept,
        Kind::Sent | Kind::Received if number(6) != 0 => Fate::By(number(6)),
        Kind::Sent | Kind::Received | Kind::Lost => Fate::By(number(0)),
        Kind::CellMerged | Kind::HintStored | Kind::HintDelivered => {
            key_of(record).map_or(Fate::Counted, |key| Fate::By(u64::from(key)))
        }
        Kind::TreeCompared => Fate::By(u64::from(word(1))),
        Kind::LogAppended | Kind::LogSynced | Kind::ReadStep => Fate::Counted,
        _ => Fate::Kept,
    }
}

/// The word by which a record names a key.
fn key_of(record: &Record<'_>) -> Option<u32> {
    let index = match record.kind {
        Kind::RequestStarted => 4,
        Kind::CellMerged => 1,
        Kind::HintStored | Kind::HintDelivered => 2,
        _ => return None,
    };
    record.payload.get(index).copied()
}

/// Whether a record is of those that are never left out.
pub fn is_always_kept(record: &Record<'_>) -> bool {
    matches!(
        record.kind,
        Kind::Suspected
            | Kind::WentDown
            | Kind::CameUp
            | Kind::TopologyAdopted
            | Kind::Promised
            | Kind::Accepted
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvorum_core::base::trace::{Trace, split};
    use std::collections::{BTreeMap, BTreeSet};

    /// A put as its coordinator tells it.
    fn put(trace: &mut Trace, now: Micros, id: u64, key: &[u8]) {
        let [low, high] = split(id);
        let name = trace.string(now, key);
        trace.emit(now, Kind::RequestStarted, &[low, high, 1, 7, name]);
        trace.emit(now, Kind::Sent, &[1, 0, 0, 1, DATA_KIND_FIRST + 1, 64, low, high]);
        trace.emit(now, Kind::Received, &[2, 0, 1, 0, DATA_KIND_FIRST + 2, 64, low, high]);
        trace.emit(now, Kind::ReplicaAnswered, &[low, high, 1, 0]);
        trace.emit(now, Kind::RequestEnded, &[low, high, 0, 2, 0]);
    }

    #[test]
    fn whole_requests_are_left_out_and_members_never() {
        let (mut sampler, mut trace) = (Sampler::default(), Trace::new(0, true));
        let (mut kinds, mut parts) = (BTreeMap::new(), BTreeMap::new());
        let (mut named, mut kept) = (BTreeSet::new(), 0);
        for id in 1..=40_000_u64 {
            // 20,000 puts a second.
            let now = Micros(id * 50);
            put(&mut trace, now, id, format!("key {id}").as_bytes());
            if id % 1_000 == 0 {
                trace.emit(now, Kind::Suspected, &[2, 1, 0, 0]);
            }
            let share = sampler.one_in();
            let words = sampler.pass(now, trace.take());
            for record in records(&words) {
                *kinds.entry(record.kind).or_insert(0) += 1;
                match record.kind {
                    Kind::String => drop(named.insert(record.payload[0])),
                    Kind::RequestStarted => assert!(named.contains(&record.payload[4])),
                    _ => {}
                }
                if !matches!(record.kind, Kind::String | Kind::Suspected) && share == sampler.one_in() {
                    *parts.entry(id).or_insert(0) += 1;
                }
            }
            kept += records(&words).count() as u64;
        }
        assert_eq!(kinds[&Kind::Suspected], 40);
        assert!(parts.values().filter(|count| **count != 5).count() <= 20, "requests are torn");
        assert!(sampler.one_in() >= 32, "one in {}", sampler.one_in());
        assert!(kept <= 3 * 2 * RECORDS_PER_SECOND, "{kept} records in two seconds");
        assert_eq!(sampler.totals(), Totals { events: 200_040, reads: 0, writes: 40_000 });
        assert!(kinds[&Kind::RequestStarted] > 200, "{kinds:?}");
    }

    #[test]
    fn all_goes_on_while_there_is_little_and_again_after_a_burst() {
        let (mut sampler, mut trace) = (Sampler::default(), Trace::new(0, true));
        put(&mut trace, Micros(1), 1, b"k");
        let words = trace.take();
        assert_eq!(sampler.pass(Micros(1), words.clone()), words);
        for id in 2..5_000 {
            put(&mut trace, Micros(2), id, b"k");
        }
        sampler.pass(Micros(2), trace.take());
        assert!(sampler.one_in() > 1);
        assert_eq!(sampler.pass(Micros::from_secs(60), words.clone()), words);
        assert_eq!(sampler.one_in(), 1);
    }

    #[test]
    fn one_in_many_is_part_of_one_in_fewer() {
        for shift in 1..8 {
            let kept = (0..100_000)
                .filter(|id| is_in(*id, shift))
                .inspect(|id| assert!(is_in(*id, shift - 1)))
                .count();
            let fair = 100_000 >> shift;
            assert!(kept.abs_diff(fair) < fair / 5, "{kept} of {fair} with shift {shift}");
        }
    }

    #[test]
    fn any_words_pass() {
        let mut sampler = Sampler::default();
        for words in
            [vec![], vec![u32::MAX], vec![4 << 16 | 10, 0, 0, 0], vec![5 << 16 | 30, 0, 0, 0, 1, 7 << 16]]
        {
            sampler.pass(Micros(0), words);
        }
    }
}
