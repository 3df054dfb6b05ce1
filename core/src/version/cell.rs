use super::{Clock, Dot, Hlc, Resolve, Stamp, VersionVector};
use crate::base::{Bug, Order, Sabotage};
use bytes::Bytes;
use smallvec::SmallVec;

/// What one write left.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Body {
    /// A deletion.
    Tombstone,
    /// A value.
    Value(Bytes),
}

/// When a value ends, with a stamp of its own: `EXPIRE` changes the value that it saw and makes no new dot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExpiryMark {
    /// Orders changes; the greater one wins.
    pub stamp: Stamp,
    /// Unix milliseconds; `None` for never.
    pub at_ms: Option<u64>,
}

/// One write that nothing seen supersedes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sibling {
    /// Its name.
    pub dot: Dot,
    /// Its place in the order of writes, and the identity of the put: two siblings of one stamp are one write that
    /// two owners gave a dot.
    pub stamp: Stamp,
    /// What it left.
    pub body: Body,
    /// When that ends; `None` for never, and never changed.
    pub expiry: Option<ExpiryMark>,
}

impl Sibling {
    /// Whether a reader at `now_ms` (Unix) sees a value.
    pub fn is_live(&self, now_ms: u64) -> bool {
        matches!(self.body, Body::Value(_)) && self.expires_at_ms().is_none_or(|at| at > now_ms)
    }
    /// When it ends, in Unix milliseconds; `None` for never.
    pub fn expires_at_ms(&self) -> Option<u64> {
        self.expiry.and_then(|mark| mark.at_ms)
    }
    /// The value; `None` for a tombstone.
    pub fn value(&self) -> Option<&Bytes> {
        match &self.body {
            Body::Value(value) => Some(value),
            Body::Tombstone => None,
        }
    }
    fn rank(&self) -> (Stamp, Dot) {
        (self.stamp, self.dot)
    }
}

/// What a put supersedes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cover<'a> {
    /// All that the owner holds: a plain `SET`.
    Held,
    /// What this context has seen, and nothing else.
    Context(&'a VersionVector),
}

/// What a key holds.
///
/// Ground state. Invariants: at least one sibling; each sibling's dot is covered by the context; siblings are sorted
/// by (dot, stamp, body) and no two are equal in these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    pub(super) context: VersionVector,
    pub(super) siblings: SmallVec<[Sibling; 1]>,
}

/// The outcome of a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// What both know together.
    pub cell: Cell,
    /// Live siblings that `lww` trimmed away: values somebody wrote and nobody superseded.
    pub discarded: u32,
    /// Dots found with two different bodies (a restored backup, bit rot): both are kept, and this is an alarm.
    pub collisions: u32,
}

impl Cell {
    /// The cell of a first write.
    pub fn first(sibling: Sibling) -> Cell {
        let mut context = VersionVector::new();
        context.add(sibling.dot);
        Cell { context, siblings: SmallVec::from_iter([sibling]) }
    }
    /// Everything seen.
    pub fn context(&self) -> &VersionVector {
        &self.context
    }
    /// All siblings, tombstones and expired ones among them.
    pub fn siblings(&self) -> &[Sibling] {
        &self.siblings
    }
    /// The greatest stamp: above everything that the context covers.
    pub fn stamp_max(&self) -> Stamp {
        self.top().stamp
    }
    /// The sibling of the greatest (stamp, dot), tombstone or expired or not.
    pub fn top(&self) -> &Sibling {
        let top = self.siblings.iter().max_by_key(|sibling| sibling.rank());
        top.expect("a cell holds at least one sibling")
    }
    /// What a plain `GET` at `now_ms` answers: under `lww` the top sibling if it lives, else the live sibling of the
    /// greatest (stamp, dot), so that a delete does not hide a write that it had not seen.
    pub fn winner(&self, now_ms: u64) -> Option<&Sibling> {
        // Under `lww` there is one sibling, so one rule serves both.
        self.siblings.iter().filter(|sibling| sibling.is_live(now_ms)).max_by_key(|sibling| sibling.rank())
    }
    /// The siblings that live at `now_ms`, the greatest (stamp, dot) first, one for each identity.
    pub fn live(&self, now_ms: u64) -> SmallVec<[&Sibling; 4]> {
        let mut live: SmallVec<[&Sibling; 4]> =
            self.siblings.iter().filter(|sibling| sibling.is_live(now_ms)).collect();
        live.order_by_key(|sibling| core::cmp::Reverse(sibling.rank()));
        live.dedup_by_key(|sibling| sibling.stamp);
        live
    }
    /// Whether nothing in it will ever live again without a new write: only tombstones.
    pub fn is_dead(&self) -> bool {
        self.siblings.iter().all(|sibling| sibling.body == Body::Tombstone)
    }
    /// How many writes its siblings stand for.
    pub fn identity_count(&self) -> usize {
        let distinct = |index: &usize| {
            let stamp = self.siblings[*index].stamp;
            self.siblings[..*index].iter().all(|other| other.stamp != stamp)
        };
        (0..self.siblings.len()).filter(distinct).count()
    }
    /// The stamp of a write that this put would cover and that is not below it; such a put must be stamped again,
    /// above. Without this rule, trimming to a winner is not associative. A sibling of the put's own stamp is the put
    /// itself and hinders nothing.
    pub fn hinders(&self, stamp: Stamp, cover: Cover<'_>, resolve: Resolve) -> Option<Stamp> {
        let covered = |sibling: &&Sibling| match (resolve, cover) {
            (Resolve::Lww, _) | (_, Cover::Held) => true,
            (Resolve::Siblings, Cover::Context(context)) => context.covers(sibling.dot),
        };
        self.siblings.iter().filter(covered).map(|sibling| sibling.stamp).filter(|held| *held > stamp).max()
    }
    /// Whether it holds the write of that identity.
    pub fn holds(&self, stamp: Stamp) -> bool {
        self.siblings.iter().any(|sibling| sibling.stamp == stamp)
    }
    /// The cell after a put. `self` must not hinder it.
    pub fn put(&self, sibling: Sibling, cover: Cover<'_>, resolve: Resolve) -> Merged {
        let mut context = self.context.clone();
        let mut siblings = SmallVec::new();
        if let Cover::Context(seen) = cover {
            context.join(seen);
            siblings.extend(self.siblings.iter().filter(|held| !seen.covers(held.dot)).cloned());
        }
        context.add(sibling.dot);
        siblings.push(sibling);
        Cell::settled(context, siblings, resolve)
    }
    /// What both know together.
    pub fn merge(&self, other: &Cell, resolve: Resolve, sabotage: Sabotage) -> Merged {
        let mut siblings: SmallVec<[Sibling; 1]> = SmallVec::new();
        let mut keep = |mine: &Cell, theirs: &Cell| {
            for sibling in &mine.siblings {
                let both = theirs.siblings.iter().any(|held| held.dot == sibling.dot);
                if both || !theirs.context.covers(sibling.dot) {
                    siblings.push(sibling.clone());
                }
            }
        };
        keep(self, other);
        keep(other, self);
        let mut impossible = 0;
        if siblings.is_empty() {
            // Each side claims to have seen what the other holds, and dropped it: only names given twice (a restored
            // backup) bring that about. Nothing is thrown away, and this is an alarm.
            siblings.extend(self.siblings.iter().chain(&other.siblings).cloned());
            impossible = 1;
        }
        if sabotage.is(Bug::MergeDropsSibling) && siblings.len() > 1 && siblings[0].dot != siblings[1].dot {
            siblings.remove(0);
        }
        let mut context = self.context.clone();
        context.join(&other.context);
        let mut merged = Cell::settled(context, siblings, resolve);
        merged.collisions += impossible;
        merged
    }
    /// Sorts, joins the expiries of equal siblings, and under `lww` trims to the greatest.
    fn settled(context: VersionVector, mut siblings: SmallVec<[Sibling; 1]>, resolve: Resolve) -> Merged {
        siblings
            .order_by(|a, b| (a.dot, a.stamp, &a.body, a.expiry).cmp(&(b.dot, b.stamp, &b.body, b.expiry)));
        siblings.dedup_by(|later, kept| {
            let same = (later.dot, later.stamp) == (kept.dot, kept.stamp) && later.body == kept.body;
            if same {
                kept.expiry = kept.expiry.max(later.expiry);
            }
            same
        });
        let collisions = siblings.windows(2).filter(|pair| pair[0].dot == pair[1].dot).count() as u32;
        let mut discarded = 0;
        if resolve == Resolve::Lww && siblings.len() > 1 {
            let top = siblings.iter().map(Sibling::rank).max();
            let before = siblings.len();
            siblings.retain(|sibling| Some(sibling.rank()) == top);
            discarded = (before - siblings.len()) as u32;
        }
        Merged { cell: Cell { context, siblings }, discarded, collisions }
    }
    /// Changes when the sibling `dot` ends. `false` if it is not here.
    pub fn set_expiry(&mut self, dot: Dot, mark: ExpiryMark) -> bool {
        let found = self.siblings.iter_mut().find(|sibling| sibling.dot == dot);
        let is_here = found.is_some();
        if let Some(sibling) = found {
            sibling.expiry = sibling.expiry.max(Some(mark));
        }
        is_here
    }
    /// Lets `clock` go past every stamp in it.
    pub fn observe(&self, clock: &mut Clock) {
        clock.observe(self.hlc_max());
    }
    /// The greatest time in it, expiry changes counted in.
    pub fn hlc_max(&self) -> Hlc {
        let of =
            |sibling: &Sibling| sibling.stamp.hlc.max(sibling.expiry.map_or(Hlc(0), |mark| mark.stamp.hlc));
        self.siblings.iter().map(of).max().unwrap_or_default()
    }
    /// Whether the invariants hold.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.siblings.is_empty() {
            return Err("a cell holds at least one sibling");
        }
        if self.siblings.iter().any(|sibling| !self.context.covers(sibling.dot)) {
            return Err("a cell's context covers its siblings");
        }
        let key = |sibling: &Sibling| (sibling.dot, sibling.stamp, sibling.body.clone());
        if !self.siblings.is_sorted_by(|a, b| key(a) < key(b)) {
            return Err("siblings are sorted and differ");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
