//! Guests: whoever acts in a world from outside, in a page, in JavaScript or in a script.
//!
//! What they do becomes a line of the script one microsecond after now, behind all lines of that time; so the script of a
//! world that was acted in makes the same run again. Their writes are judged as those of clients are.

use super::asking::Asker;
use super::client::PATIENCE;
use super::history::{Asked, Ends, OpNumber, Outcome, Seen};
use super::script::{Action, GuestAsk, GuestNumber, Line, NodeIndex, SCRIPT_LINES_MAX};
use super::world::World;
use crate::base::{KeyspaceId, Micros, checksum};
use crate::data::{Expiry, Op, ReadReply, Refusal, Reply, Request};
use crate::version::encode_context;
use alloc::string::{String, ToString};
use bytes::Bytes;

/// What a guest asked and was told.
#[derive(Debug, Clone)]
pub struct Guest {
    /// Which node.
    pub node: NodeIndex,
    /// What.
    pub ask: GuestAsk,
    /// The operation, once it was sent.
    pub op: Option<OpNumber>,
    /// When.
    pub began: Micros,
    /// What became of it; `None` while it is under way.
    pub answer: Option<GuestAnswer>,
    /// Of a read: its context, and what that had seen.
    context: Option<(Bytes, Seen)>,
}

/// What became of a guest's request.
#[derive(Debug, Clone, PartialEq)]
pub enum GuestAnswer {
    /// The node answered.
    Reply(Reply),
    /// It was not sent: why.
    NotSent(String),
    /// No answer came: the node stopped, or took too long. Nobody knows.
    Silence,
}

/// Why something cannot be done to a world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmitError(pub &'static str);

impl core::fmt::Display for SubmitError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.0)
    }
}
impl core::error::Error for SubmitError {}

impl World {
    /// Does something next. For a guest's request the number under which it is found in [`World::guest`].
    pub fn submit(&mut self, action: Action) -> Result<Option<GuestNumber>, SubmitError> {
        if self.script_room() == 0 {
            return Err(SubmitError("the script is full: start again"));
        }
        let at = self.now + Micros(1);
        let rest = &self.script.lines[self.next_line..];
        let behind = rest.partition_point(|line| line.at <= at);
        let number = matches!(action, Action::Ask(..)).then(|| {
            let before = rest[..behind].iter().filter(|line| matches!(line.action, Action::Ask(..))).count();
            GuestNumber((self.guests.len() + before) as u32)
        });
        self.script.lines.insert(self.next_line + behind, Line { at, action });
        Ok(number)
    }
    /// How many more things can be done to it.
    pub fn script_room(&self) -> usize {
        SCRIPT_LINES_MAX - self.script.lines.len().min(SCRIPT_LINES_MAX)
    }
    /// What was done to this world, and what still will be.
    pub fn script(&self) -> &super::Script {
        &self.script
    }
    /// A guest's request; `None` while it was not asked.
    pub fn guest(&self, number: GuestNumber) -> Option<&Guest> {
        self.guests.get(number.0 as usize)
    }
    /// How many guests' requests were asked.
    pub fn guest_count(&self) -> u32 {
        self.guests.len() as u32
    }
    pub(super) fn begin_guest(&mut self, node: NodeIndex, ask: GuestAsk) {
        let number = GuestNumber(self.guests.len() as u32);
        let guest = Guest { node, ask: ask.clone(), op: None, began: self.now, answer: None, context: None };
        self.guests.push(guest);
        if let Err(why) = self.try_guest(number, node, ask)
            && let Some(guest) = self.guests.last_mut()
        {
            guest.answer = Some(GuestAnswer::NotSent(why));
        }
    }
    fn try_guest(&mut self, number: GuestNumber, node: NodeIndex, ask: GuestAsk) -> Result<(), String> {
        let host = self.hosts.get(usize::from(node.0));
        let host = host.ok_or_else(|| alloc::format!("there is no node {node}"))?;
        if host.node.is_none() {
            return Err(alloc::format!("{node} does not run: the connection was refused"));
        }
        let (r, w) = match &ask {
            GuestAsk::Put { w, .. } | GuestAsk::Delete { w, .. } => (None, *w),
            GuestAsk::Get { r, .. } => (*r, None),
        };
        let least = &mut self.needed_least;
        *least = (least.0.min(r.unwrap_or(least.0)), least.1.min(w.unwrap_or(least.1)));
        let seen = match &ask {
            GuestAsk::Put { seen, .. } | GuestAsk::Delete { seen, .. } => *seen,
            GuestAsk::Get { .. } => None,
        };
        let known = seen.map(|seen| self.guest(seen).and_then(|guest| guest.context.clone()));
        if known == Some(None) {
            let seen = seen.map_or(0, |seen| seen.0);
            return Err(alloc::format!("request {seen} is no get that was answered: it has no context"));
        }
        let (context, seen) = known.flatten().unzip();
        let key = self.history.key_of(ask.key()).ok_or_else(|| "there are too many keys".to_string())?;
        let now_ms = self.true_ms();
        let (asked, value, op) = match ask {
            GuestAsk::Get { key, r } => (Asked::Read, None, Op::Get { key, r }),
            GuestAsk::Delete { key, w, .. } => (Asked::Delete { seen }, None, Op::Delete { key, context, w }),
            GuestAsk::Put { key, value, w, ttl_ms, .. } => {
                let ends = ttl_ms.map_or(Ends::Never, |ttl| Ends::At(now_ms.saturating_add(ttl)));
                let expiry = match ends {
                    Ends::At(at) => Expiry::At(at),
                    Ends::Never | Ends::Kept => Expiry::Never,
                };
                let asked = Asked::Put { seen, ends, bytes: value.len() as u32 };
                (asked, Some(value.clone()), Op::Put { key, value, context, expiry, w })
            }
        };
        let verb = super::asking::verb(&asked);
        let op_number = self.history.begin(key, node, self.now, |_| asked);
        if let Some(value) = value {
            self.history.note_value(op_number, value);
        }
        if let Some(guest) = self.guests.last_mut() {
            guest.op = Some(op_number);
        }
        let request = Request { keyspace: KeyspaceId(0), deadline: self.now + PATIENCE, op };
        self.ask(Asker::Guest(number), op_number, node, (verb, key), request);
        Ok(())
    }
    pub(super) fn remember_guest(&mut self, number: GuestNumber, lineage: u64, key: u16, read: &ReadReply) {
        let name = self.history.key_name(key);
        let Some(cell) = &read.cell else { return };
        let values = cell.siblings().iter().filter_map(|sibling| self.history.writer(key, sibling.value()?));
        let seen = Seen { values: values.collect(), vector: cell.context().clone() };
        let context = encode_context(lineage, &name, cell);
        if let Some(guest) = self.guests.get_mut(number.0 as usize) {
            guest.context = Some((context, seen));
        }
    }
    pub(super) fn guest_waits(&self, number: GuestNumber) -> bool {
        self.guest(number).is_some_and(|guest| guest.answer.is_none())
    }
    pub(super) fn end_guest(&mut self, number: GuestNumber, reply: Option<Reply>) {
        if let Some(guest) = self.guests.get_mut(number.0 as usize)
            && guest.answer.is_none()
        {
            guest.answer = Some(reply.map_or(GuestAnswer::Silence, GuestAnswer::Reply));
        }
    }
}

impl Guest {
    /// Tells its context from those of other reads, in other worlds too.
    pub fn context_check(&self) -> Option<u32> {
        self.context.as_ref().map(|(bytes, _)| checksum(bytes) as u32)
    }
    /// What it means: done, not done, or nobody knows. `None` while it is under way.
    pub fn outcome(&self) -> Option<Outcome> {
        Some(match self.answer.as_ref()? {
            GuestAnswer::Reply(reply) => super::client::outcome_of(reply),
            GuestAnswer::NotSent(_) => Outcome::NotDone,
            GuestAnswer::Silence => Outcome::Unknown,
        })
    }
    /// Why it was refused, in words; `None` if it was not.
    pub fn refusal(&self) -> Option<String> {
        match self.answer.as_ref()? {
            GuestAnswer::Reply(Reply::Refused(refusal)) => Some(refusal.to_string()),
            GuestAnswer::NotSent(why) => Some(why.clone()),
            GuestAnswer::Silence => Some("no answer came: the node stopped, or took too long".to_string()),
            GuestAnswer::Reply(_) => None,
        }
    }
    /// The same request may succeed soon.
    pub fn is_retryable(&self) -> bool {
        matches!(
            &self.answer,
            Some(GuestAnswer::NotSent(_))
                | Some(GuestAnswer::Reply(Reply::Refused(
                    Refusal::TryAgain(_) | Refusal::ClusterDown { .. } | Refusal::Storage(_)
                )))
        )
    }
}

#[cfg(test)]
mod tests;
