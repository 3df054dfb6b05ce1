use super::script::{DiskMood, NodeIndex};
use crate::base::BTreeMap;
use crate::base::{Micros, Now, Order, Random, Sabotage, ShardIndex};
use crate::control::{self, Control};
use crate::data::{self, Shard, Work, WorkDone};
use crate::lsm::{self, BlockCache};
use crate::node::{Input, Node};
use crate::storage::{CrashStyle, FileId, FileKind, MemoryDisk, Storage};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The true time at which every world begins, in Unix milliseconds.
pub(super) const WALL_AT_START_MS: u64 = 1_750_000_000_000;
/// Bytes of a node's block cache.
const CACHE_BYTES: u64 = 1 << 20;

/// Something on its way to a host, kept while it is paused.
#[derive(Debug, Clone)]
pub(super) enum Arrival {
    /// For its machines.
    Input(Input),
    /// Its disk has finished.
    Disk(u64),
    /// A message, with what is needed to tell who sent it.
    Message { from: NodeIndex, from_store: u64, id: u64, sent: Micros, message: crate::message::PeerMessage },
    /// The connection to another host works or broke.
    Link { about: NodeIndex, up: bool },
}

/// What a disk is asked to do; performed when it ends, so that a crash may find it undone, half done or done.
#[derive(Debug, Clone)]
pub(super) enum DiskCall {
    Log(ShardIndex, lsm::LogWrite),
    Sync(ShardIndex, lsm::LogSync),
    Work(ShardIndex, u64, Work),
}

/// A machine: a disk for each shard, a clock, and, while it runs, a node.
#[derive(Debug, Clone)]
pub(super) struct Host {
    pub index: NodeIndex,
    /// As members know it.
    pub name: String,
    pub node: Option<Node>,
    /// One for each shard.
    pub disks: Vec<MemoryDisk>,
    /// After a bit of a log has changed: the disks as they were, and as they would be if that log ended before it.
    pub undamaged: Option<[Vec<MemoryDisk>; 2]>,
    pub caches: Vec<BlockCache>,
    /// Counts starts: what was meant for an earlier life reaches nobody.
    pub life: u32,
    /// The random number of its data dir.
    pub store: u64,
    pub is_paused: bool,
    pub inbox: Vec<Arrival>,
    /// When it was last paused or resumed.
    pub unsteady_at: Micros,
    pub offset_ms: i32,
    pub mood: DiskMood,
    pub wake: Option<Micros>,
    pub calls: BTreeMap<u64, DiskCall>,
    next_call: u64,
    random: Random,
}

impl Host {
    pub fn new(index: NodeIndex, shards: u8, seed: u64) -> Host {
        let mut random = Random::named(seed, "host").fork(&alloc::format!("{index}"));
        Host {
            index,
            name: index.to_string(),
            node: None,
            disks: (0..shards).map(|_| MemoryDisk::new()).collect(),
            undamaged: None,
            caches: (0..shards).map(|_| BlockCache::new(CACHE_BYTES)).collect(),
            life: 0,
            store: random.next_u64() | 1,
            is_paused: false,
            inbox: Vec::new(),
            unsteady_at: Micros(0),
            offset_ms: 0,
            mood: DiskMood::Ok,
            wake: None,
            calls: BTreeMap::new(),
            next_call: 0,
            random,
        }
    }
    /// The two clocks of this host.
    pub fn now(&self, now: Micros) -> Now {
        let wall =
            (WALL_AT_START_MS * 1_000 + now.0).saturating_add_signed(i64::from(self.offset_ms) * 1_000);
        Now { mono: now, wall: Micros(wall) }
    }
    /// Begins a life: opens the engines and composes a node.
    pub fn start(
        &mut self,
        now: Micros,
        config: control::Config,
        engine: &lsm::Options,
        sabotage: Sabotage,
    ) -> Result<(), lsm::Error> {
        let now = self.now(now);
        let shard_count = self.disks.len() as u8;
        let mut kept = crate::base::Kept::default();
        let mut shards = Vec::new();
        for (index, disk) in self.disks.iter_mut().enumerate() {
            let config = data::Config {
                shard: ShardIndex(index as u8),
                shard_count,
                entropy: self.random.next_u64(),
                key_bytes_max: 64 << 10,
                value_bytes_max: 16 << 20,
                hint_bytes_max: 64 << 20,
                engine: engine.clone(),
                sabotage,
                trace: true,
            };
            self.caches[index] = BlockCache::new(CACHE_BYTES);
            let (shard, restored, _) = Shard::open(now, config, disk, &mut self.caches[index])?;
            if index == 0 {
                kept = restored;
            }
            shards.push(shard);
        }
        let control = Control::new(now, config, kept);
        self.node = Some(Node::new(now, control, shards));
        self.life += 1;
        self.is_paused = false;
        self.wake = None;
        Ok(())
    }
    /// A random number for whoever starts on this host.
    pub fn entropy(&mut self) -> u64 {
        self.random.next_u64()
    }
    /// Asks the disk for something and says when it will be done.
    pub fn call(&mut self, call: DiskCall) -> (u64, Micros) {
        let micros = match &call {
            DiskCall::Log(..) | DiskCall::Sync(..) => self.random.between(60, 600),
            DiskCall::Work(_, _, Work::Job(_)) => self.random.between(1_000, 6_000),
            DiskCall::Work(..) => self.random.between(20, 150),
        };
        let slowness = if self.mood == DiskMood::Slow { self.random.between(20, 120) } else { 1 };
        self.next_call += 1;
        self.calls.insert(self.next_call, call);
        (self.next_call, Micros(micros * slowness))
    }
    /// Performs what the disk was asked to do; `None` if a crash came before it.
    pub fn perform(&mut self, number: u64) -> Option<Input> {
        let call = self.calls.remove(&number)?;
        Some(self.run(call))
    }
    /// Performs a call at once.
    pub fn run(&mut self, call: DiskCall) -> Input {
        match call {
            DiskCall::Log(shard, write) => {
                Input::Log(shard, write.run(&mut self.disks[usize::from(shard.0)]))
            }
            DiskCall::Sync(shard, sync) => {
                Input::LogSync(shard, sync.run(&mut self.disks[usize::from(shard.0)]))
            }
            DiskCall::Work(shard, id, work) => {
                let index = usize::from(shard.0);
                let done = work.run(&mut self.disks[index], &mut self.caches[index]);
                Input::Work(shard, id, done)
            }
        }
    }
    /// The process ends. Calls that were out are done, undone or half done; a power cut then takes what was not synced.
    pub fn crash(&mut self, is_power_cut: bool) {
        let calls = core::mem::take(&mut self.calls);
        for call in calls.into_values() {
            match (call, self.random.below(3)) {
                (DiskCall::Work(shard, _, Work::Job(mut job)), 1) => {
                    let index = usize::from(shard.0);
                    for _ in 0..self.random.between(1, 12) {
                        let (disk, cache) = (&mut self.disks[index], &mut self.caches[index]);
                        if job.step(disk, cache, 512).is_some() {
                            break;
                        }
                    }
                }
                (call @ (DiskCall::Log(..) | DiskCall::Sync(..)), 1 | 2) | (call, 2) => {
                    self.run(call);
                }
                _ => {}
            }
        }
        if is_power_cut {
            let styles = [CrashStyle::LoseAll, CrashStyle::KeepRandom, CrashStyle::Torn, CrashStyle::KeepAll];
            for disk in &mut self.disks {
                let style = styles[self.random.below(4) as usize];
                disk.crash(style, &mut self.random);
            }
        }
        self.node = None;
        self.is_paused = false;
        self.inbox.clear();
        self.wake = None;
        self.life += 1;
    }
    /// The disks are lost; the next life has empty ones and another number.
    pub fn wipe(&mut self) {
        for disk in &mut self.disks {
            *disk = MemoryDisk::new();
        }
        self.store = self.random.next_u64() | 1;
        self.set_mood(self.mood);
    }
    /// One bit of a log changes while the host stands still; `false` when there is no log worth it. Keeps what the disk may
    /// be taken for, if it is taken at all: the whole one, if no record was hit, or one whose log ends before the damage.
    pub fn rot(&mut self) -> bool {
        let index = self.random.below(self.disks.len() as u64) as usize;
        let disk = &self.disks[index];
        let mut logs: Vec<FileId> =
            disk.list().unwrap_or_default().into_iter().filter(|file| file.kind == FileKind::Log).collect();
        logs.order();
        let mut used = Vec::new();
        for file in logs {
            let length = disk.len(file).unwrap_or(0);
            let mut bytes = alloc::vec![0; length as usize];
            let count = disk.read_at(file, 0, &mut bytes).unwrap_or(0);
            let end = bytes[..count].iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1);
            if end > 64 {
                used.push((file, end));
            }
        }
        let Some((file, end)) = self.random.pick(&used).copied() else { return false };
        // What lies behind it proves that it was whole: nothing can tell a damaged end from a torn one.
        let offset = self.random.below(end / 2);
        let mask = 1 << self.random.below(8);
        let whole = self.disks.clone();
        let mut cut_short = whole.clone();
        let is_cut = cut_short[index].truncate(file, offset).is_ok();
        self.undamaged = is_cut.then_some([whole, cut_short]);
        self.disks[index].rot(file, offset, mask);
        true
    }
    pub fn set_mood(&mut self, mood: DiskMood) {
        self.mood = mood;
        for disk in &mut self.disks {
            disk.faults_mut().is_full = mood == DiskMood::Full;
        }
    }
}

/// Why the disk did not say what it was asked. A read that a compaction has overtaken is asked again.
pub(super) fn failure(done: &WorkDone) -> Option<&lsm::Error> {
    let error = match done {
        WorkDone::Read(lsm::ReadDone { result: Err(error), .. }) | WorkDone::Scan(Err(error)) => error,
        _ => return None,
    };
    (*error != lsm::Error::Superseded).then_some(error)
}
