//! Which tables to merge next: a pure function of the version and the options.
//!
//! Lazy leveling. A level above the last one holds up to eight runs; then its oldest runs become one run of the level
//! below. The last upper level is swept into the last level piece by piece, from its first key on: all its runs give
//! what they hold of a range of keys, and a table that reaches beyond loses its front (its bounds say so, its file
//! does not change). Tables that overlap nothing older move down without being read.
//!
//! Source: Dayan and Idreos, "Dostoevsky" (SIGMOD 2018). Differs: pieces are taken in order of key rather than by
//! least overlap, since with four runs at once every piece overlaps about as much.

use super::{
    Options,
    ranges::Ranges,
    table::Table,
    version::{Added, Edit, LEVEL_LAST, Removed, Run, Version},
};
use crate::base::{Bug, Order};
use alloc::{sync::Arc, vec::Vec};
use bytes::Bytes;

/// A level of this many runs is due.
pub(super) const RUN_COUNT_MAX: usize = 8;
/// Most runs merged at once.
const INPUT_RUN_COUNT_MAX: usize = 8;
/// The last level is at most this many times as large as the level above it; beyond, a level is put in between.
const SIZE_RATIO: u64 = 8;
/// A piece of a sweep is about this many tables.
const PIECE_TABLE_COUNT: u64 = 16;
/// Most tables moved by one edit.
const MOVE_COUNT_MAX: usize = 256;

/// A table to be read or moved, and where it is.
#[derive(Debug, Clone)]
pub(super) struct Input {
    pub(super) level: u8,
    pub(super) run: u64,
    pub(super) table: Arc<Table>,
}

/// What to do.
#[derive(Debug, Clone)]
pub(super) enum Plan {
    /// These tables go to `level` as they are.
    Move { inputs: Vec<Input>, level: u8 },
    /// What these runs hold of a range of keys becomes part of `level`.
    Merge(MergePlan),
}

#[derive(Debug, Clone)]
pub(super) struct MergePlan {
    /// Everything that is replaced.
    pub(super) inputs: Vec<Input>,
    /// What is to be read, newest first.
    pub(super) runs: Vec<Arc<Run>>,
    pub(super) from: Bytes,
    /// Exclusive; `None`: to the end.
    pub(super) to: Option<Bytes>,
    pub(super) level: u8,
}

impl MergePlan {
    /// Nothing older lies below: what only hides older records can go.
    pub(super) fn is_last(&self) -> bool {
        self.level == LEVEL_LAST
    }
    pub(super) fn bytes(&self) -> u64 {
        self.inputs.iter().map(|input| input.table.file_bytes).sum()
    }
    /// The ranges that the outcome has to remove from older runs.
    pub(super) fn ranges(&self) -> Ranges {
        let mut ranges = Ranges::default();
        if !self.is_last() {
            for input in &self.inputs {
                ranges.extend(&input.table.ranges.clipped(&self.from, self.to.as_deref()));
            }
        }
        ranges
    }
    /// The edit that puts `outputs` in the place of the inputs.
    pub(super) fn edit(&self, outputs: Vec<Table>, run: u64) -> Edit {
        let mut edit = Edit::default();
        for input in &self.inputs {
            edit.removed.push(Removed { level: input.level, run: input.run, table: input.table.number });
            if let Some(to) = self.to.as_ref().filter(|to| **to < input.table.to) {
                let table = Arc::new(input.table.trimmed(to));
                edit.added.push(Added { level: input.level, run: input.run, table });
            }
        }
        let level = self.level;
        edit.added.extend(outputs.into_iter().map(|table| Added { level, run, table: Arc::new(table) }));
        edit
    }
}

/// How many upper levels there should be.
fn depth(version: &Version, options: &Options) -> u8 {
    let last_bytes = version.level_bytes(LEVEL_LAST);
    let mut depth = 1;
    let mut level_bytes = u64::from(options.memtable_bytes) * RUN_COUNT_MAX as u64;
    while depth < LEVEL_LAST && last_bytes > level_bytes * SIZE_RATIO {
        depth += 1;
        level_bytes *= RUN_COUNT_MAX as u64;
    }
    let lowest_used = (0..LEVEL_LAST).rev().find(|level| !version.level(*level).is_empty());
    lowest_used.map_or(depth, |level| depth.max(level + 1))
}

/// What to do next; `None` when nothing is due.
pub(super) fn pick(version: &Version, options: &Options) -> Option<Plan> {
    // Asked with every turn: sizes are summed only where it matters.
    let level = (0..LEVEL_LAST).find(|level| version.level(*level).len() >= RUN_COUNT_MAX)?;
    let depth = depth(version, options);
    if level >= depth {
        return None;
    }
    let runs = version.level(level);
    let oldest = &runs[runs.len() - runs.len().min(INPUT_RUN_COUNT_MAX)..];
    if level + 1 < depth { Some(merge_down(level, oldest)) } else { sweep(version, level, oldest, options) }
}

fn inputs_of(level: u8, runs: &[Arc<Run>]) -> Vec<Input> {
    let of_run = |run: &Arc<Run>| {
        let run = run.clone();
        (0..run.tables.len()).map(move |at| Input { level, run: run.id, table: run.tables[at].clone() })
    };
    runs.iter().flat_map(of_run).collect()
}

fn merge_down(level: u8, runs: &[Arc<Run>]) -> Plan {
    let inputs = inputs_of(level, runs);
    let mut sorted: Vec<&Table> = inputs.iter().map(|input| &*input.table).collect();
    sorted.order_by(|one, two| one.from.cmp(&two.from));
    if sorted.iter().zip(sorted.iter().skip(1)).all(|(one, two)| one.to <= two.from) {
        return Plan::Move { inputs, level: level + 1 };
    }
    Plan::Merge(MergePlan { inputs, runs: runs.to_vec(), from: Bytes::new(), to: None, level: level + 1 })
}

fn sweep(version: &Version, level: u8, runs: &[Arc<Run>], options: &Options) -> Option<Plan> {
    let last = version.level(LEVEL_LAST).first();
    let moved = movable(level, runs, last, options);
    if !moved.is_empty() {
        return Some(Plan::Move { inputs: moved, level: LEVEL_LAST });
    }
    let upper = inputs_of(level, runs);
    let lower = last.map_or_else(Vec::new, |run| inputs_of(LEVEL_LAST, core::slice::from_ref(run)));
    let first = upper.iter().map(|input| &input.table.from).min()?.clone();
    // A table below that reaches over the start is taken from its own start on.
    let straddling = lower.iter().find(|input| input.table.from <= first && first < input.table.to);
    let from = straddling.map_or(first.clone(), |input| input.table.from.clone());
    let mut sorted: Vec<&Table> = upper.iter().chain(&lower).map(|input| &*input.table).collect();
    sorted.retain(|table| table.to > from);
    sorted.order_by(|one, two| one.from.cmp(&two.from));
    let (mut bytes, mut to) = (0, None);
    for table in sorted {
        if bytes >= u64::from(options.table_bytes) * PIECE_TABLE_COUNT && table.from > first {
            to = Some(table.from.clone());
            break;
        }
        bytes += table.file_bytes;
    }
    let is_inside = |input: &Input| input.table.overlaps(&from, to.as_deref());
    let upper: Vec<Input> = upper.into_iter().filter(is_inside).collect();
    let lower: Vec<Input> = lower.into_iter().filter(is_inside).collect();
    // A table below that is removed as a whole is not read.
    let is_removed = |table: &Table| {
        to.as_ref().is_none_or(|to| table.to <= *to)
            && upper.iter().any(|input| input.table.ranges.covers_all(&table.from, &table.to))
    };
    let mut read: Vec<(u8, Run)> = Vec::new();
    for input in upper.iter().chain(lower.iter().filter(|input| !is_removed(&input.table))) {
        let is_same = read.last().is_some_and(|(level, run)| (*level, run.id) == (input.level, input.run));
        if !is_same {
            read.push((input.level, Run { id: input.run, tables: Vec::new(), has_ranges: false }));
        }
        if let Some((_, run)) = read.last_mut() {
            run.has_ranges |= !input.table.ranges.is_empty();
            run.tables.push(input.table.clone());
        }
    }
    let read = read.into_iter().map(|(_, run)| Arc::new(run)).collect();
    let inputs = upper.into_iter().chain(lower).collect();
    Some(Plan::Merge(MergePlan { inputs, runs: read, from, to, level: LEVEL_LAST }))
}

/// Tables that overlap neither older runs of their level nor the last level, and hold nothing that ends there.
fn movable(level: u8, runs: &[Arc<Run>], last: Option<&Arc<Run>>, options: &Options) -> Vec<Input> {
    let mut movable = Vec::new();
    for (at, run) in runs.iter().enumerate() {
        let older = || runs[at + 1..].iter().chain(last);
        for table in &run.tables {
            let is_plain = table.deletes == 0
                && table.ranges.is_empty()
                && !(table.dead > 0 && options.sabotage.is(Bug::TombstoneDroppedEarly));
            if is_plain && !older().any(|run| run.overlaps(&table.from, &table.to)) {
                movable.push(Input { level, run: run.id, table: table.clone() });
                if movable.len() == MOVE_COUNT_MAX {
                    return movable;
                }
            }
        }
    }
    movable
}
