use super::script::NodeIndex;
use crate::base::BTreeMap;
use crate::base::Micros;
use crate::version::{Stamp, VersionVector};
use alloc::{format, vec::Vec};
use bytes::Bytes;

/// A client's operation, counted from 0 over the whole run. A value written names its operation, so that whoever reads
/// it knows who wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpNumber(pub u32);

/// When a written value ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// Never.
    Never,
    /// At this Unix millisecond.
    At(u64),
    /// As the value before it: anything is possible.
    Kept,
}

/// What a client had read of a key when it wrote with a context.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// Whose values were among the siblings.
    pub values: Vec<OpNumber>,
    /// All that the cell had seen.
    pub vector: VersionVector,
}

/// What was asked about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Read it.
    Read,
    /// Write it; `seen` is `None` without a context.
    Put {
        /// What the context had seen.
        seen: Option<Seen>,
        /// When the value ends.
        ends: Ends,
        /// Length of the value.
        bytes: u32,
    },
    /// Delete it.
    Delete {
        /// What the context had seen.
        seen: Option<Seen>,
    },
    /// Change when its value ends.
    Expire {
        /// The new end.
        ends: Ends,
    },
}

/// What the client was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing yet, or never: the node stopped, or the client gave up.
    Unknown,
    /// Done.
    Done {
        /// How many of the acknowledgements were hints.
        hinted: u8,
        /// Where a write stands in the order of writes.
        stamp: Option<Stamp>,
    },
    /// Not done, for sure.
    NotDone,
}

/// One operation of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Which key, by its index.
    pub key: u16,
    /// The node that was asked.
    pub node: NodeIndex,
    /// What was asked.
    pub asked: Asked,
    /// When.
    pub started: Micros,
    /// When the client was told, or gave up.
    pub ended: Option<Micros>,
    /// What it was told.
    pub outcome: Outcome,
}

impl Record {
    /// Whether it writes a value or a tombstone.
    pub fn is_write(&self) -> bool {
        matches!(self.asked, Asked::Put { .. } | Asked::Delete { .. })
    }
    /// Whether the client was told that it is done.
    pub fn is_done(&self) -> bool {
        matches!(self.outcome, Outcome::Done { .. })
    }
    /// Whether it may have had an effect.
    pub fn may_count(&self) -> bool {
        self.outcome != Outcome::NotDone
    }
    /// Whether it was acknowledged before `other` began. What has no known end has none.
    pub fn is_before(&self, other: &Record) -> bool {
        self.is_done() && self.ended.is_some_and(|ended| ended < other.started)
    }
}

/// All that clients did and were told: what the checkers judge by. Knows nothing of what the nodes believe.
#[derive(Debug, Clone, Default)]
pub struct History {
    records: Vec<Record>,
    /// Keys of clients: `k0` and so on. Those of guests are counted from here.
    keys: u16,
    /// Keys that guests chose.
    names: Vec<Bytes>,
    /// Values that guests chose. Those of clients name their writers themselves.
    values: BTreeMap<OpNumber, Bytes>,
    /// Who last wrote such a value to a key.
    writers: BTreeMap<(u16, Bytes), OpNumber>,
}

impl History {
    /// A history of clients that use so many keys.
    pub fn new(keys: u16) -> History {
        History { keys, ..History::default() }
    }
    /// How many keys there are, those that guests chose among them.
    pub fn key_count(&self) -> u16 {
        self.keys + self.names.len() as u16
    }
    /// The name of a key.
    pub fn key_name(&self, key: u16) -> Bytes {
        match key.checked_sub(self.keys).and_then(|index| self.names.get(usize::from(index))) {
            Some(name) => name.clone(),
            None => client_key(key),
        }
    }
    /// The key of that name, made if it is new; `None` when there are too many.
    pub fn key_of(&mut self, name: &Bytes) -> Option<u16> {
        if let Some(known) = (0..self.keys).find(|key| client_key(*key) == *name) {
            return Some(known);
        }
        if let Some(index) = self.names.iter().position(|known| known == name) {
            return Some(self.keys + index as u16);
        }
        let key =
            u16::try_from(usize::from(self.keys) + self.names.len()).ok().filter(|key| *key < u16::MAX)?;
        self.names.push(name.clone());
        Some(key)
    }
    /// Notes a value that its writer chose.
    pub fn note_value(&mut self, number: OpNumber, value: Bytes) {
        let Some(record) = self.get(number) else { return };
        self.writers.insert((record.key, value.clone()), number);
        self.values.insert(number, value);
    }
    /// Who wrote that value of a key: of several the last, `None` if nobody writes such bytes.
    pub fn writer(&self, key: u16, value: &[u8]) -> Option<OpNumber> {
        let chosen = || self.writers.get(&(key, Bytes::copy_from_slice(value))).copied();
        // Without guests, as ever, no look-up.
        if self.writers.is_empty() { writer_of(value) } else { chosen().or_else(|| writer_of(value)) }
    }
    /// Whether two writes left the same bytes.
    pub fn is_same_value(&self, one: OpNumber, other: OpNumber) -> bool {
        one == other || self.values.get(&one).is_some_and(|value| self.values.get(&other) == Some(value))
    }
    /// Notes an operation that begins and names it.
    pub fn begin(
        &mut self,
        key: u16,
        node: NodeIndex,
        started: Micros,
        make: impl FnOnce(OpNumber) -> Asked,
    ) -> OpNumber {
        let number = OpNumber(self.records.len() as u32);
        let asked = make(number);
        self.records.push(Record { key, node, asked, started, ended: None, outcome: Outcome::Unknown });
        number
    }
    /// Notes how it ended. The first word counts: a client listens once.
    pub fn end(&mut self, number: OpNumber, at: Micros, outcome: Outcome) {
        if let Some(record) = self.records.get_mut(number.0 as usize)
            && record.ended.is_none()
        {
            record.ended = Some(at);
            record.outcome = outcome;
        }
    }
    /// The operation of that number.
    pub fn get(&self, number: OpNumber) -> Option<&Record> {
        self.records.get(number.0 as usize)
    }
    /// All of them, in order of their beginning.
    pub fn iter(&self) -> impl Iterator<Item = (OpNumber, &Record)> {
        self.records.iter().enumerate().map(|(index, record)| (OpNumber(index as u32), record))
    }
    /// Those on one key.
    pub fn of_key(&self, key: u16) -> Vec<(OpNumber, &Record)> {
        self.iter().filter(|(_, record)| record.key == key).collect()
    }
    /// How many of them their askers were told to be done.
    pub fn done_count(&self) -> u32 {
        self.records.iter().filter(|record| record.is_done()).count() as u32
    }
    /// How many there are.
    pub fn len(&self) -> u32 {
        self.records.len() as u32
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

/// The name of a client's key.
pub(super) fn client_key(key: u16) -> Bytes {
    Bytes::from(format!("k{key}"))
}

/// The value that operation `number` writes: its number in decimal, filled up with dots to `bytes`.
pub fn value_of(number: OpNumber, bytes: u32) -> Bytes {
    let mut value = format!("{}", number.0).into_bytes();
    let length = value.len().max(bytes as usize);
    value.resize(length, b'.');
    Bytes::from(value)
}

/// Who wrote `value`; `None` if no operation writes such bytes.
pub fn writer_of(value: &[u8]) -> Option<OpNumber> {
    let digits = value.iter().position(|byte| *byte == b'.').unwrap_or(value.len());
    let number = core::str::from_utf8(&value[..digits]).ok()?.parse().ok()?;
    let number = OpNumber(number);
    (value_of(number, value.len() as u32) == value).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_name_their_writers() {
        for (number, bytes) in [(0, 0), (7, 1), (12_345, 64)] {
            let value = value_of(OpNumber(number), bytes);
            assert_eq!(writer_of(&value), Some(OpNumber(number)));
        }
        for foreign in [&b""[..], b"x", b"1.x", b"01", b"1\0", b"99999999999"] {
            assert_eq!(writer_of(foreign), None, "{foreign:?}");
        }
    }

    #[test]
    fn a_client_listens_once() {
        let mut history = History::default();
        let op = history.begin(0, NodeIndex(0), Micros(1), |_| Asked::Read);
        history.end(op, Micros(2), Outcome::Unknown);
        history.end(op, Micros(3), Outcome::NotDone);
        assert_eq!(history.get(op).unwrap().outcome, Outcome::Unknown);
        assert_eq!(history.get(op).unwrap().ended, Some(Micros(2)));
    }
}
