//! The control plane of a node: who is a member, who answers, and which topology is decided.
//!
//! `control` knows no keys. It publishes an immutable [`View`]; shards know the cluster only through the latest one.
//! What it must not forget leaves through [`Output::Persist`] and comes back in [`Kept`].
//!
//! ```text
//!            reports ─▶ reports ─┐                         ┌─▶ View
//!   joins ─▶ admission ──────────┼─▶ evolution ─▶ register ┤
//!   probes ─▶ prober ─▶ ledger ──┘                         └─▶ fetched by all others
//! ```
//!
//! [`Control`] only routes: each part decides about one thing and knows nothing of the others.

mod admission;
mod config;
mod deciding;
mod evolution;
mod fetcher;
mod hearing;
mod io;
mod keeper;
mod ledger;
mod outbox;
mod prober;
mod register;
mod reports;
mod snapshot;

pub use config::{Birth, Config, Start};
pub use io::{Destination, Input, Notice, Output};
pub use ledger::{REPORTERS_NEEDED, Suspected};
pub use snapshot::{MemberSnapshot, Snapshot};

use crate::base::BTreeMap;
use crate::base::trace::Kind;
use crate::base::{Epoch, Kept, MemberId, Micros, Now, Random, Reader, checksum};
use crate::message::{ControlMessage, Header, JoinRequest, NEWS_COUNT_MAX, Word};
use crate::ring::{Keyspace, Liveness, Member, PartitionState, Report, Topology, View};
use admission::Admission;
use alloc::{format, string::String, sync::Arc, vec, vec::Vec};
use bytes::Bytes;
use fetcher::Fetcher;
use keeper::{Keeper, SLOT_ACCEPTOR, SLOT_INCARNATION, SLOT_TOPOLOGY};
use ledger::Ledger;
use outbox::Outbox;
use prober::Prober;
use register::{Acceptor, Proposer};
use reports::Reports;

/// Between two requests to join.
const JOIN_AGAIN: Micros = Micros::from_millis(250);
/// A wake-up that comes so much later than it was wanted means that this node stood still.
const STALL: Micros = Micros::from_millis(250);

/// The control plane of one node.
#[derive(Debug, Clone)]
pub struct Control {
    config: Config,
    out: Outbox,
    keeper: Keeper,
    incarnation: u64,
    /// The topology in force here, once there is one.
    current: Option<Current>,
    /// A newer one on its way to the disk: in force when that is done.
    learned: Option<Learned>,
    ledger: Ledger,
    prober: Prober,
    /// Members whose link is broken, and since when.
    broken: BTreeMap<MemberId, Micros>,
    acceptor: Acceptor,
    proposer: Proposer,
    admission: Admission,
    reports: Reports,
    fetcher: Fetcher,
    random: Random,
    /// When a node that is no member asks again.
    join_at: Option<Micros>,
    /// Since when there is something to decide.
    wish: deciding::Wish,
    view: Option<Arc<View>>,
    /// The latest time seen.
    now: Micros,
    /// When this node wanted to be woken.
    due: Option<Micros>,
    refused: Option<String>,
}

/// A topology in force.
#[derive(Debug, Clone)]
struct Current {
    topology: Arc<Topology>,
    bytes: Bytes,
    hash: u64,
    me: MemberId,
}

/// A topology that becomes durable.
#[derive(Debug, Clone)]
struct Learned {
    topology: Arc<Topology>,
    bytes: Bytes,
    me: MemberId,
    /// Its version in the keeper.
    version: u64,
}

impl Control {
    /// Begins, or goes on from what was persisted.
    pub fn new(now: Now, config: Config, kept: Kept) -> Control {
        let mut random = Random::named(config.entropy, "control");
        let prober = Prober::new(now.mono, random.fork("prober"));
        let proposer = Proposer::new(random.fork("proposer"), config.sabotage);
        let mut control = Control {
            out: Outbox::new(config.trace),
            keeper: Keeper::new(),
            incarnation: 0,
            current: None,
            learned: None,
            ledger: Ledger::new(config.sabotage),
            prober,
            broken: BTreeMap::new(),
            acceptor: Acceptor::new(config.sabotage),
            proposer,
            admission: Admission::new(random.fork("admission")),
            reports: Reports::default(),
            fetcher: Fetcher::default(),
            random,
            join_at: None,
            wish: deciding::Wish::default(),
            view: None,
            now: now.mono,
            due: None,
            refused: None,
            config,
        };
        match control.restore(&kept) {
            Ok(()) => control.begin(now.mono),
            Err(reason) => control.refuse(reason),
        }
        control.tick(now.mono);
        control.settle(now.mono);
        control
    }
    /// Whether an earlier life that kept this was a member. One that only asked to be let in has kept its incarnation, and
    /// may begin anew in any way.
    pub fn was_member(kept: &Kept) -> bool {
        kept[usize::from(SLOT_TOPOLOGY)].is_some()
    }
    /// The name under which an earlier life on this store that kept this was a member, if it was.
    pub fn name_kept(kept: &Kept, store: u64) -> Option<String> {
        let bytes = kept[usize::from(SLOT_TOPOLOGY)].as_deref()?;
        let topology = Topology::decode(&mut Reader::new(bytes)).ok()?;
        topology.members.into_iter().find(|member| member.store == store).map(|member| member.name)
    }
    /// Takes up what an earlier life kept.
    fn restore(&mut self, kept: &Kept) -> Result<(), String> {
        let slot = |slot: u8| kept[usize::from(slot)].as_deref();
        let damaged = |what: &str, error| format!("the {what} kept in this data dir cannot be read: {error}");
        if let Some(bytes) = slot(SLOT_INCARNATION) {
            let mut r = Reader::new(bytes);
            self.incarnation = r.u64().map_err(|error| damaged("incarnation", error))?;
        }
        if let Some(bytes) = slot(SLOT_ACCEPTOR) {
            let restored = Acceptor::restore(self.config.sabotage, bytes);
            self.acceptor = restored.map_err(|error| damaged("vote", error))?;
            self.proposer.on_round(self.acceptor.promised().round);
        }
        if let Some(bytes) = slot(SLOT_TOPOLOGY) {
            let mut r = Reader::new(bytes);
            let topology = Topology::decode(&mut r).map_err(|error| damaged("topology", error))?;
            let me = self.number_in(&topology)?;
            let bytes = Bytes::copy_from_slice(bytes);
            self.adopt(self.now, Learned { topology: Arc::new(topology), bytes, me, version: 0 });
        }
        Ok(())
    }
    fn begin(&mut self, now: Micros) {
        self.set_incarnation(self.incarnation.saturating_add(1));
        if self.current.is_some() {
            return;
        }
        match &self.config.start {
            Start::Join { .. } => self.join_at = Some(now),
            Start::Bootstrap(birth) => {
                let topology = self.born(*birth);
                match topology.check() {
                    Ok(()) => self.learn(topology),
                    Err(error) => self.refuse(format!("a cluster cannot be born like this: {error}")),
                }
            }
        }
    }
    /// The first topology of a new cluster.
    fn born(&self, birth: Birth) -> Topology {
        let me = MemberId(0);
        let member = Member {
            id: me,
            name: self.config.name.clone(),
            store: self.config.store,
            listen: self.config.listen.clone(),
            admin: self.config.admin.clone(),
            peer: self.config.peer.clone(),
            refilling: false,
        };
        let partition = PartitionState { owners: vec![me], since: Epoch(1), ..PartitionState::default() };
        let keyspace = Keyspace {
            id: Default::default(),
            n: birth.n,
            r: birth.r,
            w: birth.w,
            resolve: birth.resolve,
            durability: birth.durability,
        };
        Topology {
            lineage: birth.lineage,
            epoch: Epoch(1),
            next_member: 1,
            members: vec![member],
            partitions: vec![partition; usize::from(birth.partitions)],
            keyspaces: vec![keyspace],
        }
    }
    /// Takes what happened.
    pub fn handle(&mut self, now: Now, input: Input) {
        let now = now.mono.max(self.now);
        self.now = now;
        if self.refused.is_some() {
            return;
        }
        if self.due.is_some_and(|due| now.since(due) > STALL) {
            self.prober.on_stall(now);
        }
        match input {
            Input::Message { from, message } => self.on_message(now, from, message),
            Input::Report(report) => self.on_report(now, report),
            Input::Persisted(ticket) => self.on_persisted(now, ticket),
            Input::Link { member, up } => self.on_link(now, member, up),
            Input::SawEpoch { from, epoch } => self.fetcher.want(epoch, from),
            Input::Wake => {}
        }
        self.tick(now);
        self.settle(now);
    }
    /// What to do next; drain until `None`.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.outputs.pop_front()
    }
    /// When to say [`Input::Wake`] if nothing else happens.
    pub fn wake_at(&self) -> Option<Micros> {
        self.due
    }
    /// The latest view published; `None` before the node is a member.
    pub fn view(&self) -> Option<&Arc<View>> {
        self.view.as_ref()
    }
    /// Takes the events since the last call.
    pub fn take_trace(&mut self) -> Vec<u32> {
        self.out.trace.take()
    }
    /// Appends them to `words`.
    pub fn take_trace_into(&mut self, words: &mut Vec<u32>) {
        self.out.trace.take_into(words);
    }
    /// Starts or stops recording events.
    pub fn set_trace(&mut self, on: bool) {
        self.out.trace.set_on(on);
    }
    /// Whether the invariants hold.
    pub fn check(&self) -> Result<(), &'static str> {
        let Some(current) = &self.current else { return Ok(()) };
        current.topology.check().map_err(|broken| broken.0)?;
        if current.topology.member(current.me).is_none_or(|member| member.store != self.config.store) {
            return Err("a member of its own topology");
        }
        if self.ledger.members().any(|id| id == current.me || current.topology.member(id).is_none()) {
            return Err("a ledger about the other members");
        }
        if self.learned.as_ref().is_some_and(|learned| learned.topology.epoch <= current.topology.epoch) {
            return Err("what is learned is newer than what is in force");
        }
        Ok(())
    }

    fn on_message(&mut self, now: Micros, from: Option<MemberId>, message: ControlMessage) {
        match message {
            ControlMessage::Said { header, word } => {
                let is_impostor = from.is_some_and(|from| from != header.member);
                match word {
                    // Even from a stranger: it may be one that only a newer topology knows. `learn` looks at the lineage.
                    Word::Topology { bytes } if self.current.is_some() => self.on_topology(&bytes),
                    word if !is_impostor && self.hear(now, &header) => {
                        self.on_word(now, header.member, word);
                    }
                    _ => {}
                }
            }
            ControlMessage::Join(request) => self.on_join(now, request, true),
            ControlMessage::Welcome { bytes } => self.on_topology(&bytes),
            ControlMessage::Refused { store, reason } => {
                // An answer to an earlier life under this name is not for this one, nor is one to a node that has not
                // moved.
                let asks = self.join_at.is_some() || self.has_moved();
                if store == self.config.store && asks {
                    self.refuse(reason);
                }
            }
            ControlMessage::Who { nonce, reply_to } => {
                let JoinRequest { name, store, peer, .. } = self.request();
                self.write_to(reply_to, ControlMessage::Here { nonce, name, store, peer });
            }
            ControlMessage::Here { nonce, store, peer, .. } => self.on_here(nonce, store, &peer),
        }
    }
    fn on_word(&mut self, now: Micros, from: MemberId, word: Word) {
        match word {
            Word::Gossip => {}
            Word::Probe { nonce, incarnation, suspected } => {
                self.refute(incarnation, suspected);
                self.out.say(from, Word::Ack { nonce });
            }
            Word::Ack { nonce } => self.on_ack(now, from, nonce),
            Word::ProbeFor { nonce, target } => self.on_probe_for(now, (from, nonce), target),
            Word::ProbedFor { nonce, target, alive } => {
                self.prober.on_probed_for(from, nonce, target, alive);
            }
            Word::Fetch { have } => self.on_fetch(from, have),
            Word::Topology { .. } => {} // Taken before the header is looked at.
            Word::Prepare { epoch, ballot } => self.on_prepare(now, from, epoch, ballot),
            Word::Promise { epoch, ballot, accepted } => {
                let step = self.proposer.on_promise(from, (epoch, ballot), accepted);
                self.on_step(now, step);
            }
            Word::Accept { epoch, ballot, bytes } => self.on_accept(now, from, epoch, (ballot, bytes)),
            Word::Accepted { epoch, ballot } => {
                let step = self.proposer.on_accepted(from, (epoch, ballot));
                self.on_step(now, step);
            }
            Word::Reject { epoch, ballot, promised } => {
                self.proposer.on_reject(now, (epoch, ballot), promised);
            }
            Word::Reports(reports) => self.on_reports(now, from, &reports),
            Word::Joining(request) => self.on_join(now, request, false),
        }
    }
    fn on_report(&mut self, now: Micros, report: Report) {
        if let Some(current) = &self.current {
            self.reports.on_own(now, report, current.me, &current.topology);
        }
    }
    fn on_persisted(&mut self, now: Micros, ticket: u64) {
        self.keeper.on_persisted(ticket);
        self.acceptor.release(&self.keeper, &mut self.out);
        let durable = self.keeper.durable(SLOT_TOPOLOGY);
        if let Some(learned) = self.learned.take_if(|learned| learned.version <= durable) {
            self.adopt(now, learned);
            self.announce();
        }
    }
    /// Whatever is due.
    fn tick(&mut self, now: Micros) {
        if self.join_at.is_some_and(|at| at <= now) {
            self.ask_to_join(now);
        }
        if self.current.is_some() {
            self.watch(now);
            self.fetch(now);
            self.tell_reports(now);
            self.proposer.tick(now, &mut self.out);
            self.consider(now);
        }
    }
    /// Turns what the parts want into outputs, views first: who is new must be known before words to it are sent.
    fn settle(&mut self, now: Micros) {
        self.publish(now);
        loop {
            let words = core::mem::take(&mut self.out.words);
            if words.is_empty() {
                break;
            }
            for (to, word) in words {
                self.send(now, to, word);
            }
            // An attempt may have ended by this node's own vote: the next one does not wait.
            self.consider(now);
        }
        while let Some(wanted) = self.keeper.poll(now) {
            let keeper::Wanted { ticket, slot, bytes } = wanted;
            self.out.outputs.push_back(Output::Persist { ticket, slot, bytes });
        }
        self.due = self.next_due();
    }
    fn send(&mut self, now: Micros, to: MemberId, word: Word) {
        let Some(current) = &self.current else { return };
        if to == current.me {
            return self.on_word(now, to, word);
        }
        let header = Header {
            lineage: current.topology.lineage,
            member: current.me,
            store: self.config.store,
            incarnation: self.incarnation,
            epoch: current.topology.epoch,
            hash: current.hash,
            news: self.ledger.news(NEWS_COUNT_MAX),
            suspicions: self.ledger.suspicions(now, to),
        };
        let message = ControlMessage::Said { header, word };
        self.out.outputs.push_back(Output::Send { to: Destination::Member(to), message });
    }
    fn write_to(&mut self, address: String, message: ControlMessage) {
        self.out.outputs.push_back(Output::Send { to: Destination::Address(address), message });
    }
    fn ask_to_join(&mut self, now: Micros) {
        let Start::Join { seed } = &self.config.start else { return };
        let message = ControlMessage::Join(self.request());
        self.write_to(seed.clone(), message);
        self.join_at = Some(now + JOIN_AGAIN + Micros(self.random.below(JOIN_AGAIN.0 / 2)));
    }
    /// Makes a new view if anything in it has changed.
    fn publish(&mut self, now: Micros) {
        let Some(current) = &self.current else { return };
        let liveness: Vec<(MemberId, Liveness)> = self
            .ledger
            .members()
            .map(|id| (id, self.ledger.liveness_of(now, id)))
            .filter(|(_, liveness)| *liveness != Liveness::Up)
            .collect();
        let unreachable: Vec<MemberId> = self.broken.keys().copied().collect();
        let is_same = self.view.as_ref().is_some_and(|view| {
            Arc::ptr_eq(&view.topology, &current.topology)
                && view.liveness == liveness
                && view.unreachable == unreachable
        });
        if !is_same {
            let topology = current.topology.clone();
            let view = Arc::new(View { topology, me: current.me, liveness, unreachable });
            self.view = Some(view.clone());
            self.out.outputs.push_back(Output::View(view));
        }
    }
    /// The newest topology that this node has, in force or not yet.
    fn newest_epoch(&self, current: &Current) -> Epoch {
        self.learned.as_ref().map_or(current.topology.epoch, |learned| learned.topology.epoch)
    }
    fn refuse(&mut self, reason: String) {
        self.refused = Some(reason.clone());
        self.join_at = None;
        self.out.notice(Notice::Refused(reason));
    }
    fn next_due(&self) -> Option<Micros> {
        if self.refused.is_some() {
            return None;
        }
        let mut due: Vec<Micros> = [self.join_at, self.keeper.wake_at()].into_iter().flatten().collect();
        if let Some(current) = &self.current {
            due.push(self.prober.wake_at());
            due.extend(self.ledger.wake_at());
            due.extend(self.fetcher.wake_at(self.newest_epoch(current)));
            due.extend(self.reports.wake_at());
            due.extend(self.proposer.wake_at());
            due.extend(self.wish.wake_at(self.proposer.is_busy()));
        }
        due.into_iter().min()
    }
    /// The hash by which a topology is known.
    fn hash_of(bytes: &[u8]) -> u64 {
        checksum(bytes)
    }
    fn event(&mut self, now: Micros, kind: Kind, payload: &[u32]) {
        self.out.event(now, kind, payload);
    }
}

#[cfg(test)]
mod tests;
