use super::arguments::{integer, to_hex};
use crate::resp::Replies;
use bytes::Bytes;
use kvorum_core::data::{Named, Refusal, Reply};
use kvorum_core::ring::View;
use kvorum_core::version::{Cell, Sibling, encode_context};

/// How the reply to one request is worded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// `GET`: the winner's value or nothing.
    Value,
    /// `SET`: OK.
    Ok,
    /// `DEL`: 1 if a live value was there.
    Existed,
    /// `EXISTS`: 1 if it lives.
    Lives,
    /// `TYPE`: string or none.
    Type,
    /// `STRLEN`.
    Length,
    /// `TTL` and its kin.
    Ends {
        /// In milliseconds, else seconds.
        in_millis: bool,
        /// As a time, else as a span from now.
        is_time: bool,
    },
    /// `OBJECT ENCODING`.
    Encoding,
    /// `MEMORY USAGE`.
    MemoryUsage,
    /// `KV.GET`.
    Siblings(Box<SiblingsOf>),
    /// `KV.PUT`, `KV.DEL`.
    Written,
    /// `KV.EXPLAIN`.
    Explained,
}

/// What `KV.GET` was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiblingsOf {
    /// The key: its context is bound to it.
    pub key: Bytes,
    /// Whether the context is wanted.
    pub with_context: bool,
}

/// What answers need to know beside the reply.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The wall clock in milliseconds.
    pub now_ms: u64,
    /// The cluster's lineage.
    pub lineage: u64,
}

/// A refusal in words, with a member by its name: numbers are the cluster's own business.
pub fn words(refusal: &Refusal, view: Option<&View>) -> String {
    let member = refusal.whose_clock().and_then(|id| view?.topology.member(id));
    match member {
        Some(member) => Named(refusal, &member.name).to_string(),
        None => refusal.to_string(),
    }
}

/// Says why nothing was done, or that nobody knows.
pub fn refuse(refusal: &Refusal, view: Option<&View>, out: &mut Replies<'_>) {
    out.error(refusal.code(), &words(refusal, view));
}

fn winner(cell: &Option<Cell>, moment: Moment) -> Option<&Sibling> {
    cell.as_ref().and_then(|cell| cell.winner(moment.now_ms))
}

impl Answer {
    /// Appends the answer.
    #[inline]
    pub fn encode(&self, reply: &Reply, moment: Moment, view: Option<&View>, out: &mut Replies<'_>) {
        match (self, reply) {
            (Answer::Value, Reply::Read(read)) => match winner(&read.cell, moment).and_then(Sibling::value) {
                Some(value) => out.bulk(value),
                None => out.null(),
            },
            (Answer::Ok, Reply::Written(_)) => out.ok(),
            (_, Reply::Refused(refusal)) => refuse(refusal, view, out),
            (_, Reply::Read(read)) => self.encode_read(&read.cell, moment, out),
            (Answer::Existed, Reply::Written(written)) => out.integer(i64::from(written.existed)),
            (Answer::Written, Reply::Written(written)) => {
                out.map(3);
                out.bulk(b"existed");
                out.integer(i64::from(written.existed));
                out.bulk(b"acks");
                out.integer(i64::from(written.acks));
                out.bulk(b"hinted");
                out.integer(i64::from(written.hinted));
            }
            (Answer::Explained, Reply::Explained(text)) => out.bulk(text.as_bytes()),
            (_, _) => out.error("ERR", "internal: the reply does not fit the request"),
        }
    }
    fn encode_read(&self, cell: &Option<Cell>, moment: Moment, out: &mut Replies<'_>) {
        let found = winner(cell, moment);
        match self {
            Answer::Lives => out.integer(i64::from(found.is_some())),
            Answer::Type => out.simple(if found.is_some() { "string" } else { "none" }),
            Answer::Length => {
                out.integer(found.and_then(Sibling::value).map_or(0, |value| value.len() as i64));
            }
            Answer::Ends { in_millis, is_time } => out.integer(match found {
                None => -2,
                Some(sibling) => match sibling.expires_at_ms() {
                    None => -1,
                    Some(at) => {
                        let millis = if *is_time { at } else { at.saturating_sub(moment.now_ms) };
                        match in_millis {
                            true => millis as i64,
                            // Rounded as in Redis, so that a fresh `EX 10` reads 10.
                            false => (millis.saturating_add(500) / 1_000) as i64,
                        }
                    }
                },
            }),
            Answer::Encoding => match found.and_then(Sibling::value) {
                None => out.null(),
                Some(value) => {
                    let is_integer = integer(value).is_ok();
                    out.bulk(match (is_integer, value.len()) {
                        (true, _) => b"int",
                        (false, 0..=44) => b"embstr",
                        (false, _) => b"raw",
                    });
                }
            },
            Answer::MemoryUsage => match found.and_then(Sibling::value) {
                None => out.null(),
                // Key, version and index add about this much to each copy.
                Some(value) => out.integer(value.len() as i64 + 80),
            },
            Answer::Siblings(asked) => {
                if asked.with_context {
                    out.map(2);
                    out.bulk(b"context");
                    match cell {
                        None => out.null(),
                        Some(cell) => {
                            let context = encode_context(moment.lineage, &asked.key, cell);
                            out.bulk(to_hex(&context).as_bytes());
                        }
                    }
                    out.bulk(b"values");
                }
                let live = cell.as_ref().map(|cell| cell.live(moment.now_ms)).unwrap_or_default();
                out.array(live.len());
                for sibling in live {
                    out.bulk(sibling.value().map_or(&[], |value| value));
                }
            }
            _ => out.error("ERR", "internal: the reply does not fit the request"),
        }
    }
}
