//! Which tables there are: an immutable value, replaced as a whole by edits.
//!
//! ```text
//!  level 0    run run run    newest first; a flush adds one in front
//!  level 1    run run        each made of runs of the level above
//!    …
//!  level 7    run            the last level: one run, always
//! ```
//!
//! Within a run tables do not overlap. What lies above, or further to the front of a level, is newer.

use super::table::Table;
use crate::base::{DecodeError, Reader, Writer};
use alloc::{sync::Arc, vec::Vec};

/// Levels on disk. Those above the last one that hold nothing cost nothing.
pub(super) const LEVEL_COUNT: usize = 8;
pub(super) const LEVEL_LAST: u8 = LEVEL_COUNT as u8 - 1;

/// Tables in order of key that do not overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    /// Greater is newer within a level.
    pub(super) id: u64,
    pub(super) tables: Vec<Arc<Table>>,
    pub(super) has_ranges: bool,
}

impl Run {
    /// The table whose bounds hold `key`.
    #[inline]
    pub(super) fn table_of(&self, key: &[u8]) -> Option<&Arc<Table>> {
        let index = self.tables.partition_point(|table| &table.to[..] <= key);
        self.tables.get(index).filter(|table| &table.from[..] <= key)
    }
    pub(super) fn overlaps(&self, from: &[u8], to: &[u8]) -> bool {
        let index = self.tables.partition_point(|table| &table.to[..] <= from);
        self.tables.get(index).is_some_and(|table| &table.from[..] < to)
    }
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Version {
    levels: [Vec<Arc<Run>>; LEVEL_COUNT],
}

impl Version {
    pub(super) fn level(&self, level: u8) -> &[Arc<Run>] {
        self.levels.get(level as usize).map_or(&[], |runs| &runs[..])
    }
    /// All runs, newest first.
    pub(super) fn runs(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.levels.iter().flatten()
    }
    pub(super) fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.runs().flat_map(|run| &run.tables)
    }
    /// Whether some table may know something of `key`.
    #[inline]
    pub(super) fn may_know(&self, key: &[u8]) -> bool {
        self.runs().any(|run| run.table_of(key).is_some())
    }
    pub(super) fn level_bytes(&self, level: u8) -> u64 {
        self.level(level).iter().flat_map(|run| &run.tables).map(|table| table.file_bytes).sum()
    }

    /// The version after `edit`; an error if the edit is of another version.
    pub(super) fn apply(&self, edit: &Edit) -> Result<Version, &'static str> {
        let mut version = self.clone();
        for removed in &edit.removed {
            let runs =
                version.levels.get_mut(removed.level as usize).ok_or("an edit of a level that cannot be")?;
            let run = runs.iter_mut().find(|run| run.id == removed.run).ok_or("an edit of an unknown run")?;
            let run = Arc::make_mut(run);
            let index = run.tables.iter().position(|table| table.number == removed.table);
            run.tables.remove(index.ok_or("an edit of an unknown table")?);
        }
        for added in &edit.added {
            let runs =
                version.levels.get_mut(added.level as usize).ok_or("an edit of a level that cannot be")?;
            let at = runs.partition_point(|run| run.id > added.run);
            if runs.get(at).is_none_or(|run| run.id != added.run) {
                let run = Run { id: added.run, tables: Vec::new(), has_ranges: false };
                runs.insert(at, Arc::new(run));
            }
            let run = Arc::make_mut(&mut runs[at]);
            let index = run.tables.partition_point(|table| table.from < added.table.from);
            run.tables.insert(index, added.table.clone());
        }
        for runs in &mut version.levels {
            runs.retain(|run| !run.tables.is_empty());
            for run in runs {
                let has_ranges = run.tables.iter().any(|table| !table.ranges.is_empty());
                if run.has_ranges != has_ranges {
                    Arc::make_mut(run).has_ranges = has_ranges;
                }
            }
        }
        version.check()?;
        Ok(version)
    }
    /// What makes this version from nothing.
    pub(super) fn to_edit(&self) -> Edit {
        let mut edit = Edit::default();
        for (level, runs) in self.levels.iter().enumerate() {
            for run in runs {
                let added = run.tables.iter();
                edit.added.extend(added.map(|table| Added {
                    level: level as u8,
                    run: run.id,
                    table: table.clone(),
                }));
            }
        }
        edit
    }
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.level(LEVEL_LAST).len() > 1 {
            return Err("more than one run in the last level");
        }
        for run in self.runs() {
            if !run.tables.iter().zip(run.tables.iter().skip(1)).all(|(one, two)| one.to <= two.from) {
                return Err("tables of a run overlap");
            }
            if run.tables.iter().any(|table| table.from >= table.to) {
                return Err("a table without bounds");
            }
        }
        for runs in &self.levels {
            if !runs.iter().zip(runs.iter().skip(1)).all(|(one, two)| one.id > two.id) {
                return Err("runs of a level are out of order");
            }
        }
        Ok(())
    }
}

/// A table that is no longer in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Removed {
    pub(super) level: u8,
    pub(super) run: u64,
    pub(super) table: u64,
}

/// A table that is in a run now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Added {
    pub(super) level: u8,
    pub(super) run: u64,
    pub(super) table: Arc<Table>,
}

/// A change of what a manifest records. A table that is removed and added again has moved or lost its front.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Edit {
    /// Everything up to this ticket is in tables.
    pub(super) flushed: Option<u64>,
    /// Segments before this one are superfluous.
    pub(super) log_first: Option<u64>,
    /// Greater than any number given to a file so far.
    pub(super) number_next: Option<u64>,
    pub(super) run_next: Option<u64>,
    /// Bytes of a segment that count: recovery cut it there, or it was whole when the engine was closed.
    pub(super) sealed: Vec<(u64, u64)>,
    /// Segments that were made, and their sizes: each is there until the log begins behind it.
    pub(super) made: Vec<(u64, u64)>,
    pub(super) removed: Vec<Removed>,
    pub(super) added: Vec<Added>,
}

// Tags of an edit's fields. On disk: add, never change.
const FLUSHED: u8 = 1;
const LOG_FIRST: u8 = 2;
const NUMBER_NEXT: u8 = 3;
const RUN_NEXT: u8 = 4;
const SEALED: u8 = 5;
const REMOVED: u8 = 6;
const ADDED: u8 = 7;
const MADE: u8 = 8;

impl Edit {
    /// Adds what `later` changes.
    pub(super) fn then(&mut self, later: Edit) {
        self.flushed = later.flushed.or(self.flushed);
        self.log_first = later.log_first.or(self.log_first);
        self.number_next = later.number_next.or(self.number_next);
        self.run_next = later.run_next.or(self.run_next);
        self.sealed.extend(later.sealed);
        self.made.extend(later.made);
        self.removed.extend(later.removed);
        self.added.extend(later.added);
    }
    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        let numbers = [
            (FLUSHED, self.flushed),
            (LOG_FIRST, self.log_first),
            (NUMBER_NEXT, self.number_next),
            (RUN_NEXT, self.run_next),
        ];
        for (tag, number) in numbers {
            if let Some(number) = number {
                writer.u8(tag);
                writer.varint(number);
            }
        }
        for (tag, segments) in [(SEALED, &self.sealed), (MADE, &self.made)] {
            for (segment, bytes) in segments {
                writer.u8(tag);
                writer.varint(*segment);
                writer.varint(*bytes);
            }
        }
        for removed in &self.removed {
            writer.u8(REMOVED);
            writer.u8(removed.level);
            writer.varint(removed.run);
            writer.varint(removed.table);
        }
        for added in &self.added {
            writer.u8(ADDED);
            writer.u8(added.level);
            writer.varint(added.run);
            added.table.encode(writer);
        }
    }
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Edit, DecodeError> {
        let mut edit = Edit::default();
        while reader.remaining() > 0 {
            match reader.u8()? {
                FLUSHED => edit.flushed = Some(reader.varint()?),
                LOG_FIRST => edit.log_first = Some(reader.varint()?),
                NUMBER_NEXT => edit.number_next = Some(reader.varint()?),
                RUN_NEXT => edit.run_next = Some(reader.varint()?),
                SEALED => edit.sealed.push((reader.varint()?, reader.varint()?)),
                MADE => edit.made.push((reader.varint()?, reader.varint()?)),
                REMOVED => edit.removed.push(Removed {
                    level: reader.u8()?,
                    run: reader.varint()?,
                    table: reader.varint()?,
                }),
                ADDED => edit.added.push(Added {
                    level: reader.u8()?,
                    run: reader.varint()?,
                    table: Arc::new(Table::decode(reader)?),
                }),
                _ => return Err(reader.error("a known field of an edit")),
            }
        }
        Ok(edit)
    }
}
