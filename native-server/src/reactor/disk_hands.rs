use super::ShardMail;
use super::shared::Shared;
use crate::disk::Disk;
use kvorum_core::data::{Input, WorkDone};
use kvorum_core::lsm::{BlockCache, Job, LogSync, LogWrite};
use std::collections::VecDeque;
use std::sync::Weak;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Instant;

/// A job goes on after about so many bytes, so that a flush does not wait for a compaction.
const SLICE_BYTES: u64 = 1 << 20;
/// Blocks a job thread keeps: it reads each once.
const JOB_CACHE_BYTES: u64 = 1 << 20;

enum SyncWork {
    Write(LogWrite),
    Sync(LogSync),
}

/// The threads that wait for a shard's disk, so that its driver never does: one syncs, one runs flushes and
/// compactions in slices. What they finish comes back through the shard's inbox.
pub struct DiskHands {
    syncs: Sender<SyncWork>,
    jobs: Sender<(u64, Job)>,
}

/// The other ends, until the threads can start.
pub struct IdleHands {
    shard: usize,
    disk: Disk,
    syncs: Receiver<SyncWork>,
    jobs: Receiver<(u64, Job)>,
}

impl DiskHands {
    /// Hands for the shard of that index.
    pub fn new(shard: usize, disk: Disk) -> (DiskHands, IdleHands) {
        let ((sync_in, syncs), (job_in, jobs)) = (channel(), channel());
        (DiskHands { syncs: sync_in, jobs: job_in }, IdleHands { shard, disk, syncs, jobs })
    }
    /// Writes and syncs elsewhere. A thread that is gone answers nothing, and the node is stopping then.
    pub fn write(&self, write: LogWrite) {
        let _ = self.syncs.send(SyncWork::Write(write));
    }
    /// Syncs elsewhere.
    pub fn sync(&self, sync: LogSync) {
        let _ = self.syncs.send(SyncWork::Sync(sync));
    }
    /// Runs a job elsewhere.
    pub fn run(&self, id: u64, job: Job) {
        let _ = self.jobs.send((id, job));
    }
}

impl IdleHands {
    /// Starts the threads. They end when the node is dropped.
    pub fn start(self, shared: Weak<Shared>) -> std::io::Result<[JoinHandle<()>; 2]> {
        let IdleHands { shard, disk, syncs, jobs } = self;
        let named = |name: &str| std::thread::Builder::new().name(format!("{name}-{shard}"));
        let (sync_disk, sync_shared) = (disk.clone(), shared.clone());
        Ok([
            named("sync").spawn(move || sync_loop(shard, sync_disk, &syncs, &sync_shared))?,
            named("job").spawn(move || job_loop(shard, disk, &jobs, &shared))?,
        ])
    }
}

/// Hands an end back to the shard; false when the node is gone.
fn hand_back(shared: &Weak<Shared>, shard: usize, input: Input) -> bool {
    let Some(shared) = shared.upgrade() else { return false };
    let cell = &shared.shards[shard];
    cell.leave([ShardMail::Input(input)]);
    shared.mailboxes[cell.owner].notify();
    true
}

fn sync_loop(shard: usize, mut disk: Disk, works: &Receiver<SyncWork>, shared: &Weak<Shared>) {
    while let Ok(work) = works.recv() {
        let start = Instant::now();
        let done = match work {
            SyncWork::Write(write) => Input::Log(write.run(&mut disk)),
            SyncWork::Sync(sync) => Input::LogSync(sync.run(&mut disk)),
        };
        if let Some(shared) = shared.upgrade() {
            shared.sync_times.add(start.elapsed());
        }
        if !hand_back(shared, shard, done) {
            return;
        }
    }
}

fn job_loop(shard: usize, mut disk: Disk, works: &Receiver<(u64, Job)>, shared: &Weak<Shared>) {
    let mut cache = BlockCache::new(JOB_CACHE_BYTES);
    let mut running: VecDeque<(u64, Job)> = VecDeque::new();
    loop {
        loop {
            let next = if running.is_empty() {
                works.recv().map_err(|_| TryRecvError::Disconnected)
            } else {
                works.try_recv()
            };
            match next {
                Ok(work) => running.push_back(work),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return,
            }
        }
        let Some((id, mut job)) = running.pop_front() else { continue };
        match job.step(&mut disk, &mut cache, SLICE_BYTES) {
            None => running.push_back((id, job)),
            Some(done) => {
                if !hand_back(shared, shard, Input::Work { id, done: WorkDone::Job(done) }) {
                    return;
                }
            }
        }
    }
}
