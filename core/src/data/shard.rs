use super::actors::Actors;
use super::census::{CENSUS_EVERY, Census};
use super::compare::Compare;
use super::forward::{ForwardOp, Taken};
use super::get::GetOp;
use super::handoff::{DeliveryOp, Handoff};
use super::io::{Config, Counters, Input, Output, Snapshot, Work, WorkDone};
use super::key;
use super::ops::Ops;
use super::page::{PageRange, ScanFor};
use super::peers::Peers;
use super::put::PutOp;
use super::scan::{CountOp, ScanOp};
use super::store::{Held, Store};
use super::timers::{Timer, Timers};
use super::transfer::{PullOp, Transfer};
use super::waits::{Decided, Until, Waiter, Waits};
use super::{Op, Refusal, Reply, Request, RequestId};
use crate::base::BTreeMap;
use crate::base::trace::Trace;
use crate::base::{Epoch, Kept, KeyspaceId, MemberId, Micros, Now, PartitionId, Random, hash_key};
use crate::lsm::{self, Lookup};
use crate::message::{DataMessage, PAGE_COUNT_MAX, RefusedWhy, WriteAnswer};
use crate::ring::{Durability, Keyspace, PartitionState, View, partition_of_key};
use crate::storage::Storage;
use crate::version::{Cell, Stamp};
use alloc::collections::VecDeque;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

/// Names an operation of this shard, in its messages and their answers. Another range at each start, so that an answer
/// to an earlier life meets nobody.
pub(super) type OpId = u64;

/// Most operations in flight. Beyond it clients are told to try again.
const OP_COUNT_MAX: usize = 100_000;
/// Most accesses that wait for one disk read or another.
const WAITING_MAX: usize = 100_000;
/// How often the log is synced under `interval`.
const SYNC_EVERY: Micros = Micros::from_millis(1_000);
/// How often trees are compared, with one peer after the other.
const COMPARE_EVERY: Micros = Micros::from_millis(500);
/// How often hints and transfers are looked after.
const TEND_EVERY: Micros = Micros::from_millis(100);

/// An operation that waits for peers.
#[derive(Debug, Clone)]
pub(super) enum Running {
    Put(PutOp),
    Get(GetOp),
    Forward(ForwardOp),
    Scan(ScanOp),
    Count(CountOp),
    Delivery(DeliveryOp),
    Pull(PullOp),
}

/// What is done with a cell once it is at hand. Whatever waits for one key is done in order, each seeing what the one
/// before it wrote.
#[derive(Debug, Clone)]
pub(super) enum Then {
    /// Tell a peer.
    AnswerRead { to: MemberId, partition: PartitionId, op: OpId, epoch: Epoch },
    /// This node's own answer to a get that it coordinates.
    OwnRead { op: OpId },
    /// Merge what came.
    Merge { cell: Bytes, ack: Ack },
    /// Give a put its dot.
    GiveDot { op: OpId },
    /// Merge a hint, or note that its target missed something.
    KeepHint { cell: Bytes, ack: Ack },
    /// The hint was delivered: drop it if it is still what was sent.
    DropHint { sent: u64 },
    /// Send what is held to the target of a note.
    DeliverNote { hint_key: Bytes, target: MemberId },
    /// Send a put that this node had decided alone to those who decide it now.
    SpreadAfterAll(Decided),
    /// Send what is held to a peer that asked for it or lacks it.
    SendRepair { to: MemberId, partition: PartitionId },
}

/// Who is told that a cell is held.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ack {
    /// A peer that wrote under this epoch (`None` for repair, which is welcome under any).
    Peer { to: MemberId, op: OpId, epoch: Option<Epoch> },
    /// An operation of this shard.
    Own { op: OpId },
    /// The transfer of the cell's partition, which must not miss any.
    Transfer,
    /// Nobody.
    None,
}

/// Accesses to one key that wait for the disk.
#[derive(Debug, Clone)]
struct Waiting {
    accesses: VecDeque<Then>,
}

/// The data plane of some of a node's partitions: routes what comes to the operation or store it is for.
#[derive(Debug, Clone)]
pub struct Shard {
    pub(super) config: Config,
    pub(super) now: Now,
    pub(super) view: Option<Arc<View>>,
    pub(super) store: Store,
    pub(super) actors: Option<Actors>,
    pub(super) peers: Peers,
    pub(super) waits: Waits,
    pub(super) timers: Timers,
    pub(super) counters: Counters,
    pub(super) trace: Trace,
    pub(super) random: Random,
    pub(super) compare: Compare,
    pub(super) census: Census,
    pub(super) handoff: Handoff,
    pub(super) transfer: Transfer,
    pub(super) taken: Taken,
    pub(super) ops: Ops,
    next_op: OpId,
    /// By engine key.
    waiting: BTreeMap<Bytes, Waiting>,
    waiting_count: usize,
    /// Point reads that are out, by work id.
    reads: BTreeMap<u64, Bytes>,
    /// Range reads that are out, by work id.
    scans: BTreeMap<u64, (PageRange, ScanFor)>,
    next_work: u64,
    out: VecDeque<Output>,
    /// Messages of this shard to itself.
    loopback: VecDeque<(PartitionId, DataMessage)>,
    /// The log is to be synced whether somebody waits or not.
    sync_due: bool,
}

impl Shard {
    /// Opens what is in `storage`. Performs IO itself, before the machine lives; also returns what control had
    /// persisted (empty but for shard 0).
    pub fn open<S: Storage>(
        now: Now,
        config: Config,
        storage: &mut S,
        cache: &mut lsm::BlockCache,
    ) -> Result<(Shard, Kept, lsm::Recovery), lsm::Error> {
        let (store, kept, recovery) = Store::open(storage, cache, config.engine.clone())?;
        let mut random = Random::named(config.entropy, "shard");
        let mut timers = Timers::default();
        timers.set(now.mono + SYNC_EVERY, Timer::SyncLog);
        timers.set(now.mono + Micros(random.below(COMPARE_EVERY.0)), Timer::Compare);
        timers.set(now.mono + TEND_EVERY, Timer::Tend);
        timers.set(now.mono + CENSUS_EVERY, Timer::Census);
        let mut shard = Shard {
            trace: Trace::new(0, config.trace),
            // Room for 2^40 operations a life; 0 is nobody's.
            next_op: random.next_u64() << 40 | 1,
            config,
            now,
            view: None,
            store,
            actors: None,
            peers: Peers::default(),
            waits: Waits::default(),
            timers,
            counters: Counters::default(),
            random,
            compare: Compare::default(),
            census: Census::default(),
            handoff: Handoff::default(),
            transfer: Transfer::default(),
            taken: Taken::default(),
            ops: Ops::default(),
            waiting: BTreeMap::new(),
            waiting_count: 0,
            reads: BTreeMap::new(),
            scans: BTreeMap::new(),
            next_work: 1,
            out: VecDeque::new(),
            loopback: VecDeque::new(),
            sync_due: false,
        };
        shard.store.db_mut().set_listened(shard.trace.on());
        Ok((shard, kept, recovery))
    }
    /// Ends it in order: see [`lsm::Db::close`]. Performs IO itself; nothing may be handed in or polled afterwards but the
    /// ends of work, after which it can be tried again where it said `false`.
    pub fn close<S: Storage>(&mut self, storage: &mut S, cache: &mut lsm::BlockCache) -> bool {
        self.store.db_mut().close(storage, cache)
    }
    /// Takes what happened.
    pub fn handle(&mut self, now: Now, input: Input) {
        self.now = now;
        match input {
            Input::Request { id, request } => self.on_request(id, request),
            Input::Message { from, partition, message } => self.on_message(from, partition, message),
            Input::View(view) => self.on_view(view),
            Input::Log(done) => {
                self.store.db_mut().on_log(done);
                self.on_durable();
            }
            Input::LogSync(done) => {
                self.store.db_mut().on_log_sync(done);
                self.on_durable();
            }
            Input::Work { id, done } => self.on_work(id, done),
            Input::Persist { ticket, slot, bytes } => {
                // If it cannot be kept, control asks again or stands still: nothing was promised.
                if self.store.keep(slot, &bytes).is_ok() {
                    self.wait(Until::Synced, Waiter::Kept(ticket));
                }
            }
            Input::Wake => {}
        }
        self.run_timers();
        self.run_loopback();
        let events = self.store.db_mut().take_events();
        self.trace_engine(events);
    }
    /// What to do next; drain until `None`.
    pub fn poll(&mut self) -> Option<Output> {
        if let Some(output) = self.out.pop_front() {
            return Some(output);
        }
        // Nothing else waits: what this turn wrote leaves as one append.
        let is_synced = self.waits.wants_sync() || self.sync_due;
        let always = self.durability() == Durability::Always;
        if let Some(write) = self.store.db_mut().log_write(is_synced && always) {
            // It syncs what was written before as well.
            self.sync_due &= !(is_synced && always);
            return Some(Output::Log { write, is_synced: is_synced && always });
        }
        if is_synced && let Some(sync) = self.store.db_mut().log_sync() {
            self.sync_due = false;
            return Some(Output::LogSync(sync));
        }
        let job = self.store.db_mut().job()?;
        let events = self.store.db_mut().take_events();
        self.trace_engine(events);
        let id = self.work_id();
        Some(Output::Work { id, work: Work::Job(job) })
    }
    /// When to say [`Input::Wake`] if nothing else happens.
    pub fn wake_at(&self) -> Option<Micros> {
        self.timers.next_at().into_iter().chain(self.waits.next_at()).min()
    }
    /// A picture of it.
    pub fn snapshot(&self) -> Snapshot {
        let owned = |partition: &PartitionId| self.view.as_ref().is_some_and(|view| view.owns(*partition));
        let mut roots = Vec::new();
        if let Some(view) = &self.view {
            for number in 0..view.topology.partition_count() {
                let partition = PartitionId(number);
                if self.serves(partition) && owned(&partition) {
                    roots.push((partition, self.store.tree(partition).map_or(0, |tree| tree.root())));
                }
            }
        }
        Snapshot { shard: self.config.shard, counters: self.gauged(), engine: self.store.db().stats(), roots }
    }
    /// Sizes and counts of its engine.
    pub fn engine(&self) -> lsm::Stats {
        self.store.db().stats()
    }
    /// Whether requests for that key are for this shard.
    pub fn serves_key(&self, key: &[u8]) -> bool {
        self.partition_count().is_some_and(|count| self.serves(partition_of_key(key, count)))
    }
    /// For its picture.
    pub(super) fn db(&self) -> &lsm::Db {
        self.store.db()
    }
    /// Q, once it knows its cluster.
    pub(super) fn partition_count(&self) -> Option<u16> {
        self.view.as_ref().map(|view| view.topology.partition_count())
    }
    /// For whom it keeps hints.
    pub(super) fn hint_targets(&self) -> impl Iterator<Item = MemberId> + '_ {
        self.store.hints.targets()
    }
    /// How many hints it keeps, by target and partition.
    pub(super) fn hint_ledger(&self) -> impl Iterator<Item = (MemberId, PartitionId, u64)> + '_ {
        self.store.hints.counts()
    }
    /// Counts alone, gauges brought up to date.
    pub fn gauged(&self) -> Counters {
        let mut counters = self.counters.clone();
        counters.hints_pending = self.store.hints.count();
        counters.hint_bytes = self.store.hints.bytes();
        (counters.keys, counters.tombstones) = (0, 0);
        for (partition, tree) in self.store.held_partitions() {
            if self.view.as_ref().is_some_and(|view| view.owns(partition)) {
                counters.keys += u64::from(tree.live);
                counters.tombstones += u64::from(tree.dead);
            }
        }
        counters
    }
    /// Starts or stops recording events.
    pub fn set_trace(&mut self, on: bool) {
        self.trace.set_on(on);
        self.store.db_mut().set_listened(on);
    }
    /// Takes the events since the last call.
    pub fn take_trace(&mut self) -> Vec<u32> {
        self.trace.take()
    }
    /// Appends them to `words`.
    pub fn take_trace_into(&mut self, words: &mut Vec<u32>) {
        self.trace.take_into(words);
    }
    /// Partitions of which this shard holds anything, with the root of their trees: what checkers compare.
    pub fn held(&self) -> impl Iterator<Item = (PartitionId, u128)> + '_ {
        self.store.held_partitions().map(|(partition, tree)| (partition, tree.root()))
    }
    /// Operations in flight, accesses that wait for the disk, and waits for the log: what is bounded.
    pub fn load(&self) -> [usize; 3] {
        [self.ops.len(), self.waiting_count, self.waits.len()]
    }
    /// Writes that are not in the log's file yet: a crash would take what nobody was promised.
    pub fn unwritten(&self) -> u64 {
        self.store.db().issued().0 - self.store.db().written().0
    }
    /// What is in flight is bounded, and the engine's invariants hold.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.ops.len() > OP_COUNT_MAX || self.waiting_count > WAITING_MAX {
            return Err("what is in flight stays within its bound");
        }
        self.store.db().check()
    }

    // --- routing ---

    fn on_request(&mut self, id: RequestId, request: Request) {
        if let Err(refusal) = self.admit(&request) {
            self.refuse(id, refusal);
            return;
        }
        let Request { keyspace, deadline, op } = request;
        match op {
            Op::Get { key, r } => self.start_get(id, keyspace, key, r, deadline),
            Op::Put { key, value, context, expiry, w } => {
                self.start_put(id, keyspace, key, Some(value), context, expiry, w, deadline);
            }
            Op::Delete { key, context, w } => {
                self.start_put(id, keyspace, key, None, context, super::Expiry::Never, w, deadline);
            }
            Op::Expire { key, expiry, when } => self.start_expire(id, keyspace, key, expiry, when, deadline),
            Op::Scan { partition, from_hash, limit } => {
                self.start_scan(id, keyspace, partition, from_hash, limit, deadline);
            }
            Op::Count { partition } => self.start_count(id, partition, deadline),
            Op::Explain { key } => self.start_explain(id, keyspace, key, deadline),
        }
    }
    /// Whether a request can be taken at all. Nothing has happened when it cannot.
    fn admit(&self, request: &Request) -> Result<(), Refusal> {
        let Some(view) = &self.view else { return Err(Refusal::TryAgain("the node is starting")) };
        if view.topology.keyspace(request.keyspace).is_none() {
            return Err(Refusal::NoKeyspace(request.keyspace));
        }
        let within = |what, bytes: usize, bytes_max: u32| {
            let (bytes, bytes_max) = (bytes as u64, u64::from(bytes_max));
            if bytes > bytes_max { Err(Refusal::TooLarge { what, bytes, bytes_max }) } else { Ok(()) }
        };
        if let Some(key) = request.op.key() {
            within("key", key.len(), self.config.key_bytes_max)?;
        }
        if let Op::Put { value, .. } = &request.op {
            within("value", value.len(), self.config.value_bytes_max)?;
        }
        if let Op::Scan { partition, .. } | Op::Count { partition } = &request.op
            && view.partition(*partition).is_none()
        {
            return Err(Refusal::Invalid("there is no such partition"));
        }
        if self.ops.len() >= OP_COUNT_MAX || self.waiting_count >= WAITING_MAX {
            return Err(Refusal::TryAgain("too many requests are in flight"));
        }
        Ok(())
    }
    fn on_message(&mut self, from: MemberId, partition: PartitionId, message: DataMessage) {
        // Before the first view nothing is known, not even who this node is: peers ask again.
        let Some(view) = self.view.clone() else { return };
        if view.partition(partition).is_none() {
            return;
        }
        // What would begin another operation waits for its sender's patience; what ends one is always welcome.
        if matches!(message, DataMessage::Forward { .. }) && self.ops.len() >= OP_COUNT_MAX {
            return;
        }
        match message {
            DataMessage::Write { op, epoch, keyspace, reason, key, cell } => {
                self.on_write(from, partition, op, epoch, keyspace, reason, &key, cell);
            }
            DataMessage::WriteAnswer { op, answer } => self.on_write_answer(from, op, answer),
            DataMessage::Read { op, epoch, keyspace, target, key } => {
                self.on_read(from, partition, op, epoch, keyspace, target, &key);
            }
            DataMessage::ReadAnswer { op, answer } => self.on_read_answer(from, op, answer),
            DataMessage::Forward { op, epoch, keyspace, key, put } => {
                self.on_forward(from, partition, op, epoch, keyspace, key, put);
            }
            DataMessage::ForwardAnswer { op, answer } => self.on_forward_answer(from, op, answer),
            DataMessage::Pull { op, epoch, from: hash } => self.on_pull(from, partition, op, epoch, hash),
            DataMessage::PullPage { op, page } => self.on_pull_page(from, op, page),
            DataMessage::Scan { op, epoch, keyspace, from: hash, limit } => {
                self.on_scan(from, partition, op, epoch, keyspace, hash, limit);
            }
            DataMessage::ScanPage { op, keys, next, refused } => {
                self.on_scan_page(from, op, keys, next, refused);
            }
            DataMessage::Count { op } => self.on_count(from, partition, op),
            DataMessage::CountAnswer { op, count } => self.on_count_answer(op, count),
            tree => self.on_tree_message(from, partition, tree),
        }
    }
    fn on_write_answer(&mut self, from: MemberId, op: OpId, answer: WriteAnswer) {
        if let WriteAnswer::Refused(RefusedWhy::StaleEpoch(epoch)) = answer {
            self.saw_epoch(from, epoch);
        }
        match self.ops.get(&op) {
            Some(Running::Put(_)) => self.on_put_answer(from, op, answer),
            Some(Running::Delivery(_)) => self.on_delivery_answer(from, op, answer),
            _ => {} // Of an operation that is over.
        }
    }
    fn on_view(&mut self, view: Arc<View>) {
        if self.actors.is_none() {
            let config = &self.config;
            self.actors = Some(Actors::new(view.me, config.shard, config.entropy, config.sabotage));
            self.trace.set_node(u32::from(view.me.0));
        }
        let old = self.view.replace(view.clone());
        if old.as_ref().is_none_or(|old| old.topology.epoch != view.topology.epoch) {
            self.on_ownership(old.as_deref(), &view);
        }
        for id in self.ops.ids() {
            let moved = |partition| {
                old.as_deref().and_then(|old| old.partition(partition)).map(|state| state.since)
                    != view.partition(partition).map(|state| state.since)
            };
            match self.ops.get(&id) {
                Some(Running::Put(op)) => {
                    let moved = moved(op.partition);
                    self.revise_put(id, moved);
                }
                Some(Running::Get(op)) => {
                    let moved = moved(op.partition);
                    self.revise_get(id, moved);
                }
                Some(Running::Forward(_)) => self.revise_forward(id),
                _ => {} // Those time out and are begun again.
            }
        }
    }
    fn on_work(&mut self, id: u64, done: WorkDone) {
        match done {
            WorkDone::Job(done) => self.store.db_mut().on_job(done),
            WorkDone::Read(mut done) => {
                self.trace_engine(core::mem::take(&mut done.events));
                if let Some(engine_key) = self.reads.remove(&id) {
                    self.on_read_done(&engine_key, done);
                }
            }
            WorkDone::Scan(result) => {
                if let Some((range, what)) = self.scans.remove(&id) {
                    self.on_page(range, what, result);
                }
            }
        }
    }
    fn on_durable(&mut self) {
        let db = self.store.db();
        let (written, synced) = (db.written(), db.synced());
        let failed = db.failed();
        while let Some(waiter) = self.waits.take_done(written, synced) {
            self.on_waiter(waiter);
        }
        if let Some((through, _)) = failed {
            while let Some(waiter) = self.waits.take_failed(through) {
                self.on_waiter_failed(waiter);
            }
        }
    }
    pub(super) fn on_waiter(&mut self, waiter: Waiter) {
        match waiter {
            Waiter::Answer { to, partition, op, answer } => {
                self.send(to, partition, DataMessage::WriteAnswer { op, answer });
            }
            Waiter::Done(decided) => self.end_directly(decided),
            Waiter::Vote { op, answer } => self.on_put_answer(self.me(), op, answer),
            Waiter::Kept(ticket) => self.out.push_back(Output::Persisted(ticket)),
            Waiter::Merged { partition, since } => self.on_merged(partition, since),
        }
    }
    fn on_waiter_failed(&mut self, waiter: Waiter) {
        let answer = WriteAnswer::Refused(RefusedWhy::Storage);
        match waiter {
            Waiter::Answer { to, partition, op, .. } => {
                self.send(to, partition, DataMessage::WriteAnswer { op, answer });
            }
            Waiter::Done(decided) => self.leave_in_doubt(decided.request, decided.op),
            Waiter::Vote { op, .. } => self.on_put_answer(self.me(), op, answer),
            Waiter::Kept(_) | Waiter::Merged { .. } => {} // Nobody is told what is not so.
        }
    }
    fn run_timers(&mut self) {
        let ops = &self.ops;
        self.timers.trim(|op| !ops.contains_key(&op));
        for (request, op) in self.waits.take_expired(self.now.mono) {
            self.leave_in_doubt(request, op);
        }
        while let Some(timer) = self.timers.take_due(self.now.mono) {
            match timer {
                Timer::Deadline(id) => self.on_deadline(id),
                Timer::Hedge(id) => self.on_hedge(id),
                Timer::SyncLog => {
                    self.sync_due = self.durability() != Durability::Memory;
                    let db = self.store.db_mut();
                    if db.refusing().is_some() || db.is_stalled() {
                        db.retry();
                    }
                    self.timers.set(self.now.mono + SYNC_EVERY, Timer::SyncLog);
                }
                Timer::Compare => {
                    self.compare_next();
                    let jitter = Micros(self.random.below(COMPARE_EVERY.0 / 4));
                    self.timers.set(self.now.mono + COMPARE_EVERY + jitter, Timer::Compare);
                }
                Timer::Tend => {
                    self.tend_hints();
                    self.tend_transfers();
                    self.timers.set(self.now.mono + TEND_EVERY, Timer::Tend);
                }
                Timer::Census => {
                    self.tend_census();
                    self.timers.set(self.now.mono + CENSUS_EVERY, Timer::Census);
                }
            }
        }
    }
    fn on_deadline(&mut self, id: OpId) {
        match self.ops.get(&id) {
            Some(Running::Put(_)) => self.expire_put(id),
            Some(Running::Get(_)) => self.expire_get(id),
            Some(Running::Forward(_)) => self.expire_forward(id),
            Some(Running::Scan(_) | Running::Count(_)) => self.expire_scan(id),
            Some(Running::Delivery(_)) => self.give_up_delivery(id),
            Some(Running::Pull(_)) => self.give_up_pull(id),
            None => {}
        }
    }
    fn on_hedge(&mut self, id: OpId) {
        match self.ops.get(&id) {
            Some(Running::Put(_)) => self.hedge_put(id),
            Some(Running::Get(_)) => self.hedge_get(id),
            Some(Running::Forward(_)) => self.hedge_forward(id),
            _ => {}
        }
    }
    fn run_loopback(&mut self) {
        while let Some((partition, message)) = self.loopback.pop_front() {
            self.on_message(self.me(), partition, message);
        }
    }

    // --- access to cells ---

    /// Does `then` with the value under `engine_key`, now or when the disk has told it.
    pub(super) fn access(&mut self, engine_key: Bytes, then: Then) {
        if !self.waiting.is_empty()
            && let Some(waiting) = self.waiting.get_mut(&engine_key)
        {
            waiting.accesses.push_back(then);
            self.waiting_count += 1;
            return;
        }
        let found = self.store.get(&engine_key);
        if !matches!(found, Lookup::OnDisk(_)) {
            self.trace_memory_read();
        }
        match found {
            Lookup::Found(bytes) => self.proceed(&engine_key, Some(bytes), then),
            Lookup::Absent => self.proceed(&engine_key, None, then),
            Lookup::OnDisk(read) => {
                let id = self.work_id();
                self.reads.insert(id, engine_key.clone());
                self.waiting.insert(engine_key, Waiting { accesses: VecDeque::from([then]) });
                self.waiting_count += 1;
                self.out.push_back(Output::Work { id, work: Work::Read(read) });
            }
        }
    }
    /// Whether an access to that key waits for the disk.
    #[inline]
    pub(super) fn is_waiting_for(&self, engine_key: &Bytes) -> bool {
        !self.waiting.is_empty() && self.waiting.contains_key(engine_key)
    }
    fn on_read_done(&mut self, engine_key: &Bytes, done: lsm::ReadDone) {
        let lookup = self.store.get(engine_key);
        if !self.store.db().is_current(&done)
            && let Lookup::OnDisk(read) = lookup
        {
            // The same question to the tables of now.
            let id = self.work_id();
            self.reads.insert(id, engine_key.clone());
            return self.out.push_back(Output::Work { id, work: Work::Read(read) });
        }
        let result = done.result;
        if let Err(error) = &result {
            self.out.push_back(Output::Unreadable(error.clone()));
        }
        if let (Lookup::OnDisk(_), Ok(Some(value))) = (&lookup, &result) {
            self.store.db_mut().remember(engine_key, value);
        }
        let Some(waiting) = self.waiting.remove(engine_key) else { return };
        self.waiting_count -= waiting.accesses.len();
        for then in waiting.accesses {
            // Written meanwhile, by the access before this one: then memory knows.
            let value = match self.store.get(engine_key) {
                Lookup::Found(bytes) => Ok(Some(bytes)),
                Lookup::Absent => Ok(None),
                Lookup::OnDisk(_) => result.clone(),
            };
            match value {
                Ok(value) => self.proceed(engine_key, value, then),
                Err(_) => self.abandon(engine_key, then),
            }
        }
    }
    fn proceed(&mut self, engine_key: &Bytes, value: Option<Bytes>, then: Then) {
        match then {
            Then::AnswerRead { to, partition, op, epoch } => {
                self.answer_read(to, partition, op, epoch, value);
            }
            Then::OwnRead { op } => {
                self.on_read_vote(self.me(), op, value);
            }
            Then::SpreadAfterAll(decided) => self.spread_after_all(decided, value),
            Then::SendRepair { to, partition } => self.send_repair(to, partition, engine_key, value),
            Then::DeliverNote { hint_key, target } => self.deliver_note(hint_key, target, engine_key, value),
            Then::DropHint { sent } => self.drop_hint(engine_key, value, sent),
            Then::KeepHint { cell, ack } => self.keep_hint(engine_key, value, cell, ack),
            Then::Merge { cell, ack } => match decode(value) {
                Ok(held) => self.merge(engine_key, held, cell, ack),
                Err(()) => self.abandon(engine_key, Then::Merge { cell, ack }),
            },
            Then::GiveDot { op } => match decode(value) {
                Ok(held) => self.give_dot(op, engine_key, held),
                Err(()) => self.abandon(engine_key, Then::GiveDot { op }),
            },
        }
    }
    /// The disk could not tell, or told what is no cell.
    fn abandon(&mut self, engine_key: &Bytes, then: Then) {
        let refused = WriteAnswer::Refused(RefusedWhy::Storage);
        match then {
            Then::AnswerRead { to, partition, op, .. } => {
                let answer = crate::message::ReadAnswer::Refused(RefusedWhy::Storage);
                self.send(to, partition, DataMessage::ReadAnswer { op, answer });
            }
            Then::OwnRead { op } => self.on_read_refused(self.me(), op, RefusedWhy::Storage),
            Then::Merge { ack, .. } | Then::KeepHint { ack, .. } => {
                let cell_key = key::cell_of_hint(engine_key).map_or(engine_key.clone(), |found| found.1);
                if let Some(place) = key::place_of(&cell_key) {
                    self.acknowledge_now(ack.of(place.partition), refused);
                }
            }
            Then::GiveDot { op } => {
                self.refuse_put(op, Refusal::Storage("the cell cannot be read".to_string()))
            }
            Then::SpreadAfterAll(decided) => self.leave_in_doubt(decided.request, decided.op),
            Then::DropHint { .. } | Then::DeliverNote { .. } | Then::SendRepair { .. } => {}
        }
    }

    // --- what the parts share ---

    pub(super) fn me(&self) -> MemberId {
        self.view.as_ref().map_or(MemberId(u16::MAX), |view| view.me)
    }
    /// Whether `partition` is this shard's among the node's.
    pub(super) fn serves(&self, partition: PartitionId) -> bool {
        crate::base::ShardIndex::of(partition, self.config.shard_count) == self.config.shard
    }
    pub(super) fn is_refilling(&self) -> bool {
        let me = |view: &Arc<View>| view.topology.member(view.me).is_some_and(|member| member.refilling);
        self.view.as_ref().is_some_and(me)
    }
    pub(super) fn state_of(&self, partition: PartitionId) -> Option<&PartitionState> {
        self.view.as_ref()?.partition(partition)
    }
    pub(super) fn epoch(&self) -> Epoch {
        self.view.as_ref().map_or(Epoch(0), |view| view.topology.epoch)
    }
    pub(super) fn keyspace(&self, id: KeyspaceId) -> Option<&Keyspace> {
        self.view.as_ref()?.topology.keyspace(id)
    }
    pub(super) fn durability(&self) -> Durability {
        self.keyspace(KeyspaceId(0)).map_or(Durability::Always, |keyspace| keyspace.durability)
    }
    /// What an acknowledgement in keyspace `id` waits for.
    pub(super) fn until(&self) -> Until {
        if self.durability() == Durability::Always { Until::Synced } else { Until::Written }
    }
    /// Does what `waiter` waits for once everything written so far is as durable as `until` says.
    pub(super) fn wait(&mut self, until: Until, waiter: Waiter) {
        let ticket = self.store.last();
        let db = self.store.db();
        let done = if until == Until::Synced { db.synced() } else { db.written() };
        if ticket <= done {
            self.on_waiter(waiter);
        } else {
            self.waits.add(until, ticket, waiter);
        }
    }
    pub(super) fn wall_ms(&self) -> u64 {
        self.now.wall.as_millis()
    }
    /// A new stamp of this node, above all that this shard has seen.
    pub(super) fn stamp(&mut self) -> Stamp {
        let hlc = self.store.clock.next(self.now.wall);
        Stamp { hlc, member: self.me() }
    }
    pub(super) fn op_id(&mut self) -> OpId {
        self.next_op += 1;
        self.next_op
    }
    fn work_id(&mut self) -> u64 {
        self.next_work += 1;
        self.next_work
    }
    /// Reads a page for `what`; it is handed to the part that wants it.
    pub(super) fn read_page(&mut self, range: PageRange, what: ScanFor) {
        let scan = self.store.scan(range.from.clone(), range.to.clone(), range.limit, range.bytes_max);
        let id = self.work_id();
        self.scans.insert(id, (range, what));
        self.out.push_back(Output::Work { id, work: Work::Scan(scan) });
    }
    /// Whether an access to a cell of `partition` waits for the disk.
    pub(super) fn is_waiting_in(&self, partition: PartitionId) -> bool {
        let (from, to) = key::partition_range(partition);
        self.waiting.range(from..to).next().is_some()
    }
    pub(super) fn place(&self, key: &[u8]) -> (PartitionId, u32) {
        let count = self.view.as_ref().map_or(1, |view| view.topology.partition_count());
        (partition_of_key(key, count), (hash_key(key) >> 32) as u32)
    }
    pub(super) fn cell_key(&self, keyspace: KeyspaceId, key: &[u8]) -> (PartitionId, Bytes) {
        let (partition, hash) = self.place(key);
        (partition, key::cell_key(partition, keyspace, hash, key))
    }
    pub(super) fn send(&mut self, to: MemberId, partition: PartitionId, message: DataMessage) {
        if to == self.me() {
            self.loopback.push_back((partition, message));
        } else {
            self.out.push_back(Output::Send { to, partition, message });
        }
    }
    pub(super) fn push(&mut self, output: Output) {
        self.out.push_back(output);
    }
    pub(super) fn reply(&mut self, id: RequestId, reply: Reply) {
        self.out.push_back(Output::Reply { id, reply });
    }
    pub(super) fn refuse(&mut self, id: RequestId, refusal: Refusal) {
        match refusal {
            Refusal::InDoubt { .. } => self.counters.in_doubt += 1,
            _ => self.counters.refused += 1,
        }
        self.reply(id, Reply::Refused(refusal));
    }
    pub(super) fn saw_epoch(&mut self, from: MemberId, epoch: Epoch) {
        if epoch > self.epoch() {
            self.out.push_back(Output::SawEpoch { from, epoch });
        }
    }
    /// The most records of a page that answers a peer.
    pub(super) const PAGE: u32 = PAGE_COUNT_MAX as u32;
}

/// Reads a value of the cells column. Bytes that are no cell are damage, never an absent cell.
fn decode(value: Option<Bytes>) -> Result<Option<Held>, ()> {
    match value {
        None => Ok(None),
        Some(bytes) => match Cell::decode(&bytes) {
            Ok(cell) => Ok(Some(Held { bytes, cell })),
            Err(_) => Err(()),
        },
    }
}
