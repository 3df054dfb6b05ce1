//! Clients of a data thread: they come, say commands, are answered and go.

use super::super::connection::{Connection, Drain, Effect, Family, Held, Pending, Timing};
use super::super::ids::{CONNECTION_COUNT_MAX, Waiter, pack};
use super::super::mailbox::Mail;
use super::super::shared::{Shared, bump};
use super::facts::Facts;
use super::requests::after_answer;
use super::{DataThread, KIND_CLIENT, SCRATCH_BYTES, mark};
use crate::command::{Answer, ClientInfo, Plan, Session, Verb, plan};
use crate::resp::{Args, Step};
use kvorum_core::base::{Now, hash_key};
use kvorum_core::data::Op;
use mio::net::TcpStream;
use mio::{Interest, Token};
use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl DataThread {
    pub(super) fn accept_clients(&mut self, shared: &Arc<Shared>) {
        let Some(listeners) = &self.listeners else { return };
        let mut come = Vec::new();
        loop {
            match listeners.clients.accept() {
                Ok((stream, address)) => come.push((stream, address)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => {
                    // Most often no file descriptors are left: those that come later find some again.
                    tracing::warn!("a client could not be accepted: {error}");
                    break;
                }
            }
        }
        for (stream, address) in come {
            let thread = self.next_thread;
            self.next_thread = (self.next_thread + 1) % shared.mailboxes.len();
            if thread == self.index {
                self.add_client(shared, stream, address);
            } else {
                shared.mailboxes[thread].send(Mail::Client(stream.into(), address));
            }
        }
    }

    pub(super) fn add_client(&mut self, shared: &Arc<Shared>, mut stream: TcpStream, address: SocketAddr) {
        use std::io::Write;
        let count = shared.connection_count.load(Ordering::Relaxed);
        if count >= shared.settings.connections_max as usize || self.connections.len() >= CONNECTION_COUNT_MAX
        {
            let _ = stream.write(b"-ERR max number of clients reached\r\n");
            return;
        }
        let _ = stream.set_nodelay(true);
        let laddr = stream.local_addr().unwrap_or(address);
        let place = self.free_connections.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.sequences.push(0);
            self.connections.len() - 1
        });
        let token = Token(place << 2 | KIND_CLIENT);
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut stream, token, interest) {
            tracing::warn!("a client could not be registered: {error}");
            self.free_connections.push(place);
            return;
        }
        shared.connection_count.fetch_add(1, Ordering::Relaxed);
        let id = shared.connection_total.fetch_add(1, Ordering::Relaxed) + 1;
        bump(&self.counters(shared).connections, 1);
        let info = Arc::new(ClientInfo::new(id, address, laddr, self.index));
        shared.add_client(info.clone());
        let connection = Connection::new(stream, Session::new(info), self.sequences[place]);
        self.connections[place] = Some(Box::new(connection));
    }

    pub(super) fn remove_client(&mut self, shared: &Arc<Shared>, place: usize) {
        let Some(connection) = self.connections.get_mut(place).and_then(Option::take) else { return };
        self.sequences[place] = connection.next_sequence();
        self.free_connections.push(place);
        shared.connection_count.fetch_sub(1, Ordering::Relaxed);
        let counters = self.counters(shared);
        counters.connections.store(counters.connections.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
        shared.remove_client(connection.session.info.id);
    }

    /// Parses and starts what a client has sent, reads more, until nothing is left or it must wait.
    pub(super) fn serve(&mut self, shared: &Arc<Shared>, now: Now, place: usize) {
        let Some(mut connection) = self.connections[place].take() else { return };
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut budget = self.limits.turn_bytes;
        loop {
            if connection.input_at < connection.input.len() {
                let input = std::mem::take(&mut connection.input);
                let from = connection.input_at;
                let used = self.parse(shared, now, place, &mut connection, &input[from..]);
                connection.input = input;
                connection.input_at = from + used;
                if connection.input_at == connection.input.len() {
                    connection.input_at = 0;
                    if connection.input.capacity() > SCRATCH_BYTES {
                        connection.input = Vec::new();
                    }
                    connection.input.clear();
                }
            }
            if !connection.is_readable || !connection.may_parse(&self.limits) || budget == 0 {
                break;
            }
            match connection.stream.read(&mut scratch) {
                Ok(0) => {
                    // Half-closed: what it asked is still answered, as in Redis by a client that shuts down early.
                    connection.is_readable = false;
                    connection.is_closing = true;
                    mark(&mut self.dirty, &mut connection.is_dirty, place);
                }
                Ok(count) => {
                    connection.is_readable = count == scratch.len();
                    budget = budget.saturating_sub(count);
                    if connection.input.is_empty() {
                        let used = self.parse(shared, now, place, &mut connection, &scratch[..count]);
                        connection.input.extend_from_slice(&scratch[used..count]);
                    } else {
                        if connection.input_at > 0 {
                            connection.input.drain(..connection.input_at);
                            connection.input_at = 0;
                        }
                        connection.input.extend_from_slice(&scratch[..count]);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => connection.is_readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    connection.is_broken = true;
                    mark(&mut self.dirty, &mut connection.is_dirty, place);
                }
            }
        }
        if connection.drain.is_some() {
            connection.read_past(&mut scratch, budget);
        }
        let has_more = connection.is_readable || connection.input_at < connection.input.len();
        connection.is_stalled = has_more && !connection.may_parse(&self.limits);
        // A budget used up, with more to come: in the next turn, behind everybody else.
        if connection.is_readable && (!connection.is_stalled || connection.drain.is_some()) {
            mark(&mut self.waiting, &mut connection.is_waiting, place);
        }
        // Also when nothing was said: the event may have been that the socket takes bytes again.
        mark(&mut self.dirty, &mut connection.is_dirty, place);
        self.scratch = scratch;
        self.connections[place] = Some(connection);
    }

    /// Parses whole commands from the start of `bytes`; returns how many bytes are done with.
    pub(super) fn parse(
        &mut self,
        shared: &Arc<Shared>,
        now: Now,
        place: usize,
        connection: &mut Connection,
        bytes: &[u8],
    ) -> usize {
        let mut at = 0;
        while at < bytes.len() && connection.may_parse(&self.limits) {
            match connection.parser.parse(&bytes[at..], &self.resp_limits) {
                Step::More { consumed } => {
                    at += consumed;
                    break;
                }
                Step::Command { consumed } => {
                    let parser = std::mem::take(&mut connection.parser);
                    self.command(shared, now, place, connection, parser.args(&bytes[at..]));
                    connection.parser = parser;
                    at += consumed;
                }
                Step::Nothing { consumed } => at += consumed,
                Step::Oversize { consumed, bytes, bytes_max } => {
                    at += consumed;
                    connection.say(|out| {
                        out.error(
                            "ERR",
                            &format!("not done: a command or argument of {bytes} bytes; at most {bytes_max} are taken"),
                        );
                    });
                }
                Step::Malformed(why) => {
                    connection.say(|out| out.error("ERR", &why));
                    connection.is_closing = true;
                    connection.drain = Some(Drain::from(now.mono));
                    self.draining.push(place as u32);
                    return bytes.len();
                }
            }
        }
        at
    }

    pub(super) fn command(
        &mut self,
        shared: &Arc<Shared>,
        now: Now,
        place: usize,
        connection: &mut Connection,
        args: Args<'_>,
    ) {
        let facts = Facts { shared, view: self.view.as_ref() };
        let now_ms = now.wall.as_millis();
        let (verb, what) = connection.plan(|session, out| plan(args, session, &facts, now_ms, out));
        self.count(shared, verb);
        match what {
            Plan::Answered => {}
            Plan::AnsweredAndClose => connection.is_closing = true,
            Plan::HangUp => {
                connection.is_broken = true;
                self.warn_of_http(now, connection);
            }
            Plan::Ask { op, answer } => {
                let hash = op.key().map_or(0, |key| hash_key(key) as u32);
                if connection.must_wait(Effect::of(&op), hash) {
                    connection.held = Some(Held::Ask(op, answer, hash));
                } else {
                    self.ask(shared, now, place, connection, op, answer, hash);
                }
            }
            Plan::Run(task) => {
                if connection.in_flight() > 0 {
                    connection.held = Some(Held::Run(task));
                } else {
                    self.run_task(shared, now, place, connection, task);
                }
            }
        }
    }

    /// Once for many: a page can try as often as it likes.
    fn warn_of_http(&mut self, now: Now, connection: &Connection) {
        if self.http_told.is_due(now.mono) {
            tracing::warn!(
                "client {} sent POST or Host: to the port for Redis clients and was hung up on; nothing behind that was run: a web \
                 page may be trying to reach this node through a browser",
                connection.session.info.addr
            );
        }
    }

    /// Lets go of connections that were to read an error, and have had their time.
    pub(super) fn end_drains(&mut self, now: Now) {
        let (connections, dirty) = (&mut self.connections, &mut self.dirty);
        self.draining.retain(|place| {
            let Some(Some(connection)) = connections.get_mut(*place as usize) else { return false };
            if connection.drain.as_ref().is_some_and(|drain| drain.until <= now.mono) {
                connection.drain = None;
                mark(dirty, &mut connection.is_dirty, *place as usize);
            }
            connection.drain.is_some()
        });
    }

    pub(super) fn count(&self, shared: &Arc<Shared>, verb: Option<Verb>) {
        let counters = self.counters(shared);
        match verb {
            Some(verb) => bump(&counters.commands[verb as usize], 1),
            None => bump(&counters.unknown, 1),
        }
    }

    #[allow(clippy::too_many_arguments)] // Whom, what and when; the hash of its key is at hand already.
    pub(super) fn ask(
        &mut self,
        shared: &Arc<Shared>,
        now: Now,
        place: usize,
        connection: &mut Connection,
        op: Op,
        answer: Answer,
        hash: u32,
    ) {
        let effect = Effect::of(&op);
        connection.begin(effect, hash);
        let protocol = connection.session.protocol;
        let is_silent = connection.is_silent_now();
        let timing = Timing { since: now.mono, family: Family::of(&op) };
        let sequence = connection.push(Pending::Asked { answer, timing, protocol, is_silent, effect, hash });
        let waiter = Waiter::Client { connection: place as u32, sequence };
        self.request(shared, now, pack(self.index, waiter), op);
    }

    /// Goes on with clients and peers that had to wait.
    pub(super) fn go_on(&mut self, shared: &Arc<Shared>, now: Now) {
        for (place, sequence, task) in std::mem::take(&mut self.finished) {
            let Some(Some(connection)) = self.connections.get_mut(place as usize) else { continue };
            let view = self.view.as_deref();
            let timing = connection.answer(sequence, &self.limits, |_, out| task.encode(view, out));
            self.answered.extend(timing);
            if timing.is_some() {
                connection.has_task = false;
                after_answer(connection, place as usize, &self.limits, &mut self.dirty, &mut self.waiting);
            }
        }
        for place in std::mem::take(&mut self.waiting) {
            let place = place as usize;
            let Some(Some(connection)) = self.connections.get_mut(place) else { continue };
            connection.is_waiting = false;
            if connection.held.is_some() && connection.in_flight() == 0 {
                let Some(mut connection) = self.connections[place].take() else { continue };
                match connection.held.take() {
                    Some(Held::Ask(op, answer, hash)) => {
                        self.ask(shared, now, place, &mut connection, op, answer, hash);
                    }
                    Some(Held::Run(task)) => self.run_task(shared, now, place, &mut connection, task),
                    None => {}
                }
                self.connections[place] = Some(connection);
            }
            self.serve(shared, now, place);
        }
        for place in std::mem::take(&mut self.more_inbounds) {
            self.read_inbound(shared, now, place as usize);
        }
    }
}
