//! What happened, as numbers: one format for the simulator's trace hash, the admin event stream and the page.
//!
//! ```text
//!  word 0        1       2..4        4          5..
//!  ├ len ‖ kind ─┼ node ─┼ time µs ──┼ payload words …
//! ```
//!
//! `len` (upper 16 bits) counts all words of the record. A u64 is two words, low first. Strings (keys) are entries of
//! a string table, named by their index. A message's `sent` and `received` share its message id.
//!
//! A machine asks [`Trace::on`] before it builds an event, so that events cost nothing when nobody listens.

use super::{Micros, hash::hash128};
use alloc::vec::Vec;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $number:literal),* $(,)?) => {
        /// What a record says. Recorded numbers: add, never change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Kind { $($(#[$doc])* $variant = $number),* }
        impl Kind {
            /// All kinds in order of their numbers.
            pub const ALL: &'static [Kind] = &[$(Kind::$variant),*];
            /// The kind of that number.
            pub fn from_number(number: u16) -> Option<Kind> {
                match number { $($number => Some(Kind::$variant),)* _ => None }
            }
            /// Its name as in documents and on the page.
            pub const fn name(self) -> &'static str { match self { $(Kind::$variant => stringify!($variant)),* } }
        }
    };
}

kinds! {
    /// A string-table entry: index, byte length, bytes packed into words. Never sampled away while a record that is kept names it.
    String = 1,
    // --- messages: of the world in the simulator, of each node natively ---
    /// message id (2), from, to, message kind, bytes, request (2) as its asker names it, 0 for none. Kinds of data
    /// messages begin at 256.
    Sent = 10,
    /// As in `Sent`.
    Received = 11,
    /// message id (2), from, to, reason (0 loss, 1 cut, 2 node down, 3 queue full).
    Lost = 12,
    // --- the world (simulator only) ---
    /// A node stopped: 0 crash, 1 power loss, 2 pause, 3 wiped.
    Crashed = 13,
    /// A node started again.
    Restarted = 14,
    /// A link was cut (0) or healed (1): from, to, what.
    Link = 15,
    /// A client's operation began: operation id (2), verb (0 read, 1 put, 2 delete, 3 expire), key's index, key string.
    OpStarted = 16,
    /// A client's operation ended: operation id (2), outcome, value hash (2).
    OpEnded = 17,
    /// A node's messages take so much longer from now on: milliseconds.
    Slowed = 18,
    /// A node's messages are lost from now on: so many of a thousand.
    Lossy = 19,
    // --- coordinator ---
    /// request (2), [`Verb`], partition, key string,
    /// votes needed among its owners, votes needed among those to come (0 if it does not move), who asked (0 a client of this
    /// node, else the member that handed it over + 1), and the asker's name for it (2): a member's request, or a client's
    /// number as the driver gave it, which in the simulator is the operation id. One client's number may begin several
    /// requests, one after the other.
    RequestStarted = 30,
    /// request (2), member asked, hedged 0/1, standing in for (member + 1, or 0).
    ReplicaAsked = 31,
    /// request (2), member, [`Answered`].
    ReplicaAnswered = 32,
    /// request (2), [`Ended`], acks, hinted.
    RequestEnded = 33,
    /// request (2), and (2) what it is called from then on: stamped again, above what hindered or won.
    Restamped = 34,
    /// request (2), member: a stale replica was sent the merged cell.
    ReadRepaired = 35,
    /// request (2), and (2) what it is called from then on: its partition moved. Votes that stay are told anew.
    PlannedAgain = 36,
    /// request (2), hlc (2), member: the put has its dot, and this is its stamp.
    Stamped = 37,
    // --- replica, hints, repair ---
    /// partition, key string, siblings, changed 0/1.
    CellMerged = 50,
    /// target member, partition, key string.
    HintStored = 51,
    /// target member, partition, key string.
    HintDelivered = 52,
    /// peer, partition, level, differences.
    TreeCompared = 53,
    /// partition, from member, cells.
    TransferPage = 54,
    /// partition.
    TransferDone = 55,
    /// partition.
    PartitionDropped = 56,
    // --- engine ---
    /// bytes, records.
    LogAppended = 70,
    /// through ticket (2).
    LogSynced = 71,
    /// memtable bytes.
    MemtableFrozen = 72,
    /// table, entries, bytes.
    TableFlushed = 73,
    /// level, tables in, tables out.
    Compacted = 74,
    /// step (0 memory, 1 filter no, 2 filter yes, 3 block), table.
    ReadStep = 75,
    // --- control ---
    /// target, reporter, incarnation (2).
    Suspected = 90,
    /// target, reporters as a bit set by member number below 64 (2), incarnation (2).
    WentDown = 91,
    /// target, incarnation (2).
    CameUp = 92,
    /// epoch (2), hash (2).
    TopologyAdopted = 93,
    /// epoch (2), ballot (2).
    Promised = 94,
    /// epoch (2), ballot (2).
    Accepted = 95,
}

/// What a request does, in [`Kind::RequestStarted`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Verb {
    /// Reads.
    Read = 0,
    /// Writes.
    Write = 1,
    /// Hands a write to an owner.
    Forward = 2,
    /// Writes what is stamped above all that W named.
    Final = 3,
}

/// What a member answered, in [`Kind::ReplicaAnswered`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Answered {
    /// It holds the cell.
    Ack = 0,
    /// It holds nothing of that key.
    Absent = 1,
    /// It has sent its cell.
    Cell = 2,
    /// Of what was handed to it: it holds something not below the stamp, and did nothing.
    Behind = 3,
    /// It did nothing.
    Refused = 4,
    /// It holds the cell, which lost to another stamp.
    Outrun = 5,
    /// Of what was handed to it: nobody knows.
    InDoubt = 6,
}

/// How a request ended, in [`Kind::RequestEnded`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Ended {
    /// Done.
    Done = 0,
    /// Not done.
    NotDone = 1,
    /// Nobody knows.
    Unknown = 2,
}

/// Collects the events of one machine until its driver takes them.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    on: bool,
    node: u32,
    words: Vec<u32>,
}

impl Trace {
    /// A trace of node `node`, listened to or not.
    pub fn new(node: u32, on: bool) -> Trace {
        Trace { on, node, ..Trace::default() }
    }
    /// Whether anybody listens. Ask before building an event.
    #[inline]
    pub fn on(&self) -> bool {
        self.on
    }
    /// Starts or stops listening.
    pub fn set_on(&mut self, on: bool) {
        self.on = on;
        if !on {
            self.words.clear();
        }
    }
    /// Names the node, once it is known.
    pub fn set_node(&mut self, node: u32) {
        self.node = node;
    }
    /// Records one event; nothing when nobody listens.
    pub fn emit(&mut self, time: Micros, kind: Kind, payload: &[u32]) {
        self.emit_parts(time, kind, payload, &[]);
    }
    /// Records one event whose payload lies in two pieces.
    pub fn emit_parts(&mut self, time: Micros, kind: Kind, first: &[u32], rest: &[u32]) {
        if self.on {
            push_parts(&mut self.words, kind, self.node, time, first, rest);
        }
    }
    /// Records a key as a string-table entry and returns the word to name it by. The word is the low half of the
    /// key's hash, so that all machines name a key alike without sharing a table.
    pub fn string(&mut self, time: Micros, bytes: &[u8]) -> u32 {
        match self.on {
            true => push_string(&mut self.words, self.node, time, bytes),
            false => string_name(bytes),
        }
    }
    /// Takes what was recorded since the last call.
    pub fn take(&mut self) -> Vec<u32> {
        core::mem::take(&mut self.words)
    }
    /// Appends what was recorded since the last call to `words`; the room is used again.
    pub fn take_into(&mut self, words: &mut Vec<u32>) {
        words.append(&mut self.words);
    }
    /// Whether there is anything to take.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }
}

/// Longest prefix of a key kept in an event: enough to show, too little to flood.
pub const STRING_BYTES_MAX: usize = 64;

/// The word that names a key in events.
fn string_name(bytes: &[u8]) -> u32 {
    hash128(bytes) as u32
}

/// Appends a string-table entry and returns the word that names it.
pub fn push_string(words: &mut Vec<u32>, node: u32, time: Micros, bytes: &[u8]) -> u32 {
    let name = string_name(bytes);
    let kept = &bytes[..bytes.len().min(STRING_BYTES_MAX)];
    let mut text = [0; STRING_BYTES_MAX / 4];
    for (word, chunk) in text.iter_mut().zip(kept.chunks(4)) {
        let mut four = [0; 4];
        four[..chunk.len()].copy_from_slice(chunk);
        *word = u32::from_le_bytes(four);
    }
    let text = &text[..kept.len().div_ceil(4)];
    push_parts(words, Kind::String, node, time, &[name, kept.len() as u32], text);
    name
}

/// Appends one record.
pub fn push_record(words: &mut Vec<u32>, kind: Kind, node: u32, time: Micros, payload: &[u32]) {
    push_parts(words, kind, node, time, payload, &[]);
}

fn push_parts(words: &mut Vec<u32>, kind: Kind, node: u32, time: Micros, first: &[u32], rest: &[u32]) {
    let length = 4 + (first.len() + rest.len()) as u32;
    let [low, high] = split(time.0);
    words.extend_from_slice(&[length << 16 | u32::from(kind as u16), node, low, high]);
    words.extend_from_slice(first);
    words.extend_from_slice(rest);
}

/// A u64 as two words, low first.
pub const fn split(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

/// What [`split`] took apart.
pub const fn join(low: u32, high: u32) -> u64 {
    low as u64 | (high as u64) << 32
}

/// One record as read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its kind.
    pub kind: Kind,
    /// The node it is about.
    pub node: u32,
    /// When, in the node's (simulator: the world's) monotonic time.
    pub time: Micros,
    /// The words that the kind defines.
    pub payload: &'a [u32],
}

/// Reads records from words that may be anything; stops at the first that is not one.
pub fn records(words: &[u32]) -> impl Iterator<Item = Record<'_>> {
    let mut rest = words;
    core::iter::from_fn(move || {
        let head = *rest.first()?;
        let length = (head >> 16) as usize;
        if length < 4 || length > rest.len() {
            return None;
        }
        let (record, tail) = rest.split_at(length);
        rest = tail;
        Some(Record {
            kind: Kind::from_number(head as u16)?,
            node: record[1],
            time: Micros(join(record[2], record[3])),
            payload: &record[4..],
        })
    })
}

/// A running hash over the canonical bytes of all events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TraceHash(u128);

impl TraceHash {
    /// Folds in a batch of words, in order.
    pub fn fold(&mut self, words: &[u32]) {
        let mut bytes = alloc::vec![0; 16 + words.len() * 4];
        let (before, rest) = bytes.split_at_mut(16);
        before.copy_from_slice(&self.0.to_le_bytes());
        for (four, word) in rest.as_chunks_mut().0.iter_mut().zip(words) {
            *four = word.to_le_bytes();
        }
        self.0 = hash128(&bytes);
    }
    /// The hash so far.
    pub fn value(&self) -> u128 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::String, vec};

    const GOLDEN: &str = include_str!("../../../tests/data/trace.txt");

    /// What an event of each kind carries, as its comment says it. A new kind fails to build here.
    fn payload(kind: Kind) -> Vec<u32> {
        let [low, high] = split(0x1_2345_6789);
        match kind {
            Kind::String => Vec::new(), // Made by `Trace::string`.
            Kind::Sent | Kind::Received => vec![low, high, 1, 2, 257, 300, low, high],
            Kind::Lost => vec![low, high, 1, 2, 3],
            Kind::Crashed => vec![1],
            Kind::Restarted => vec![],
            Kind::Link => vec![1, 2, 0],
            Kind::OpStarted => vec![low, high, 1, 5, 0xabcd],
            Kind::OpEnded => vec![low, high, 0, 7, 8],
            Kind::Slowed => vec![40],
            Kind::Lossy => vec![500],
            Kind::RequestStarted => vec![low, high, 1, 63, 0xabcd, 2, 0, 3, low + 1, high],
            Kind::ReplicaAsked => vec![low, high, 2, 1, 4],
            Kind::ReplicaAnswered => vec![low, high, 2, 5],
            Kind::RequestEnded => vec![low, high, 0, 2, 1],
            Kind::Restamped | Kind::PlannedAgain => vec![low, high, low + 1, high],
            Kind::ReadRepaired => vec![low, high, 2],
            Kind::Stamped => vec![low, high, low, high, 3],
            Kind::CellMerged => vec![63, 0xabcd, 2, 1],
            Kind::HintStored | Kind::HintDelivered => vec![2, 63, 0xabcd],
            Kind::TreeCompared => vec![2, 63, 1, 5],
            Kind::TransferPage => vec![63, 2, 400],
            Kind::TransferDone | Kind::PartitionDropped => vec![63],
            Kind::LogAppended => vec![4_096, 12],
            Kind::LogSynced => vec![low, high],
            Kind::MemtableFrozen => vec![1 << 20],
            Kind::TableFlushed => vec![7, 1_000, 1 << 19],
            Kind::Compacted => vec![2, 8, 3],
            Kind::ReadStep => vec![3, 7],
            Kind::Suspected => vec![2, 1, low, high],
            Kind::WentDown => vec![2, 0b101, 0, low, high],
            Kind::CameUp => vec![2, low, high],
            Kind::TopologyAdopted => vec![9, 0, low, high],
            Kind::Promised | Kind::Accepted => vec![9, 0, low, high],
        }
    }

    /// `REWRITE=1 cargo test -p kvorum-core golden` rewrites them: a change of a line means that the page and recorded
    /// traces of before are misread.
    #[test]
    fn golden_events_are_as_they_were() {
        let mut text = String::from(
            "# One event of each kind, of node 5 at 1.5 s, as its words. Written by core/src/base/trace.rs.\n",
        );
        for kind in Kind::ALL {
            let mut trace = Trace::new(5, true);
            let time = Micros::from_millis(1_500);
            match kind {
                Kind::String => drop(trace.string(time, b"a key")),
                kind => trace.emit(time, *kind, &payload(*kind)),
            }
            let words = trace.take();
            let read: Vec<_> = records(&words).collect();
            assert!(
                matches!(&read[..], [one] if one.kind == *kind && one.node == 5 && one.time == time),
                "{kind:?}"
            );
            let words: Vec<String> = words.iter().map(|word| format!("{word:08x}")).collect();
            text += &format!("{:<16} {}\n", kind.name(), words.join(" "));
        }
        if std::env::var_os("REWRITE").is_some() {
            std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/trace.txt"), &text).unwrap();
            return;
        }
        assert_eq!(text, GOLDEN);
    }
}
