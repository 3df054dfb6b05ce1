//! A data thread: its turn, and what belongs to no part of it alone.

mod clients;
mod facts;
mod machines;
mod peers;
mod requests;

use super::cell::ShardMail;
use super::connection::{Connection, Limits, Timing};
use super::control_seat::ControlSeat;
use super::mailbox::Mail;
use super::seldom::Seldom;
use super::shared::{Shared, Stage, ThreadCounters, bump};
use super::tasks::{Running, TaskSlot};
use crate::command::Task;
use crate::peer::{Greeting, Inbound, Links};
use crate::resp::Limits as RespLimits;
use kvorum_core::base::trace::Trace;
use kvorum_core::base::{Micros, Now};
use kvorum_core::control::Input as ControlInput;
use kvorum_core::data::{Reply, Request, RequestId};
use kvorum_core::ring::View;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

/// How long in-flight requests may take to end when the node stops.
const STOP_TIME: Micros = Micros::from_secs(2);
/// Bytes taken from a socket at once.
const SCRATCH_BYTES: usize = 64 << 10;
/// Longest sleep, so that a mistake in a timer costs little.
const SLEEP_MAX: Micros = Micros::from_secs(1);

/// How often connections that are read past are looked at.
const DRAIN_CHECK: Micros = Micros::from_millis(100);

const TOKEN_WAKER: usize = 0;
const TOKEN_CLIENTS: usize = 4;
const TOKEN_PEERS: usize = 8;
const KIND_CLIENT: usize = 1;
const KIND_LINK: usize = 2;
const KIND_INBOUND: usize = 3;

/// The token of a data thread's waker.
pub const WAKER: Token = Token(TOKEN_WAKER);

fn link_token(place: usize) -> Token {
    Token(place << 2 | KIND_LINK)
}

/// The sockets that thread 0 accepts from, for all.
pub struct Listeners {
    /// Clients.
    pub clients: TcpListener,
    /// Peers.
    pub peers: TcpListener,
}

/// What a thread has for a shard. Requests lie apart from the rest, for that is several times their size.
#[derive(Default)]
struct Waiting {
    mail: Vec<ShardMail>,
    requests: Vec<(RequestId, Request)>,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.mail.is_empty() && self.requests.is_empty()
    }
}

/// One data thread.
pub struct DataThread {
    index: usize,
    poll: Poll,
    listeners: Option<Listeners>,
    next_thread: usize,
    limits: Limits,
    resp_limits: RespLimits,
    connections: Vec<Option<Box<Connection>>>,
    /// Where the ring of the next connection at a place goes on.
    sequences: Vec<u32>,
    free_connections: Vec<usize>,
    inbounds: Vec<Option<Box<Inbound>>>,
    links: Links,
    control: Option<ControlSeat>,
    view: Option<Arc<View>>,
    view_version: u64,
    tasks: Vec<TaskSlot>,
    free_tasks: Vec<u32>,
    /// Tasks that ended: connection, sequence, task.
    finished: Vec<(u32, u32, Box<Task>)>,
    /// By shard: what this thread has for it.
    pending: Vec<Waiting>,
    spare_mail: Vec<ShardMail>,
    replies: Vec<(RequestId, Reply)>,
    /// By thread: replies to its requests.
    remote_replies: Vec<Vec<(RequestId, Reply)>>,
    control_inputs: Vec<ControlInput>,
    /// Connections with something to write.
    dirty: Vec<u32>,
    /// Connections that stopped parsing or reading and may go on.
    waiting: Vec<u32>,
    /// Peers with more to read.
    more_inbounds: Vec<u32>,
    mails: Vec<Mail>,
    /// Commands answered in this turn, whose times are counted at its end: one look at the clock for all.
    answered: Vec<Timing>,
    scratch: Vec<u8>,
    message_count: u64,
    trace: Trace,
    stop_by: Option<Micros>,
    links_due: Micros,
    /// When the log last said that a disk refuses writes.
    storage_complaint: Seldom,
    /// When it last said that somebody speaks HTTP to the port for clients.
    http_told: Seldom,
    /// Connections that are read past until they have had time to read an error.
    draining: Vec<u32>,
}

impl DataThread {
    /// A thread that has not run yet; `poll` is the one that its mailbox's waker was made from.
    pub fn new(
        index: usize,
        poll: Poll,
        mut listeners: Option<Listeners>,
        control: Option<ControlSeat>,
        me: Greeting,
        shard_count: usize,
        thread_count: usize,
    ) -> std::io::Result<DataThread> {
        if let Some(listeners) = &mut listeners {
            let registry = poll.registry();
            registry.register(&mut listeners.clients, Token(TOKEN_CLIENTS), Interest::READABLE)?;
            registry.register(&mut listeners.peers, Token(TOKEN_PEERS), Interest::READABLE)?;
        }
        Ok(DataThread {
            index,
            poll,
            listeners,
            next_thread: 0,
            limits: Limits::default(),
            resp_limits: RespLimits::default(),
            connections: Vec::new(),
            sequences: Vec::new(),
            free_connections: Vec::new(),
            inbounds: Vec::new(),
            links: Links::new(me, link_token),
            control,
            view: None,
            view_version: 0,
            tasks: Vec::new(),
            free_tasks: Vec::new(),
            finished: Vec::new(),
            pending: (0..shard_count).map(|_| Waiting::default()).collect(),
            spare_mail: Vec::new(),
            replies: Vec::new(),
            remote_replies: (0..thread_count).map(|_| Vec::new()).collect(),
            control_inputs: Vec::new(),
            dirty: Vec::new(),
            waiting: Vec::new(),
            more_inbounds: Vec::new(),
            mails: Vec::new(),
            answered: Vec::new(),
            scratch: vec![0; SCRATCH_BYTES],
            message_count: 0,
            trace: Trace::default(),
            stop_by: None,
            links_due: Micros(0),
            storage_complaint: Seldom::default(),
            http_told: Seldom::default(),
            draining: Vec::new(),
        })
    }

    /// Turns until the node stops.
    pub fn run(mut self, shared: &Arc<Shared>) {
        let mut events = Events::with_capacity(1024);
        while !self.is_over(shared) {
            let timeout = self.timeout(shared);
            if let Err(error) = self.poll.poll(&mut events, timeout)
                && error.kind() != ErrorKind::Interrupted
            {
                shared.fail(format!("waiting for sockets failed: {error}"));
                return;
            }
            self.turn(shared, &events);
        }
        self.say_goodbye(shared);
    }

    fn turn(&mut self, shared: &Arc<Shared>, events: &Events) {
        let now = shared.clock.now();
        bump(&self.counters(shared).turns, 1);
        if shared.view_version() != self.view_version {
            self.refresh_view(shared, now);
        }
        for event in events.iter() {
            self.on_event(shared, now, event.token().0);
        }
        self.read_mail(shared, now);
        self.go_on(shared, now);
        if !self.draining.is_empty() {
            self.end_drains(now);
        }
        if self.links_due <= now.mono {
            self.wake_links(shared, now);
        }
        loop {
            self.drive_control(shared, now);
            let is_done = self.drive_shards(shared, now);
            self.go_on(shared, now);
            if is_done && self.control_inputs.is_empty() && self.pending.iter().all(Waiting::is_empty) {
                break;
            }
        }
        self.tell_wait(now);
        self.flush(shared, now);
    }

    fn counters<'a>(&self, shared: &'a Shared) -> &'a ThreadCounters {
        &shared.counters[self.index]
    }

    fn timeout(&mut self, shared: &Arc<Shared>) -> Option<Duration> {
        let now = shared.clock.now().mono;
        let is_busy = !self.waiting.is_empty() || !self.more_inbounds.is_empty();
        let mut until = if is_busy { now } else { now + SLEEP_MAX };
        until = until.min(self.links_due);
        if let Some(control) = &self.control {
            until = until.min(control.wake_at().unwrap_or(until));
        }
        if !self.draining.is_empty() {
            until = until.min(now + DRAIN_CHECK);
        }
        if let Some(stop_by) = self.stop_by {
            until = until.min(stop_by).min(now + Micros::from_millis(20));
        }
        for cell in shared.shards.iter().filter(|cell| cell.owner == self.index) {
            until = until.min(cell.arm(until));
            if cell.has_mail() {
                until = now;
            }
        }
        Some(Duration::from_micros(until.since(now).0))
    }

    fn on_event(&mut self, shared: &Arc<Shared>, now: Now, token: usize) {
        let place = token >> 2;
        match (token & 3, token) {
            (KIND_CLIENT, _) => {
                if let Some(Some(connection)) = self.connections.get_mut(place) {
                    connection.is_readable = true;
                    self.serve(shared, now, place);
                }
            }
            (KIND_LINK, _) => {
                self.links.ready(now.mono, place, self.view.as_deref(), &mut self.scratch);
                self.links_due = Micros(0);
            }
            (KIND_INBOUND, _) => {
                if let Some(Some(inbound)) = self.inbounds.get_mut(place) {
                    inbound.is_readable = true;
                    self.read_inbound(shared, now, place);
                }
            }
            (_, TOKEN_CLIENTS) => self.accept_clients(shared),
            (_, TOKEN_PEERS) => self.accept_peers(shared),
            _ => {}
        }
    }

    fn read_mail(&mut self, shared: &Arc<Shared>, now: Now) {
        let mut mails = std::mem::take(&mut self.mails);
        shared.mailboxes[self.index].take(&mut mails);
        for mail in mails.drain(..) {
            match mail {
                Mail::Replies(replies) => {
                    for (id, reply) in replies {
                        self.on_reply(shared, now, id, reply);
                    }
                }
                Mail::Client(stream, address) => {
                    self.add_client(shared, mio::net::TcpStream::from_std(stream), address);
                }
                Mail::Peer(stream, address) => {
                    self.add_inbound(mio::net::TcpStream::from_std(stream), address);
                }
                Mail::Kill(id) => {
                    let killed = self.connections.iter_mut().enumerate().find(|(_, connection)| {
                        connection.as_ref().is_some_and(|connection| connection.session.info.id == id)
                    });
                    if let Some((place, Some(connection))) = killed {
                        connection.is_broken = true;
                        mark(&mut self.dirty, &mut connection.is_dirty, place);
                    }
                }
                Mail::Calls(calls) => {
                    self.start_task(shared, now, Running::calls(calls));
                }
                Mail::Control(input) => self.control_inputs.push(input),
                Mail::ControlSnapshot(take) => {
                    if let Some(control) = &self.control {
                        take(control.snapshot());
                    }
                }
                Mail::Resolved(address, found) => {
                    self.links.resolved(now.mono, &address, found, self.poll.registry());
                    self.links_due = Micros(0);
                }
            }
        }
        self.mails = mails;
    }

    fn refresh_view(&mut self, shared: &Arc<Shared>, now: Now) {
        self.view_version = shared.view_version();
        self.view = shared.view();
        if let Some(view) = &self.view {
            self.links.set_view(now.mono, view);
            self.trace.set_node(u32::from(view.me.0));
            self.links_due = Micros(0);
        }
    }

    fn count_times(&mut self, shared: &Arc<Shared>) {
        if self.answered.is_empty() {
            return;
        }
        let now = shared.clock.now().mono;
        let times = &shared.counters[self.index].request_times;
        for Timing { since, family } in self.answered.drain(..) {
            times[family as usize].add_alone(now.since(since).0);
        }
    }

    fn flush(&mut self, shared: &Arc<Shared>, now: Now) {
        self.count_times(shared);
        self.links.flush(now.mono);
        let mut dirty = std::mem::take(&mut self.dirty);
        for place in dirty.drain(..) {
            let place = place as usize;
            let Some(Some(connection)) = self.connections.get_mut(place) else { continue };
            connection.is_dirty = false;
            connection.flush();
            if connection.drain.is_some() {
                connection.end_writing();
            }
            if connection.is_cut_off || connection.backlog() > self.limits.backlog_bytes_max {
                let counters = &shared.counters[self.index];
                bump(&counters.clients_cut_off, 1);
                tracing::warn!("client {} does not read: cut off", connection.session.info.addr);
                connection.is_broken = true;
            }
            if connection.is_over() {
                self.remove_client(shared, place);
                continue;
            }
            if connection.is_stalled && connection.may_parse(&self.limits) {
                mark(&mut self.waiting, &mut connection.is_waiting, place);
            }
        }
        // Events that were noted while links were written come in the next turn.
        self.dirty = dirty;
        let words = self.trace.take();
        if !words.is_empty() && shared.is_listened_to() {
            shared.events.push(words);
        }
        if !shared.is_listened_to() && self.trace.on() {
            self.trace.set_on(false);
        }
    }

    fn is_over(&mut self, shared: &Arc<Shared>) -> bool {
        match shared.stage() {
            Stage::Running => false,
            Stage::Now => true,
            Stage::Stopping => {
                let now = shared.clock.now().mono;
                let stop_by = *self.stop_by.get_or_insert(now + STOP_TIME);
                if let Some(mut listeners) = self.listeners.take() {
                    let _ = self.poll.registry().deregister(&mut listeners.clients);
                    let _ = self.poll.registry().deregister(&mut listeners.peers);
                }
                let mut open = self.connections.iter().flatten();
                let is_quiet =
                    open.all(|connection| connection.in_flight() == 0 && connection.backlog() == 0);
                let has_tasks = self.tasks.iter().any(|slot| slot.running.is_some());
                (is_quiet && !has_tasks) || now >= stop_by
            }
        }
    }

    fn say_goodbye(&mut self, shared: &Arc<Shared>) {
        let now = shared.clock.now();
        self.drive_shards(shared, now);
        self.flush(shared, now);
        for connection in self.connections.iter_mut().flatten() {
            connection.flush();
        }
    }
}

#[inline]
fn mark(list: &mut Vec<u32>, flag: &mut bool, place: usize) {
    if !*flag {
        *flag = true;
        list.push(place as u32);
    }
}
