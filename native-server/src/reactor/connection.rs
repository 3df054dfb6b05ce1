use crate::command::{Answer, Plan, ReplyMode, Session};
use crate::resp::{Parser, Protocol, Replies};
use kvorum_core::base::Micros;
use kvorum_core::data::Op;
use mio::net::TcpStream;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;

/// Bounds of one connection.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Commands in flight; more wait in the socket.
    pub in_flight_max: usize,
    /// Bytes of answers not yet taken by the client, beyond which nothing more is read from it.
    pub backlog_bytes_pause: usize,
    /// Bytes of answers not yet taken, beyond which the client is cut off.
    pub backlog_bytes_max: usize,
    /// Bytes read from one client in one turn; the rest waits for the next.
    pub turn_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            in_flight_max: 1_024,
            backlog_bytes_pause: 1 << 20,
            backlog_bytes_max: 64 << 20,
            turn_bytes: 256 << 10,
        }
    }
}

/// Commands in flight of a client whose answers may yet be of any size; more as they turn out small.
const WINDOW_START: usize = 16;
/// What the answers to a full window come to, if each is as large as the largest of late.
const WINDOW_BYTES: usize = 16 << 20;
/// An output buffer above this is given back once it is empty, so that idle clients cost little.
const KEPT_BYTES: usize = 16 << 10;

/// Since when a command is asked, and in which histogram its time is counted.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// The turn in which it was read.
    pub since: Micros,
    /// Which kind.
    pub family: Family,
}

/// Kinds of requests whose times are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// One key is read.
    Get = 0,
    /// One key is written.
    Set = 1,
    /// One key is deleted.
    Delete = 2,
    /// All else that shards are asked, commands of several requests among it.
    Other = 3,
}

impl Family {
    /// The names of all, in order.
    pub const NAMES: [&str; 4] = ["get", "set", "del", "other"];
    /// Of which kind a request is.
    #[inline]
    pub fn of(op: &Op) -> Family {
        match op {
            Op::Get { .. } => Family::Get,
            Op::Put { .. } => Family::Set,
            Op::Delete { .. } => Family::Delete,
            _ => Family::Other,
        }
    }
}

/// What a request does to its key, which decides what of the same connection waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Reads it: a write behind it waits, so that it does not see what was sent after it.
    Read,
    /// Writes it: a read behind it waits, so that it sees what was sent before it.
    Write,
    /// Both.
    Change,
    /// It has no key.
    None,
}

impl Effect {
    /// Of a request.
    #[inline]
    pub fn of(op: &Op) -> Effect {
        match op {
            Op::Get { .. } | Op::Explain { .. } => Effect::Read,
            Op::Put { .. } => Effect::Write,
            Op::Delete { .. } | Op::Expire { .. } => Effect::Change,
            Op::Scan { .. } | Op::Count { .. } => Effect::None,
        }
    }
    #[inline]
    fn reads(self) -> bool {
        matches!(self, Effect::Read | Effect::Change)
    }
    #[inline]
    fn writes(self) -> bool {
        matches!(self, Effect::Write | Effect::Change)
    }
}

/// Hashes of keys in flight, as often as they are: no more of them than commands.
#[derive(Debug, Default)]
struct InFlight(Vec<u32>);

impl InFlight {
    #[inline]
    fn begin(&mut self, hash: u32) {
        self.0.push(hash);
    }
    #[inline]
    fn end(&mut self, hash: u32) {
        if let Some(at) = self.0.iter().position(|other| *other == hash) {
            self.0.swap_remove(at);
        }
    }
    #[inline]
    fn has(&self, hash: u32) -> bool {
        self.0.contains(&hash)
    }
}

/// One command that is not yet answered, or whose answer waits for an earlier one.
#[derive(Debug)]
pub enum Pending {
    /// A shard is asked; its reply is worded like this.
    Asked {
        /// How.
        answer: Answer,
        /// Since when.
        timing: Timing,
        /// In which version.
        protocol: Protocol,
        /// The client wanted no answer.
        is_silent: bool,
        /// What it does to its key.
        effect: Effect,
        /// The hash of its key.
        hash: u32,
    },
    /// A task is at work.
    Task {
        /// Since when.
        timing: Timing,
        /// In which version.
        protocol: Protocol,
        /// The client wanted no answer.
        is_silent: bool,
    },
    /// The answer, as bytes.
    Ready(Vec<u8>),
}

/// A client: its socket, what it has sent and what it will be sent.
pub struct Connection {
    /// The socket.
    pub stream: TcpStream,
    /// What it said about itself.
    pub session: Session,
    /// Where its next command begins to be parsed.
    pub parser: Parser,
    /// Bytes received and not yet parsed to the end.
    pub input: Vec<u8>,
    /// How many of them are parsed.
    pub input_at: usize,
    /// Bytes to be sent.
    out: Vec<u8>,
    /// How many of them are sent.
    out_at: usize,
    /// Commands in order.
    ring: VecDeque<Pending>,
    /// Sequence of the first in the ring.
    base: u32,
    /// Bytes of answers in the ring, which wait for earlier ones.
    ready_bytes: usize,
    /// Size of the largest answer of late.
    answer_bytes: usize,
    /// Most commands in flight, beside the limit for all clients.
    window: usize,
    /// Reads in flight.
    reads: InFlight,
    /// Writes in flight.
    writes: InFlight,
    /// A command that waits for the writes before it.
    pub held: Option<Held>,
    /// A task is at work: nothing more is parsed.
    pub has_task: bool,
    /// It stopped with more to parse or read, because it must wait.
    pub is_stalled: bool,
    /// The socket may have more.
    pub is_readable: bool,
    /// Close when all is written; nothing more is read.
    pub is_closing: bool,
    /// What comes is read past, until the client has had time to read why.
    pub drain: Option<Drain>,
    /// The socket is broken: forget it.
    pub is_broken: bool,
    /// Broken by this side: more was asked than the client takes.
    pub is_cut_off: bool,
    /// Listed for writing at the end of the turn.
    pub is_dirty: bool,
    /// Listed for going on parsing.
    pub is_waiting: bool,
}

/// What a client still sends after an error that ends its connection is read past for this long.
const DRAIN_TIME: Micros = Micros::from_secs(1);
/// And so much of it.
const DRAIN_BYTES: usize = 64 << 20;

/// The end of a connection after bytes that are no commands. Closed with bytes unread, a socket answers them with a reset,
/// and that may reach the client before it has read the error: so this side stops writing, and reads past what comes.
#[derive(Debug)]
pub struct Drain {
    /// Then it is closed, whatever still comes.
    pub until: Micros,
    /// What may still come.
    bytes_left: usize,
    /// The client has been told that nothing more will be said.
    is_told: bool,
}

impl Drain {
    /// One that begins now.
    pub fn from(now: Micros) -> Drain {
        Drain { until: now + DRAIN_TIME, bytes_left: DRAIN_BYTES, is_told: false }
    }
}

/// A parsed command that waits until those before it are answered.
#[derive(Debug)]
pub enum Held {
    /// A request, and the hash of its key.
    Ask(Op, Answer, u32),
    /// A task.
    Run(Box<crate::command::Task>),
}

impl Connection {
    /// A new one whose ring goes on from sequence `base`.
    pub fn new(stream: TcpStream, session: Session, base: u32) -> Connection {
        Connection {
            stream,
            session,
            parser: Parser::default(),
            input: Vec::new(),
            input_at: 0,
            out: Vec::new(),
            out_at: 0,
            ring: VecDeque::new(),
            base,
            ready_bytes: 0,
            answer_bytes: 0,
            window: WINDOW_START,
            reads: InFlight::default(),
            writes: InFlight::default(),
            held: None,
            has_task: false,
            is_stalled: false,
            is_readable: true,
            is_closing: false,
            drain: None,
            is_broken: false,
            is_cut_off: false,
            is_dirty: false,
            is_waiting: false,
        }
    }
    /// The sequence that the next command gets: where the ring of the next connection at this place goes on.
    pub fn next_sequence(&self) -> u32 {
        self.base.wrapping_add(self.ring.len() as u32)
    }
    /// Commands in flight.
    pub fn in_flight(&self) -> usize {
        self.ring.len()
    }
    /// Bytes not yet taken by the client.
    pub fn backlog(&self) -> usize {
        self.out.len() - self.out_at
    }
    /// Whether more commands may be parsed now.
    pub fn may_parse(&self, limits: &Limits) -> bool {
        !self.is_closing
            && !self.is_broken
            && self.held.is_none()
            && !self.has_task
            && self.ring.len() < limits.in_flight_max.min(self.window)
            && self.backlog() < limits.backlog_bytes_pause
    }
    /// Whether a request has to wait for one of the same key that was sent before it.
    #[inline]
    pub fn must_wait(&self, effect: Effect, hash: u32) -> bool {
        effect.reads() && self.writes.has(hash) || effect.writes() && self.reads.has(hash)
    }
    /// Remembers a request in flight.
    #[inline]
    pub fn begin(&mut self, effect: Effect, hash: u32) {
        if effect.reads() {
            self.reads.begin(hash);
        }
        if effect.writes() {
            self.writes.begin(hash);
        }
    }
    #[inline]
    fn end(&mut self, effect: Effect, hash: u32) {
        if effect.reads() {
            self.reads.end(hash);
        }
        if effect.writes() {
            self.writes.end(hash);
        }
    }
    /// Puts a command behind the others and returns its sequence.
    #[inline]
    pub fn push(&mut self, pending: Pending) -> u32 {
        let sequence = self.next_sequence();
        self.ring.push_back(pending);
        sequence
    }
    /// Has a command planned; what it answers at once takes its turn behind the commands before it.
    #[inline]
    pub fn plan<V>(&mut self, plan: impl FnOnce(&mut Session, &mut Replies<'_>) -> (V, Plan)) -> (V, Plan) {
        let before = self.session.reply_mode;
        let protocol = self.session.protocol;
        let is_first = self.ring.is_empty();
        let mut later = Vec::new();
        let start = self.out.len();
        let out = if is_first { &mut self.out } else { &mut later };
        let planned = plan(&mut self.session, &mut Replies::new(out, protocol));
        if matches!(planned.1, Plan::Answered | Plan::AnsweredAndClose) {
            let is_silent = silence(before, &mut self.session.reply_mode);
            if is_first {
                self.out.truncate(if is_silent { start } else { usize::MAX });
            } else {
                later.truncate(if is_silent { 0 } else { usize::MAX });
                self.ready_bytes += later.len();
                self.ring.push_back(Pending::Ready(later));
            }
        }
        planned
    }
    /// Answers at once what is no command, in its turn.
    #[inline]
    pub fn say(&mut self, say: impl FnOnce(&mut Replies<'_>)) {
        let (_, _) = self.plan(|_, out| {
            say(out);
            ((), Plan::Answered)
        });
    }
    /// Takes the answer of the command of that sequence; `say` words it. `None` for a command that is long gone.
    #[inline]
    pub fn answer(
        &mut self,
        sequence: u32,
        limits: &Limits,
        say: impl FnOnce(Option<&Answer>, &mut Replies<'_>),
    ) -> Option<Timing> {
        let index = sequence.wrapping_sub(self.base) as usize;
        let pending = self.ring.get_mut(index)?;
        let (answer, timing, protocol, is_silent, effect, hash) = match pending {
            Pending::Asked { answer, timing, protocol, is_silent, effect, hash } => {
                (Some(&*answer), *timing, *protocol, *is_silent, *effect, *hash)
            }
            Pending::Task { timing, protocol, is_silent } => {
                (None, *timing, *protocol, *is_silent, Effect::None, 0)
            }
            Pending::Ready(_) => return None,
        };
        // Nobody reads what a broken one is told.
        let is_silent = is_silent || self.is_broken;
        if index == 0 {
            let start = self.out.len();
            if !is_silent {
                say(answer, &mut Replies::new(&mut self.out, protocol));
            }
            let bytes = self.out.len() - start;
            self.ring.pop_front();
            self.base = self.base.wrapping_add(1);
            while let Some(Pending::Ready(bytes)) = self.ring.front() {
                self.ready_bytes = self.ready_bytes.saturating_sub(bytes.len());
                self.out.extend_from_slice(bytes);
                self.ring.pop_front();
                self.base = self.base.wrapping_add(1);
            }
            self.note_answer(bytes, limits);
        } else {
            let mut bytes = Vec::new();
            if !is_silent {
                say(answer, &mut Replies::new(&mut bytes, protocol));
            }
            let count = bytes.len();
            self.ready_bytes += count;
            *pending = Pending::Ready(bytes);
            self.note_answer(count, limits);
        }
        self.end(effect, hash);
        Some(timing)
    }
    /// Fits the window to the size of answers, and cuts off a client for which too much is kept.
    #[inline]
    fn note_answer(&mut self, bytes: usize, limits: &Limits) {
        self.answer_bytes = bytes.max(self.answer_bytes - self.answer_bytes / 64);
        let fitting = WINDOW_BYTES / self.answer_bytes.max(1);
        self.window = self.window.saturating_add(1).min(fitting.max(1));
        if self.backlog() + self.ready_bytes > limits.backlog_bytes_max {
            self.cut_off(bytes, limits);
        }
    }
    #[cold]
    fn cut_off(&mut self, bytes: usize, limits: &Limits) {
        // It may be reading well, and one answer may be as large as it has to be: what was left before it counts.
        self.flush();
        let left = (self.backlog() + self.ready_bytes).saturating_sub(bytes);
        if !self.is_broken && left > limits.backlog_bytes_max {
            self.is_broken = true;
            self.is_cut_off = true;
            self.out = Vec::new();
            self.out_at = 0;
        }
    }
    /// Whether the next command is to be answered, as `CLIENT REPLY` said; takes note of a `SKIP`.
    #[inline]
    pub fn is_silent_now(&mut self) -> bool {
        let before = self.session.reply_mode;
        before != ReplyMode::On && silence(before, &mut self.session.reply_mode)
    }
    /// Writes what the socket takes.
    #[inline]
    pub fn flush(&mut self) {
        while self.out_at < self.out.len() {
            match self.stream.write(&self.out[self.out_at..]) {
                Ok(0) => {
                    self.is_broken = true;
                    return;
                }
                Ok(count) => self.out_at += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.is_broken = true;
                    return;
                }
            }
        }
        self.out_at = 0;
        self.out.clear();
        if self.out.capacity() > KEPT_BYTES {
            self.out = Vec::new();
        }
    }
    /// Reads past what came, at most `budget` bytes now.
    pub fn read_past(&mut self, scratch: &mut [u8], mut budget: usize) {
        while self.is_readable && budget > 0 {
            let Some(drain) = &mut self.drain else { return };
            match self.stream.read(scratch) {
                Ok(count) if count > 0 && count <= drain.bytes_left => {
                    drain.bytes_left -= count;
                    budget = budget.saturating_sub(count);
                    self.is_readable = count == scratch.len();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The client is gone, or does not stop.
                Ok(_) | Err(_) => {
                    self.drain = None;
                    self.is_readable = false;
                }
            }
        }
    }
    /// Tells the client that nothing more will be said, once everything is.
    pub fn end_writing(&mut self) {
        let is_said = self.ring.is_empty() && self.backlog() == 0;
        if let Some(drain) = self.drain.as_mut().filter(|drain| is_said && !drain.is_told) {
            drain.is_told = true;
            if self.stream.shutdown(Shutdown::Write).is_err() {
                self.drain = None;
            }
        }
    }
    /// Whether it is done with: broken, or closing with everything said.
    pub fn is_over(&self) -> bool {
        let is_said = self.ring.is_empty() && self.backlog() == 0;
        self.is_broken || (self.is_closing && is_said && self.drain.is_none())
    }
}

/// Whether a command that began under `before` stays without answer.
#[inline]
fn silence(before: ReplyMode, mode: &mut ReplyMode) -> bool {
    match (before, *mode) {
        (ReplyMode::On, _) | (_, ReplyMode::On) => false,
        (ReplyMode::SkipNext, ReplyMode::SkipNext) => {
            *mode = ReplyMode::On;
            true
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_answered_is_in_flight_no_more_though_others_are() {
        let mut reads = InFlight::default();
        reads.begin(0);
        for hash in 1..10_000 {
            reads.begin(hash);
            reads.begin(hash);
            reads.end(hash);
            assert!(reads.has(hash) && reads.has(0), "one of two is answered");
            reads.end(hash);
            assert!(!reads.has(hash));
        }
        assert_eq!(reads.0, [0]);
    }
}
