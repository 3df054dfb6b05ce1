//! A slow walk over all cells that counts what nothing collects yet: expired keys and entries of old actors.
//!
//! Expiry needs no write to happen, so it cannot be counted as cells change. One page a second costs a shard nothing that
//! can be measured; the figures are those of the last walk that came to its end.

use super::key::{self, place_of};
use super::page::{PageRange, ScanFor};
use super::shard::Shard;
use crate::base::Micros;
use crate::lsm::{self, ScanPage};
use crate::version::Cell;
use bytes::Bytes;

/// Between two pages.
pub(super) const CENSUS_EVERY: Micros = Micros::from_millis(1_000);
/// Most cells of a page.
const PAGE_COUNT: u32 = 2_048;
/// Most bytes of a page.
const PAGE_BYTES: u32 = 256 << 10;

/// Where the walk is, and what it has found so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Census {
    /// `None`: at the beginning.
    next: Option<Bytes>,
    is_reading: bool,
    expired: u64,
    old_entries: u64,
}

impl Shard {
    /// Asks for the next page.
    pub(super) fn tend_census(&mut self) {
        if core::mem::replace(&mut self.census.is_reading, true) {
            return; // The disk is slow.
        }
        let (first, to) = key::cells_range();
        let from = self.census.next.clone().unwrap_or(first);
        self.read_page(PageRange { from, to, limit: PAGE_COUNT, bytes_max: PAGE_BYTES }, ScanFor::Census);
    }
    pub(super) fn on_census(&mut self, result: Result<ScanPage, lsm::Error>) {
        self.census.is_reading = false;
        let Ok(page) = result else {
            self.census = Census::default(); // What cannot be read cannot be counted: the last figures stay.
            return;
        };
        let now_ms = self.wall_ms();
        for (engine_key, value) in &page.entries {
            let Some(place) = place_of(engine_key) else { continue };
            // What is held of partitions that others own is dropped as a whole.
            if self.view.as_ref().is_none_or(|view| !view.owns(place.partition)) {
                continue;
            }
            let Ok(cell) = Cell::decode(value) else { continue };
            self.census.expired += u64::from(!cell.is_dead() && cell.winner(now_ms).is_none());
            let is_old = |actor| cell.siblings().iter().all(|sibling| sibling.dot.actor != actor);
            self.census.old_entries += cell.context().iter().filter(|dot| is_old(dot.actor)).count() as u64;
        }
        self.census.next = page.next;
        if self.census.next.is_none() {
            let Census { expired, old_entries, .. } = core::mem::take(&mut self.census);
            self.counters.expired_keys = expired;
            self.counters.old_vector_entries = old_entries;
        }
    }
}
