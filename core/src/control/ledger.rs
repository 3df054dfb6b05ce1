//! Who does not answer whom: the ledger of suspicions, and what is known of each member besides.
//!
//! A report is (target, incarnation, reporter): a member's own failed probes. Reports are keyed by their reporter, so
//! that hearing one again, by another path or after a restart, never counts twice. A greater incarnation of the target
//! sweeps its reports away: only the target itself names a new one.

use crate::base::BTreeMap;
use crate::base::{Bug, Epoch, MemberId, Micros, Sabotage};
use crate::message::{News, SUSPICION_COUNT_MAX, Suspicion};
use crate::ring::{Liveness, Topology};
use alloc::vec::Vec;

/// How long a report counts.
pub(super) const WINDOW: Micros = Micros::from_millis(5_000);
/// Distinct reporters that take a member Down, while there are so many others.
pub const REPORTERS_NEEDED: usize = 2;

/// What is known of the other members.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    sabotage: Sabotage,
    me: MemberId,
    entries: BTreeMap<MemberId, Entry>,
    /// Where the next turn of [`Ledger::news`] begins.
    cursor: MemberId,
}

#[derive(Debug, Clone)]
struct Entry {
    store: u64,
    incarnation: u64,
    epoch: Epoch,
    /// When it last answered this node, in this node's time.
    heard: Option<Micros>,
    /// All about `incarnation`.
    reports: BTreeMap<MemberId, Report>,
    is_down: bool,
    /// Whose reports took it Down; empty while it is not. They outlive the window: operators ask later.
    down_by: Vec<MemberId>,
}

#[derive(Debug, Clone, Copy)]
struct Report {
    at: Micros,
    /// Only a sabotaged build looks at it.
    times: u32,
}

/// What became different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    WentDown { target: MemberId, incarnation: u64, reporters: Vec<MemberId> },
    CameUp { target: MemberId, incarnation: u64 },
}

/// One line of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Suspected {
    /// Whose probes failed.
    pub reporter: MemberId,
    /// Of which incarnation.
    pub incarnation: u64,
    /// How long ago.
    pub age_ms: u64,
}

impl Ledger {
    pub fn new(sabotage: Sabotage) -> Ledger {
        Ledger { sabotage, me: MemberId(u16::MAX), entries: BTreeMap::new(), cursor: MemberId(0) }
    }
    /// Follows the topology: members come and go, and one with another store is a blank sheet, but for its numbers,
    /// which only grow.
    pub fn follow(&mut self, topology: &Topology, me: MemberId) {
        self.me = me;
        self.entries.retain(|id, _| topology.member(*id).is_some());
        for member in topology.members.iter().filter(|member| member.id != me) {
            let entry = self.entries.entry(member.id).or_insert_with(|| Entry::new(member.store));
            if entry.store != member.store {
                *entry = Entry { incarnation: entry.incarnation, ..Entry::new(member.store) };
            }
        }
        for entry in self.entries.values_mut() {
            entry.reports.retain(|reporter, _| topology.member(*reporter).is_some());
        }
    }
    pub fn members(&self) -> impl Iterator<Item = MemberId> + '_ {
        self.entries.keys().copied()
    }
    pub fn incarnation_of(&self, id: MemberId) -> u64 {
        self.entries.get(&id).map_or(0, |entry| entry.incarnation)
    }
    pub fn epoch_of(&self, id: MemberId) -> Epoch {
        self.entries.get(&id).map_or(Epoch(0), |entry| entry.epoch)
    }
    pub fn heard_at(&self, id: MemberId) -> Option<Micros> {
        self.entries.get(&id)?.heard
    }
    pub fn is_down(&self, id: MemberId) -> bool {
        self.entries.get(&id).is_some_and(|entry| entry.is_down)
    }
    /// Whether a report of this incarnation by `reporter` is there and counts.
    pub fn has_reported(&self, now: Micros, target: MemberId, reporter: MemberId) -> bool {
        self.entries
            .get(&target)
            .is_some_and(|entry| entry.reports.get(&reporter).is_some_and(|report| report.is_fresh(now)))
    }
    pub fn liveness_of(&self, now: Micros, id: MemberId) -> Liveness {
        match self.entries.get(&id) {
            Some(entry) if entry.is_down => Liveness::Down,
            Some(entry) if entry.reports.values().any(|report| report.is_fresh(now)) => Liveness::Suspect,
            _ => Liveness::Up,
        }
    }
    /// A member answered this node just now.
    pub fn on_heard(&mut self, now: Micros, id: MemberId) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.heard = Some(now);
        }
    }
    /// A member, or somebody who heard of it, names its numbers. True in the second place if the epoch is news.
    pub fn on_news(&mut self, news: News) -> (Option<Change>, bool) {
        let Some(entry) = self.entries.get_mut(&news.member) else { return (None, false) };
        let is_newer = news.epoch > entry.epoch;
        entry.epoch = entry.epoch.max(news.epoch);
        let came_up = entry.raise(news.incarnation);
        let change = Change::CameUp { target: news.member, incarnation: entry.incarnation };
        (came_up.then_some(change), is_newer)
    }
    /// A report, this node's own or one heard; its time is in this node's. Returns whether it is new, and who came up
    /// by it: a report of a greater incarnation proves that its target has named that one.
    pub fn on_report(
        &mut self,
        target: MemberId,
        incarnation: u64,
        reporter: MemberId,
        at: Micros,
    ) -> (bool, Option<Change>) {
        let is_stranger = reporter != self.me && !self.entries.contains_key(&reporter);
        let Some(entry) = self.entries.get_mut(&target) else { return (false, None) };
        if is_stranger || incarnation < entry.incarnation || reporter == target {
            return (false, None);
        }
        let came_up = entry.raise(incarnation);
        let change = came_up.then_some(Change::CameUp { target, incarnation });
        let is_new = !entry.reports.contains_key(&reporter);
        let report = entry.reports.entry(reporter).or_insert(Report { at, times: 0 });
        report.at = report.at.max(at);
        report.times = report.times.saturating_add(1);
        (is_new, change)
    }
    /// Counts the reporters of each member that is not Down, and drops reports that are too old.
    pub fn judge(&mut self, now: Micros) -> Vec<Change> {
        let down: Vec<MemberId> = self.entries.iter().filter(|e| e.1.is_down).map(|e| *e.0).collect();
        // All members but the target; this node has no entry of its own.
        let needed = REPORTERS_NEEDED.min(self.entries.len());
        let mut changes = Vec::new();
        for (target, entry) in &mut self.entries {
            entry.reports.retain(|_, report| report.is_fresh(now));
            if entry.is_down || needed == 0 {
                continue;
            }
            let live = |id: &MemberId| !down.contains(id);
            let reporters: Vec<MemberId> = entry.reports.keys().copied().filter(live).collect();
            let mut count = reporters.len();
            if self.sabotage.is(Bug::ReporterCountedTwice) {
                let twice = |id: &&MemberId| entry.reports.get(id).is_some_and(|report| report.times > 1);
                count += reporters.iter().filter(twice).count();
            }
            if count >= needed {
                entry.is_down = true;
                entry.down_by.clone_from(&reporters);
                let incarnation = entry.incarnation;
                changes.push(Change::WentDown { target: *target, incarnation, reporters });
            }
        }
        changes
    }
    /// What to tell others about members: all of a small cluster, of a large one some in turn.
    pub fn news(&mut self, count_max: usize) -> Vec<News> {
        let from = self.cursor;
        let rest = self.entries.range(from..).chain(self.entries.range(..from));
        let news: Vec<News> = rest
            .take(count_max)
            .map(|(id, entry)| News { member: *id, incarnation: entry.incarnation, epoch: entry.epoch })
            .collect();
        if let Some(last) = news.last() {
            self.cursor = MemberId(last.member.0.wrapping_add(1));
        }
        news
    }
    /// What to tell others about suspicions: those of `first` before all, for the accused is always told.
    pub fn suspicions(&self, now: Micros, first: MemberId) -> Vec<Suspicion> {
        let about = |target: MemberId| {
            let entry = self.entries.get(&target);
            entry.into_iter().flat_map(move |entry| {
                entry.reports.iter().filter(move |(_, report)| report.is_fresh(now)).map(
                    move |(reporter, report)| Suspicion {
                        target,
                        incarnation: entry.incarnation,
                        reporter: *reporter,
                        age_ms: u32::try_from(now.since(report.at).as_millis()).unwrap_or(u32::MAX),
                    },
                )
            })
        };
        let others = self.entries.keys().copied().filter(|id| *id != first);
        about(first).chain(others.flat_map(about)).take(SUSPICION_COUNT_MAX).collect()
    }
    /// Whose reports took a member Down; empty while it is not.
    pub fn down_by(&self, id: MemberId) -> &[MemberId] {
        self.entries.get(&id).filter(|entry| entry.is_down).map_or(&[], |entry| &entry.down_by)
    }
    /// The lines about a member.
    pub fn lines(&self, now: Micros, target: MemberId) -> Vec<Suspected> {
        let Some(entry) = self.entries.get(&target) else { return Vec::new() };
        let line = |(reporter, report): (&MemberId, &Report)| Suspected {
            reporter: *reporter,
            incarnation: entry.incarnation,
            age_ms: now.since(report.at).as_millis(),
        };
        entry.reports.iter().map(line).collect()
    }
    /// When a report ends.
    pub fn wake_at(&self) -> Option<Micros> {
        let reports = self.entries.values().flat_map(|entry| entry.reports.values());
        reports.map(|report| report.at + WINDOW + Micros(1)).min()
    }
}

impl Entry {
    fn new(store: u64) -> Entry {
        Entry {
            store,
            incarnation: 0,
            epoch: Epoch(0),
            heard: None,
            reports: BTreeMap::new(),
            is_down: false,
            down_by: Vec::new(),
        }
    }
    /// Takes a greater incarnation; true if the member was Down until then.
    fn raise(&mut self, incarnation: u64) -> bool {
        if incarnation <= self.incarnation {
            return false;
        }
        self.incarnation = incarnation;
        self.reports.clear();
        core::mem::take(&mut self.is_down)
    }
}

impl Report {
    fn is_fresh(&self, now: Micros) -> bool {
        now.since(self.at) <= WINDOW
    }
}
