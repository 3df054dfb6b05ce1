use super::cell::{ShardMail, ShardSeat};
use super::connection::{Connection, Held, Limits, Pending};
use super::control_seat::{ControlSeat, Wanted};
use super::ids::{CONNECTION_COUNT_MAX, TASK_COUNT_MAX, Waiter, pack, thread_of, waiter_of};
use super::mailbox::Mail;

use super::shared::{REFUSAL_CODES, Shared, Stage, ThreadCounters, bump};
use super::tasks::{Running, TaskSlot};
use crate::command::{
    ClientInfo, Moment, NodeFacts, NodeLoad, NodeSettings, Plan, Session, Task, Verb, plan,
};
use crate::peer::{Greeting, Inbound, Links};
use crate::resp::{Limits as RespLimits, Step};
use kvorum_core::base::trace::{Kind, Trace, split};
use kvorum_core::base::{KeyspaceId, Micros, Now, PartitionId, ShardIndex, hash_key};
use kvorum_core::control::{Destination, Input as ControlInput};
use kvorum_core::data::{Input, Op, Output, Refusal, Reply, Request, RequestId, Work, WorkDone};
use kvorum_core::message::PeerMessage;
use kvorum_core::ring::{View, partition_of_key};
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a client's request may take before it is answered as not done or in doubt.
const REQUEST_TIME: Micros = Micros::from_secs(5);
/// How long in-flight requests may take to end when the node stops.
const STOP_TIME: Micros = Micros::from_secs(2);
/// Bytes taken from a socket at once.
const SCRATCH_BYTES: usize = 64 << 10;
/// Longest sleep, so that a mistake in a timer costs little.
const SLEEP_MAX: Micros = Micros::from_secs(1);
/// How often a shard's counters are published.
const PUBLISH_EVERY: Micros = Micros::from_millis(100);

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
    scratch: Vec<u8>,
    message_count: u64,
    trace: Trace,
    stop_by: Option<Micros>,
    links_due: Micros,
}

/// What commands ask about the node, on a data thread.
struct Facts<'a> {
    shared: &'a Shared,
    view: Option<&'a Arc<View>>,
}

impl NodeFacts for Facts<'_> {
    fn settings(&self) -> &NodeSettings {
        &self.shared.settings
    }
    fn view(&self) -> Option<&Arc<View>> {
        self.view
    }
    fn load(&self) -> NodeLoad {
        let mut load = NodeLoad {
            connections: self.shared.connection_count.load(Ordering::Relaxed) as u64,
            connections_total: self.shared.connection_total.load(Ordering::Relaxed),
            ..NodeLoad::default()
        };
        for counters in &self.shared.counters {
            load.commands += counters.commands.iter().map(|count| count.load(Ordering::Relaxed)).sum::<u64>();
        }
        for counters in self.shared.shard_counters() {
            load.keys += counters.keys;
            load.gets += counters.gets;
            load.puts += counters.puts;
        }
        load
    }
    fn clients(&self) -> Vec<Arc<ClientInfo>> {
        self.shared.clients()
    }
    fn kill(&self, client: &ClientInfo) {
        self.shared.mailboxes[client.thread].send(Mail::Kill(client.id));
    }
    fn reset_stats(&self) {
        for counters in &self.shared.counters {
            counters.commands.iter().for_each(|count| count.store(0, Ordering::Relaxed));
            counters.unknown.store(0, Ordering::Relaxed);
        }
    }
}

/// Whether a command must see the writes that its connection sent before it.
fn reads_key(op: &Op) -> bool {
    matches!(op, Op::Get { .. } | Op::Expire { .. } | Op::Delete { .. } | Op::Explain { .. })
}
fn writes_key(op: &Op) -> bool {
    matches!(op, Op::Put { .. } | Op::Delete { .. } | Op::Expire { .. })
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
            scratch: vec![0; SCRATCH_BYTES],
            message_count: 0,
            trace: Trace::default(),
            stop_by: None,
            links_due: Micros(0),
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

    // --- the world comes in ---

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

    fn accept_clients(&mut self, shared: &Arc<Shared>) {
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

    fn add_client(&mut self, shared: &Arc<Shared>, mut stream: mio::net::TcpStream, address: SocketAddr) {
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

    fn remove_client(&mut self, shared: &Arc<Shared>, place: usize) {
        let Some(connection) = self.connections.get_mut(place).and_then(Option::take) else { return };
        self.sequences[place] = connection.next_sequence();
        self.free_connections.push(place);
        shared.connection_count.fetch_sub(1, Ordering::Relaxed);
        let counters = self.counters(shared);
        counters.connections.store(counters.connections.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
        shared.remove_client(connection.session.info.id);
    }

    fn accept_peers(&mut self, shared: &Arc<Shared>) {
        let Some(listeners) = &self.listeners else { return };
        let mut come = Vec::new();
        loop {
            match listeners.peers.accept() {
                Ok((stream, address)) => come.push((stream, address)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => {
                    tracing::warn!("a peer could not be accepted: {error}");
                    break;
                }
            }
        }
        for (stream, address) in come {
            let thread = self.next_thread;
            self.next_thread = (self.next_thread + 1) % shared.mailboxes.len();
            if thread == self.index {
                self.add_inbound(stream, address);
            } else {
                shared.mailboxes[thread].send(Mail::Peer(stream.into(), address));
            }
        }
    }

    fn add_inbound(&mut self, mut stream: mio::net::TcpStream, address: SocketAddr) {
        let _ = stream.set_nodelay(true);
        let place = self.inbounds.iter().position(Option::is_none).unwrap_or(self.inbounds.len());
        let token = Token(place << 2 | KIND_INBOUND);
        if let Err(error) = self.poll.registry().register(&mut stream, token, Interest::READABLE) {
            tracing::warn!("a peer could not be registered: {error}");
            return;
        }
        let inbound = Some(Box::new(Inbound::new(stream, address.to_string())));
        match self.inbounds.get_mut(place) {
            Some(free) => *free = inbound,
            None => self.inbounds.push(inbound),
        }
    }

    fn read_inbound(&mut self, shared: &Arc<Shared>, now: Now, place: usize) {
        let Some(mut inbound) = self.inbounds.get_mut(place).and_then(Option::take) else { return };
        let mut scratch = std::mem::take(&mut self.scratch);
        let view = self.view.clone();
        let shard_count = shared.shards.len() as u8;
        let mut count = 0;
        let is_traced = shared.is_listened_to();
        let result =
            inbound.read(self.links.me(), (view.as_deref(), self.view_version), &mut scratch, |received| {
                count += 1;
                if is_traced {
                    let from = received.from.map_or(u32::MAX, |member| u32::from(member.0));
                    let to = view.as_ref().map_or(u32::MAX, |view| u32::from(view.me.0));
                    let kind = message_kind(&received.message);
                    let [low, high] = split(received.id);
                    self.trace.emit(now.mono, Kind::Received, &[low, high, from, to, kind]);
                }
                match received.message {
                    PeerMessage::Control(message) => {
                        self.control_inputs.push(ControlInput::Message { from: received.from, message });
                    }
                    PeerMessage::Data { partition, message } => {
                        // A stranger has no say about data.
                        let Some(from) = received.from else { return };
                        let shard = usize::from(ShardIndex::of(partition, shard_count).0);
                        let input = Input::Message { from, partition, message };
                        self.pending[shard].mail.push(ShardMail::Input(input));
                    }
                }
            });
        bump(&self.counters(shared).peer_received, count);
        self.scratch = scratch;
        match result {
            Ok(()) => {
                if inbound.is_readable {
                    self.more_inbounds.push(place as u32);
                }
                self.inbounds[place] = Some(inbound);
            }
            Err(why) => {
                if !why.is_empty() {
                    tracing::warn!("peer {} ({}) refused: {why}", inbound.address, inbound.name());
                }
            }
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

    fn wake_links(&mut self, shared: &Arc<Shared>, now: Now) {
        for address in self.links.wake(now.mono, self.poll.registry()) {
            resolve(shared, self.index, address);
        }
        self.links_due = self.links.wake_at().unwrap_or(Micros(u64::MAX));
    }

    // --- commands ---

    /// Parses and starts what a client has sent, reads more, until nothing is left or it must wait.
    fn serve(&mut self, shared: &Arc<Shared>, now: Now, place: usize) {
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
        let has_more = connection.is_readable || connection.input_at < connection.input.len();
        connection.is_stalled = has_more && !connection.may_parse(&self.limits);
        // A budget used up, with more to come: in the next turn, behind everybody else.
        if connection.is_readable && !connection.is_stalled {
            mark(&mut self.waiting, &mut connection.is_waiting, place);
        }
        // Also when nothing was said: the event may have been that the socket takes bytes again.
        mark(&mut self.dirty, &mut connection.is_dirty, place);
        self.scratch = scratch;
        self.connections[place] = Some(connection);
    }

    /// Parses whole commands from the start of `bytes`; returns how many bytes are done with.
    fn parse(
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
                    return bytes.len();
                }
            }
        }
        at
    }

    fn command(
        &mut self,
        shared: &Arc<Shared>,
        now: Now,
        place: usize,
        connection: &mut Connection,
        args: crate::resp::Args<'_>,
    ) {
        let facts = Facts { shared, view: self.view.as_ref() };
        let now_ms = now.wall.as_millis();
        let (verb, what) = connection.plan(|session, out| plan(args, session, &facts, now_ms, out));
        self.count(shared, verb);
        match what {
            Plan::Answered => {}
            Plan::AnsweredAndClose => connection.is_closing = true,
            Plan::Ask { op, answer } => {
                let must_wait = connection.has_writes()
                    && reads_key(&op)
                    && op.key().is_some_and(|key| connection.is_written(hash_key(key) as u32));
                if must_wait {
                    connection.held = Some(Held::Ask(op, answer));
                } else {
                    self.ask(shared, now, place, connection, op, answer);
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

    fn count(&self, shared: &Arc<Shared>, verb: Option<Verb>) {
        let counters = self.counters(shared);
        match verb {
            Some(verb) => bump(&counters.commands[verb as usize], 1),
            None => bump(&counters.unknown, 1),
        }
    }

    fn ask(
        &mut self,
        shared: &Arc<Shared>,
        now: Now,
        place: usize,
        connection: &mut Connection,
        op: Op,
        answer: crate::command::Answer,
    ) {
        if writes_key(&op) {
            connection.add_write(op.key().map(|key| hash_key(key) as u32));
        }
        let protocol = connection.session.protocol;
        let is_silent = connection.is_silent_now();
        let sequence = connection.push(Pending::Asked { answer, protocol, is_silent });
        let waiter = Waiter::Client { connection: place as u32, sequence };
        self.request(shared, now, pack(self.index, waiter), op);
    }

    #[inline]
    fn request(&mut self, shared: &Arc<Shared>, now: Now, id: RequestId, op: Op) {
        let shard = self.shard_of(shared, &op);
        let request = Request { keyspace: KeyspaceId(0), deadline: now.mono + REQUEST_TIME, op };
        self.pending[shard].requests.push((id, request));
    }

    #[inline]
    fn shard_of(&self, shared: &Arc<Shared>, op: &Op) -> usize {
        let shard_count = shared.shards.len();
        if shard_count == 1 {
            return 0;
        }
        let partition = match (op, op.key(), &self.view) {
            (_, Some(key), Some(view)) => partition_of_key(key, view.topology.partition_count()),
            (Op::Scan { partition, .. } | Op::Count { partition }, ..) => *partition,
            _ => PartitionId(0),
        };
        usize::from(ShardIndex::of(partition, shard_count as u8).0)
    }

    // --- tasks ---

    fn run_task(
        &mut self,
        shared: &Arc<Shared>,
        now: Now,
        place: usize,
        connection: &mut Connection,
        task: Box<Task>,
    ) {
        connection.add_write(None);
        let protocol = connection.session.protocol;
        let is_silent = connection.is_silent_now();
        let sequence = connection.push(Pending::Task { protocol, is_silent });
        connection.has_task = true;
        self.start_task(shared, now, Running::Command { task, connection: place as u32, sequence });
    }

    fn start_task(&mut self, shared: &Arc<Shared>, now: Now, running: Running) {
        let place = self.free_tasks.pop().unwrap_or_else(|| {
            self.tasks.push(TaskSlot::default());
            (self.tasks.len() - 1) as u32
        });
        assert!(
            (place as usize) < TASK_COUNT_MAX,
            "a connection runs one task, and there are fewer of those"
        );
        let slot = &mut self.tasks[place as usize];
        slot.life = slot.life.wrapping_add(1) & 0x3fff;
        slot.running = Some(running);
        self.pull_task(shared, now, place);
    }

    /// Asks what a task wants asked; ends it when it is finished.
    fn pull_task(&mut self, shared: &Arc<Shared>, now: Now, place: u32) {
        let slot = &mut self.tasks[place as usize];
        let life = slot.life;
        let Some(mut running) = slot.running.take() else { return };
        while let Some((number, op)) = running.pull() {
            let waiter = Waiter::Task { task: place, life, number };
            self.request(shared, now, pack(self.index, waiter), op);
        }
        if !running.is_finished() {
            self.tasks[place as usize].running = Some(running);
            return;
        }
        self.free_tasks.push(place);
        match running {
            Running::Command { task, connection: place, sequence } => {
                // When it ends at once, its connection is still in the hands of who started it.
                self.finished.push((place, sequence, task));
            }
            Running::Calls { replies, done, .. } => done(replies),
        }
    }

    fn on_task_reply(
        &mut self,
        shared: &Arc<Shared>,
        now: Now,
        place: u32,
        life: u16,
        number: u32,
        reply: Reply,
    ) {
        let moment = self.moment(now);
        let Some(slot) = self.tasks.get_mut(place as usize).filter(|slot| slot.life == life) else { return };
        let Some(running) = &mut slot.running else { return };
        running.on_reply(number, reply, moment);
        self.pull_task(shared, now, place);
    }

    fn moment(&self, now: Now) -> Moment {
        let lineage = self.view.as_ref().map_or(0, |view| view.topology.lineage);
        Moment { now_ms: now.wall.as_millis(), lineage }
    }

    // --- replies ---

    #[inline]
    fn on_reply(&mut self, shared: &Arc<Shared>, now: Now, id: RequestId, reply: Reply) {
        if let Reply::Refused(refusal) = &reply {
            self.count_refusal(shared, refusal);
        }
        match waiter_of(id) {
            Waiter::Client { connection: place, sequence } => {
                let moment = self.moment(now);
                let Some(Some(connection)) = self.connections.get_mut(place as usize) else { return };
                connection.answer(sequence, |answer, out| {
                    if let Some(answer) = answer {
                        answer.encode(&reply, moment, out);
                    }
                });
                after_answer(connection, place as usize, &self.limits, &mut self.dirty, &mut self.waiting);
            }
            Waiter::Task { task, life, number } => {
                self.on_task_reply(shared, now, task, life, number, reply);
            }
        }
    }

    fn count_refusal(&self, shared: &Arc<Shared>, refusal: &Refusal) {
        let code = refusal.code();
        let index = REFUSAL_CODES.iter().position(|known| *known == code).unwrap_or(REFUSAL_CODES.len() - 1);
        bump(&self.counters(shared).refusals[index], 1);
    }

    /// Goes on with clients and peers that had to wait.
    fn go_on(&mut self, shared: &Arc<Shared>, now: Now) {
        for (place, sequence, task) in std::mem::take(&mut self.finished) {
            let Some(Some(connection)) = self.connections.get_mut(place as usize) else { continue };
            if connection.answer(sequence, |_, out| task.encode(out)) {
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
                    Some(Held::Ask(op, answer)) => self.ask(shared, now, place, &mut connection, op, answer),
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

    // --- machines ---

    fn drive_control(&mut self, shared: &Arc<Shared>, now: Now) {
        for event in self.links.take_events() {
            if self.control.is_some() || !event.is_up {
                self.control_inputs.push(ControlInput::Link { member: event.member, up: event.is_up });
            }
        }
        let Some(mut control) = self.control.take() else {
            for input in self.control_inputs.drain(..) {
                shared.tell_control(input);
            }
            return;
        };
        self.control_inputs.drain(..).for_each(|input| control.push(input));
        if control.is_due(now) {
            control.drive(now, shared, |wanted| match wanted {
                Wanted::View(view) => {
                    shared.set_view(view.clone());
                    for pending in &mut self.pending {
                        pending.mail.push(ShardMail::Input(Input::View(view.clone())));
                    }
                    self.refresh_view(shared, now);
                }
                Wanted::Send(to, message) => self.send_control(shared, now, &to, message),
                Wanted::Persist(input) => self.pending[0].mail.push(ShardMail::Input(input)),
            });
        }
        self.control = Some(control);
    }

    fn send_control(
        &mut self,
        shared: &Arc<Shared>,
        now: Now,
        to: &Destination,
        message: kvorum_core::message::ControlMessage,
    ) {
        let message = PeerMessage::Control(message);
        let id = self.next_message_id();
        let is_queued = match to {
            Destination::Member(member) => self.links.send(now.mono, *member, id, &message),
            Destination::Address(address) => {
                self.links_due = Micros(0);
                self.links.send_to_address(now.mono, address, id, &message)
            }
        };
        let member = match to {
            Destination::Member(member) => u32::from(member.0),
            Destination::Address(_) => u32::MAX,
        };
        self.note_sent(shared, now, id, member, &message, is_queued);
    }

    /// Unique in the cluster: member, thread, count.
    fn next_message_id(&mut self) -> u64 {
        self.message_count += 1;
        let me = self.view.as_ref().map_or(u64::from(u16::MAX), |view| u64::from(view.me.0));
        me << 48 | (self.index as u64) << 41 | self.message_count & ((1 << 41) - 1)
    }

    fn note_sent(
        &mut self,
        shared: &Arc<Shared>,
        now: Now,
        id: u64,
        to: u32,
        message: &PeerMessage,
        is_queued: bool,
    ) {
        let counters = self.counters(shared);
        bump(if is_queued { &counters.peer_sent } else { &counters.peer_dropped }, 1);
        if shared.is_listened_to() {
            self.trace.set_on(true);
            let me = self.view.as_ref().map_or(u32::MAX, |view| u32::from(view.me.0));
            let [low, high] = split(id);
            let kind = message_kind(message);
            let bytes = match message {
                PeerMessage::Data { message, .. } => message.weight() as u32,
                PeerMessage::Control(_) => 0,
            };
            if is_queued {
                self.trace.emit(now.mono, Kind::Sent, &[low, high, me, to, kind, bytes]);
            } else {
                self.trace.emit(now.mono, Kind::Lost, &[low, high, me, to, 3]);
            }
        }
    }

    /// Drives every shard that there is something for. False when there is more to do at once.
    fn drive_shards(&mut self, shared: &Arc<Shared>, now: Now) -> bool {
        for shard in 0..shared.shards.len() {
            let cell = &shared.shards[shard];
            let is_mine = cell.owner == self.index;
            let is_due = is_mine && (cell.has_mail() || cell.wake_at() <= now.mono);
            if self.pending[shard].is_empty() && !is_due {
                continue;
            }
            loop {
                let mut seat = match cell.try_sit() {
                    Some(seat) => seat,
                    None => {
                        let left = &mut self.pending[shard];
                        if left.is_empty() {
                            break;
                        }
                        let request = |(id, request)| ShardMail::Input(Input::Request { id, request });
                        cell.leave(left.mail.drain(..).chain(left.requests.drain(..).map(request)));
                        // The holder may have looked at its inbox before that.
                        match cell.try_sit() {
                            Some(seat) => seat,
                            None => break,
                        }
                    }
                };
                self.drive(shared, now, shard, &mut seat);
                drop(seat);
                if !cell.has_mail() {
                    break;
                }
            }
        }
        let mut replies = std::mem::take(&mut self.replies);
        let is_done = replies.is_empty();
        for (id, reply) in replies.drain(..) {
            let thread = thread_of(id);
            if thread == self.index {
                self.on_reply(shared, now, id, reply);
            } else if let Some(remote) = self.remote_replies.get_mut(thread) {
                remote.push((id, reply));
            }
        }
        self.replies = replies;
        for (thread, remote) in self.remote_replies.iter_mut().enumerate() {
            if !remote.is_empty() {
                shared.mailboxes[thread].send(Mail::Replies(std::mem::take(remote)));
            }
        }
        is_done
    }

    /// One turn of a shard's machine, by whoever holds its seat.
    fn drive(&mut self, shared: &Arc<Shared>, now: Now, shard: usize, seat: &mut ShardSeat) {
        let cell = &shared.shards[shard];
        let mut mail = std::mem::take(&mut self.spare_mail);
        cell.take(&mut mail);
        for mail in mail.drain(..).chain(self.pending[shard].mail.drain(..)) {
            match mail {
                ShardMail::Input(input) => seat.shard.handle(now, input),
                ShardMail::Snapshot(take) => take(seat.shard.snapshot()),
                ShardMail::Trace(on) => {
                    seat.is_traced = on;
                    seat.shard.set_trace(on);
                }
            }
        }
        self.spare_mail = mail;
        for (id, request) in self.pending[shard].requests.drain(..) {
            seat.shard.handle(now, Input::Request { id, request });
        }
        if seat.shard.wake_at().is_some_and(|at| at <= now.mono) {
            seat.shard.handle(now, Input::Wake);
        }
        while let Some(output) = seat.shard.poll() {
            match output {
                Output::Reply { id, reply } => self.replies.push((id, reply)),
                Output::Send { to, partition, message } => {
                    if self.view.as_ref().is_some_and(|view| view.me == to) {
                        seat.shard.handle(now, Input::Message { from: to, partition, message });
                        continue;
                    }
                    let message = PeerMessage::Data { partition, message };
                    let id = self.next_message_id();
                    let is_queued = self.links.send(now.mono, to, id, &message);
                    self.note_sent(shared, now, id, u32::from(to.0), &message, is_queued);
                }
                Output::Log { write, is_synced: true } => seat.hands.write(write),
                Output::Log { write, is_synced: false } => {
                    let done = write.run(&mut seat.disk);
                    seat.shard.handle(now, Input::Log(done));
                }
                Output::LogSync(sync) => seat.hands.sync(sync),
                Output::Work { id, work: Work::Job(job) } => seat.hands.run(id, job),
                Output::Work { id, work: Work::Read(read) } => {
                    let done = WorkDone::Read(read.run(&seat.disk, &mut seat.cache));
                    seat.shard.handle(now, Input::Work { id, done });
                }
                Output::Work { id, work: Work::Scan(scan) } => {
                    let done = WorkDone::Scan(scan.run(&seat.disk, &mut seat.cache));
                    seat.shard.handle(now, Input::Work { id, done });
                }
                Output::Report(report) => self.control_inputs.push(ControlInput::Report(report)),
                Output::Persisted(ticket) => self.control_inputs.push(ControlInput::Persisted(ticket)),
                Output::SawEpoch { from, epoch } => {
                    self.control_inputs.push(ControlInput::SawEpoch { from, epoch });
                }
            }
        }
        if seat.is_traced {
            let words = seat.shard.take_trace();
            if !words.is_empty() {
                shared.events.push(words);
            }
        }
        if cell.set_wake_at(seat.shard.wake_at()) && cell.owner != self.index {
            shared.mailboxes[cell.owner].notify();
        }
        if seat.published_at + PUBLISH_EVERY <= now.mono {
            seat.published_at = now.mono;
            cell.publish(seat.shard.gauged());
        }
    }

    // --- everything goes out ---

    fn flush(&mut self, shared: &Arc<Shared>, now: Now) {
        self.links.flush(now.mono);
        let mut dirty = std::mem::take(&mut self.dirty);
        for place in dirty.drain(..) {
            let place = place as usize;
            let Some(Some(connection)) = self.connections.get_mut(place) else { continue };
            connection.is_dirty = false;
            connection.flush();
            if connection.backlog() > self.limits.backlog_bytes_max {
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

    // --- the end ---

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

fn message_kind(message: &PeerMessage) -> u32 {
    match message {
        PeerMessage::Control(_) => 0,
        PeerMessage::Data { message, .. } => u32::from(message.kind()),
    }
}

#[inline]
fn mark(list: &mut Vec<u32>, flag: &mut bool, place: usize) {
    if !*flag {
        *flag = true;
        list.push(place as u32);
    }
}

#[inline]
fn after_answer(
    connection: &mut Connection,
    place: usize,
    limits: &Limits,
    dirty: &mut Vec<u32>,
    waiting: &mut Vec<u32>,
) {
    mark(dirty, &mut connection.is_dirty, place);
    let held_may_go = connection.held.is_some() && connection.in_flight() == 0;
    if held_may_go || (connection.is_stalled && connection.may_parse(limits)) {
        mark(waiting, &mut connection.is_waiting, place);
    }
}

/// Looks a host name up on a thread of its own, which reports by mail: a look-up may take seconds, and no data thread may wait for one.
fn resolve(shared: &Arc<Shared>, index: usize, address: String) {
    let shared = Arc::downgrade(shared);
    std::thread::spawn(move || {
        use std::net::ToSocketAddrs;
        let found = address.to_socket_addrs().ok().and_then(|mut found| found.next());
        if found.is_none() {
            tracing::warn!("the address of peer {address} cannot be looked up");
        }
        if let Some(shared) = shared.upgrade() {
            shared.mailboxes[index].send(Mail::Resolved(address, found));
        }
    });
}
