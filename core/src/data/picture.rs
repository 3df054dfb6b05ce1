//! What a shard looks like from outside, for the page. Read from its engine as it is now; changes nothing.

use super::key::{CELL_PREFIX_BYTES, cell_key, cell_of_hint, place_of};
use super::shard::Shard;
use crate::base::{KeyspaceId, MemberId, PartitionId, hash_key};
use crate::lsm::{self, BlockCache, ReadAnswer, ReadPlace};
use crate::ring::partition_of_key;
use crate::storage::Storage;
use crate::version::Cell;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::Serialize;

/// Longest part of a key that is shown.
const KEY_CHARS_MAX: usize = 64;
/// Hints that are listed; beyond, their number says enough.
const HINTS_LISTED_MAX: usize = 32;

/// One shard.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShardPicture {
    /// The commit log.
    pub log: LogPicture,
    /// The memtable.
    pub memtable: MemtablePicture,
    /// By level, its runs, newest first; by run, its tables in order.
    pub levels: Vec<Vec<Vec<TablePicture>>>,
    /// Of all tables.
    pub table_bytes: u64,
    /// How many there are.
    pub table_count: u32,
    /// How the key that was asked for would be read now; empty without one.
    pub read: Vec<ReadStep>,
    /// Where that key lies on the axis of keys, from 0 to 1.
    pub key_at: Option<f64>,
}

/// The commit log. Tickets are counted from the start of the engine.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // As in `lsm::LogPicture`.
pub struct LogPicture {
    pub segment: u64,
    pub segment_bytes: u64,
    pub segment_bytes_max: u64,
    pub issued: u64,
    pub written: u64,
    pub synced: u64,
}

/// The memtable.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // As in `lsm::Picture`.
pub struct MemtablePicture {
    pub bytes: u64,
    pub bytes_max: u64,
    pub entries: u64,
    pub frozen: Vec<u64>,
    pub neighbours: Vec<Neighbour>,
}

/// A key in the memtable beside the one that was asked for, or that itself.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Neighbour {
    pub key: String,
    pub is_key: bool,
}

/// One table.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TablePicture {
    /// Its number.
    pub number: u64,
    /// Of its file.
    pub bytes: u64,
    /// Records.
    pub entries: u64,
    /// Part of them that are tombstones, 0 to 1.
    pub dead: f64,
    /// Where it begins on the axis of keys, 0 to 1.
    pub first: f64,
    /// Where it ends.
    pub last: f64,
    /// Its first key.
    pub first_key: String,
    /// A bound above its last key.
    pub last_key: String,
}

/// One step of a read.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadStep {
    /// "rows", "memtable", "frozen", "table".
    pub place: &'static str,
    /// Of a table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<u8>,
    /// Of a table: 0 is the newest run of the level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<u32>,
    /// Its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<u64>,
    /// "absent", "found", "no", "falsePositive", "range", "notReached", "damaged".
    pub answer: &'static str,
}

/// Hints for one member about one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HintCount {
    /// Whom they are for.
    pub target: MemberId,
    /// Of which partition.
    pub partition: PartitionId,
    /// How many.
    pub count: u64,
}

/// What a shard holds of one key.
#[derive(Debug, Clone, Default)]
pub struct Copies {
    /// Its own copy.
    pub own: Option<Cell>,
    /// Copies that it keeps for others.
    pub hints: Vec<(MemberId, Cell)>,
    /// All that this shard has written is on its disk.
    pub is_synced: bool,
}

impl Shard {
    /// A picture of it; with a key, of that key's way through the engine as well. Reads blocks as a look-up does.
    pub fn picture<S: Storage>(
        &self,
        key: Option<&[u8]>,
        storage: &S,
        cache: &mut BlockCache,
    ) -> ShardPicture {
        let partition_count = self.partition_count().unwrap_or(1);
        let engine_key = key.map(|key| engine_key(key, partition_count));
        let db = self.db();
        let seen = db.picture(engine_key.as_deref());
        let neighbour = |found: &Bytes| {
            let place = place_of(found)?;
            let is_key = engine_key.as_ref() == Some(found);
            Some(Neighbour { key: readable(&place.key), is_key })
        };
        let table = |table: &lsm::TablePicture| TablePicture {
            number: table.number,
            bytes: table.bytes,
            entries: table.entries,
            dead: if table.entries == 0 { 0.0 } else { table.dead as f64 / table.entries as f64 },
            first: on_axis(&table.from, partition_count),
            last: on_axis(&table.to, partition_count),
            first_key: bound(&table.from),
            last_key: bound(&table.to),
        };
        let levels: Vec<Vec<Vec<TablePicture>>> = seen
            .levels
            .iter()
            .map(|runs| runs.iter().map(|run| run.iter().map(table).collect()).collect())
            .collect();
        let tables = || seen.levels.iter().flatten().flatten();
        let read = engine_key.as_ref().map_or_else(Vec::new, |key| {
            db.read_path(key, storage, cache).into_iter().map(|(place, answer)| step(place, answer)).collect()
        });
        let lsm::LogPicture { segment, segment_bytes, segment_bytes_max, issued, written, synced } = seen.log;
        ShardPicture {
            log: LogPicture { segment, segment_bytes, segment_bytes_max, issued, written, synced },
            memtable: MemtablePicture {
                bytes: seen.memtable_bytes,
                bytes_max: seen.memtable_bytes_max,
                entries: seen.memtable_entries,
                neighbours: seen.neighbours.iter().filter_map(neighbour).collect(),
                frozen: seen.frozen,
            },
            table_bytes: tables().map(|table| table.bytes).sum(),
            table_count: tables().count() as u32,
            read,
            key_at: engine_key.as_ref().map(|key| on_axis(key, partition_count)),
            levels,
        }
    }
    /// What it holds of a key, its own and for others.
    pub fn copies<S: Storage>(
        &self,
        key: &[u8],
        storage: &S,
        cache: &mut BlockCache,
    ) -> Result<Copies, lsm::Error> {
        let engine_key = engine_key(key, self.partition_count().unwrap_or(1));
        let db = self.db();
        let mut look = |key: &[u8]| -> Result<Option<Cell>, lsm::Error> {
            let found = db.peek(key, storage, cache)?;
            // A cell that does not decode is damage: it is shown as absent here, and reported by whoever reads it.
            Ok(found.and_then(|bytes| Cell::decode(&bytes).ok()))
        };
        let own = look(&engine_key)?;
        let mut hints = Vec::new();
        for target in self.hint_targets() {
            if let Some(cell) = look(&super::key::hint_key(target, &engine_key))? {
                hints.push((target, cell));
            }
        }
        let log = db.picture(None).log;
        Ok(Copies { own, hints, is_synced: log.synced == log.issued })
    }
    /// Hints that it holds, by target and partition; at most a listful.
    pub fn hint_counts(&self) -> Vec<HintCount> {
        self.hint_ledger()
            .take(HINTS_LISTED_MAX)
            .map(|(target, partition, count)| HintCount { target, partition, count })
            .collect()
    }
}

fn engine_key(key: &[u8], partition_count: u16) -> Bytes {
    let hash = (hash_key(key) >> 32) as u32;
    cell_key(partition_of_key(key, partition_count), KeyspaceId(0), hash, key)
}

fn step(place: ReadPlace, answer: ReadAnswer) -> ReadStep {
    let answer = match answer {
        ReadAnswer::Absent => "absent",
        ReadAnswer::Found => "found",
        ReadAnswer::OutOfRange => "range",
        ReadAnswer::FilterNo => "no",
        ReadAnswer::FalsePositive => "falsePositive",
        ReadAnswer::NotReached => "notReached",
        ReadAnswer::Damaged => "damaged",
    };
    let in_memory = |place| ReadStep { place, level: None, run: None, table: None, answer };
    match place {
        ReadPlace::Rows => in_memory("rows"),
        ReadPlace::Memtable => in_memory("memtable"),
        ReadPlace::Frozen => in_memory("frozen"),
        ReadPlace::Table { level, run, table } => ReadStep {
            place: "table",
            level: Some(level),
            run: Some(run),
            table: (table > 0).then_some(table),
            answer,
        },
    }
}

/// Where an engine key, or a bound of one, lies between the first and the last cell there can be.
fn on_axis(bytes: &[u8], partition_count: u16) -> f64 {
    let Some((column, rest)) = bytes.split_first() else { return 0.0 };
    if *column != 1 {
        return if *column < 1 { 0.0 } else { 1.0 };
    }
    let at = |index: usize| u32::from(rest.get(index).copied().unwrap_or(0));
    let partition = at(0) << 8 | at(1);
    let hash = at(3) << 24 | at(4) << 16 | at(5) << 8 | at(6);
    let place = (f64::from(partition) + f64::from(hash) / 4_294_967_296.0) / f64::from(partition_count);
    place.clamp(0.0, 1.0)
}

/// A bound of a table for people: the key, where it has one.
fn bound(bytes: &Bytes) -> String {
    let hint = cell_of_hint(bytes).map(|(_, cell)| cell);
    let place = place_of(hint.as_ref().unwrap_or(bytes)).filter(|place| !place.key.is_empty());
    match (place, bytes.first()) {
        (Some(place), _) => readable(&place.key),
        (None, Some(1)) if bytes.len() >= 3 && bytes.len() < CELL_PREFIX_BYTES => {
            format!("#{}", u16::from_be_bytes([bytes[1], bytes[2]]))
        }
        _ => String::new(),
    }
}

/// Bytes as text, where they are text; else in hexadecimal. Cut to a length that fits a page.
pub fn readable(bytes: &[u8]) -> String {
    let is_text = |text: &&str| !text.chars().any(char::is_control);
    match core::str::from_utf8(bytes).ok().filter(is_text) {
        Some(text) if text.chars().count() <= KEY_CHARS_MAX => String::from(text),
        Some(text) => text.chars().take(KEY_CHARS_MAX - 1).chain(['…']).collect(),
        None => {
            let shown = &bytes[..bytes.len().min(KEY_CHARS_MAX / 2)];
            let mut text = String::from("0x");
            shown.iter().for_each(|byte| text += &format!("{byte:02x}"));
            if shown.len() < bytes.len() {
                text.push('…');
            }
            text
        }
    }
}
