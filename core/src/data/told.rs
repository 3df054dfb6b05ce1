//! What a shard did, as the trace tells of it: who asked for what, who answered, how it ended, what the engine did.

use super::put::Asker;
use super::shard::{OpId, Shard};
use super::store::Held;
use crate::base::trace::{Answered, Ended, Kind, Verb, split};
use crate::base::{MemberId, PartitionId};
use crate::lsm;
use crate::version::Stamp;
use bytes::Bytes;

impl Shard {
    /// `needed`: the votes that decide it, among the owners and among those to come.
    pub(super) fn trace_started(
        &mut self,
        id: OpId,
        asker: Asker,
        verb: Verb,
        partition: PartitionId,
        needed: [u8; 2],
        key: &[u8],
    ) {
        if self.trace.on() {
            let key = self.trace.string(self.now.mono, key);
            let [needed, of_next] = needed.map(u32::from);
            let (asker, [low, high]) = match asker {
                Asker::Client(request) => (0, split(request.0)),
                Asker::Peer(member, op) => (u32::from(member.0) + 1, split(op)),
            };
            let payload = [verb as u32, u32::from(partition.0), key, needed, of_next, asker, low, high];
            self.trace_op(Kind::RequestStarted, id, &payload);
        }
    }
    pub(super) fn trace_ended(&mut self, id: OpId, ended: Ended, acks: u8, hinted: u8) {
        self.trace_op(Kind::RequestEnded, id, &[ended as u32, u32::from(acks), u32::from(hinted)]);
    }
    pub(super) fn trace_answered(&mut self, id: OpId, member: MemberId, answer: Answered) {
        self.trace_op(Kind::ReplicaAnswered, id, &[u32::from(member.0), answer as u32]);
    }
    /// Tells of a put's stamp.
    pub(super) fn trace_stamped(&mut self, id: OpId, stamp: Stamp) {
        let [low, high] = split(stamp.hlc.0);
        self.trace_op(Kind::Stamped, id, &[low, high, u32::from(stamp.member.0)]);
    }
    pub(super) fn trace_merged(&mut self, key: &Bytes, partition: PartitionId, new: &Held, is_new: bool) {
        if self.trace.on() {
            let name = self.trace.string(self.now.mono, key);
            let siblings = new.cell.siblings().len() as u32;
            let payload = [u32::from(partition.0), name, siblings, u32::from(is_new)];
            self.trace.emit(self.now.mono, Kind::CellMerged, &payload);
        }
    }
    pub(super) fn trace_memory_read(&mut self) {
        if self.trace.on() {
            self.trace_engine([lsm::Event::Read { step: lsm::ReadStep::Memory, table: 0 }]);
        }
    }
    /// Records an event about an operation: its number as two words, then `rest`.
    pub(super) fn trace_op(&mut self, kind: Kind, op: OpId, rest: &[u32]) {
        if self.trace.on() {
            self.trace.emit_parts(self.now.mono, kind, &split(op), rest);
        }
    }
    /// Records what the engine did.
    pub(super) fn trace_engine(&mut self, events: impl IntoIterator<Item = lsm::Event>) {
        let short = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let mut emit = |kind, payload: &[u32]| self.trace.emit(self.now.mono, kind, payload);
        for event in events {
            match event {
                lsm::Event::Appended { bytes, records } => {
                    emit(Kind::LogAppended, &[short(bytes), short(records)]);
                }
                lsm::Event::Synced(through) => emit(Kind::LogSynced, &split(through.0)),
                lsm::Event::Frozen { bytes } => emit(Kind::MemtableFrozen, &[short(bytes)]),
                lsm::Event::Flushed { table, entries, bytes } => {
                    emit(Kind::TableFlushed, &[short(table), short(entries), short(bytes)]);
                }
                lsm::Event::Compacted { level, tables_in, tables_out } => {
                    emit(Kind::Compacted, &[u32::from(level), tables_in, tables_out]);
                }
                lsm::Event::Read { step, table } => emit(Kind::ReadStep, &[step as u32, short(table)]),
            }
        }
    }
    /// Records an event; `key` becomes the word that names it, put last.
    pub(super) fn trace_key(&mut self, kind: Kind, words: &[u32], key: &[u8]) {
        if self.trace.on() {
            let key = self.trace.string(self.now.mono, key);
            self.trace.emit_parts(self.now.mono, kind, words, &[key]);
        }
    }
}
