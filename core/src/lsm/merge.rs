//! Several sources of records as one, in order of key, the newest record of each key only.

use super::{
    Error,
    entry::{Kind, key_prefix},
    memtable::{Memtable, Position, Slot},
    ranges::Ranges,
    table::{Loader, TableCursor},
    version::Run,
};
use crate::storage::Storage;
use alloc::{sync::Arc, vec::Vec};
use bytes::Bytes;

/// Records of one memtable or run, and what it removes from older ones.
#[derive(Debug, Clone)]
pub(super) struct Source {
    content: Content,
    ranges: SourceRanges,
    /// The current key; meaningless when `is_done`.
    key: Vec<u8>,
    prefix: u64,
    is_done: bool,
}

#[derive(Debug, Clone)]
enum Content {
    /// Slots in the order in which they are to come.
    Copied {
        slots: Vec<Slot>,
        at: usize,
    },
    Memory {
        table: Arc<Memtable>,
        position: Position,
    },
    Run {
        run: Arc<Run>,
        at: usize,
        cursor: Option<TableCursor>,
    },
}

#[derive(Debug, Clone)]
enum SourceRanges {
    None,
    Own(Ranges),
    Memory(Arc<Memtable>),
    Run(Arc<Run>),
}

/// Where a merge starts and which way it goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Start<'a> {
    /// At this key, upwards.
    From(&'a [u8]),
    /// Before this key, downwards.
    Before(&'a [u8]),
}

impl Source {
    fn new(content: Content, ranges: SourceRanges) -> Source {
        Source { content, ranges, key: Vec::new(), prefix: 0, is_done: false }
    }
    pub(super) fn copied(slots: Vec<Slot>, ranges: Ranges) -> Source {
        let ranges = if ranges.is_empty() { SourceRanges::None } else { SourceRanges::Own(ranges) };
        Source::new(Content::Copied { slots, at: 0 }, ranges)
    }
    pub(super) fn memory(table: Arc<Memtable>) -> Source {
        let ranges =
            if table.ranges.is_empty() { SourceRanges::None } else { SourceRanges::Memory(table.clone()) };
        Source::new(Content::Memory { table, position: None }, ranges)
    }
    pub(super) fn run(run: Arc<Run>) -> Source {
        let ranges = if run.has_ranges { SourceRanges::Run(run.clone()) } else { SourceRanges::None };
        Source::new(Content::Run { run, at: 0, cursor: None }, ranges)
    }

    /// The range that removes `key` from older sources.
    fn removing(&self, key: &[u8]) -> Option<(Bytes, Bytes)> {
        let ranges = match &self.ranges {
            SourceRanges::None => return None,
            SourceRanges::Own(ranges) => ranges,
            SourceRanges::Memory(table) => &table.ranges,
            SourceRanges::Run(run) => &run.table_of(key)?.ranges,
        };
        ranges.covering(key).cloned()
    }
    fn seek<S: Storage>(&mut self, loader: &mut Loader<'_, S>, start: Start<'_>) -> Result<(), Error> {
        match (&mut self.content, start) {
            (Content::Copied { slots, at }, Start::From(key)) => {
                *at = slots.partition_point(|slot| slot.key() < key)
            }
            (Content::Copied { slots, at }, Start::Before(key)) => {
                *at = slots.partition_point(|slot| slot.key() >= key);
            }
            (Content::Memory { table, position }, Start::From(key)) => *position = table.seek(key),
            (Content::Memory { table, position }, Start::Before(key)) => *position = table.seek_before(key),
            (Content::Run { run, at, cursor }, Start::From(key)) => {
                *at = run.tables.partition_point(|table| &table.to[..] <= key);
                *cursor = None;
                while let Some(table) = run.tables.get(*at) {
                    *cursor = TableCursor::seek(loader, table, key.max(&table.from))?;
                    if cursor.is_some() {
                        break;
                    }
                    *at += 1;
                }
            }
            (Content::Run { run, at, cursor }, Start::Before(key)) => {
                *at = run.tables.partition_point(|table| &table.from[..] < key);
                *cursor = None;
                while cursor.is_none() && *at > 0 {
                    *at -= 1;
                    *cursor = TableCursor::seek_before(loader, &run.tables[*at], key)?;
                    trim(cursor, &run.tables[*at].from, &mut self.key);
                }
            }
        }
        self.settle();
        Ok(())
    }
    fn step<S: Storage>(&mut self, loader: &mut Loader<'_, S>, is_reverse: bool) -> Result<(), Error> {
        match &mut self.content {
            Content::Copied { at, .. } => *at += 1,
            Content::Memory { table, position } => {
                *position = if is_reverse { table.previous(*position) } else { table.next(*position) };
            }
            Content::Run { run, at, cursor } => {
                let Some(here) = cursor else { return Ok(()) };
                let has_more = if is_reverse { here.previous(loader)? } else { here.next(loader)? };
                if !has_more {
                    *cursor = None;
                } else if is_reverse {
                    trim(cursor, &run.tables[*at].from, &mut self.key);
                }
                while cursor.is_none() {
                    if is_reverse {
                        if *at == 0 {
                            break;
                        }
                        *at -= 1;
                        let table = &run.tables[*at];
                        *cursor = TableCursor::seek_before(loader, table, &table.to)?;
                        trim(cursor, &table.from, &mut self.key);
                    } else {
                        *at += 1;
                        let Some(table) = run.tables.get(*at) else { break };
                        *cursor = TableCursor::seek(loader, table, &table.from)?;
                    }
                }
            }
        }
        self.settle();
        Ok(())
    }
    /// Takes the current key over.
    fn settle(&mut self) {
        let slot = match &mut self.content {
            Content::Copied { slots, at } => slots.get(*at),
            Content::Memory { table, position } => table.slot(*position),
            Content::Run { cursor, .. } => {
                self.is_done = cursor.is_none();
                if let Some(cursor) = cursor {
                    cursor.read_key(&mut self.key);
                    self.prefix = key_prefix(&self.key);
                }
                return;
            }
        };
        self.is_done = slot.is_none();
        if let Some(slot) = slot {
            self.key.clear();
            self.key.extend_from_slice(slot.key());
            self.prefix = key_prefix(&self.key);
        }
    }
    fn slot(&self) -> Option<&Slot> {
        match &self.content {
            Content::Copied { slots, at } => slots.get(*at),
            Content::Memory { table, position } => table.slot(*position),
            Content::Run { .. } => None,
        }
    }
    fn kind(&self) -> Kind {
        match &self.content {
            Content::Run { cursor, .. } => cursor.as_ref().map_or(Kind::Deleted, TableCursor::kind),
            _ => self.slot().map_or(Kind::Deleted, |slot| slot.kind),
        }
    }
    fn value(&self) -> Bytes {
        match &self.content {
            Content::Run { cursor, .. } => cursor.as_ref().map_or_else(Bytes::new, TableCursor::value),
            _ => self.slot().map_or_else(Bytes::new, Slot::value),
        }
    }
    fn value_slice(&self) -> &[u8] {
        match &self.content {
            Content::Run { cursor, .. } => cursor.as_ref().map_or(&[], TableCursor::value_slice),
            _ => self.slot().map_or(&[], Slot::value_slice),
        }
    }
}

/// A table that has lost its front to a compaction still has it in its file.
fn trim(cursor: &mut Option<TableCursor>, from: &[u8], key: &mut Vec<u8>) {
    if let Some(here) = cursor {
        here.read_key(key);
        if key[..] < *from {
            *cursor = None;
        }
    }
}

/// See the module. Newest source first.
#[derive(Debug, Clone)]
pub(super) struct Merge {
    sources: Vec<Source>,
    is_reverse: bool,
    /// The source of the current record.
    current: Option<usize>,
    /// How many records of all sources were looked at.
    pub(super) looked_at: u64,
}

impl Merge {
    /// Stands at the first record.
    pub(super) fn start<S: Storage>(
        loader: &mut Loader<'_, S>,
        mut sources: Vec<Source>,
        start: Start<'_>,
    ) -> Result<Merge, Error> {
        for source in &mut sources {
            source.seek(loader, start)?;
        }
        let is_reverse = matches!(start, Start::Before(_));
        let mut merge = Merge { sources, is_reverse, current: None, looked_at: 0 };
        merge.find(loader)?;
        Ok(merge)
    }
    /// The current record's key; `None` at the end.
    #[inline]
    pub(super) fn key(&self) -> Option<&[u8]> {
        self.current.map(|at| &self.sources[at].key[..])
    }
    pub(super) fn kind(&self) -> Kind {
        self.current.map_or(Kind::Deleted, |at| self.sources[at].kind())
    }
    pub(super) fn value(&self) -> Bytes {
        self.current.map_or_else(Bytes::new, |at| self.sources[at].value())
    }
    pub(super) fn value_slice(&self) -> &[u8] {
        self.current.map_or(&[], |at| self.sources[at].value_slice())
    }
    pub(super) fn next<S: Storage>(&mut self, loader: &mut Loader<'_, S>) -> Result<(), Error> {
        self.skip(loader)?;
        self.find(loader)
    }
    /// Steps all sources that stand at the current key past it.
    fn skip<S: Storage>(&mut self, loader: &mut Loader<'_, S>) -> Result<(), Error> {
        let Some(at) = self.current else { return Ok(()) };
        // Sources before `at` stand elsewhere: the newest one with the key was chosen.
        let (head, tail) = self.sources.split_at_mut(at + 1);
        let current = &mut head[at];
        for other in tail {
            if !other.is_done && other.prefix == current.prefix && other.key == current.key {
                other.step(loader, self.is_reverse)?;
                self.looked_at += 1;
            }
        }
        self.looked_at += 1;
        current.step(loader, self.is_reverse)
    }
    /// Chooses the next record that no newer source removes.
    fn find<S: Storage>(&mut self, loader: &mut Loader<'_, S>) -> Result<(), Error> {
        loop {
            let mut best: Option<usize> = None;
            for (at, source) in self.sources.iter().enumerate() {
                if source.is_done {
                    continue;
                }
                let is_better = best.is_none_or(|best| {
                    let best = &self.sources[best];
                    let order = source.prefix.cmp(&best.prefix).then_with(|| source.key.cmp(&best.key));
                    if self.is_reverse { order.is_gt() } else { order.is_lt() }
                });
                if is_better {
                    best = Some(at);
                }
            }
            self.current = best;
            let Some(at) = best else { return Ok(()) };
            let (newer, rest) = self.sources.split_at_mut(at);
            let key = &rest[0].key;
            let Some((from, to)) = newer.iter().find_map(|newer| newer.removing(key)) else { return Ok(()) };
            // Past the whole range at once: a dropped partition costs a seek, not a walk.
            let start = if self.is_reverse { Start::Before(&from) } else { Start::From(&to) };
            rest[0].seek(loader, start)?;
            self.looked_at += 1;
        }
    }
}
