use super::evolution::is_awaited;
use crate::base::BTreeMap;
use crate::base::{Epoch, MemberId, Micros, PartitionId};
use crate::ring::{Report, Topology};
use alloc::vec::Vec;

/// Between two rounds of telling the same reports to those who may propose.
const REPEAT: Micros = Micros::from_millis(400);
/// How long fresh reports wait for company.
const GATHER: Micros = Micros::from_millis(30);
/// Most reports in one message.
const REPORT_COUNT_MAX: usize = 2_048;

/// What shards say about partitions: this node's own, which are told until the topology shows them, and those that
/// members have told. Only what the topology in force waits for is kept, so both are bounded by it.
#[derive(Debug, Clone, Default)]
pub(super) struct Reports {
    own: BTreeMap<Subject, Epoch>,
    gathered: BTreeMap<(Subject, MemberId), Epoch>,
    send_at: Option<Micros>,
}

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    Transferred(PartitionId),
    Refilled(PartitionId),
    HandedOver(PartitionId),
}

fn parts(report: Report) -> (Subject, Epoch) {
    match report {
        Report::Transferred { partition, epoch } => (Subject::Transferred(partition), epoch),
        Report::Refilled { partition, epoch } => (Subject::Refilled(partition), epoch),
        Report::HandedOver { partition, epoch } => (Subject::HandedOver(partition), epoch),
    }
}

impl Reports {
    /// A shard of this node, which is member `me`, says something.
    pub fn on_own(&mut self, now: Micros, report: Report, me: MemberId, topology: &Topology) {
        let (subject, epoch) = parts(report);
        if is_awaited(topology, me, subject, epoch) && self.own.insert(subject, epoch) != Some(epoch) {
            let soon = now + GATHER;
            self.send_at = Some(self.send_at.map_or(soon, |at| at.min(soon)));
        }
    }
    /// A member says what its shards say. True if any of it was not known.
    pub fn on_told(&mut self, from: MemberId, reports: &[Report], topology: &Topology) -> bool {
        let mut is_news = false;
        for report in reports {
            let (subject, epoch) = parts(*report);
            if is_awaited(topology, from, subject, epoch) {
                is_news |= self.gathered.insert((subject, from), epoch) != Some(epoch);
            }
        }
        is_news
    }
    /// Whether `member` has said so about the partition as it is since `epoch`.
    pub fn has(&self, subject: Subject, member: MemberId, epoch: Epoch) -> bool {
        self.gathered.get(&(subject, member)) == Some(&epoch)
    }
    /// A newer topology: what it does not wait for is over.
    pub fn follow(&mut self, topology: &Topology, me: MemberId) {
        self.own.retain(|subject, epoch| is_awaited(topology, me, *subject, *epoch));
        self.gathered.retain(|(subject, member), epoch| is_awaited(topology, *member, *subject, *epoch));
        if self.own.is_empty() {
            self.send_at = None;
        }
    }
    /// This node's reports, if it is time to tell them.
    pub fn due(&mut self, now: Micros) -> Option<Vec<Report>> {
        if self.send_at.is_none_or(|at| now < at) {
            return None;
        }
        self.send_at = (!self.own.is_empty()).then_some(now + REPEAT);
        let report = |(subject, epoch): (&Subject, &Epoch)| {
            let epoch = *epoch;
            match *subject {
                Subject::Transferred(partition) => Report::Transferred { partition, epoch },
                Subject::Refilled(partition) => Report::Refilled { partition, epoch },
                Subject::HandedOver(partition) => Report::HandedOver { partition, epoch },
            }
        };
        Some(self.own.iter().map(report).collect())
    }
    /// In messages of bounded size.
    pub fn messages(reports: &[Report]) -> impl Iterator<Item = Vec<Report>> + '_ {
        reports.chunks(REPORT_COUNT_MAX).map(<[Report]>::to_vec)
    }
    pub fn wake_at(&self) -> Option<Micros> {
        self.send_at
    }
}
