use super::asking::{Asker, Asking};
use super::checkers::bounds;
use super::checkers::{ControlChecker, HeldChecker, Needed, QuorumChecker};
use super::client::{Client, Habits};
use super::guest::Guest;
use super::history::{History, OpNumber};
use super::host::{Arrival, DiskCall, Host, WALL_AT_START_MS, failure};
use super::network::{Fate, Network};
use super::queue::Queue;
use super::script::{Action, DiskMood, NodeIndex, Script};
use super::swarm::Options;
use super::verdict::{Checker, Violation};
use crate::base::BTreeMap;
use crate::base::trace::{Kind, TraceHash, push_record, records, split};
use crate::base::{Bug, Epoch, MemberId, Micros, PartitionId, checksum};
use crate::control::{self, Birth, Destination, Start};
use crate::data::{Audit, RequestId};
use crate::lsm;
use crate::message::PeerMessage;
use crate::node::{Input, Output};
use crate::storage::MemoryDisk;
use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, string::ToString};

/// Most wakes at one time.
const WAKES_MAX: u32 = 10_000;
/// How soon a node is started again that found no space to start with.
const START_AGAIN_AFTER: Micros = Micros::from_millis(300);
/// Words of events that are gathered before they are folded into the hash.
const FOLD_WORDS: usize = 1 << 14;

/// What happens at a time.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// Something reaches a host, if it still lives the life that it was meant for.
    Arrives { at: NodeIndex, life: u32, what: Arrival },
    /// A node wants to be woken.
    Wake { node: NodeIndex, life: u32 },
    /// A node that found no space to start with is started again.
    StartsAgain(NodeIndex),
    /// A client begins its next operation.
    ClientBegins(u16),
    /// A client gives up waiting.
    ClientGivesUp { asker: Asker, op: OpNumber },
}

impl Event {
    /// What it is, for whoever wonders why there are so many.
    fn name(&self) -> String {
        match self {
            Event::Arrives { what: Arrival::Message { message, .. }, .. } => {
                let [kind, ..] = message.traced();
                format!("messages of kind {kind}")
            }
            Event::Arrives { what: Arrival::Disk(_), .. } => String::from("disk calls"),
            Event::Arrives { .. } => String::from("arrivals"),
            Event::Wake { .. } => String::from("wakes"),
            _ => String::from("clients"),
        }
    }
}

/// A whole cluster in one thread: hosts, a network, clients, a script of faults, and checkers that watch.
#[derive(Debug, Clone)]
pub struct World {
    pub(super) options: Options,
    pub(super) script: Script,
    pub(super) next_line: usize,
    pub(super) now: Micros,
    pub(super) queue: Queue<Event>,
    pub(super) network: Network,
    pub(super) hosts: Vec<Host>,
    pub(super) clients: Vec<Client>,
    pub(super) habits: Habits,
    /// Operations a second, all clients together.
    pub(super) load: u32,
    pub(super) asked: BTreeMap<RequestId, Asking>,
    /// What guests asked and were told, in order.
    pub(super) guests: Vec<Guest>,
    /// R and W of the keyspace, or what a guest was content with if that was less: events do not say what a single
    /// request waits for, so all are judged by the least.
    pub(super) needed_least: (u8, u8),
    pub(super) history: History,
    /// Every value ever read: key, who wrote it, when read.
    pub(super) reads: Vec<(u16, OpNumber, Micros)>,
    next_message: u64,
    pub(super) control_checker: ControlChecker,
    held_checker: HeldChecker,
    pub(super) quorum_checker: QuorumChecker,
    /// By host: the epoch under which it was last looked at.
    seen_epochs: Vec<Epoch>,
    pub(super) violations: Vec<Violation>,
    pub(super) power_cut_at: Option<Micros>,
    /// When faults ended, if they have.
    pub(super) healed_at: Option<Micros>,
    /// When the judgement waits for the cluster to settle: until when.
    pub(super) settle_until: Option<Micros>,
    pub(super) is_judged: bool,
    /// Hosts whose disk was damaged since their last start.
    rotten: Vec<NodeIndex>,
    pub(super) words: Vec<u32>,
    /// How many of them were taken already.
    words_taken: usize,
    hash: TraceHash,
    kept_trace: Vec<u32>,
    pub(super) events: u64,
    /// Wakes at one and the same time: a machine that is never content stops the clock.
    wakes: u32,
    woken_at: Micros,
}

impl World {
    /// A world that has not begun.
    pub fn new(options: Options, script: Script) -> World {
        let hosts =
            (0..options.node_count()).map(|index| Host::new(NodeIndex(index), options.shards, options.seed));
        let hosts_count = usize::from(options.node_count());
        let clients = (0..options.clients).map(|index| Client::new(options.seed, index));
        let habits = Habits::drawn(&options);
        let (keys, needed_least) = (options.keys, (options.r, options.w));
        let is_stubborn = options.sabotage.is(Bug::SiblingBoundIgnored);
        World {
            network: Network::new(options.seed),
            hosts: hosts.collect(),
            clients: clients.collect(),
            habits: match () {
                () if is_stubborn => habits.stubborn(),
                () if options.sabotage.is(Bug::TombstoneDroppedEarly) => habits.deleting(),
                () => habits,
            },
            options,
            script,
            next_line: 0,
            now: Micros(0),
            queue: Queue::new(),
            load: 0,
            asked: BTreeMap::new(),
            guests: Vec::new(),
            needed_least,
            history: History::new(keys),
            reads: Vec::new(),
            next_message: 0,
            control_checker: ControlChecker::default(),
            held_checker: HeldChecker::default(),
            quorum_checker: QuorumChecker::default(),
            seen_epochs: alloc::vec![Epoch(0); hosts_count],
            violations: Vec::new(),
            power_cut_at: None,
            healed_at: None,
            settle_until: None,
            is_judged: false,
            rotten: Vec::new(),
            words: Vec::new(),
            words_taken: 0,
            hash: TraceHash::default(),
            kept_trace: Vec::new(),
            events: 0,
            wakes: 0,
            woken_at: Micros(0),
        }
    }
    /// The virtual time.
    pub fn now(&self) -> Micros {
        self.now
    }
    /// Promises broken so far.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }
    /// Events that have happened.
    pub fn event_count(&self) -> u64 {
        self.events
    }
    /// What clients did and were told.
    pub fn history(&self) -> &History {
        &self.history
    }
    /// The hash over all events so far.
    pub fn trace_hash(&self) -> u128 {
        let mut hash = self.hash;
        if !self.words.is_empty() {
            hash.fold(&self.words);
        }
        hash.value()
    }
    /// Takes the events since the last call, if the options keep them. Folds nothing: the hash goes by where it is folded,
    /// and must not depend on who looks.
    pub fn take_trace(&mut self) -> Vec<u32> {
        let mut taken = core::mem::take(&mut self.kept_trace);
        if self.options.keep_trace {
            taken.extend_from_slice(&self.words[self.words_taken..]);
            self.words_taken = self.words.len();
        }
        taken
    }
    /// Whether the script is done.
    pub fn is_script_done(&self) -> bool {
        self.next_line >= self.script.lines.len()
    }
    /// The node of a host that runs.
    pub fn node(&self, index: NodeIndex) -> Option<&crate::node::Node> {
        self.hosts.get(usize::from(index.0))?.node.as_ref()
    }
    /// Does the next thing, unless it lies beyond `until`; `false` if so.
    pub fn step(&mut self, until: Micros) -> bool {
        let line = self.script.lines.get(self.next_line).map(|line| line.at);
        let event_at = self.queue.next_at();
        match (line, event_at) {
            (Some(line_at), at) if at.is_none_or(|at| line_at <= at) => {
                if line_at > until {
                    return false;
                }
                self.now = self.now.max(line_at);
                let action = self.script.lines[self.next_line].action.clone();
                self.next_line += 1;
                self.act(action);
            }
            (_, Some(at)) if at <= until => {
                let Some((at, event)) = self.queue.take() else { return false };
                self.now = self.now.max(at);
                self.on_event(event);
            }
            _ => return false,
        }
        self.events += 1;
        self.heed();
        if self.options.events_max == Some(self.events) {
            let waiting = self.queue.busiest(|event| event.name());
            let text = format!("{} events, and no end: {waiting}", self.events);
            self.violations.push(Violation { checker: Checker::C10, at: self.now, text });
        }
        true
    }
    /// Leaves only what the options judge by.
    pub(super) fn heed(&mut self) {
        if let Some(checker) = self.options.judged_by {
            self.violations.retain(|violation| violation.checker == checker);
        }
    }
    /// Goes on to a time.
    pub fn run_until(&mut self, until: Micros) {
        while self.violations.is_empty() && self.step(until) {}
        self.now = self.now.max(until);
    }

    // --- what the script does ---

    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::Start(node) => self.start(node),
            Action::Kill(node) => self.crash(node, false),
            Action::Power(node) => self.crash(node, true),
            Action::Wipe(node) => {
                self.crash(node, true);
                self.wipe(node);
            }
            Action::Rot(node) => {
                self.crash(node, true);
                if self.host(node).is_some_and(Host::rot) {
                    // The end of its log may be gone, and with it the latest epoch.
                    self.forget_epochs(node);
                    self.rotten.push(node);
                }
            }
            Action::Pause(node) => self.pause(node, true),
            Action::Resume(node) => self.pause(node, false),
            Action::Cut(from, to) => {
                self.network.cut(from, to);
                self.emit(from, Kind::Link, &[u32::from(from.0), u32::from(to.0), 0]);
            }
            Action::Join(from, to) => {
                self.network.join(from, to);
                self.emit(from, Kind::Link, &[u32::from(from.0), u32::from(to.0), 1]);
            }
            Action::Clock(node, offset_ms) => {
                if let Some(host) = self.host(node) {
                    host.offset_ms = offset_ms;
                }
            }
            Action::Disk(node, mood) => {
                if let Some(host) = self.host(node) {
                    host.set_mood(mood);
                }
            }
            Action::Network(rates) => self.network.set_rates(rates),
            Action::Slow(node, ms) => {
                self.network.set_slow(node, Micros::from_millis(u64::from(ms)));
                self.emit(node, Kind::Slowed, &[ms]);
            }
            Action::Lose(node, permille) => {
                self.network.set_lossy(node, permille);
                self.emit(node, Kind::Lossy, &[u32::from(permille)]);
            }
            Action::Load(ops) => self.set_load(ops),
            Action::Ask(node, ask) => self.begin_guest(node, ask),
            Action::PowerAll => {
                self.power_cut_at = Some(self.now);
                for index in 0..self.hosts.len() {
                    self.crash(NodeIndex(index as u8), true);
                }
            }
            Action::Heal => self.heal(),
        }
    }
    fn heal(&mut self) {
        self.healed_at = Some(self.now);
        self.network.heal();
        for index in 0..self.hosts.len() {
            let node = NodeIndex(index as u8);
            let host = &mut self.hosts[index];
            host.set_mood(DiskMood::Ok);
            if host.is_paused {
                self.pause(node, false);
            } else if self.hosts[index].node.is_none() {
                self.start(node);
            }
        }
    }
    pub(super) fn host(&mut self, node: NodeIndex) -> Option<&mut Host> {
        self.hosts.get_mut(usize::from(node.0))
    }
    fn address(node: NodeIndex, port: u16) -> String {
        format!("n{}:{port}", node.0)
    }
    fn start(&mut self, node: NodeIndex) {
        let options = self.options.clone();
        let is_rotten = self.rotten.contains(&node);
        self.rotten.retain(|rotten| *rotten != node);
        let Some(host) = self.hosts.get(usize::from(node.0)) else { return };
        if host.node.is_some() {
            return;
        }
        let has_lived = host.life > 0;
        if has_lived && !self.audit_restart(node, is_rotten) {
            return;
        }
        let seed = self.seed_for(node);
        let Some(host) = self.host(node) else { return };
        let is_first = node == NodeIndex(0) && host.life == 0;
        let start = if is_first {
            Start::Bootstrap(Birth {
                lineage: checksum(&options.seed.to_le_bytes()) | 1,
                partitions: options.partitions,
                n: options.n,
                r: options.r,
                w: options.w,
                resolve: options.resolve,
                durability: options.durability,
            })
        } else {
            Start::Join { seed: World::address(seed, 7381) }
        };
        let config = control::Config {
            name: node.to_string(),
            store: host.store,
            listen: World::address(node, 7379),
            admin: World::address(node, 7380),
            peer: World::address(node, 7381),
            start,
            entropy: host.entropy(),
            sabotage: options.sabotage,
            trace: true,
        };
        let engine = self.engine_options();
        let now = self.now;
        let Some(host) = self.host(node) else { return };
        match host.start(now, config, &engine, options.sabotage) {
            Ok(()) => {
                self.emit(node, Kind::Restarted, &[]);
                self.tell_links(node, true);
                self.drive(node);
            }
            Err(error) => self.on_damaged(node, is_rotten, &error),
        }
    }
    /// Whom a joiner asks: a member that runs, if there is one. Two that ask each other would wait for ever.
    fn seed_for(&self, node: NodeIndex) -> NodeIndex {
        let is_member =
            |host: &&Host| host.index != node && host.node.as_ref().is_some_and(|node| node.view().is_some());
        let other = NodeIndex(u8::from(node == NodeIndex(0)));
        let members: Vec<NodeIndex> = self.hosts.iter().filter(is_member).map(|host| host.index).collect();
        // Not always the same one: proposals of several members meet.
        members.get(usize::from(node.0) % members.len().max(1)).copied().unwrap_or(other)
    }
    /// What lies on the disk is held against what the node has acknowledged. `false` if it cannot be read.
    fn audit_restart(&mut self, node: NodeIndex, is_rotten: bool) -> bool {
        match self.audit(node) {
            Ok(audit) => {
                if is_rotten {
                    self.judge_damaged(node, &audit);
                }
                let (resolve, now) = (self.options.resolve, self.now);
                let found = self.held_checker.on_restart(node, &audit, resolve, is_rotten, now);
                self.violations.extend(found);
                true
            }
            Err(error) => {
                self.on_damaged(node, is_rotten, &error);
                false
            }
        }
    }
    /// The engine refuses its disk. After rot that is right, and the operator begins anew with an empty one.
    fn on_damaged(&mut self, node: NodeIndex, is_rotten: bool, error: &lsm::Error) {
        if *error == lsm::Error::NoSpace {
            if is_rotten {
                self.rotten.push(node);
            }
            return self.queue.add(self.now + START_AGAIN_AFTER, Event::StartsAgain(node));
        }
        if is_rotten {
            self.wipe(node);
            return self.start(node);
        }
        let text = format!("{node} does not start on its own disk: {error}");
        self.violations.push(Violation { checker: Checker::C7, at: self.now, text });
    }
    pub(super) fn engine_options(&self) -> lsm::Options {
        lsm::Options {
            memtable_bytes: self.options.memtable_bytes,
            table_bytes: self.options.memtable_bytes,
            block_bytes: 1 << 10,
            row_bytes: u64::from(self.options.row_bytes),
            hash_seed: self.options.seed,
            sabotage: self.options.sabotage,
            ..lsm::Options::default()
        }
    }
    /// All that lies on a host's disks, read from copies.
    pub(super) fn audit(&self, node: NodeIndex) -> Result<Audit, lsm::Error> {
        self.hosts.get(usize::from(node.0)).map_or(Ok(Audit::default()), |host| self.audit_disks(&host.disks))
    }
    pub(super) fn audit_disks(&self, disks: &[MemoryDisk]) -> Result<Audit, lsm::Error> {
        let mut whole = Audit::default();
        for disk in disks {
            let audit = Audit::read(&mut disk.clone(), self.engine_options())?;
            whole.cells.extend(audit.cells);
            whole.hints.extend(audit.hints);
            whole.roots.extend(audit.roots);
        }
        Ok(whole)
    }
    fn crash(&mut self, node: NodeIndex, is_power_cut: bool) {
        let Some(host) = self.host(node) else { return };
        if host.node.is_none() {
            return;
        }
        let was_paused = host.is_paused;
        host.crash(is_power_cut);
        self.emit(node, Kind::Crashed, &[u32::from(is_power_cut)]);
        if !is_power_cut && !was_paused {
            self.tell_links(node, false);
        }
    }
    /// The trace names nodes by their numbers in the cluster, which any member can tell.
    fn forget_epochs(&mut self, node: NodeIndex) {
        let number = (0..self.hosts.len()).find_map(|at| self.member(NodeIndex(at as u8), node));
        self.control_checker.forget(node, number);
    }
    fn wipe(&mut self, node: NodeIndex) {
        if let Some(host) = self.host(node) {
            host.wipe();
        }
        self.forget_epochs(node);
        self.held_checker.on_wiped(node);
        self.emit(node, Kind::Crashed, &[3]);
    }
    fn pause(&mut self, node: NodeIndex, is_paused: bool) {
        let now = self.now;
        let Some(host) = self.host(node) else { return };
        if host.node.is_none() || host.is_paused == is_paused {
            return;
        }
        host.is_paused = is_paused;
        host.unsteady_at = now;
        if is_paused {
            return self.emit(node, Kind::Crashed, &[2]);
        }
        let arrivals = core::mem::take(&mut host.inbox);
        host.wake = None;
        for arrival in arrivals {
            self.arrive(node, arrival);
        }
        self.wake(node);
    }
    /// The others notice that a host's connections work, or broke.
    fn tell_links(&mut self, about: NodeIndex, up: bool) {
        for index in 0..self.hosts.len() {
            let other = NodeIndex(index as u8);
            if other == about || self.network.is_cut(about, other) || self.network.is_cut(other, about) {
                continue;
            }
            let at = self.now + self.network.notice();
            let life = self.hosts[index].life;
            let what = Arrival::Link { about, up };
            self.queue.add(at, Event::Arrives { at: other, life, what });
        }
    }

    // --- what happens ---

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Arrives { at, life, what } => {
                let Some(host) = self.host(at) else { return };
                if host.life != life || host.node.is_none() {
                    if let Arrival::Message { from, id, .. } = what {
                        self.emit(at, Kind::Lost, &lost(id, from, at, 2));
                    }
                } else if host.is_paused {
                    host.inbox.push(what);
                } else {
                    self.arrive(at, what);
                }
            }
            Event::Wake { node, life } => {
                let now = self.now;
                let Some(host) = self.host(node) else { return };
                if host.life == life && !host.is_paused && host.wake == Some(now) {
                    host.wake = None;
                    self.wake(node);
                }
            }
            Event::StartsAgain(node) => self.start(node),
            Event::ClientBegins(client) => self.begin(client),
            Event::ClientGivesUp { asker, op } => self.give_up(asker, op),
        }
    }
    fn wake(&mut self, node: NodeIndex) {
        self.wakes = if self.woken_at == self.now { self.wakes + 1 } else { 0 };
        self.woken_at = self.now;
        if self.wakes > WAKES_MAX {
            let machines = self.node(node).map(|node| node.due(self.now)).unwrap_or_default();
            let text = format!("{node} wants to be woken again and again: {machines}");
            self.violations.push(Violation { checker: Checker::C12, at: self.now, text });
            return;
        }
        self.handle(node, Input::Wake);
        self.drive(node);
    }
    fn arrive(&mut self, at: NodeIndex, what: Arrival) {
        match what {
            Arrival::Input(input) => self.handle(at, input),
            Arrival::Disk(call) => {
                if let Some(input) = self.host(at).and_then(|host| host.perform(call)) {
                    self.handle(at, input);
                }
            }
            Arrival::Link { about, up } => {
                if let Some(member) = self.member(at, about) {
                    self.handle(at, Input::Link { member, up });
                }
            }
            Arrival::Message { from, from_store, id, message, .. } => {
                self.emit(at, Kind::Received, &received(id, from, at, &message));
                // As the handshake does it: the sender is who it says only with the store that the topology names.
                let name = &self.hosts[usize::from(from.0)].name;
                let node = self.hosts[usize::from(at.0)].node.as_ref();
                let members =
                    node.and_then(|node| node.view()).map_or(&[][..], |view| &view.topology.members);
                let known = members.iter().find(|member| member.store == from_store && member.name == *name);
                let known = known.map(|member| member.id);
                self.handle(at, Input::Message { from: known, message });
            }
        }
        self.drive(at);
    }
    /// The number under which host `at` knows host `about`.
    fn member(&self, at: NodeIndex, about: NodeIndex) -> Option<MemberId> {
        let view = self.hosts.get(usize::from(at.0))?.node.as_ref()?.view()?;
        view.topology.member_named(&self.hosts[usize::from(about.0)].name).map(|member| member.id)
    }
    fn handle(&mut self, at: NodeIndex, input: Input) {
        if let Input::Work(_, _, done) = &input
            && let Some(error) = failure(done)
            && self.rotten.is_empty()
            && self.options.sabotage == crate::base::Sabotage::NONE
        {
            let text = format!("{at} cannot read its own disk: {error}");
            self.violations.push(Violation { checker: Checker::Invariant, at: self.now, text });
        }
        let now = self.now;
        let Some(host) = self.host(at) else { return };
        let clocks = host.now(now);
        if let Some(node) = &mut host.node {
            node.handle(clocks, input);
        }
    }
    /// Performs what a node wants until it wants nothing more.
    fn drive(&mut self, at: NodeIndex) {
        while let Some(output) =
            self.host(at).and_then(|host| host.node.as_mut()).and_then(|node| node.poll())
        {
            match output {
                Output::Reply { id, reply } => self.on_reply(id, reply),
                Output::Send { to, message } => self.send(at, to, message),
                Output::Log { shard, write, is_synced: false } => {
                    // In the turn itself, as natively.
                    if let Some(input) = self.host(at).map(|host| host.run(DiskCall::Log(shard, write))) {
                        self.handle(at, input);
                    }
                }
                Output::Log { shard, write, .. } => self.call(at, DiskCall::Log(shard, write)),
                Output::LogSync { shard, sync } => self.call(at, DiskCall::Sync(shard, sync)),
                Output::Work { shard, id, work } => self.call(at, DiskCall::Work(shard, id, work)),
                Output::Notice(_) => {}
            }
        }
        self.collect(at);
        self.check_node(at);
        self.schedule(at);
    }
    fn call(&mut self, at: NodeIndex, call: DiskCall) {
        let now = self.now;
        let Some(host) = self.host(at) else { return };
        let (number, takes) = host.call(call);
        let life = host.life;
        self.queue.add(now + takes, Event::Arrives { at, life, what: Arrival::Disk(number) });
    }
    fn schedule(&mut self, node: NodeIndex) {
        let now = self.now;
        let Some(host) = self.host(node) else { return };
        let Some(wanted) = host.node.as_ref().and_then(|node| node.wake_at()) else { return };
        let at = wanted.max(now);
        if host.wake.is_none_or(|known| known > at) {
            host.wake = Some(at);
            let life = host.life;
            self.queue.add(at, Event::Wake { node, life });
        }
    }
    fn send(&mut self, from: NodeIndex, to: Destination, message: PeerMessage) {
        let Some(to) = self.resolve(from, &to).filter(|to| usize::from(to.0) < self.hosts.len()) else {
            return;
        };
        self.next_message += 1;
        let id = self.next_message;
        self.held_checker.on_sent(from, to, &message);
        self.violations.extend(self.control_checker.on_sent(from, &message, self.now));
        self.emit(from, Kind::Sent, &received(id, from, to, &message));
        match self.network.send(self.now, from, to) {
            Fate::Cut => self.emit(from, Kind::Lost, &lost(id, from, to, 1)),
            Fate::Lost => self.emit(from, Kind::Lost, &lost(id, from, to, 0)),
            Fate::Arrives(times) => {
                let from_store = self.hosts[usize::from(from.0)].store;
                let life = self.hosts[usize::from(to.0)].life;
                for time in times {
                    let sent = self.now;
                    let what = Arrival::Message { from, from_store, id, sent, message: message.clone() };
                    self.queue.add(time, Event::Arrives { at: to, life, what });
                }
            }
        }
    }
    fn resolve(&self, from: NodeIndex, to: &Destination) -> Option<NodeIndex> {
        let address = match to {
            Destination::Address(address) => address,
            Destination::Member(member) => {
                let view = self.hosts.get(usize::from(from.0))?.node.as_ref()?.view()?;
                &view.topology.member(*member)?.peer
            }
        };
        let name = address.split(':').next()?;
        name.strip_prefix('n')?.parse().ok().map(NodeIndex)
    }

    // --- what is watched ---

    pub(super) fn emit(&mut self, node: NodeIndex, kind: Kind, payload: &[u32]) {
        push_record(&mut self.words, kind, u32::from(node.0), self.now, payload);
    }
    /// Takes a node's events into the hash and shows them to the checkers.
    fn collect(&mut self, at: NodeIndex) {
        let start = self.words.len();
        let Some(node) = self.hosts.get_mut(usize::from(at.0)).and_then(|host| host.node.as_mut()) else {
            return;
        };
        node.take_trace(&mut self.words);
        let members = node.view().map_or(0, |view| view.topology.members.len() as u32);
        let (r, w) = self.needed_least;
        let epoch = node.view().map_or(Epoch(0), |view| view.topology.epoch);
        let seen = core::mem::replace(&mut self.seen_epochs[usize::from(at.0)], epoch);
        let needed = |partition| {
            // What ended in the very turn that brought a new topology was judged under the old one.
            if seen != epoch {
                return None;
            }
            let state = node.view()?.partition(partition)?;
            let numbers = |ids: &[MemberId]| ids.iter().map(|id| u32::from(id.0)).collect();
            Some(Needed { r, w, owners: numbers(&state.owners), next: numbers(&state.next) })
        };
        for record in records(&self.words[start..]) {
            self.control_checker.feed(&record, members);
            self.violations.extend(self.quorum_checker.feed(&record, needed));
            if record.kind == Kind::PartitionDropped
                && let Some(partition) = record.payload.first()
            {
                self.held_checker.on_dropped(at, PartitionId(*partition as u16));
            }
        }
        self.violations.extend(self.control_checker.take());
        if self.words.len() >= FOLD_WORDS {
            self.fold();
        }
    }
    fn fold(&mut self) {
        self.hash.fold(&self.words);
        if self.options.keep_trace {
            self.kept_trace.extend_from_slice(&self.words[self.words_taken..]);
        }
        self.words_taken = 0;
        self.words.clear();
    }
    fn check_node(&mut self, at: NodeIndex) {
        let Some(node) = self.hosts.get(usize::from(at.0)).and_then(|host| host.node.as_ref()) else {
            return;
        };
        // Structures are checked now and then, bounds always.
        if self.events.is_multiple_of(256)
            && let Err(broken) = node.check()
        {
            let text = format!("{at}: not so: {broken}");
            self.violations.push(Violation { checker: Checker::Invariant, at: self.now, text });
        }
        let beyond = node.shards().iter().find_map(|shard| bounds::load(at, shard.load(), self.now));
        self.violations.extend(beyond);
    }
    /// Ends the gathering of events, so that all of them can be taken.
    pub fn seal(&mut self) {
        self.fold();
    }
    /// The true Unix time, in milliseconds.
    pub fn true_ms(&self) -> u64 {
        WALL_AT_START_MS + self.now.as_millis()
    }
}

fn received(id: u64, from: NodeIndex, to: NodeIndex, message: &PeerMessage) -> [u32; 8] {
    let [low, high] = split(id);
    let [kind, bytes, op_low, op_high] = message.traced();
    [low, high, u32::from(from.0), u32::from(to.0), kind, bytes, op_low, op_high]
}

fn lost(id: u64, from: NodeIndex, to: NodeIndex, reason: u32) -> [u32; 5] {
    let [low, high] = split(id);
    [low, high, u32::from(from.0), u32::from(to.0), reason]
}
