//! A small world of control planes alone: a network that loses, doubles and delays, disks that forget what was not
//! confirmed, and shards that report whatever the topology waits for.

use crate::base::trace::records;
use crate::base::{BTreeMap, BTreeSet};
use crate::base::{Epoch, Kept, MemberId, Micros, Now, PartitionId, Random, Reader, Sabotage};
use crate::control::{Birth, Config, Control, Destination, Input, Notice, Output, Start};
use crate::message::{ControlMessage, Word};
use crate::ring::{Durability, Liveness, Report, View};
use crate::sim::{ControlChecker, Violation};
use crate::version::Resolve;
use alloc::collections::VecDeque;
use alloc::{format, string::String, string::ToString, sync::Arc, vec::Vec};
use bytes::Bytes;

pub(super) const MS: u64 = 1_000;

/// In thousandths of the messages.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rates {
    pub loss: u64,
    pub dup: u64,
    pub late: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Kill,
    Power,
    Wipe,
}

#[derive(Clone)]
enum Event {
    Wake { node: usize, life: u64 },
    Message { from: usize, to: usize, member: Option<MemberId>, bytes: Bytes },
    Persisted { node: usize, life: u64 },
    Report { node: usize, life: u64, report: Report },
    Link { node: usize, other: usize, up: bool },
}

#[derive(Clone)]
struct Node {
    control: Option<Control>,
    life: u64,
    store: u64,
    start: Start,
    kept: Kept,
    /// Handed out by control, not yet durable.
    pending: VecDeque<(u64, u8, Bytes)>,
    paused: Option<Vec<Input>>,
    /// Its client address changes with it.
    moves: u32,
    /// Its disk refuses writes.
    is_full: bool,
    view: Option<Arc<View>>,
    wake_at: Option<Micros>,
}

#[derive(Clone)]
pub(super) struct World {
    pub now: Micros,
    pub random: Random,
    pub rates: Rates,
    pub cuts: BTreeSet<(usize, usize)>,
    pub q: u16,
    pub n: u8,
    /// How long a shard takes to report, at most.
    pub transfer: Micros,
    pub disk: Micros,
    pub sabotage: Sabotage,
    pub notices: Vec<(Micros, usize, Notice)>,
    pub violations: Vec<Violation>,
    pub sent: u64,
    pub sent_bytes: u64,
    /// The greatest epoch in force anywhere.
    pub epoch: Epoch,
    /// Crash a node right after one of its outputs, with this chance in ten thousand.
    pub crash_at_output: u64,
    /// The same, after what matters to the register: an acceptance sent, a topology in force.
    pub crash_at_decision: u64,
    pub crashed: Vec<usize>,
    checker: ControlChecker,
    nodes: Vec<Node>,
    events: BTreeMap<(Micros, u64), Event>,
    sequence: u64,
}

impl World {
    pub fn new(seed: u64) -> World {
        World {
            now: Micros(1_000_000),
            random: Random::named(seed, "control world"),
            rates: Rates::default(),
            cuts: BTreeSet::new(),
            q: 64,
            n: 3,
            transfer: Micros(20 * MS),
            disk: Micros(2 * MS),
            sabotage: Sabotage::NONE,
            notices: Vec::new(),
            violations: Vec::new(),
            sent: 0,
            sent_bytes: 0,
            epoch: Epoch(0),
            crash_at_output: 0,
            crash_at_decision: 0,
            crashed: Vec::new(),
            checker: ControlChecker::default(),
            nodes: Vec::new(),
            events: BTreeMap::new(),
            sequence: 0,
        }
    }
    /// A node that is not started yet; the first one bootstraps, the others join by `seed`.
    pub fn add(&mut self, seed: usize) -> usize {
        let index = self.nodes.len();
        let start = if index == 0 {
            Start::Bootstrap(Birth {
                lineage: 77,
                partitions: self.q,
                n: self.n,
                r: 1,
                w: 1,
                resolve: Resolve::Lww,
                durability: Durability::Always,
            })
        } else {
            Start::Join { seed: address(seed) }
        };
        let store = self.random.next_u64();
        self.nodes.push(Node {
            control: None,
            life: 0,
            store,
            start,
            kept: Kept::default(),
            pending: VecDeque::new(),
            paused: None,
            moves: 0,
            is_full: false,
            view: None,
            wake_at: None,
        });
        index
    }
    /// A node, not started yet, with a copy of what another one has kept.
    pub fn copy(&mut self, index: usize) -> usize {
        let copy = self.add(0);
        let Node { store, start, kept, .. } = self.nodes[index].clone();
        self.nodes[copy] = Node { store, start, kept, ..self.nodes[copy].clone() };
        copy
    }
    /// Adds and starts `count` nodes at once.
    pub fn start_all(&mut self, count: usize) {
        for _ in 0..count {
            let index = self.add(0);
            self.start(index);
        }
    }
    /// As `start_all`, and runs until all are in and nothing moves any more.
    pub fn formed(seed: u64, count: usize) -> World {
        let mut world = World::new(seed);
        world.start_all(count);
        world.run(3_000);
        world.expect_settled();
        world
    }
    pub fn start(&mut self, index: usize) {
        self.start_named(index, &format!("n{index}"));
    }
    /// Starts a node under the name of another.
    pub fn start_named(&mut self, index: usize, name: &str) {
        let now = self.clock();
        let node = &mut self.nodes[index];
        if node.control.is_some() {
            return;
        }
        node.life += 1;
        let config = self.config(index, name);
        let node = &mut self.nodes[index];
        let control = Control::new(now, config, node.kept.clone());
        assert!(control.check().is_ok());
        node.control = Some(control);
        self.drain(index);
        for other in 0..self.nodes.len() {
            let at = self.now + Micros(self.random.between(MS, 50 * MS));
            self.push(at, Event::Link { node: other, other: index, up: true });
        }
    }
    fn config(&self, index: usize, name: &str) -> Config {
        let node = &self.nodes[index];
        Config {
            name: name.to_string(),
            store: node.store,
            listen: format!("{}/listen{}", address(index), node.moves),
            admin: format!("{}/admin", address(index)),
            peer: address(index),
            start: node.start.clone(),
            entropy: node.store ^ node.life,
            sabotage: self.sabotage,
            trace: true,
        }
    }
    /// What a node has kept.
    pub fn kept(&self, index: usize) -> Kept {
        self.nodes[index].kept.clone()
    }
    /// A node as it would start with these slots.
    pub fn revived(&self, index: usize, kept: Kept) -> Control {
        Control::new(self.clock(), self.config(index, &format!("n{index}")), kept)
    }
    pub fn stop(&mut self, index: usize, how: Stop) {
        let node = &mut self.nodes[index];
        if node.control.take().is_none() && how != Stop::Wipe {
            return;
        }
        node.paused = None;
        node.view = None;
        node.wake_at = None;
        let survive = match how {
            Stop::Kill => node.pending.len(),
            Stop::Power => self.random.below(node.pending.len() as u64 + 1) as usize,
            Stop::Wipe => 0,
        };
        for (_, slot, bytes) in node.pending.drain(..).take(survive) {
            node.kept[usize::from(slot)] = Some(bytes);
        }
        node.pending.clear();
        if how == Stop::Wipe {
            node.kept = Kept::default();
            node.store = self.random.next_u64();
            // A seed must be a member: two that wait for each other wait for ever.
            let is_member = |node: &usize| *node != index && self.nodes[*node].kept[0].is_some();
            let seed = (0..self.nodes.len()).find(is_member).unwrap_or_default();
            self.nodes[index].start = Start::Join { seed: address(seed) };
        }
        for other in 0..self.nodes.len() {
            let at = self.now + Micros(self.random.between(100, 2 * MS));
            self.push(at, Event::Link { node: other, other: index, up: false });
        }
    }
    pub fn pause(&mut self, index: usize) {
        self.nodes[index].paused.get_or_insert_default();
    }
    pub fn resume(&mut self, index: usize) {
        for input in self.nodes[index].paused.take().unwrap_or_default() {
            self.feed(index, input);
        }
        self.feed(index, Input::Wake);
    }
    /// The next life of a node is reached elsewhere by clients.
    pub fn relocate(&mut self, index: usize) {
        self.nodes[index].moves += 1;
    }
    pub fn set_full(&mut self, index: usize, is_full: bool) {
        self.nodes[index].is_full = is_full;
    }
    /// Members that every running node knows of.
    pub fn members_everywhere(&self) -> usize {
        let known = |node: &Node| node.view.as_ref().map_or(0, |view| view.topology.members.len());
        self.nodes.iter().filter(|node| node.control.is_some()).map(known).min().unwrap_or(0)
    }
    pub fn cut(&mut self, from: usize, to: usize) {
        self.cuts.insert((from, to));
    }
    /// Ends every fault.
    pub fn heal(&mut self) {
        self.cuts.clear();
        self.rates = Rates::default();
        self.crash_at_output = 0;
        self.crash_at_decision = 0;
        for index in 0..self.nodes.len() {
            self.nodes[index].is_full = false;
            if self.nodes[index].life > 0 {
                self.start(index);
                self.resume(index);
            }
        }
    }
    pub fn run(&mut self, millis: u64) {
        let end = self.now + Micros::from_millis(millis);
        self.run_until(end, |_| false);
    }
    /// Runs until `done`, at most so long; returns after how many milliseconds.
    pub fn run_while(&mut self, millis_max: u64, mut going_on: impl FnMut(&World) -> bool) -> u64 {
        let begin = self.now;
        let end = self.now + Micros::from_millis(millis_max);
        self.run_until(end, |world| !going_on(world));
        self.now.since(begin).as_millis()
    }
    fn run_until(&mut self, end: Micros, mut done: impl FnMut(&World) -> bool) {
        let mut look_at = self.now;
        while let Some(((at, _), _)) = self.events.first_key_value() {
            if *at > end {
                break;
            }
            if look_at <= self.now {
                if done(self) {
                    return;
                }
                look_at = self.now + Micros(10 * MS);
            }
            let Some(((at, _), event)) = self.events.pop_first() else { break };
            self.now = self.now.max(at);
            self.on_event(event);
        }
        self.now = end;
    }
    fn on_event(&mut self, event: Event) {
        match event {
            Event::Wake { node, life } => {
                if self.nodes[node].life == life {
                    self.nodes[node].wake_at.take_if(|at| *at <= self.now);
                    self.feed(node, Input::Wake);
                }
            }
            Event::Message { from, to, member, bytes } => {
                if self.cuts.contains(&(from, to)) {
                    return;
                }
                let message = ControlMessage::decode(&mut Reader::new(&bytes)).expect("own bytes decode");
                self.feed(to, Input::Message { from: member, message });
            }
            Event::Persisted { node: index, life } => {
                let node = &mut self.nodes[index];
                if node.life != life || node.control.is_none() {
                    return;
                }
                if let Some((ticket, slot, bytes)) = node.pending.pop_front() {
                    node.kept[usize::from(slot)] = Some(bytes);
                    self.feed(index, Input::Persisted(ticket));
                }
            }
            Event::Report { node: index, life, report } => {
                let node = &self.nodes[index];
                if node.life == life && node.view.as_ref().is_some_and(|view| is_awaited(view, report)) {
                    self.feed(index, Input::Report(report));
                    let at = self.now + Micros(500 * MS);
                    self.push(at, Event::Report { node: index, life, report });
                }
            }
            Event::Link { node, other, up } => {
                let is_up = self.nodes[other].control.is_some();
                let Some(view) = self.nodes[node].view.clone() else { return };
                let member = view.topology.members.iter().find(|member| member.peer == address(other));
                if let Some(member) = member.filter(|member| is_up == up && member.id != view.me) {
                    self.feed(node, Input::Link { member: member.id, up });
                }
            }
        }
    }
    fn clock(&self) -> Now {
        Now { mono: self.now, wall: self.now }
    }
    fn feed(&mut self, index: usize, input: Input) {
        let now = self.clock();
        let node = &mut self.nodes[index];
        if let Some(waiting) = &mut node.paused {
            waiting.push(input);
            return;
        }
        let Some(control) = &mut node.control else { return };
        control.handle(now, input);
        if self.sequence.is_multiple_of(64) {
            let broken = control.check().err();
            assert!(broken.is_none(), "n{index} at {} ms: {broken:?}", self.now.as_millis());
        }
        self.drain(index);
    }
    fn drain(&mut self, index: usize) {
        self.take_trace(index);
        while let Some(output) = self.nodes[index].control.as_mut().and_then(Control::poll) {
            let chance = if is_decisive(&output) { self.crash_at_decision } else { 0 };
            self.perform(index, output);
            let chance = chance.max(self.crash_at_output);
            if chance > 0 && self.random.chance(chance, 10_000) {
                self.stop(index, Stop::Power);
                self.crashed.push(index);
                return;
            }
        }
        let node = &self.nodes[index];
        let due = node.control.as_ref().and_then(Control::wake_at);
        assert!(due.is_none_or(|due| due > self.now), "n{index} wants to be woken in the past");
        if let Some(due) = due.filter(|due| node.wake_at.is_none_or(|at| *due < at)) {
            let late = Micros(self.random.below(2 * MS));
            let at = due.max(self.now) + late;
            let life = self.nodes[index].life;
            self.nodes[index].wake_at = Some(at);
            self.push(at, Event::Wake { node: index, life });
            if self.random.chance(1, 20) {
                self.push(self.now, Event::Wake { node: index, life }); // For nothing.
            }
        }
    }
    fn take_trace(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let Some(control) = &mut node.control else { return };
        let words = control.take_trace();
        let members = control.view().map_or(1, |view| view.topology.members.len() as u32);
        for record in records(&words) {
            self.checker.feed(&record, members);
        }
        self.violations.extend(self.checker.take());
    }
    fn perform(&mut self, index: usize, output: Output) {
        let life = self.nodes[index].life;
        match output {
            Output::View(view) => {
                self.epoch = self.epoch.max(view.topology.epoch);
                for report in awaited(&view) {
                    let at = self.now + Micros(self.random.below(self.transfer.0 + 1));
                    self.push(at, Event::Report { node: index, life, report });
                }
                self.nodes[index].view = Some(view);
            }
            Output::Send { to, message } => self.send(index, to, &message),
            Output::Persist { ticket, slot, bytes } => {
                if self.nodes[index].is_full {
                    return;
                }
                self.nodes[index].pending.push_back((ticket, slot, bytes));
                let at = self.now + Micros(self.random.between(self.disk.0 / 4, self.disk.0));
                self.push(at, Event::Persisted { node: index, life });
            }
            Output::Notice(notice) => self.notices.push((self.now, index, notice)),
        }
    }
    fn send(&mut self, from: usize, to: Destination, message: &ControlMessage) {
        let view = self.nodes[from].view.clone();
        let address = match to {
            Destination::Address(address) => Some(address),
            Destination::Member(id) => {
                view.as_ref().and_then(|view| view.topology.member(id).map(|member| member.peer.clone()))
            }
        };
        let address = address.expect("a control plane speaks to members and addresses it knows");
        let Some(to) = address.strip_prefix("node").and_then(|index| index.parse().ok()) else { return };
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        self.sent += 1;
        self.sent_bytes += bytes.len() as u64;
        if self.cuts.contains(&(from, to)) || self.random.chance(self.rates.loss, 1000) {
            return;
        }
        let member = view.map(|view| view.me);
        let bytes = Bytes::from(bytes);
        for _ in 0..1 + u8::from(self.random.chance(self.rates.dup, 1000)) {
            let mut delay = self.random.between(100, 900);
            if self.random.chance(self.rates.late, 1000) {
                delay += self.random.below(1_000 * MS);
            }
            let at = self.now + Micros(delay);
            self.push(at, Event::Message { from, to, member, bytes: bytes.clone() });
        }
    }
    fn push(&mut self, at: Micros, event: Event) {
        self.sequence += 1;
        self.events.insert((at, self.sequence), event);
    }

    // --- looking ---

    pub fn control(&self, index: usize) -> &Control {
        self.nodes[index].control.as_ref().expect("the node runs")
    }
    pub fn view(&self, index: usize) -> Option<&Arc<View>> {
        self.nodes[index].view.as_ref()
    }
    pub fn is_running(&self, index: usize) -> bool {
        self.nodes[index].control.is_some()
    }
    /// Why a node was refused, if it was.
    pub fn refusal(&self, index: usize) -> Option<String> {
        self.notices.iter().find_map(|(_, node, notice)| match notice {
            Notice::Refused(reason) if *node == index => Some(reason.clone()),
            _ => None,
        })
    }
    /// The member number of a node, as it says itself.
    pub fn member(&self, index: usize) -> MemberId {
        self.view(index).expect("it is a member").me
    }
    /// What the node at `index` thinks of that at `other`.
    pub fn opinion(&self, index: usize, other: usize) -> Liveness {
        let view = self.view(index).expect("it is a member");
        let found = view.topology.members.iter().find(|member| member.peer == address(other));
        view.liveness_of(found.expect("it is known").id)
    }
    /// What each node thinks, for a failing test to show.
    pub fn picture(&self) -> String {
        let mut text = String::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let picture = node.control.as_ref().map(|control| {
                let s = control.snapshot();
                format!(
                    "{:?} {} voters {:?} moving {} releasing {} joining {:?} refused {:?} start {:?} full {}",
                    s.me,
                    s.epoch,
                    s.voters,
                    s.moving_count,
                    s.releasing_count,
                    s.joining,
                    s.refused,
                    node.start,
                    node.is_full
                )
            });
            text += &format!("n{index}: {picture:?}\n");
        }
        for (at, node, notice) in self.notices.iter().rev().take(60).rev() {
            text += &format!("{} n{node} {notice:?}\n", at.as_millis());
        }
        text
    }
    /// Why the running nodes are not one quiet cluster of all of them; `None` if they are.
    pub fn unsettled(&self) -> Option<String> {
        let running: Vec<usize> = (0..self.nodes.len()).filter(|index| self.is_running(*index)).collect();
        for index in &running {
            let Some(view) = self.view(*index) else { return Some(format!("n{index} is no member")) };
            let topology = &view.topology;
            if topology.epoch != self.epoch {
                return Some(format!("n{index} is at {}, others at {}", topology.epoch, self.epoch));
            }
            let knows = |node: usize| topology.members.iter().any(|member| member.peer == address(node));
            if let Some(stranger) = running.iter().find(|node| !knows(**node)) {
                return Some(format!("n{index} does not know n{stranger}"));
            }
            if let Some(member) = topology.members.iter().find(|member| member.refilling) {
                return Some(format!("{} is refilling", member.name));
            }
            let joint = topology.partitions.iter().filter(|state| !state.next.is_empty()).count();
            let releasing = topology.partitions.iter().filter(|state| !state.releasing.is_empty()).count();
            if joint + releasing > 0 {
                return Some(format!("{joint} partitions move, {releasing} are not released"));
            }
            let width = usize::from(self.n).min(topology.members.len());
            if topology.partitions.iter().any(|state| state.owners.len() != width) {
                return Some(format!("not every partition has {width} owners"));
            }
            for other in &running {
                if self.opinion(*index, *other) == Liveness::Down {
                    return Some(format!("n{index} takes n{other} for Down"));
                }
            }
            if !view.unreachable.is_empty() && running.len() == topology.members.len() {
                return Some(format!("n{index} cannot reach {:?}", view.unreachable));
            }
        }
        None
    }
    pub fn expect_settled(&self) {
        self.expect_no_violation();
        if let Some(why) = self.unsettled() {
            panic!("at {} ms: {why}", self.now.as_millis());
        }
    }
    pub fn expect_no_violation(&self) {
        assert!(self.violations.is_empty(), "{}", self.violations[0]);
    }
}

fn is_decisive(output: &Output) -> bool {
    match output {
        Output::Notice(Notice::Adopted(_)) => true,
        Output::Send { message: ControlMessage::Said { word, .. }, .. } => {
            matches!(word, Word::Promise { .. } | Word::Accept { .. } | Word::Accepted { .. })
        }
        _ => false,
    }
}

pub(super) fn address(index: usize) -> String {
    format!("node{index}")
}

/// What a node's shards would report under this view.
fn awaited(view: &View) -> Vec<Report> {
    let partitions = (0..view.topology.partition_count()).map(PartitionId);
    let all = partitions.flat_map(|partition| {
        let epoch = view.partition(partition).map_or(Epoch(0), |state| state.since);
        [
            Report::Transferred { partition, epoch },
            Report::Refilled { partition, epoch },
            Report::HandedOver { partition, epoch },
        ]
    });
    all.filter(|report| is_awaited(view, *report)).collect()
}

fn is_awaited(view: &View, report: Report) -> bool {
    let me = view.me;
    let (Report::Transferred { partition, epoch }
    | Report::Refilled { partition, epoch }
    | Report::HandedOver { partition, epoch }) = report;
    let Some(state) = view.partition(partition).filter(|state| state.since == epoch) else { return false };
    match report {
        Report::Transferred { .. } => {
            state.next.contains(&me) && !state.owners.contains(&me) && !state.ready.contains(&me)
        }
        Report::Refilled { .. } => {
            view.topology.member(me).is_some_and(|member| member.refilling) && view.owns(partition)
        }
        Report::HandedOver { .. } => state.releasing.contains(&me),
    }
}
