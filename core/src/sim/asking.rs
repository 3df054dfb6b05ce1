//! What clients and guests ask, and what becomes of it: the border where promises are made.

use super::checkers::bounds;
use super::client::{PATIENCE, outcome_of};
use super::history::{Asked, OpNumber, Outcome};
use super::host::Arrival;
use super::script::{GuestNumber, NodeIndex};
use super::verdict::{Checker, Violation};
use super::world::{Event, World};
use crate::base::trace::{Kind, push_string, split};
use crate::base::{Micros, checksum};
use crate::data::{Reply, Request, RequestId};
use crate::node::Input;
use alloc::format;
use alloc::vec::Vec;

/// How much later than its deadline an answer may come.
const ANSWER_SLACK: Micros = Micros::from_millis(250);
/// How long a request is on its way to its node.
const WAY_TO_NODE: Micros = Micros(50);

/// Who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    /// One of the clients that the seed draws.
    Client(u16),
    /// Somebody from outside.
    Guest(GuestNumber),
}

/// An operation that a node was asked for.
#[derive(Debug, Clone)]
pub(super) struct Asking {
    asker: Asker,
    key: u16,
    node: NodeIndex,
    life: u32,
}

impl World {
    pub(super) fn set_load(&mut self, ops: u32) {
        let was_idle = self.load == 0;
        self.load = ops;
        if was_idle && ops > 0 {
            for client in 0..self.clients.len() {
                self.rest(client as u16);
            }
        }
    }
    /// A client waits a while before its next operation.
    fn rest(&mut self, client: u16) {
        if self.load == 0 {
            return;
        }
        let mean = 1_000_000 * self.clients.len() as u64 / u64::from(self.load);
        let pause = self.clients[usize::from(client)].random().below(2 * mean.max(1));
        self.queue.add(self.now + Micros(pause), Event::ClientBegins(client));
    }
    pub(super) fn begin(&mut self, index: u16) {
        if self.load == 0 || self.clients[usize::from(index)].busy.is_some() {
            return;
        }
        let alive: Vec<NodeIndex> =
            self.hosts.iter().filter(|host| host.node.is_some()).map(|host| host.index).collect();
        let client = &mut self.clients[usize::from(index)];
        let Some(node) = client.random().pick(&alive).copied() else { return self.rest(index) };
        // After healing half of the keys are left as faults have made them.
        let stride = if self.healed_at.is_some() { 2 } else { 1 };
        let plan = client.plan(self.now, &self.options, self.habits, stride);
        let (key, asked) = (plan.key, plan.asked.clone());
        let number = self.history.begin(key, node, self.now, |_| asked);
        self.clients[usize::from(index)].busy = Some(number);
        let (asker, verb) = (Asker::Client(index), verb(&plan.asked));
        let request = plan.request(number, self.now);
        self.ask(asker, number, node, (verb, key), request);
    }
    /// A request goes to a node that runs.
    pub(super) fn ask(
        &mut self,
        asker: Asker,
        number: OpNumber,
        node: NodeIndex,
        (verb, key): (u32, u16),
        request: Request,
    ) {
        let name = self.history.key_name(key);
        let word = push_string(&mut self.words, u32::from(node.0), self.now, &name);
        self.emit(node, Kind::OpStarted, &[number.0, 0, verb, u32::from(key), word]);
        let id = RequestId(u64::from(number.0));
        let life = self.hosts[usize::from(node.0)].life;
        self.asked.insert(id, Asking { asker, key, node, life });
        let what = Arrival::Input(Input::Request { id, request });
        self.queue.add(self.now + WAY_TO_NODE, Event::Arrives { at: node, life, what });
        let patience = self.now + PATIENCE + ANSWER_SLACK;
        self.queue.add(patience, Event::ClientGivesUp { asker, op: number });
    }
    pub(super) fn on_reply(&mut self, id: RequestId, reply: Reply) {
        let Some(asking) = self.asked.remove(&id) else {
            let text = format!("request {} was answered twice, or late beyond all patience", id.0);
            self.violations.push(Violation { checker: Checker::C12, at: self.now, text });
            return;
        };
        let number = OpNumber(id.0 as u32);
        let outcome = outcome_of(&reply);
        self.history.end(number, self.now, outcome);
        let mut value_hash = 0;
        if let Reply::Read(read) = &reply {
            let view = self.hosts[usize::from(asking.node.0)].node.as_ref().and_then(|node| node.view());
            let lineage = view.map_or(0, |view| view.topology.lineage);
            match asking.asker {
                Asker::Client(client) => {
                    let seen =
                        self.clients[usize::from(client)].remember(lineage, asking.key, read, &self.history);
                    self.reads.extend(seen.values.iter().map(|writer| (asking.key, *writer, self.now)));
                }
                Asker::Guest(guest) => self.remember_guest(guest, lineage, asking.key, read),
            }
            if let Some(cell) = &read.cell {
                value_hash = checksum(&cell.to_bytes());
                let count = cell.identity_count();
                let members = self.hosts.len();
                self.violations.extend(bounds::siblings(asking.key, count, members, self.now));
            }
        }
        let [low, high] = split(value_hash);
        let code = match outcome {
            Outcome::Done { .. } => 0,
            Outcome::NotDone => 1,
            Outcome::Unknown => 2,
        };
        self.emit(asking.node, Kind::OpEnded, &[number.0, 0, code, low, high]);
        // A guest may ask for more than can be had.
        if let (Asker::Client(_), Some(record)) = (asking.asker, self.history.get(number)) {
            self.violations.extend(bounds::success(number, record, &reply, self.healed_at, self.now));
        }
        self.finish(asking.asker, number, Some(reply));
    }
    pub(super) fn give_up(&mut self, asker: Asker, number: OpNumber) {
        if !self.waits(asker, number) {
            return;
        }
        let id = RequestId(u64::from(number.0));
        if let Some(asking) = self.asked.get(&id) {
            let host = &self.hosts[usize::from(asking.node.0)];
            let began = self.history.get(number).map_or(self.now, |record| record.started);
            let is_steady = host.life == asking.life && !host.is_paused && host.unsteady_at < began;
            if is_steady {
                self.violations.push(bounds::silence(number, asking.node, self.now));
            }
            if host.life != asking.life {
                self.asked.remove(&id);
            }
        }
        self.history.end(number, self.now, Outcome::Unknown);
        self.finish(asker, number, None);
    }
    /// Whether somebody still waits for the end of an operation.
    fn waits(&self, asker: Asker, number: OpNumber) -> bool {
        match asker {
            Asker::Client(client) => self.clients[usize::from(client)].busy == Some(number),
            Asker::Guest(guest) => self.guest_waits(guest),
        }
    }
    fn finish(&mut self, asker: Asker, number: OpNumber, reply: Option<Reply>) {
        match asker {
            Asker::Client(client) if self.waits(asker, number) => {
                self.clients[usize::from(client)].busy = None;
                self.rest(client);
            }
            Asker::Client(_) => {}
            Asker::Guest(guest) => self.end_guest(guest, reply),
        }
    }
}

pub(super) fn verb(asked: &Asked) -> u32 {
    match asked {
        Asked::Read => 0,
        Asked::Put { .. } => 1,
        Asked::Delete { .. } => 2,
        Asked::Expire { .. } => 3,
    }
}
