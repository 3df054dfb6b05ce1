//! What the control planes of two nodes say to each other.
//!
//! Everything a member says carries a [`Header`]: who speaks, which topology it has, and what it has heard about the
//! others. Nothing is ordered and nothing is answered for sure: every message may be lost, doubled or late.

use crate::base::{DecodeError, Epoch, MemberId, PartitionId, Reader, Writer};
use crate::ring::{Member, Report};
use alloc::{string::String, vec::Vec};
use bytes::Bytes;
use core::fmt;

/// Most news about members in one header; more members take turns.
pub const NEWS_COUNT_MAX: usize = 32;
/// Most suspicions in one header.
pub const SUSPICION_COUNT_MAX: usize = 32;

/// The name of one attempt to decide an epoch: a greater one wins over a smaller one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ballot {
    /// Grows with each attempt.
    pub round: u64,
    /// Who attempts.
    pub member: u16,
    /// Another one in each life of that member, so that a life that forgot a ballot does not use it again.
    pub nonce: u64,
}

/// What somebody has heard about a member. Both numbers only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct News {
    /// About whom.
    pub member: MemberId,
    /// The greatest incarnation that it named.
    pub incarnation: u64,
    /// The newest topology that it has adopted, as far as is known.
    pub epoch: Epoch,
}

/// Somebody's own probes of a member failed, direct and indirect ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspicion {
    /// Who does not answer.
    pub target: MemberId,
    /// The incarnation of it that does not answer.
    pub incarnation: u64,
    /// Whose probes failed.
    pub reporter: MemberId,
    /// How long ago, in milliseconds: passing a report on does not make it younger.
    pub age_ms: u32,
}

/// Who speaks, and what it knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Of which cluster.
    pub lineage: u64,
    /// Who.
    pub member: MemberId,
    /// The random number of its data dir.
    pub store: u64,
    /// Its incarnation.
    pub incarnation: u64,
    /// The topology that it has adopted.
    pub epoch: Epoch,
    /// That topology's hash.
    pub hash: u64,
    /// What it has heard.
    pub news: Vec<News>,
    /// Whom it or others suspect.
    pub suspicions: Vec<Suspicion>,
}

/// What one member says to another, behind a header.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Word {
    /// Nothing but the header.
    Gossip,
    /// Are you there?
    Probe {
        /// Comes back.
        nonce: u64,
        /// The incarnation by which the asker knows it.
        incarnation: u64,
        /// Whether the asker suspects that incarnation or takes it for Down.
        suspected: bool,
    },
    /// I am here.
    Ack {
        /// Of the probe.
        nonce: u64,
    },
    /// Please probe `target` for me.
    ProbeFor {
        /// Comes back.
        nonce: u64,
        /// Whom.
        target: MemberId,
    },
    /// What came of it.
    ProbedFor {
        /// Of the request.
        nonce: u64,
        /// Whom.
        target: MemberId,
        /// Whether it answered.
        alive: bool,
    },
    /// Send me the topology if you have a newer one than this.
    Fetch {
        /// What the asker has.
        have: Epoch,
    },
    /// A decided topology.
    Topology {
        /// Its canonical bytes.
        bytes: Bytes,
    },
    /// Will you take no smaller ballot than this for the epoch after `epoch`?
    Prepare {
        /// The epoch whose voters are asked.
        epoch: Epoch,
        /// The attempt.
        ballot: Ballot,
    },
    /// I will; this is what I have accepted before.
    Promise {
        /// As asked.
        epoch: Epoch,
        /// As asked.
        ballot: Ballot,
        /// The latest value accepted there, and in which attempt.
        accepted: Option<(Ballot, Bytes)>,
    },
    /// Accept this as the topology after `epoch`.
    Accept {
        /// The epoch whose voters are asked.
        epoch: Epoch,
        /// The attempt.
        ballot: Ballot,
        /// The topology's bytes.
        bytes: Bytes,
    },
    /// I have.
    Accepted {
        /// As asked.
        epoch: Epoch,
        /// As asked.
        ballot: Ballot,
    },
    /// I have promised a greater ballot.
    Reject {
        /// As asked.
        epoch: Epoch,
        /// As asked.
        ballot: Ballot,
        /// What was promised.
        promised: Ballot,
    },
    /// What the speaker's shards say about partitions.
    Reports(Vec<Report>),
    /// Somebody wants to join, and the speaker was asked.
    Joining(JoinRequest),
}

/// Who wants to become a member, or to come back as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRequest {
    /// Its name.
    pub name: String,
    /// The random number of its data dir.
    pub store: u64,
    /// Where clients reach it.
    pub listen: String,
    /// Where its admin HTTP answers.
    pub admin: String,
    /// Where peers reach it.
    pub peer: String,
}

/// One message between two control planes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlMessage {
    /// A member speaks.
    Said {
        /// Who, and what it knows.
        header: Header,
        /// What it says.
        word: Word,
    },
    /// Let me in.
    Join(JoinRequest),
    /// You are in: this is the topology.
    Welcome {
        /// Its canonical bytes.
        bytes: Bytes,
    },
    /// You cannot come in.
    Refused {
        /// The store of the request: an answer to an earlier life is not for this one.
        store: u64,
        /// Why, and what to do.
        reason: String,
    },
    /// Who answers at this address?
    Who {
        /// Comes back.
        nonce: u64,
        /// Where the asker is reached.
        reply_to: String,
    },
    /// I do.
    Here {
        /// Of the question.
        nonce: u64,
        /// Its name.
        name: String,
        /// The random number of its data dir.
        store: u64,
        /// Where peers reach it, as it says itself: tells a node from a copy of its data dir.
        peer: String,
    },
}

impl ControlMessage {
    /// A number for its kind, as in trace events and on the wire: add, never change.
    pub fn kind(&self) -> u8 {
        match self {
            ControlMessage::Join(_) => 1,
            ControlMessage::Welcome { .. } => 2,
            ControlMessage::Refused { .. } => 3,
            ControlMessage::Who { .. } => 4,
            ControlMessage::Here { .. } => 5,
            ControlMessage::Said { word, .. } => word.kind(),
        }
    }
    /// Appends the message's bytes.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        let mut w = Writer(bytes);
        w.u8(self.kind());
        match self {
            ControlMessage::Said { header, word } => {
                header.encode(&mut w);
                word.encode(&mut w);
            }
            ControlMessage::Join(request) => request.encode(&mut w),
            ControlMessage::Welcome { bytes } => w.bytes(bytes),
            ControlMessage::Refused { store, reason } => {
                w.u64(*store);
                w.bytes(reason.as_bytes());
            }
            ControlMessage::Who { nonce, reply_to } => {
                w.u64(*nonce);
                w.bytes(reply_to.as_bytes());
            }
            ControlMessage::Here { nonce, name, store, peer } => {
                w.u64(*nonce);
                w.bytes(name.as_bytes());
                w.u64(*store);
                w.bytes(peer.as_bytes());
            }
        }
    }
    /// Reads one message from bytes that may be anything.
    pub fn decode(r: &mut Reader<'_>) -> Result<ControlMessage, DecodeError> {
        Ok(match r.u8()? {
            1 => ControlMessage::Join(JoinRequest::decode(r)?),
            2 => ControlMessage::Welcome { bytes: copied(r)? },
            3 => ControlMessage::Refused { store: r.u64()?, reason: text(r)? },
            4 => ControlMessage::Who { nonce: r.u64()?, reply_to: text(r)? },
            5 => ControlMessage::Here { nonce: r.u64()?, name: text(r)?, store: r.u64()?, peer: text(r)? },
            kind => ControlMessage::Said { header: Header::decode(r)?, word: Word::decode(kind, r)? },
        })
    }
}

impl Header {
    fn encode(&self, w: &mut Writer<'_>) {
        w.u64(self.lineage);
        w.u16(self.member.0);
        w.u64(self.store);
        w.varint(self.incarnation);
        w.varint(self.epoch.0);
        w.u64(self.hash);
        w.varint(self.news.len() as u64);
        for news in &self.news {
            w.u16(news.member.0);
            w.varint(news.incarnation);
            w.varint(news.epoch.0);
        }
        w.varint(self.suspicions.len() as u64);
        for suspicion in &self.suspicions {
            w.u16(suspicion.target.0);
            w.varint(suspicion.incarnation);
            w.u16(suspicion.reporter.0);
            w.varint(u64::from(suspicion.age_ms));
        }
    }
    fn decode(r: &mut Reader<'_>) -> Result<Header, DecodeError> {
        let lineage = r.u64()?;
        let member = MemberId(r.u16()?);
        let store = r.u64()?;
        let incarnation = r.varint()?;
        let epoch = Epoch(r.varint()?);
        let hash = r.u64()?;
        let mut news = Vec::new();
        for _ in 0..bounded(r, 4, NEWS_COUNT_MAX)? {
            let member = MemberId(r.u16()?);
            news.push(News { member, incarnation: r.varint()?, epoch: Epoch(r.varint()?) });
        }
        let mut suspicions = Vec::new();
        for _ in 0..bounded(r, 6, SUSPICION_COUNT_MAX)? {
            suspicions.push(Suspicion {
                target: MemberId(r.u16()?),
                incarnation: r.varint()?,
                reporter: MemberId(r.u16()?),
                age_ms: r.varint_u32()?,
            });
        }
        Ok(Header { lineage, member, store, incarnation, epoch, hash, news, suspicions })
    }
}

impl Word {
    fn kind(&self) -> u8 {
        match self {
            Word::Gossip => 10,
            Word::Probe { .. } => 11,
            Word::Ack { .. } => 12,
            Word::ProbeFor { .. } => 13,
            Word::ProbedFor { .. } => 14,
            Word::Fetch { .. } => 15,
            Word::Topology { .. } => 16,
            Word::Prepare { .. } => 17,
            Word::Promise { .. } => 18,
            Word::Accept { .. } => 19,
            Word::Accepted { .. } => 20,
            Word::Reject { .. } => 21,
            Word::Reports(_) => 22,
            Word::Joining(_) => 23,
        }
    }
    fn encode(&self, w: &mut Writer<'_>) {
        match self {
            Word::Gossip => {}
            Word::Probe { nonce, incarnation, suspected } => {
                w.u64(*nonce);
                w.varint(*incarnation);
                w.u8(u8::from(*suspected));
            }
            Word::Ack { nonce } => w.u64(*nonce),
            Word::ProbeFor { nonce, target } => {
                w.u64(*nonce);
                w.u16(target.0);
            }
            Word::ProbedFor { nonce, target, alive } => {
                w.u64(*nonce);
                w.u16(target.0);
                w.u8(u8::from(*alive));
            }
            Word::Fetch { have } => w.varint(have.0),
            Word::Topology { bytes } => w.bytes(bytes),
            Word::Prepare { epoch, ballot } | Word::Accepted { epoch, ballot } => {
                w.varint(epoch.0);
                ballot.encode(w);
            }
            Word::Promise { epoch, ballot, accepted } => {
                w.varint(epoch.0);
                ballot.encode(w);
                w.u8(u8::from(accepted.is_some()));
                if let Some((ballot, bytes)) = accepted {
                    ballot.encode(w);
                    w.bytes(bytes);
                }
            }
            Word::Accept { epoch, ballot, bytes } => {
                w.varint(epoch.0);
                ballot.encode(w);
                w.bytes(bytes);
            }
            Word::Reject { epoch, ballot, promised } => {
                w.varint(epoch.0);
                ballot.encode(w);
                promised.encode(w);
            }
            Word::Reports(reports) => {
                w.varint(reports.len() as u64);
                for report in reports {
                    let (kind, partition, epoch) = match report {
                        Report::Transferred { partition, epoch } => (0, partition, epoch),
                        Report::Refilled { partition, epoch } => (1, partition, epoch),
                        Report::HandedOver { partition, epoch } => (2, partition, epoch),
                    };
                    w.u8(kind);
                    w.u16(partition.0);
                    w.varint(epoch.0);
                }
            }
            Word::Joining(request) => request.encode(w),
        }
    }
    fn decode(kind: u8, r: &mut Reader<'_>) -> Result<Word, DecodeError> {
        Ok(match kind {
            10 => Word::Gossip,
            11 => Word::Probe { nonce: r.u64()?, incarnation: r.varint()?, suspected: r.u8()? != 0 },
            12 => Word::Ack { nonce: r.u64()? },
            13 => Word::ProbeFor { nonce: r.u64()?, target: MemberId(r.u16()?) },
            14 => Word::ProbedFor { nonce: r.u64()?, target: MemberId(r.u16()?), alive: r.u8()? != 0 },
            15 => Word::Fetch { have: Epoch(r.varint()?) },
            16 => Word::Topology { bytes: copied(r)? },
            17 => Word::Prepare { epoch: Epoch(r.varint()?), ballot: Ballot::decode(r)? },
            18 => {
                let (epoch, ballot) = (Epoch(r.varint()?), Ballot::decode(r)?);
                let accepted = match r.u8()? {
                    0 => None,
                    1 => Some((Ballot::decode(r)?, copied(r)?)),
                    _ => return Err(r.error("a value accepted or none")),
                };
                Word::Promise { epoch, ballot, accepted }
            }
            19 => Word::Accept { epoch: Epoch(r.varint()?), ballot: Ballot::decode(r)?, bytes: copied(r)? },
            20 => Word::Accepted { epoch: Epoch(r.varint()?), ballot: Ballot::decode(r)? },
            21 => Word::Reject {
                epoch: Epoch(r.varint()?),
                ballot: Ballot::decode(r)?,
                promised: Ballot::decode(r)?,
            },
            22 => {
                let mut reports = Vec::new();
                for _ in 0..r.count(4)? {
                    let kind = r.u8()?;
                    let (partition, epoch) = (PartitionId(r.u16()?), Epoch(r.varint()?));
                    reports.push(match kind {
                        0 => Report::Transferred { partition, epoch },
                        1 => Report::Refilled { partition, epoch },
                        2 => Report::HandedOver { partition, epoch },
                        _ => return Err(r.error("a known report")),
                    });
                }
                Word::Reports(reports)
            }
            23 => Word::Joining(JoinRequest::decode(r)?),
            _ => return Err(r.error("a known control message")),
        })
    }
}

impl Ballot {
    /// Appends its bytes.
    pub fn encode(&self, w: &mut Writer<'_>) {
        w.varint(self.round);
        w.u16(self.member);
        w.u64(self.nonce);
    }
    /// Reads what [`Ballot::encode`] wrote.
    pub fn decode(r: &mut Reader<'_>) -> Result<Ballot, DecodeError> {
        Ok(Ballot { round: r.varint()?, member: r.u16()?, nonce: r.u64()? })
    }
    /// As one word in events: round and member.
    pub fn word(&self) -> u64 {
        self.round << 16 | u64::from(self.member)
    }
}

impl fmt::Display for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.n{}", self.round, self.member)
    }
}

impl JoinRequest {
    /// Whether `member` is this very node, where it says it is.
    pub fn describes(&self, member: &Member) -> bool {
        member.name == self.name
            && member.store == self.store
            && member.listen == self.listen
            && member.admin == self.admin
            && member.peer == self.peer
    }
    fn encode(&self, w: &mut Writer<'_>) {
        w.bytes(self.name.as_bytes());
        w.u64(self.store);
        w.bytes(self.listen.as_bytes());
        w.bytes(self.admin.as_bytes());
        w.bytes(self.peer.as_bytes());
    }
    fn decode(r: &mut Reader<'_>) -> Result<JoinRequest, DecodeError> {
        Ok(JoinRequest { name: text(r)?, store: r.u64()?, listen: text(r)?, admin: text(r)?, peer: text(r)? })
    }
}

fn bounded(r: &mut Reader<'_>, item_bytes_min: usize, most: usize) -> Result<usize, DecodeError> {
    let count = r.count(item_bytes_min)?;
    if count > most { Err(r.error("no more gossip than a header holds")) } else { Ok(count) }
}

fn copied(r: &mut Reader<'_>) -> Result<Bytes, DecodeError> {
    r.bytes().map(Bytes::copy_from_slice)
}

fn text(r: &mut Reader<'_>) -> Result<String, DecodeError> {
    let bytes = r.bytes()?;
    core::str::from_utf8(bytes).map(String::from).map_err(|_| r.error("UTF-8 text"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Random;

    fn samples() -> Vec<ControlMessage> {
        let (epoch, ballot) = (Epoch(300), Ballot { round: 9, member: 2, nonce: u64::MAX });
        let bytes = Bytes::from_static(b"topology");
        let header = Header {
            lineage: 7,
            member: MemberId(1),
            store: 8,
            incarnation: 1 << 40,
            epoch,
            hash: 3,
            news: alloc::vec![News { member: MemberId(2), incarnation: 5, epoch }],
            suspicions: alloc::vec![Suspicion {
                target: MemberId(3),
                incarnation: 4,
                reporter: MemberId(0),
                age_ms: 900,
            }],
        };
        let request = JoinRequest {
            name: "n4".into(),
            store: 11,
            listen: "a:1".into(),
            admin: "a:2".into(),
            peer: "a:3".into(),
        };
        let partition = PartitionId(5);
        let reports = alloc::vec![
            Report::Transferred { partition, epoch },
            Report::Refilled { partition, epoch },
            Report::HandedOver { partition, epoch },
        ];
        let words = [
            Word::Gossip,
            Word::Probe { nonce: 1, incarnation: 2, suspected: true },
            Word::Ack { nonce: 1 },
            Word::ProbeFor { nonce: 1, target: MemberId(3) },
            Word::ProbedFor { nonce: 1, target: MemberId(3), alive: false },
            Word::Fetch { have: epoch },
            Word::Topology { bytes: bytes.clone() },
            Word::Prepare { epoch, ballot },
            Word::Promise { epoch, ballot, accepted: None },
            Word::Promise { epoch, ballot, accepted: Some((ballot, bytes.clone())) },
            Word::Accept { epoch, ballot, bytes: bytes.clone() },
            Word::Accepted { epoch, ballot },
            Word::Reject { epoch, ballot, promised: ballot },
            Word::Reports(reports),
            Word::Joining(request.clone()),
        ];
        let mut samples: Vec<ControlMessage> =
            words.into_iter().map(|word| ControlMessage::Said { header: header.clone(), word }).collect();
        samples.extend([
            ControlMessage::Join(request),
            ControlMessage::Welcome { bytes },
            ControlMessage::Refused { store: 11, reason: "the name is taken".into() },
            ControlMessage::Who { nonce: 1, reply_to: "a:3".into() },
            ControlMessage::Here { nonce: 1, name: "n4".into(), store: 11, peer: "a:3".into() },
        ]);
        samples
    }

    #[test]
    fn messages_read_back() {
        for message in samples() {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            let mut r = Reader::new(&bytes);
            assert_eq!(ControlMessage::decode(&mut r).as_ref(), Ok(&message));
            assert_eq!(r.remaining(), 0);
        }
    }

    #[test]
    fn kinds_differ() {
        let kinds: alloc::collections::BTreeSet<u8> = samples().iter().map(ControlMessage::kind).collect();
        assert_eq!(kinds.len(), samples().len() - 1, "two samples are promises");
    }

    #[test]
    fn any_bytes_are_refused_without_panic() {
        let mut random = Random::new(crate::base::tests::seed(1));
        for message in samples() {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            for _ in 0..crate::base::tests::rounds(200) {
                let mut damaged = bytes.clone();
                let at = random.below(damaged.len() as u64) as usize;
                damaged[at] = random.next_u64() as u8;
                damaged.truncate(random.between(1, damaged.len() as u64) as usize);
                let _ = ControlMessage::decode(&mut Reader::new(&damaged));
            }
        }
    }
}
