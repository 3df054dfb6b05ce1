use super::{Family, Histogram, Mail, Mailbox, ShardCell, ShardMail};
use crate::clock::Clock;
use crate::command::{ClientInfo, NodeSettings, specs};
use kvorum_core::data::Counters;
use kvorum_core::ring::View;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Takes the events of machines and threads while somebody listens.
pub trait Events: Send + Sync {
    /// Takes a batch of records.
    fn push(&self, words: Vec<u32>);
}

/// How far the node is from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// It serves.
    Running = 0,
    /// It accepts nothing new and finishes what is in flight.
    Stopping = 1,
    /// It leaves at once.
    Now = 2,
}

/// Counts of one data thread; only that thread writes them.
#[derive(Debug)]
pub struct ThreadCounters {
    /// Commands by verb, in the order of the table.
    pub commands: Vec<AtomicU64>,
    /// Commands that are none.
    pub unknown: AtomicU64,
    /// Replies that refuse, by code: TRYAGAIN, CLUSTERDOWN, INDOUBT, ERR.
    pub refusals: [AtomicU64; 4],
    /// Client connections open now.
    pub connections: AtomicU64,
    /// Turns.
    pub turns: AtomicU64,
    /// Peer messages sent.
    pub peer_sent: AtomicU64,
    /// Peer messages received.
    pub peer_received: AtomicU64,
    /// Peer messages dropped because the queue of their link was full or the link down.
    pub peer_dropped: AtomicU64,
    /// Clients that were cut off because they did not read.
    pub clients_cut_off: AtomicU64,
    /// From the turn that read a request to the turn's end that answered it, by [`Family`].
    pub request_times: [Histogram; Family::NAMES.len()],
}

/// Codes of [`ThreadCounters::refusals`].
pub const REFUSAL_CODES: [&str; 4] = ["TRYAGAIN", "CLUSTERDOWN", "INDOUBT", "ERR"];

impl Default for ThreadCounters {
    fn default() -> ThreadCounters {
        ThreadCounters {
            commands: specs().iter().map(|_| AtomicU64::new(0)).collect(),
            unknown: AtomicU64::new(0),
            refusals: Default::default(),
            connections: AtomicU64::new(0),
            turns: AtomicU64::new(0),
            peer_sent: AtomicU64::new(0),
            peer_received: AtomicU64::new(0),
            peer_dropped: AtomicU64::new(0),
            clients_cut_off: AtomicU64::new(0),
            request_times: Default::default(),
        }
    }
}

/// Adds to a counter that only this thread writes: no locked instruction.
#[inline]
pub fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Ordering::Relaxed) + by, Ordering::Relaxed);
}

/// What all threads of a node see.
pub struct Shared {
    /// The time.
    pub clock: Clock,
    /// What does not change.
    pub settings: NodeSettings,
    /// The shards.
    pub shards: Vec<ShardCell>,
    /// The data threads' mail.
    pub mailboxes: Vec<Mailbox>,
    /// The data threads' counts.
    pub counters: Vec<ThreadCounters>,
    /// How long log syncs took.
    pub sync_times: Histogram,
    /// Who listens to events.
    pub events: Box<dyn Events>,
    is_listened_to: AtomicBool,
    view: RwLock<Option<Arc<View>>>,
    view_version: AtomicU64,
    stage: AtomicU8,
    /// Why the node cannot go on, if it cannot.
    fatal: Mutex<Option<String>>,
    /// Client connections open now, over all threads.
    pub connection_count: AtomicUsize,
    /// Client connections since the start.
    pub connection_total: AtomicU64,
    clients: Mutex<BTreeMap<u64, Arc<ClientInfo>>>,
}

impl Shared {
    /// Of a node that is about to start.
    pub fn new(
        clock: Clock,
        settings: NodeSettings,
        shards: Vec<ShardCell>,
        mailboxes: Vec<Mailbox>,
        events: Box<dyn Events>,
    ) -> Shared {
        let counters = mailboxes.iter().map(|_| ThreadCounters::default()).collect();
        Shared {
            clock,
            settings,
            shards,
            mailboxes,
            counters,
            sync_times: Histogram::default(),
            events,
            is_listened_to: AtomicBool::new(false),
            view: RwLock::new(None),
            view_version: AtomicU64::new(0),
            stage: AtomicU8::new(0),
            fatal: Mutex::new(None),
            connection_count: AtomicUsize::new(0),
            connection_total: AtomicU64::new(0),
            clients: Mutex::new(BTreeMap::new()),
        }
    }
    /// Counts views; another number means another view.
    #[inline]
    pub fn view_version(&self) -> u64 {
        self.view_version.load(Ordering::Acquire)
    }
    /// The latest view.
    pub fn view(&self) -> Option<Arc<View>> {
        self.view.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
    /// Publishes a view to all threads.
    pub fn set_view(&self, view: Arc<View>) {
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = Some(view);
        self.view_version.fetch_add(1, Ordering::Release);
        self.mailboxes.iter().for_each(Mailbox::notify);
    }
    /// How far it is from its end.
    #[inline]
    pub fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Acquire) {
            0 => Stage::Running,
            1 => Stage::Stopping,
            _ => Stage::Now,
        }
    }
    /// Begins to stop, or stops at once.
    pub fn stop(&self, stage: Stage) {
        self.stage.fetch_max(stage as u8, Ordering::AcqRel);
        self.mailboxes.iter().for_each(Mailbox::notify);
    }
    /// Stops because the node cannot go on.
    pub fn fail(&self, why: String) {
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
        self.stop(Stage::Stopping);
    }
    /// Why the node could not go on.
    pub fn failure(&self) -> Option<String> {
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    /// Sends mail to the control plane.
    pub fn tell_control(&self, input: kvorum_core::control::Input) {
        self.mailboxes[0].send(Mail::Control(input));
    }
    /// Leaves something for the driver of a shard and wakes its owner.
    pub fn tell_shard(&self, shard: usize, mail: ShardMail) {
        let cell = &self.shards[shard];
        cell.leave([mail]);
        self.mailboxes[cell.owner].notify();
    }
    /// Whether somebody listens to events.
    #[inline]
    pub fn is_listened_to(&self) -> bool {
        self.is_listened_to.load(Ordering::Relaxed)
    }
    /// Somebody began to listen, or the last one stopped.
    pub fn set_listened_to(&self, on: bool) {
        self.is_listened_to.store(on, Ordering::Relaxed);
        (0..self.shards.len()).for_each(|shard| self.tell_shard(shard, ShardMail::Trace(on)));
    }
    /// A client has come.
    pub fn add_client(&self, client: Arc<ClientInfo>) {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).insert(client.id, client);
    }
    /// A client has gone.
    pub fn remove_client(&self, id: u64) {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
    /// All clients in order of their ids.
    pub fn clients(&self) -> Vec<Arc<ClientInfo>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
    /// Counts of each shard, as last published.
    pub fn shard_counters(&self) -> impl Iterator<Item = Counters> + '_ {
        self.shards.iter().map(ShardCell::counters)
    }
}
