use super::super::keeper::{Keeper, SLOT_ACCEPTOR};
use super::super::outbox::Outbox;
use crate::base::trace::{Kind, split};
use crate::base::{Bug, DecodeError, Epoch, MemberId, Micros, Reader, Sabotage, Writer};
use crate::message::{Ballot, Word};
use alloc::vec::Vec;
use bytes::Bytes;

/// A voter's memory of one epoch's decision. Durable before it is spoken of: an answer leaves only when the state that it
/// speaks of is confirmed.
#[derive(Debug, Clone)]
pub(in crate::control) struct Acceptor {
    sabotage: Sabotage,
    /// The epoch in force whose voters decide the next one. What was said about older ones is over.
    epoch: Epoch,
    promised: Ballot,
    accepted: Option<(Ballot, Bytes)>,
    /// When the value was accepted, in this life.
    accepted_at: Option<Micros>,
    /// Answers that wait for the disk: at most one to each proposer.
    waiting: Vec<Waiting>,
}

#[derive(Debug, Clone)]
struct Waiting {
    version: u64,
    to: MemberId,
    word: Word,
}

impl Acceptor {
    /// An acceptor that never promised anything.
    pub fn new(sabotage: Sabotage) -> Acceptor {
        Acceptor {
            sabotage,
            epoch: Epoch(0),
            promised: Ballot::default(),
            accepted: None,
            accepted_at: None,
            waiting: Vec::new(),
        }
    }
    /// The acceptor that an earlier life kept.
    pub fn restore(sabotage: Sabotage, bytes: &[u8]) -> Result<Acceptor, DecodeError> {
        let mut r = Reader::new(bytes);
        if r.u8()? != 1 {
            return Err(r.error("an acceptor of version 1"));
        }
        let (epoch, promised) = (Epoch(r.varint()?), Ballot::decode(&mut r)?);
        let accepted = match r.u8()? {
            0 => None,
            _ => Some((Ballot::decode(&mut r)?, Bytes::copy_from_slice(r.bytes()?))),
        };
        r.finish()?;
        let accepted_at = accepted.is_some().then_some(Micros(0));
        Ok(Acceptor { epoch, promised, accepted, accepted_at, ..Acceptor::new(sabotage) })
    }
    fn encode(&self) -> Bytes {
        let mut bytes = Vec::new();
        let mut w = Writer(&mut bytes);
        w.u8(1);
        w.varint(self.epoch.0);
        self.promised.encode(&mut w);
        w.u8(u8::from(self.accepted.is_some()));
        if let Some((ballot, value)) = &self.accepted {
            ballot.encode(&mut w);
            w.bytes(value);
        }
        bytes.into()
    }
    /// A newer epoch is in force: its voters decide, and nothing is promised yet.
    pub fn follow(&mut self, epoch: Epoch) {
        if epoch > self.epoch {
            *self = Acceptor { epoch, ..Acceptor::new(self.sabotage) };
        }
    }
    pub fn promised(&self) -> Ballot {
        self.promised
    }
    /// The value accepted for the next epoch.
    pub fn accepted_value(&self) -> Option<&Bytes> {
        self.accepted.as_ref().map(|(_, bytes)| bytes)
    }
    /// Since when a value is accepted whose end has not been heard of.
    pub fn pending_since(&self) -> Option<Micros> {
        self.accepted_at
    }
    /// `from` asks not to take smaller ballots. `epoch` is that in force.
    pub fn on_prepare(
        &mut self,
        now: Micros,
        from: MemberId,
        ballot: Ballot,
        keeper: &mut Keeper,
        out: &mut Outbox,
    ) {
        let epoch = self.epoch;
        if ballot < self.promised {
            return out.say(from, Word::Reject { epoch, ballot, promised: self.promised });
        }
        let is_new = ballot > self.promised;
        self.promised = ballot;
        if is_new {
            let ([e0, e1], [b0, b1]) = (split(epoch.0), split(ballot.word()));
            out.event(now, Kind::Promised, &[e0, e1, b0, b1]);
        }
        self.answer(
            from,
            Word::Promise { epoch, ballot, accepted: self.accepted.clone() },
            is_new,
            keeper,
            out,
        );
    }
    /// `from` asks to accept a value, which the caller has found valid.
    pub fn on_accept(
        &mut self,
        now: Micros,
        from: MemberId,
        (ballot, value): (Ballot, Bytes),
        keeper: &mut Keeper,
        out: &mut Outbox,
    ) {
        let epoch = self.epoch;
        if ballot < self.promised {
            return out.say(from, Word::Reject { epoch, ballot, promised: self.promised });
        }
        let is_new = self.accepted.as_ref().is_none_or(|(accepted, _)| *accepted != ballot);
        if is_new {
            self.promised = ballot;
            self.accepted = Some((ballot, value));
            self.accepted_at = Some(now);
            let ([e0, e1], [b0, b1]) = (split(epoch.0), split(ballot.word()));
            out.event(now, Kind::Accepted, &[e0, e1, b0, b1]);
        }
        self.answer(from, Word::Accepted { epoch, ballot }, is_new, keeper, out);
    }
    fn answer(&mut self, to: MemberId, word: Word, is_new: bool, keeper: &mut Keeper, out: &mut Outbox) {
        if self.sabotage.is(Bug::PromiseNotSynced) {
            return out.say(to, word);
        }
        let version = if is_new {
            keeper.keep(SLOT_ACCEPTOR, self.encode())
        } else {
            // Said before; what it speaks of may still be on its way to the disk.
            keeper.wanted(SLOT_ACCEPTOR)
        };
        self.waiting.retain(|waiting| waiting.to != to);
        self.waiting.push(Waiting { version, to, word });
        self.release(keeper, out);
    }
    /// Lets go of answers whose state is durable.
    pub fn release(&mut self, keeper: &Keeper, out: &mut Outbox) {
        let durable = keeper.durable(SLOT_ACCEPTOR);
        self.waiting.retain(|waiting| {
            let is_ready = waiting.version <= durable;
            if is_ready {
                out.say(waiting.to, waiting.word.clone());
            }
            !is_ready
        });
    }
}
