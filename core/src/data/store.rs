//! What a shard holds: its engine, and what is derived from the engine's content.
//!
//! Every cell written here has its old value in the writer's hand, so tree, counts and hint ledger are kept without a
//! further read. `store` knows no peers and no requests.

use super::key::{self, SystemKey, cell_of_hint, place_of, system_key};
use super::ledger::HintLedger;
use super::tree::{Tree, Weight, cell_sum};
use crate::base::{KEPT_SLOT_COUNT, Kept, Now, PartitionId, Sabotage, hash_key};
use crate::lsm::{self, BlockCache, Db, Lookup, ScanRange, Ticket};
use crate::storage::Storage;
use crate::version::{Cell, Clock, Hlc};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;

/// A cell as it is held: its bytes and what they say.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub bytes: Bytes,
    pub cell: Cell,
}

impl Held {
    pub fn of(cell: Cell) -> Held {
        Held { bytes: cell.to_bytes(), cell }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Store {
    db: Db,
    batch: lsm::Batch,
    /// By partition number. Derived.
    trees: Vec<Option<Box<Tree>>>,
    /// Derived.
    pub hints: HintLedger,
    pub clock: Clock,
    /// The last ticket given.
    last: Ticket,
    sabotage: Sabotage,
}

/// Records that one step of opening reads at once.
const OPEN_PAGE: u32 = 1024;

impl Store {
    pub fn open<S: Storage>(
        storage: &mut S,
        cache: &mut BlockCache,
        options: lsm::Options,
    ) -> Result<(Store, Kept, lsm::Recovery), lsm::Error> {
        let sabotage = options.sabotage;
        let (mut db, recovery) = Db::open(storage, cache, options)?;
        let mut read = |key: &[u8]| match db.get(key) {
            Lookup::Found(bytes) => Ok(Some(bytes)),
            Lookup::Absent => Ok(None),
            Lookup::OnDisk(read) => read.run(storage, cache).result,
        };
        let ceiling = read(&system_key(SystemKey::Ceiling))?;
        let ceiling = ceiling.and_then(|bytes| bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)));
        let mut kept = Kept::default();
        for slot in 0..KEPT_SLOT_COUNT {
            kept[usize::from(slot)] = read(&system_key(SystemKey::Kept(slot)))?;
        }
        let mut store = Store {
            db,
            batch: lsm::Batch::new(),
            trees: Vec::new(),
            hints: HintLedger::default(),
            clock: Clock::restored(Hlc(ceiling.unwrap_or_default())),
            last: Ticket(0),
            sabotage,
        };
        store.rebuild(storage, cache)?;
        Ok((store, kept, recovery))
    }
    /// Derives trees and hint counts from what is there.
    fn rebuild<S: Storage>(&mut self, storage: &S, cache: &mut BlockCache) -> Result<(), lsm::Error> {
        let honest = Sabotage::NONE;
        for (range, is_hints) in [(key::cells_range(), false), (key::hints_range(None), true)] {
            let (mut from, to) = range;
            loop {
                let page = self.scan(from, to.clone(), OPEN_PAGE, u32::MAX).run(storage, cache)?;
                for (engine_key, value) in &page.entries {
                    if is_hints {
                        if let Some((target, cell_key)) = cell_of_hint(engine_key)
                            && let Some(place) = place_of(&cell_key)
                        {
                            let size = (engine_key.len() + value.len()) as u64;
                            self.hints.change(target, place.partition, None, Some(size));
                        }
                    } else if let (Some(place), Ok(cell)) = (place_of(engine_key), Cell::decode(value)) {
                        let weight = weight(&place.key, value, &cell);
                        let tree = self.tree_mut(place.partition);
                        tree.change(Default::default(), place.hash, None, Some(weight), honest);
                        cell.observe(&mut self.clock);
                    }
                }
                match page.next {
                    Some(next) => from = next,
                    None => break,
                }
            }
        }
        Ok(())
    }

    pub fn get(&mut self, engine_key: &[u8]) -> Lookup {
        self.db.get(engine_key)
    }
    pub fn scan(&self, from: Bytes, to: Bytes, limit: u32, bytes_max: u32) -> lsm::Scan {
        self.db.scan(ScanRange { from, to, limit, bytes_max, reverse: false })
    }
    pub fn db(&self) -> &Db {
        &self.db
    }
    pub fn db_mut(&mut self) -> &mut Db {
        &mut self.db
    }
    /// The ticket that covers everything written so far.
    pub fn last(&self) -> Ticket {
        self.last
    }

    /// Writes a cell in place of `held`.
    pub fn put_cell(
        &mut self,
        now: Now,
        cell_key: &Bytes,
        held: Option<&Held>,
        new: &Held,
    ) -> Result<Ticket, lsm::Error> {
        self.batch.clear();
        self.batch.put(cell_key, &new.bytes, new.cell.is_dead());
        let ticket = self.write()?;
        if let Some(place) = place_of(cell_key) {
            let hash = hash_key(&place.key);
            let weigh =
                |held: &Held| Weight { sum: cell_sum(hash, &held.bytes), is_dead: held.cell.is_dead() };
            let (old, new) = (held.map(weigh), weigh(new));
            let sabotage = self.sabotage;
            self.tree_mut(place.partition).change(now.mono, place.hash, old, Some(new), sabotage);
        }
        Ok(ticket)
    }
    /// Writes a hint in place of the one held, or drops it. An empty value is a note: no copy, only that `target` missed
    /// something.
    pub fn put_hint(
        &mut self,
        hint_key: &Bytes,
        held: Option<&Bytes>,
        new: Option<&Bytes>,
    ) -> Result<Ticket, lsm::Error> {
        self.batch.clear();
        match new {
            Some(bytes) => self.batch.put(hint_key, bytes, false),
            None => self.batch.delete(hint_key),
        }
        let ticket = self.write()?;
        if let Some((target, cell_key)) = cell_of_hint(hint_key)
            && let Some(place) = place_of(&cell_key)
        {
            let size = |bytes: &Bytes| (hint_key.len() + bytes.len()) as u64;
            self.hints.change(target, place.partition, held.map(size), new.map(size));
        }
        Ok(ticket)
    }
    /// Keeps what control must not forget.
    pub fn keep(&mut self, slot: u8, bytes: &[u8]) -> Result<Ticket, lsm::Error> {
        self.batch.clear();
        self.batch.put(&system_key(SystemKey::Kept(slot)), bytes, false);
        self.write()
    }
    /// Puts the clock's ceiling into the log if it was reached and no other write has carried it.
    pub fn keep_ceiling(&mut self) -> Result<(), lsm::Error> {
        self.batch.clear();
        if self.push_ceiling() {
            self.last = self.db.write(&self.batch)?;
        }
        Ok(())
    }
    /// Drops all cells of a partition.
    pub fn drop_partition(&mut self, partition: PartitionId) -> Result<(), lsm::Error> {
        let (from, to) = key::partition_range(partition);
        self.batch.clear();
        self.batch.delete_range(&from, &to);
        self.write()?;
        if let Some(tree) = self.trees.get_mut(usize::from(partition.0)) {
            *tree = None;
        }
        Ok(())
    }
    fn write(&mut self) -> Result<Ticket, lsm::Error> {
        self.push_ceiling();
        self.last = self.db.write(&self.batch)?;
        Ok(self.last)
    }
    fn push_ceiling(&mut self) -> bool {
        let ceiling = self.clock.raise_ceiling();
        if let Some(ceiling) = ceiling {
            self.batch.put(&system_key(SystemKey::Ceiling), &ceiling.0.to_le_bytes(), false);
        }
        ceiling.is_some()
    }

    pub fn tree(&self, partition: PartitionId) -> Option<&Tree> {
        self.trees.get(usize::from(partition.0)).and_then(Option::as_deref)
    }
    pub fn tree_mut(&mut self, partition: PartitionId) -> &mut Tree {
        let index = usize::from(partition.0);
        if self.trees.len() <= index {
            self.trees.resize_with(index + 1, || None);
        }
        self.trees[index].get_or_insert_with(Box::default)
    }
    /// Partitions of which anything is held, in order.
    pub fn held_partitions(&self) -> impl Iterator<Item = (PartitionId, &Tree)> {
        let with_number = self.trees.iter().enumerate();
        with_number.filter_map(|(index, tree)| {
            let tree = tree.as_deref().filter(|tree| !tree.is_empty())?;
            Some((PartitionId(index as u16), tree))
        })
    }
}

fn weight(key: &[u8], bytes: &[u8], cell: &Cell) -> Weight {
    Weight { sum: cell_sum(hash_key(key), bytes), is_dead: cell.is_dead() }
}
