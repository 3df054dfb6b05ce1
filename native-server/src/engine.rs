//! One engine of `kvorum_core::lsm` over the files of a folder, for any number of threads.
//!
//! The driver that benches and tools use: the same engine as a shard's, without cells, replicas or sockets. A put is in
//! the hands of the operating system when it returns, a put_sync on the disk. Syncs are shared: whoever finds no sync
//! under way leads one for all that waits, and the queue stays open meanwhile. Flushes and compactions run on threads
//! of their own.

use crate::disk::Disk;
use bytes::Bytes;
use kvorum_core::base::Sabotage;
use kvorum_core::lsm::{
    Batch, BlockCache, Db, Error, KEY_BYTES_MAX, Lookup, Options, Recovery, ScanRange, Ticket,
};
use kvorum_core::storage::StorageError;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Blocks a background thread keeps: it reads each once.
const JOB_CACHE_BYTES: u64 = 1 << 20;
/// Bytes a job does between two looks at whether to stop.
const SLICE_BYTES: u64 = 4 << 20;
/// Bytes of a page of a scan, about.
const PAGE_BYTES: u32 = 1 << 20;
/// How often an engine that refuses writes for lack of space tries again.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// What an engine is given.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// A memtable of this many bytes is flushed.
    pub memtable_bytes: u32,
    /// Blocks of tables in memory.
    pub cache_bytes: u64,
    /// Bits of filter for each key.
    pub filter_bits: u8,
    /// Threads for flushes and compactions: more than two find nothing to do.
    pub background_threads: usize,
}

impl Default for EngineOptions {
    fn default() -> EngineOptions {
        EngineOptions {
            memtable_bytes: 64 << 20,
            cache_bytes: 64 << 20,
            filter_bits: 10,
            background_threads: 2,
        }
    }
}

struct State {
    db: Db,
    disk: Disk,
    batch: Batch,
    running_jobs: usize,
    /// Threads in [`Inner::wait`]: a notification is a system call even if nobody hears it.
    waiting: usize,
    /// Bytes written since a background thread was last told to look for a job.
    unseen_bytes: u64,
    is_closing: bool,
}

struct Inner {
    state: Mutex<State>,
    /// A log write, a sync or a job has ended.
    ended: Condvar,
    /// There may be a job.
    due: Condvar,
    /// For reads that miss memory.
    reader: Mutex<(Disk, BlockCache)>,
    /// For those who lead a sync.
    disk: Mutex<Disk>,
    /// After so many bytes a background thread looks for a job: a small part of a memtable.
    look_bytes: u64,
}

/// A key-value engine in a folder. All calls may come from many threads at once.
pub struct Engine {
    inner: Arc<Inner>,
    threads: Vec<JoinHandle<()>>,
    recovery: Recovery,
    /// Above every key.
    end: Bytes,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic under the lock is a bug of ours, and the engine's state may then be anything.
    mutex.lock().unwrap_or_else(|_| std::process::abort())
}

fn io(error: StorageError) -> Error {
    Error::Io(error)
}

impl Engine {
    /// Opens what is in `dir`, or makes a new engine there.
    pub fn open(dir: impl AsRef<Path>, options: &EngineOptions) -> Result<Engine, Error> {
        let mut disk = Disk::open(dir).map_err(io)?;
        let mut cache = BlockCache::new(options.cache_bytes);
        let engine_options = Options {
            memtable_bytes: options.memtable_bytes,
            filter_bits: options.filter_bits,
            sabotage: Sabotage::NONE,
            ..Options::default()
        };
        let (db, recovery) = Db::open(&mut disk, &mut cache, engine_options)?;
        let state = State {
            db,
            disk: disk.clone(),
            batch: Batch::new(),
            running_jobs: 0,
            waiting: 0,
            unseen_bytes: 0,
            is_closing: false,
        };
        let inner = Arc::new(Inner {
            state: Mutex::new(state),
            ended: Condvar::new(),
            due: Condvar::new(),
            reader: Mutex::new((disk.clone(), cache)),
            disk: Mutex::new(disk.clone()),
            look_bytes: u64::from(options.memtable_bytes) / 64,
        });
        let mut threads = Vec::new();
        for index in 0..options.background_threads.max(1) {
            let (inner, disk) = (inner.clone(), disk.clone());
            let named = std::thread::Builder::new().name(format!("engine-{index}"));
            let started = named.spawn(move || inner.work(disk));
            let failed = |_| Error::InvalidArgument("no thread can be started");
            threads.push(started.map_err(failed)?);
        }
        let end = Bytes::from(vec![0xff; KEY_BYTES_MAX + 1]);
        Ok(Engine { inner, threads, recovery, end })
    }
    /// What opening found.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }
    /// Writes one pair; it survives the death of the process once this returns.
    pub fn put(&self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.write(|batch| batch.put(key, value, false), key.len() + value.len(), false)
    }
    /// Writes one pair; it survives a power cut once this returns.
    pub fn put_sync(&self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.write(|batch| batch.put(key, value, false), key.len() + value.len(), true)
    }
    /// Removes a key; survives the death of the process once this returns.
    pub fn delete(&self, key: &[u8]) -> Result<(), Error> {
        self.write(|batch| batch.delete(key), key.len(), false)
    }
    /// Looks a key up; `found` sees its value. Returns whether it is there.
    pub fn get(&self, key: &[u8], found: &mut dyn FnMut(&[u8])) -> Result<bool, Error> {
        let lookup = lock(&self.inner.state).db.get(key);
        let value = match lookup {
            Lookup::Found(value) => Some(value),
            Lookup::Absent => None,
            Lookup::OnDisk(read) => {
                let (disk, cache) = &mut *lock(&self.inner.reader);
                read.run(disk, cache).result?
            }
        };
        if let Some(value) = &value {
            found(value);
        }
        Ok(value.is_some())
    }
    /// Visits up to `limit` pairs in order of their keys from `start` on; returns how many.
    pub fn scan(
        &self,
        start: &[u8],
        limit: usize,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<usize, Error> {
        let mut from = Bytes::copy_from_slice(start);
        let mut visited = 0;
        while visited < limit {
            let left = u32::try_from(limit - visited).unwrap_or(u32::MAX);
            let range =
                ScanRange { from, to: self.end.clone(), limit: left, bytes_max: PAGE_BYTES, reverse: false };
            let scan = lock(&self.inner.state).db.scan(range);
            let page = {
                let (disk, cache) = &mut *lock(&self.inner.reader);
                scan.run(disk, cache)?
            };
            for (key, value) in &page.entries {
                visit(key, value);
            }
            visited += page.entries.len();
            match page.next {
                Some(next) => from = next,
                None => break,
            }
        }
        Ok(visited)
    }
    /// Makes every earlier write durable.
    pub fn sync(&self) -> Result<(), Error> {
        let state = lock(&self.inner.state);
        let ticket = state.db.issued();
        self.inner.await_ticket(state, ticket, true)
    }
    /// Flushes memory and waits until nothing is left to be done in the background.
    pub fn settle(&self) -> Result<(), Error> {
        self.sync()?;
        let mut state = lock(&self.inner.state);
        state.db.freeze();
        loop {
            if let Some(error) = state.db.refusing() {
                return Err(error);
            }
            let job = state.db.job();
            if job.is_none() && state.running_jobs == 0 {
                return Ok(());
            }
            state = match job {
                // Rather here than to hand it over.
                Some(job) => self.inner.run_job(state, job, None),
                None => self.inner.wait(state),
            };
        }
    }
    /// Ends it. Everything written was in the hands of the operating system already.
    pub fn close(mut self) -> Result<(), Error> {
        let result = self.sync();
        self.stop();
        result
    }
    fn stop(&mut self) {
        lock(&self.inner.state).is_closing = true;
        self.inner.due.notify_all();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                std::process::abort();
            }
        }
    }
    fn write(&self, fill: impl Fn(&mut Batch), bytes: usize, is_synced: bool) -> Result<(), Error> {
        let mut state = lock(&self.inner.state);
        let ticket = loop {
            let mut batch = std::mem::take(&mut state.batch);
            batch.clear();
            fill(&mut batch);
            let written = state.db.write(&batch);
            state.unseen_bytes += bytes as u64;
            state.batch = batch;
            match written {
                Ok(ticket) => break ticket,
                Err(Error::Overloaded) => {
                    self.inner.due.notify_all();
                    // What waits for the log is written by whoever meets it first.
                    state = match state.db.log_write(false) {
                        Some(write) => {
                            let done = write.run(&mut state.disk);
                            state.db.on_log(done);
                            self.inner.tell_ended(&state);
                            state
                        }
                        None => self.inner.wait(state),
                    };
                }
                Err(error) => return Err(error),
            }
        };
        self.inner.await_ticket(state, ticket, is_synced)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Inner {
    fn wait<'a>(&self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.waiting += 1;
        let waited = self.ended.wait_timeout(state, RETRY_EVERY);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.waiting -= 1;
        state
    }
    fn tell_ended(&self, state: &State) {
        if state.waiting > 0 {
            self.ended.notify_all();
        }
    }
    /// Sees a ticket through: writes or syncs for all when nobody does, else waits for who does.
    fn await_ticket<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        ticket: Ticket,
        is_synced: bool,
    ) -> Result<(), Error> {
        loop {
            let done = if is_synced { state.db.synced() } else { state.db.written() };
            if done >= ticket {
                return Ok(());
            }
            if let Some((failed, error)) = state.db.failed()
                && failed >= ticket
            {
                return Err(error);
            }
            match state.db.log_write(is_synced) {
                // Short enough to be done under the lock.
                Some(write) if !is_synced => {
                    let done = write.run(&mut state.disk);
                    state.db.on_log(done);
                    self.on_log_end(&mut state);
                }
                Some(write) => {
                    drop(state);
                    let done = write.run(&mut *lock(&self.disk));
                    state = lock(&self.state);
                    state.db.on_log(done);
                    self.on_log_end(&mut state);
                }
                None => {
                    let sync = if is_synced { state.db.log_sync() } else { None };
                    state = match sync {
                        Some(sync) => {
                            drop(state);
                            let done = sync.run(&mut *lock(&self.disk));
                            let mut state = lock(&self.state);
                            state.db.on_log_sync(done);
                            self.tell_ended(&state);
                            state
                        }
                        None => self.wait(state),
                    };
                }
            }
        }
    }
    fn on_log_end(&self, state: &mut State) {
        self.tell_ended(state);
        if state.running_jobs == 0 && state.unseen_bytes >= self.look_bytes {
            state.unseen_bytes = 0;
            self.due.notify_one();
        }
    }
    fn run_job<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        mut job: kvorum_core::lsm::Job,
        hands: Option<(&mut Disk, &mut BlockCache)>,
    ) -> MutexGuard<'a, State> {
        state.running_jobs += 1;
        let own = state.disk.clone();
        drop(state);
        let done = match hands {
            Some((disk, cache)) => loop {
                if let Some(done) = job.step(disk, cache, SLICE_BYTES) {
                    break done;
                }
            },
            None => {
                let (mut disk, mut cache) = (own, BlockCache::new(JOB_CACHE_BYTES));
                loop {
                    if let Some(done) = job.step(&mut disk, &mut cache, SLICE_BYTES) {
                        break done;
                    }
                }
            }
        };
        let mut state = lock(&self.state);
        state.running_jobs -= 1;
        state.db.on_job(done);
        self.tell_ended(&state);
        self.due.notify_one();
        state
    }
    /// A background thread.
    fn work(&self, mut disk: Disk) {
        let mut cache = BlockCache::new(JOB_CACHE_BYTES);
        let mut state = lock(&self.state);
        while !state.is_closing {
            if let Some(job) = state.db.job() {
                state = self.run_job(state, job, Some((&mut disk, &mut cache)));
                continue;
            }
            if state.db.is_stalled() {
                state.db.retry();
            }
            let waited = self.due.wait_timeout(state, RETRY_EVERY);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> EngineOptions {
        EngineOptions { memtable_bytes: 64 << 10, cache_bytes: 1 << 20, ..EngineOptions::default() }
    }

    fn value_of(engine: &Engine, key: &[u8]) -> Option<Vec<u8>> {
        let mut found = None;
        let is_there = engine.get(key, &mut |value| found = Some(value.to_vec())).unwrap();
        assert_eq!(is_there, found.is_some());
        found
    }

    #[test]
    fn many_threads_write_and_everything_is_there_after_a_reopen() {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::open(dir.path(), &small()).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4u32 {
                let engine = &engine;
                scope.spawn(move || {
                    for index in 0..1_000u32 {
                        let key = format!("{thread}:{index:05}");
                        let put = if index % 100 == 0 { Engine::put_sync } else { Engine::put };
                        put(engine, key.as_bytes(), &[thread as u8; 100]).unwrap();
                    }
                });
            }
        });
        engine.delete(b"2:00500").unwrap();
        engine.settle().unwrap();
        engine.close().unwrap();

        let engine = Engine::open(dir.path(), &small()).unwrap();
        assert_eq!(value_of(&engine, b"3:00999"), Some(vec![3; 100]));
        assert_eq!(value_of(&engine, b"2:00500"), None);
        assert_eq!(value_of(&engine, b"nothing"), None);
        let mut keys = Vec::new();
        let visited = engine.scan(b"2:00499", 3, &mut |key, _| keys.push(key.to_vec())).unwrap();
        assert_eq!(visited, 3);
        assert_eq!(keys, [b"2:00499".to_vec(), b"2:00501".to_vec(), b"2:00502".to_vec()]);
        assert_eq!(engine.scan(b"", usize::MAX, &mut |_, _| {}).unwrap(), 3_999);
    }
}
