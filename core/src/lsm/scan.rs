use super::{
    Error,
    cache::BlockCache,
    entry::Kind,
    memtable::{Memtable, Slot},
    merge::{Merge, Source, Start},
    ranges::Ranges,
    table::Loader,
    version::Version,
};
use crate::storage::Storage;
use alloc::{sync::Arc, vec::Vec};
use bytes::{Bytes, BytesMut};

/// Keys of a page are put together in pieces of this size: they are not whole in their blocks.
const KEYS_BYTES: usize = 2048;

/// Makes keys of a page, many with one allocation.
struct Keys(BytesMut);

impl Keys {
    fn store(&mut self, key: &[u8]) -> Bytes {
        if self.0.capacity() < key.len() {
            self.0 = BytesMut::with_capacity(KEYS_BYTES.max(key.len()));
        }
        self.0.extend_from_slice(key);
        self.0.split().freeze()
    }
}

/// Most records of the active memtable that a scan takes along; a page ends where they end.
const COPIED_COUNT_MAX: usize = 4096;
/// A page ends after this many records looked at for each one that it may hold, so that a range full of removed
/// records costs many short pages rather than one endless one.
const LOOKED_AT_FACTOR: u64 = 8;
const LOOKED_AT_MIN: u64 = 4096;

/// Bounds of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanRange {
    /// First key, inclusive.
    pub from: Bytes,
    /// Last key, exclusive.
    pub to: Bytes,
    /// Most records of a page.
    pub limit: u32,
    /// Most bytes of keys and values of a page (at least one record is returned).
    pub bytes_max: u32,
    /// From `to` downwards.
    pub reverse: bool,
}

impl ScanRange {
    /// What is left of the range after `page`; `None` when it is done.
    pub fn after(&self, page: &ScanPage) -> Option<ScanRange> {
        let next = page.next.as_ref()?;
        if !self.reverse {
            return Some(ScanRange { from: next.clone(), ..self.clone() });
        }
        let mut to = next.to_vec();
        to.push(0);
        Some(ScanRange { to: to.into(), ..self.clone() })
    }
}

/// Consecutive live records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanPage {
    /// In order of key (descending for a reverse scan). There may be none although there are more pages.
    pub entries: Vec<(Bytes, Bytes)>,
    /// Where to go on: the first key (inclusive) not looked at; `None` when the range is done.
    pub next: Option<Bytes>,
}

/// A read of consecutive keys. Holds what it needs of the version it was made from.
#[derive(Debug, Clone)]
pub struct Scan {
    range: ScanRange,
    copied: Vec<Slot>,
    copied_ranges: Ranges,
    /// The first key of the active memtable that was not copied.
    copied_end: Option<Bytes>,
    frozen: Vec<Arc<Memtable>>,
    version: Arc<Version>,
    space: u32,
}

impl Scan {
    pub(super) fn new(
        range: ScanRange,
        active: &Memtable,
        frozen: Vec<Arc<Memtable>>,
        version: Arc<Version>,
        space: u32,
    ) -> Scan {
        let copied_ranges = active.ranges.clipped(&range.from, Some(&range.to));
        let count_max = (range.limit.max(1) as usize).min(COPIED_COUNT_MAX);
        let (mut copied, mut copied_end) = (Vec::new(), None);
        let mut at = if range.reverse { active.seek_before(&range.to) } else { active.seek(&range.from) };
        while let Some(slot) = active.slot(at) {
            if if range.reverse { slot.key() < &range.from[..] } else { slot.key() >= &range.to[..] } {
                break;
            }
            if copied.len() == count_max {
                copied_end = Some(slot.key_bytes());
                break;
            }
            copied.push(slot.clone());
            at = if range.reverse { active.previous(at) } else { active.next(at) };
        }
        Scan { range, copied, copied_ranges, copied_end, frozen, version, space }
    }
    /// Finishes the read.
    pub fn run<S: Storage>(&self, storage: &S, cache: &mut BlockCache) -> Result<ScanPage, Error> {
        let range = &self.range;
        let mut page = ScanPage::default();
        if range.from >= range.to {
            return Ok(page);
        }
        let mut loader = Loader { storage, cache: Some(cache), space: self.space };
        let mut sources = Vec::with_capacity(2 + self.frozen.len());
        sources.push(Source::copied(self.copied.clone(), self.copied_ranges.clone()));
        sources.extend(self.frozen.iter().cloned().map(Source::memory));
        let runs = self.version.runs().filter(|run| run.overlaps(&range.from, &range.to));
        sources.extend(runs.cloned().map(Source::run));
        let start = if range.reverse { Start::Before(&range.to) } else { Start::From(&range.from) };
        let mut merge = Merge::start(&mut loader, sources, start)?;
        let looked_at_max = (u64::from(range.limit) * LOOKED_AT_FACTOR).max(LOOKED_AT_MIN);
        let (mut bytes, mut keys) = (0u64, Keys(BytesMut::new()));
        while let Some(key) = merge.key() {
            let is_outside = if range.reverse { key < &range.from[..] } else { key >= &range.to[..] };
            if is_outside {
                break;
            }
            let is_beyond_copied = self
                .copied_end
                .as_ref()
                .is_some_and(|end| if range.reverse { key <= end } else { key >= end });
            if is_beyond_copied {
                page.next.clone_from(&self.copied_end);
                return Ok(page);
            }
            let is_record = merge.kind() != Kind::Deleted;
            let is_full = page.entries.len() >= range.limit.max(1) as usize
                || (!page.entries.is_empty() && bytes >= u64::from(range.bytes_max))
                || merge.looked_at >= looked_at_max;
            if is_full {
                page.next = Some(Bytes::copy_from_slice(key));
                return Ok(page);
            }
            if is_record {
                let value = merge.value();
                bytes += (key.len() + value.len()) as u64;
                page.entries.push((keys.store(key), value));
            }
            merge.next(&mut loader)?;
        }
        // The sources that go on may be at their end while the active memtable is not.
        page.next.clone_from(&self.copied_end);
        Ok(page)
    }
}
