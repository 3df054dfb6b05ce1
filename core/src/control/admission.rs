//! Who asks to come in, and whether its name is free.
//!
//! A node under a known name with another data dir is either a member that lost its store or a stranger with a name that
//! is taken. One with the same data dir at another address is either a member that moved or a copy of its folder. Both
//! are let in only if nobody with the old store answers: the address of the member is asked who is there.

use super::evolution::MEMBER_COUNT_MAX;
use crate::base::BTreeMap;
use crate::base::{MemberId, Micros, Random};
use crate::message::JoinRequest;
use crate::ring::{Member, Topology};
use alloc::{format, string::String, vec::Vec};

/// A request that is not repeated for so long is over.
const FORGOTTEN: Micros = Micros::from_millis(3_000);
/// How long the holder of a name may take to answer before a Down one is given up.
const HOLDER: Micros = Micros::from_millis(1_500);
/// Most requests at a time.
const PENDING_COUNT_MAX: usize = 64;
/// Longest name and address.
const TEXT_BYTES_MAX: usize = 256;

/// Requests to join, by name.
#[derive(Debug, Clone)]
pub(super) struct Admission {
    random: Random,
    pending: BTreeMap<String, Pending>,
}

#[derive(Debug, Clone)]
struct Pending {
    request: JoinRequest,
    first_at: Micros,
    last_at: Micros,
    nonce: u64,
    /// Nobody with the member's store is at its address, or only the one that asks.
    is_gone: bool,
}

/// Whether this node, as a voter, has accepted a topology newer than that in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vote {
    /// It has not.
    Open,
    /// It has, so that there may be a newer one.
    Given,
}

/// What to do about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is a member as it stands: send it the topology.
    Welcome,
    /// It waits for a decision.
    Wait,
    /// It waits for word from the address of the name's holder: ask there, under this nonce.
    Ask(u64),
    /// Never: say why.
    Refuse(String),
}

impl Admission {
    pub fn new(random: Random) -> Admission {
        Admission { random, pending: BTreeMap::new() }
    }
    /// Somebody asks, perhaps again.
    pub fn on_join(
        &mut self,
        now: Micros,
        request: JoinRequest,
        (topology, me): (&Topology, MemberId),
        vote: Vote,
        is_down: impl Fn(MemberId) -> bool,
    ) -> Answer {
        let texts = [&request.name, &request.listen, &request.admin, &request.peer];
        if request.name.is_empty() || texts.iter().any(|text| text.len() > TEXT_BYTES_MAX) {
            return Answer::Refuse(format!("names and addresses have 1 to {TEXT_BYTES_MAX} bytes"));
        }
        let holder = topology.member_named(&request.name);
        match holder {
            Some(member) if request.describes(member) => return Answer::Welcome,
            Some(member) if member.store == request.store => {}
            Some(member) if member.id == me => return Answer::Refuse(taken(member)),
            Some(member) if vote == Vote::Open && is_frozen(topology, member.id, me) => {
                return Answer::Refuse(frozen(topology, member));
            }
            Some(_) => {}
            None if topology.members.len() >= MEMBER_COUNT_MAX || topology.next_member == u16::MAX => {
                return Answer::Refuse(format!(
                    "the cluster has {} members, the most it can have",
                    topology.members.len()
                ));
            }
            None => {}
        }
        let name = request.name.clone();
        if !self.note(now, request) {
            return Answer::Wait;
        }
        let (Some(member), Some(pending)) = (holder, self.pending.get_mut(&name)) else {
            return Answer::Wait;
        };
        // An address has one process: who asks from the member's own has the right to it. A member that moved speaks from
        // its new address, so that it need not be Down for its old one to be silent.
        let is_moving = member.store == pending.request.store;
        let is_silent = now.since(pending.first_at) >= HOLDER && (is_moving || is_down(member.id));
        if is_silent || (is_moving && member.peer == pending.request.peer) {
            pending.is_gone = true;
        }
        if pending.is_gone { Answer::Wait } else { Answer::Ask(pending.nonce) }
    }
    /// Notes a request; false if there is no room or an earlier one under the same name is still alive.
    fn note(&mut self, now: Micros, request: JoinRequest) -> bool {
        self.expire(now);
        if let Some(pending) = self.pending.get_mut(&request.name) {
            if (pending.request.store, &pending.request.peer) != (request.store, &request.peer) {
                return false;
            }
            pending.request = request;
            pending.last_at = now;
            return true;
        }
        if self.pending.len() >= PENDING_COUNT_MAX {
            return false;
        }
        let nonce = self.random.next_u64();
        let name = request.name.clone();
        self.pending.insert(name, Pending { request, first_at: now, last_at: now, nonce, is_gone: false });
        true
    }
    /// Somebody at the address of a name's holder says which store it has, and where it believes to be. Returns the
    /// request that is refused by that.
    pub fn on_here(
        &mut self,
        nonce: u64,
        (store, peer): (u64, &str),
        topology: &Topology,
    ) -> Option<(JoinRequest, String)> {
        let (name, pending) = self.pending.iter_mut().find(|(_, pending)| pending.nonce == nonce)?;
        let member = topology.member_named(name)?;
        let request = &pending.request;
        if store == request.store && (store != member.store || peer == request.peer) {
            // The newcomer sits where the holder sat: an address has one process.
            pending.is_gone = true;
            return None;
        }
        // One that silence has let in already stays so: others may have decided by it.
        if store != member.store || pending.is_gone {
            return None;
        }
        let name = name.clone();
        let Pending { request, .. } = self.pending.remove(&name)?;
        let reason = if request.store == store { copied(member, &request) } else { taken(member) };
        Some((request, reason))
    }
    fn expire(&mut self, now: Micros) {
        self.pending.retain(|_, pending| now.since(pending.last_at) <= FORGOTTEN);
    }
    /// Requests that may be granted now.
    pub fn granted(&mut self, now: Micros, topology: &Topology) -> Vec<JoinRequest> {
        self.expire(now);
        let is_granted = |pending: &&Pending| match topology.member_named(&pending.request.name) {
            Some(_) => pending.is_gone,
            None => true,
        };
        self.pending.values().filter(is_granted).map(|pending| pending.request.clone()).collect()
    }
    /// Requests that a new topology has granted; they are over.
    pub fn follow(&mut self, topology: &Topology) -> Vec<JoinRequest> {
        let is_in = |request: &JoinRequest| {
            topology.member_named(&request.name).is_some_and(|member| request.describes(member))
        };
        let granted: Vec<JoinRequest> =
            self.pending.values().map(|pending| pending.request.clone()).filter(is_in).collect();
        self.pending.retain(|_, pending| !is_in(&pending.request));
        granted
    }
    /// Names that wait.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pending.keys().map(String::as_str)
    }
}

fn taken(member: &Member) -> String {
    format!(
        "the name {} is taken by the member at {}, which answers with another data dir: choose another name, or stop that node first",
        member.name, member.peer
    )
}

fn copied(member: &Member, copy: &JoinRequest) -> String {
    format!(
        "the node at {} runs on a copy of {}'s data folder, and {} is alive at {}: to move it, stop it there first; to have one more node, start that one with a --name and an empty --data folder of its own",
        copy.peer, member.name, member.name, member.peer
    )
}

/// Whether nobody but this node can still vote when `lost` has forgotten everything, and that is no majority. Only the
/// last voter knows for sure: whatever was decided needed its vote.
fn is_frozen(topology: &Topology, lost: MemberId, me: MemberId) -> bool {
    let voters = topology.voters();
    let whole = voters.iter().filter(|id| **id != lost);
    voters.len() == 2 && whole.eq([&me])
}

fn frozen(topology: &Topology, lost: &Member) -> String {
    format!(
        "{} lost its data dir, and with it the majority of the {} voters that decide who is a member: membership cannot change any more; the other members go on serving, copy their data into a new cluster",
        lost.name,
        topology.voters().len()
    )
}
