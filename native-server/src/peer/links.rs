use super::Greeting;
use super::link::{Change, Link};
use kvorum_core::base::{MemberId, Micros};
use kvorum_core::message::PeerMessage;
use kvorum_core::ring::View;
use mio::{Interest, Registry, Token};
use std::collections::HashMap;
use std::net::SocketAddr;

/// A link to an address that no member has ends after so long without use.
const IDLE_MAX: Micros = Micros::from_secs(30);

/// What the control plane wants to know of links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkEvent {
    /// Whose link.
    pub member: MemberId,
    /// Whether it works now.
    pub is_up: bool,
}

/// The outgoing connections of one data thread.
pub struct Links {
    me: Greeting,
    links: Vec<Option<Link>>,
    by_address: HashMap<String, usize>,
    /// By member number.
    members: Vec<Option<usize>>,
    dirty: Vec<usize>,
    events: Vec<LinkEvent>,
    /// Turns a link's place into its token.
    token: fn(usize) -> Token,
}

impl Links {
    /// No links yet.
    pub fn new(me: Greeting, token: fn(usize) -> Token) -> Links {
        Links {
            me,
            links: Vec::new(),
            by_address: HashMap::new(),
            members: Vec::new(),
            dirty: Vec::new(),
            events: Vec::new(),
            token,
        }
    }
    /// Who this node says it is.
    pub fn me(&self) -> &Greeting {
        &self.me
    }
    fn at_address(&mut self, now: Micros, address: &str) -> usize {
        if let Some(place) = self.by_address.get(address) {
            return *place;
        }
        let place = self.links.iter().position(Option::is_none).unwrap_or(self.links.len());
        let link = Some(Link::new(address.to_owned(), now));
        match self.links.get_mut(place) {
            Some(free) => *free = link,
            None => self.links.push(link),
        }
        self.by_address.insert(address.to_owned(), place);
        place
    }
    /// The cluster looks like this now: a link for each other member, none for those that went.
    pub fn set_view(&mut self, now: Micros, view: &View) {
        self.members.clear();
        let is_member = |link: &Link| {
            let others = view.topology.members.iter().filter(|member| member.id != view.me);
            others.clone().any(|member| member.peer == link.address)
        };
        for link in self.links.iter_mut().flatten() {
            if !is_member(link) {
                link.expect(None);
            }
        }
        for member in view.topology.members.iter().filter(|member| member.id != view.me) {
            let place = self.at_address(now, &member.peer);
            if let Some(link) = &mut self.links[place] {
                link.used_at = now;
                let change = link.expect(Some(member));
                self.note(place, change);
            }
            let index = usize::from(member.id.0);
            if self.members.len() <= index {
                self.members.resize(index + 1, None);
            }
            self.members[index] = Some(place);
        }
    }
    /// Queues a message for a member; false when it is dropped.
    #[inline]
    pub fn send(&mut self, now: Micros, to: MemberId, id: u64, message: &PeerMessage) -> bool {
        let Some(place) = self.members.get(usize::from(to.0)).copied().flatten() else { return false };
        let is_other = |link: &Link| link.is_up() && !link.is_to_member();
        if self.links[place].as_ref().is_none_or(is_other) {
            return false;
        }
        self.push(now, place, id, message)
    }
    /// Queues a message for whoever answers at an address.
    pub fn send_to_address(&mut self, now: Micros, address: &str, id: u64, message: &PeerMessage) -> bool {
        let place = self.at_address(now, address);
        self.push(now, place, id, message)
    }
    #[inline]
    fn push(&mut self, now: Micros, place: usize, id: u64, message: &PeerMessage) -> bool {
        let Some(link) = self.links.get_mut(place).and_then(Option::as_mut) else { return false };
        link.used_at = now;
        let is_queued = link.push(now, id, message);
        if is_queued && !link.is_dirty {
            link.is_dirty = true;
            self.dirty.push(place);
        }
        is_queued
    }
    /// Writes all that was queued in this turn.
    pub fn flush(&mut self, now: Micros) {
        while let Some(place) = self.dirty.pop() {
            let Some(link) = self.links.get_mut(place).and_then(Option::as_mut) else { continue };
            link.is_dirty = false;
            let change = link.flush(now);
            self.note(place, change);
        }
    }
    fn note(&mut self, place: usize, change: Change) {
        let member = self.links[place].as_ref().and_then(|link| link.expected);
        if let (Some(member), Change::Up | Change::Down) = (member, change) {
            self.events.push(LinkEvent { member, is_up: change == Change::Up });
        }
    }
    /// The socket of a link said something.
    pub fn ready(&mut self, now: Micros, place: usize, view: Option<&View>, scratch: &mut [u8]) {
        let Some(link) = self.links.get_mut(place).and_then(Option::as_mut) else { return };
        let change = link.ready(now, &self.me, view, scratch);
        if link.is_up() && !link.is_dirty {
            link.is_dirty = true;
            self.dirty.push(place);
        }
        self.note(place, change);
    }
    /// Connects what is due, gives up what takes too long, forgets what is idle. Returns addresses to be looked up
    /// elsewhere, because a look-up blocks.
    pub fn wake(&mut self, now: Micros, registry: &Registry) -> Vec<String> {
        let mut unresolved = Vec::new();
        for place in 0..self.links.len() {
            let Some(link) = &mut self.links[place] else { continue };
            if link.expected.is_none() && link.used_at + IDLE_MAX <= now {
                if let Some(stream) = link.stream() {
                    let _ = registry.deregister(stream);
                }
                self.by_address.remove(&link.address);
                self.links[place] = None;
                continue;
            }
            let change = link.wake(now);
            if link.is_due(now) {
                match link.address.parse() {
                    Ok(address) => self.connect(now, place, Some(address), registry),
                    Err(_) => {
                        link.set_resolving();
                        unresolved.push(link.address.clone());
                    }
                }
            }
            self.note(place, change);
        }
        unresolved
    }
    /// A look-up ended.
    pub fn resolved(&mut self, now: Micros, address: &str, found: Option<SocketAddr>, registry: &Registry) {
        if let Some(place) = self.by_address.get(address).copied() {
            self.connect(now, place, found, registry);
        }
    }
    fn connect(&mut self, now: Micros, place: usize, address: Option<SocketAddr>, registry: &Registry) {
        let token = (self.token)(place);
        let Some(link) = &mut self.links[place] else { return };
        let is_begun = link.connect(now, address).is_some_and(|stream| {
            registry.register(stream, token, Interest::READABLE | Interest::WRITABLE).is_ok()
        });
        if !is_begun {
            self.note(place, Change::Down);
        }
    }
    /// Why there is no connection to an address; `None` if there is one, or none was tried yet.
    pub fn problem_of(&self, address: &str) -> Option<&str> {
        self.links.get(*self.by_address.get(address)?)?.as_ref()?.problem()
    }
    /// Whether messages flow to an address.
    pub fn is_up(&self, address: &str) -> bool {
        let link = self.by_address.get(address).and_then(|place| self.links.get(*place)?.as_ref());
        link.is_some_and(Link::is_up)
    }
    /// When to call [`Links::wake`].
    pub fn wake_at(&self) -> Option<Micros> {
        self.links.iter().flatten().filter_map(Link::wake_at).min()
    }
    /// Takes what changed.
    pub fn take_events(&mut self) -> Vec<LinkEvent> {
        std::mem::take(&mut self.events)
    }
}
