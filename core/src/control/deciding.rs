//! From a wish to a topology in force: propose, vote, learn, adopt, pass on.

use super::evolution::{self, Amount, Wishes};
use super::keeper::SLOT_TOPOLOGY;
use super::register::Step;
use super::reports::Reports;
use super::{Control, Current, Destination, Learned, Notice, Output, admission};
use crate::base::trace::{Kind, split};
use crate::base::{Epoch, MemberId, Micros, Reader};
use crate::message::{Ballot, ControlMessage, Header, JoinRequest, Word};
use crate::ring::{Liveness, Report, Topology};
use alloc::{format, string::String, sync::Arc, vec::Vec};
use bytes::Bytes;

/// How long a wish of which everything is known waits for company.
const SOON: Micros = Micros::from_millis(40);
/// How long one waits of which more is to be expected.
const GATHER: Micros = Micros::from_millis(200);
/// How much longer each member waits for those before it: the first live one proposes, the others step in.
const TURN: Micros = Micros::from_millis(400);
/// After that many turns everybody may.
const TURN_COUNT_MAX: u64 = 6;
/// Shortest time between two looks at what there is to do.
const LOOK: Micros = Micros::from_millis(20);
/// Between two mentions of a move.
const MOVE_AGAIN: Micros = Micros::from_millis(250);
/// How long a voter waits for the end of a value that it accepted before it sees to it.
const UNFINISHED: Micros = Micros::from_millis(1_200);

/// Whether there is something to decide, and since when.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wish {
    /// Something may have changed: look at it then.
    look_at: Option<Micros>,
    since: Option<Micros>,
    propose_at: Option<Micros>,
}

impl Wish {
    /// Something may have changed.
    pub fn look_again(&mut self, now: Micros) {
        self.look_at.get_or_insert(now + LOOK);
    }
    /// Something changes by itself at the latest then.
    fn look_again_by(&mut self, at: Micros) {
        self.look_at = Some(self.look_at.map_or(at, |earlier| earlier.min(at)));
    }
    /// A proposal waits for the end of the attempt under way.
    pub fn wake_at(&self, is_busy: bool) -> Option<Micros> {
        [self.look_at, self.propose_at.filter(|_| !is_busy)].into_iter().flatten().min()
    }
}

impl Control {
    /// This node's number in a topology, or why it has none.
    pub(super) fn number_in(&self, topology: &Topology) -> Result<MemberId, String> {
        let name = &self.config.name;
        match topology.member_named(name) {
            None => Err(format!("{name} is no member of this cluster any more")),
            Some(member) if member.store != self.config.store => Err(format!(
                "another data dir has taken over the name {name}, at {}: this one is not part of the cluster any more",
                member.peer
            )),
            Some(member) => Ok(member.id),
        }
    }

    // --- joining ---

    pub(super) fn on_join(&mut self, now: Micros, request: JoinRequest, is_direct: bool) {
        let Some(current) = &self.current else { return };
        let (store, address) = (request.store, request.peer.clone());
        let ledger = &self.ledger;
        let is_down = |id| ledger.is_down(id);
        let vote = match self.acceptor.accepted_value() {
            None => admission::Vote::Open,
            Some(_) => admission::Vote::Given,
        };
        let here = (&*current.topology, current.me);
        let answer = self.admission.on_join(now, request.clone(), here, vote, is_down);
        self.wish.look_again(now);
        match answer {
            admission::Answer::Welcome => {
                let message = ControlMessage::Welcome { bytes: current.bytes.clone() };
                self.write_to(address, message);
            }
            admission::Answer::Refuse(reason) => {
                self.write_to(address, ControlMessage::Refused { store, reason });
            }
            admission::Answer::Wait => self.pass_on(request, is_direct),
            admission::Answer::Ask(nonce) => {
                if let Some(member) = current.topology.member_named(&request.name).cloned() {
                    // The member itself, elsewhere, may not know that it is looked for there.
                    if member.store == store && !self.is_me(member.id) {
                        let message = ControlMessage::Welcome { bytes: current.bytes.clone() };
                        self.write_to(address, message);
                    }
                    let reply_to = self.config.peer.clone();
                    self.write_to(member.peer, ControlMessage::Who { nonce, reply_to });
                }
                self.pass_on(request, is_direct);
            }
        }
    }
    /// Tells the member whose turn it is to propose.
    fn pass_on(&mut self, request: JoinRequest, is_direct: bool) {
        let first = self.first_live().next();
        if let Some(first) = first.filter(|first| is_direct && !self.is_me(*first)) {
            self.out.say(first, Word::Joining(request));
        }
    }
    pub(super) fn on_here(&mut self, nonce: u64, store: u64, peer: &str) {
        let Some(current) = &self.current else { return };
        if let Some((request, reason)) = self.admission.on_here(nonce, (store, peer), &current.topology) {
            if request == self.request() {
                return self.refuse(reason);
            }
            let message = ControlMessage::Refused { store: request.store, reason };
            self.write_to(request.peer, message);
        }
        self.wish.look_again(self.now);
    }

    // --- proposing ---

    fn is_me(&self, id: MemberId) -> bool {
        self.current.as_ref().is_some_and(|current| current.me == id)
    }
    /// Members that answer, lowest number first.
    fn first_live(&self) -> impl Iterator<Item = MemberId> + '_ {
        let members = self.current.iter().flat_map(|current| &current.topology.members);
        members
            .map(|member| member.id)
            .filter(|id| self.is_me(*id) || !(self.ledger.is_down(*id) || self.broken.contains_key(id)))
    }
    /// How many members come before this one when there is something to propose.
    fn turns(&self) -> u64 {
        let before = self.first_live().take_while(|id| !self.is_me(*id)).count() as u64;
        before.min(TURN_COUNT_MAX)
    }
    /// Looks at what there is to do, and proposes it when its time has come.
    pub(super) fn consider(&mut self, now: Micros) {
        if self.wish.look_at.is_some_and(|at| at <= now) {
            self.wish.look_at = None;
            self.look(now);
        }
        if self.wish.propose_at.is_some_and(|at| at <= now) && !self.proposer.is_busy() {
            self.propose(now);
        }
    }
    /// Whether this node's own addresses are not those that the topology has.
    pub(super) fn has_moved(&self) -> bool {
        let own = self.current.as_ref().and_then(|current| current.topology.member(current.me));
        own.is_some_and(|member| !self.request().describes(member))
    }
    /// If so it asks for that to be changed, and others too, for they may not reach it where they look for it. All of them
    /// ask the old address first, this node as well: its folder may be a copy.
    fn mention_move(&mut self, now: Micros) {
        if !self.has_moved() {
            return;
        }
        let request = self.request();
        self.on_join(now, request.clone(), false);
        let others: Vec<MemberId> = self.first_live().filter(|id| !self.is_me(*id)).take(2).collect();
        for other in others {
            self.out.say(other, Word::Joining(request.clone()));
        }
        // Requests end when they are not repeated.
        self.wish.look_at = Some(now + MOVE_AGAIN);
    }
    /// This node as it introduces itself.
    pub(super) fn request(&self) -> JoinRequest {
        JoinRequest {
            name: self.config.name.clone(),
            store: self.config.store,
            listen: self.config.listen.clone(),
            admin: self.config.admin.clone(),
            peer: self.config.peer.clone(),
        }
    }
    fn look(&mut self, now: Micros) {
        self.mention_move(now);
        let Some(current) = &self.current else { return };
        let joins = self.admission.granted(now, &current.topology);
        if !joins.is_empty() {
            // They end when they are not repeated.
            self.wish.look_again_by(now + Micros::from_millis(500));
        }
        let adopted = self.adopted();
        let wishes = Wishes { joins: &joins, reports: &self.reports, adopted: &adopted };
        let wait = match evolution::amount(&current.topology, &wishes) {
            Amount::Nothing => None,
            Amount::Some => Some(GATHER),
            Amount::All => Some(SOON),
        };
        let unfinished = self.acceptor.pending_since().map(|at| at + UNFINISHED);
        let turns = Micros(TURN.0 * self.turns());
        if wait.is_some() {
            self.wish.since.get_or_insert(now);
        } else {
            self.wish.since = None;
        }
        let wished = self.wish.since.zip(wait).map(|(since, wait)| since + wait);
        let at = [wished, unfinished].into_iter().flatten().min();
        self.wish.propose_at = at.map(|at| (at + turns).max(self.proposer.not_before()));
    }
    fn propose(&mut self, now: Micros) {
        let Some(current) = &self.current else { return };
        if self.learned.is_some() {
            // A newer topology is about to be in force: its adoption looks again.
            self.wish.propose_at = None;
            return;
        }
        // Whatever comes of it is looked at again: a lost attempt leaves the wish.
        self.wish.propose_at = None;
        self.wish.look_at = Some(now + Micros::from_millis(300));
        let (me, epoch) = (current.me, current.topology.epoch);
        self.proposer.start(now, me, epoch, current.topology.voters(), &mut self.out);
    }
    pub(super) fn on_step(&mut self, now: Micros, step: Step) {
        match step {
            Step::Open => {}
            Step::Promised(found) => {
                let own = self.own_value(now);
                self.proposer.propose(now, found, || own, &mut self.out);
            }
            Step::Decided(bytes) => self.on_topology(&bytes),
        }
    }
    fn own_value(&mut self, now: Micros) -> Option<Bytes> {
        let current = self.current.as_ref()?;
        let joins = self.admission.granted(now, &current.topology);
        let adopted = self.adopted();
        let wishes = Wishes { joins: &joins, reports: &self.reports, adopted: &adopted };
        let next = evolution::evolve(&current.topology, &wishes)?;
        let mut bytes = Vec::new();
        next.encode(&mut bytes);
        Some(bytes.into())
    }

    // --- voting ---

    /// Whether this node may vote on what follows `epoch`; fetches what it lacks, and tells what others lack.
    fn may_vote(&mut self, from: MemberId, epoch: Epoch) -> bool {
        let Some(current) = &self.current else { return false };
        if epoch < current.topology.epoch {
            self.out.say(from, Word::Gossip);
        } else if epoch > current.topology.epoch {
            self.fetcher.want(epoch, from);
        }
        epoch == current.topology.epoch && current.topology.voters().contains(&current.me)
    }
    pub(super) fn on_prepare(&mut self, now: Micros, from: MemberId, epoch: Epoch, ballot: Ballot) {
        if self.may_vote(from, epoch) {
            self.proposer.on_round(ballot.round);
            self.acceptor.on_prepare(now, from, ballot, &mut self.keeper, &mut self.out);
        }
    }
    pub(super) fn on_accept(
        &mut self,
        now: Micros,
        from: MemberId,
        epoch: Epoch,
        (ballot, bytes): (Ballot, Bytes),
    ) {
        if !self.may_vote(from, epoch) {
            return;
        }
        let follows = |next: &Topology, current: &Current| {
            next.lineage == current.topology.lineage && next.epoch.0 == current.topology.epoch.0 + 1
        };
        let Some(next) = decoded(&bytes) else { return };
        if self.current.as_ref().is_some_and(|current| follows(&next, current)) {
            self.proposer.on_round(ballot.round);
            self.acceptor.on_accept(now, from, (ballot, bytes), &mut self.keeper, &mut self.out);
            self.wish.look_again(now);
        }
    }

    // --- learning ---

    /// A member has a newer topology: perhaps the very value that this voter has accepted.
    pub(super) fn on_newer(&mut self, header: &Header) {
        let accepted = self.acceptor.accepted_value().filter(|bytes| Control::hash_of(bytes) == header.hash);
        match accepted.cloned() {
            Some(bytes) => self.on_topology(&bytes),
            None => self.fetcher.want(header.epoch, header.member),
        }
    }
    /// A decided topology.
    pub(super) fn on_topology(&mut self, bytes: &Bytes) {
        if let Some(topology) = decoded(bytes) {
            self.learn(topology);
        }
    }
    pub(super) fn learn(&mut self, topology: Topology) {
        let newest = self.learned.as_ref().map(|learned| &learned.topology);
        let newest = newest.or(self.current.as_ref().map(|current| &current.topology));
        if newest.is_some_and(|newest| topology.lineage != newest.lineage || topology.epoch <= newest.epoch) {
            return;
        }
        let me = match self.number_in(&topology) {
            Ok(me) => me,
            // Not yet a member, by an answer to somebody else or to an earlier life.
            Err(_) if newest.is_none() => return,
            Err(reason) => return self.refuse(reason),
        };
        let mut bytes = Vec::new();
        topology.encode(&mut bytes);
        let bytes = Bytes::from(bytes);
        let version = self.keeper.keep(SLOT_TOPOLOGY, bytes.clone());
        self.learned = Some(Learned { topology: Arc::new(topology), bytes, me, version });
    }
    /// A topology is durable: it is in force here from now on.
    pub(super) fn adopt(&mut self, now: Micros, learned: Learned) {
        let Learned { topology, bytes, me, .. } = learned;
        let before = self.current.take();
        let is_refilling = |topology: &Topology| topology.member(me).is_some_and(|member| member.refilling);
        let was_refilling = before.as_ref().is_some_and(|before| is_refilling(&before.topology));
        let hash = Control::hash_of(&bytes);
        self.out.trace.set_node(u32::from(me.0));
        let ([e0, e1], [h0, h1]) = (split(topology.epoch.0), split(hash));
        self.event(now, Kind::TopologyAdopted, &[e0, e1, h0, h1]);
        if before.is_none() {
            self.out.notice(Notice::Joined(me));
        }
        self.out.notice(Notice::Adopted(topology.epoch));
        if is_refilling(&topology) && !was_refilling {
            self.out.notice(Notice::StoreLost);
        }
        self.ledger.follow(&topology, me);
        self.prober.follow(&self.ledger);
        self.broken.retain(|id, _| topology.member(*id).is_some());
        self.acceptor.follow(topology.epoch);
        self.proposer.follow(topology.epoch);
        self.reports.follow(&topology, me);
        self.join_at = None;
        self.wish = super::deciding::Wish::default();
        self.wish.look_again(now);
        self.current = Some(Current { topology, bytes, hash, me });
    }
    /// Tells everybody that a newer topology is in force, and those that it lets in what it is.
    pub(super) fn announce(&mut self) {
        let Some(current) = &self.current else { return };
        let mut granted = self.admission.follow(&current.topology);
        // A node that moved has asked itself too.
        granted.retain(|request| request.store != self.config.store);
        let bytes = current.bytes.clone();
        for request in granted {
            let message = ControlMessage::Welcome { bytes: bytes.clone() };
            self.out.outputs.push_back(Output::Send { to: Destination::Address(request.peer), message });
        }
        self.tell(&Word::Gossip);
    }
    pub(super) fn on_fetch(&mut self, from: MemberId, have: Epoch) {
        if let Some(current) = self.current.as_ref().filter(|current| current.topology.epoch > have) {
            self.out.say(from, Word::Topology { bytes: current.bytes.clone() });
        }
    }
    pub(super) fn fetch(&mut self, now: Micros) {
        let Some(current) = &self.current else { return };
        let live: Vec<MemberId> =
            self.ledger.members().filter(|id| self.ledger.liveness_of(now, *id) != Liveness::Down).collect();
        let have = self.newest_epoch(current);
        let random = &mut self.random;
        if let Some(source) = self.fetcher.due(now, have, || random.pick(&live).copied()) {
            let is_known = current.topology.member(source).is_some();
            let source = if is_known { Some(source) } else { random.pick(&live).copied() };
            if let Some(source) = source {
                self.out.say(source, Word::Fetch { have });
            }
        }
    }

    // --- reports of shards ---

    pub(super) fn tell_reports(&mut self, now: Micros) {
        let Some(reports) = self.reports.due(now) else { return };
        let first: Vec<MemberId> = self.first_live().take(2).collect();
        for message in Reports::messages(&reports) {
            for to in &first {
                self.out.say(*to, Word::Reports(message.clone()));
            }
        }
    }
    pub(super) fn on_reports(&mut self, now: Micros, from: MemberId, reports: &[Report]) {
        let Some(current) = &self.current else { return };
        if self.reports.on_told(from, reports, &current.topology) {
            self.wish.look_again(now);
        }
    }
}

fn decoded(bytes: &[u8]) -> Option<Topology> {
    let mut r = Reader::new(bytes);
    let topology = Topology::decode(&mut r).ok()?;
    r.finish().ok()?;
    Some(topology)
}
