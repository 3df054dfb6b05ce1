use crate::Fault;
use bytes::Bytes;
use js_sys::{Array, Uint8Array};
use kvorum_core::lsm::{Batch, BlockCache, Db, Error, Job, KEY_BYTES_MAX, Lookup, Options, ScanRange};
use kvorum_core::storage::MemoryDisk;
use wasm_bindgen::prelude::wasm_bindgen;

/// Blocks of tables, ready to be searched.
const CACHE_BYTES: u64 = 4 << 20;
/// What is written is made durable in pieces of this size: until then the disk keeps a second copy of it.
const SYNC_BYTES: u64 = 256 << 10;
/// What a write does of the work that is due, at least, and for each byte that it brings: more than a byte costs in
/// all levels together, so that the work never piles up.
const SLICE_BYTES_MIN: u64 = 16 << 10;
const SLICE_FACTOR: u64 = 32;
/// A page of an iterator.
const PAGE_COUNT: u32 = 256;
const PAGE_BYTES: u32 = 256 << 10;

/// One engine over a disk in memory. Also its own background thread: each write does a slice of the work that is due.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Store {
    db: Db,
    disk: MemoryDisk,
    cache: BlockCache,
    job: Option<Job>,
    unsynced_bytes: u64,
}

/// Changes that happen together or not at all.
#[wasm_bindgen]
#[derive(Debug, Default)]
pub struct WriteBatch {
    batch: Batch,
    bytes: u64,
}

#[wasm_bindgen]
impl WriteBatch {
    /// An empty one.
    #[wasm_bindgen(constructor)]
    pub fn new() -> WriteBatch {
        WriteBatch::default()
    }
    /// Adds a pair.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.batch.put(key, value, false);
        self.bytes += (key.len() + value.len()) as u64;
    }
    /// Removes a key.
    pub fn del(&mut self, key: &[u8]) {
        self.batch.delete(key);
        self.bytes += key.len() as u64;
    }
}

/// Where an iterator stands.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Cursor {
    /// `None` when nothing is left.
    range: Option<ScanRange>,
    /// Entries that may still be handed out.
    left: u32,
    /// The store as it was when the first page was asked for, if that page was not all.
    snapshot: Option<(Db, MemoryDisk)>,
}

#[wasm_bindgen]
impl Cursor {
    /// Entries from `from` (inclusive) up to `to` (exclusive; without one, to the last key).
    #[wasm_bindgen(constructor)]
    pub fn new(from: &[u8], to: Option<Vec<u8>>, reverse: bool, limit: u32) -> Cursor {
        let end = || vec![0xff; KEY_BYTES_MAX + 1];
        let range = ScanRange {
            from: Bytes::copy_from_slice(from),
            to: Bytes::from(to.unwrap_or_else(end)),
            limit: PAGE_COUNT,
            bytes_max: PAGE_BYTES,
            reverse,
        };
        Cursor { range: Some(range), left: limit, snapshot: None }
    }
}

#[wasm_bindgen]
impl Store {
    /// A new, empty one.
    pub fn open(memtable_bytes: u32) -> Result<Store, Fault> {
        let hash_seed = getrandom::u64().map_err(|error| {
            Fault::new("STORAGE_UNAVAILABLE", format!("no source of random numbers here: {error}"))
        })?;
        let options = Options { memtable_bytes, table_bytes: 2 << 20, hash_seed, ..Options::default() };
        let (mut disk, mut cache) = (MemoryDisk::new(), BlockCache::new(CACHE_BYTES));
        let (db, _) = Db::open(&mut disk, &mut cache, options)?;
        Ok(Store { db, disk, cache, job: None, unsynced_bytes: 0 })
    }
    /// Writes one pair.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        let mut batch = WriteBatch::new();
        batch.put(key, value);
        self.write(&batch)
    }
    /// Removes a key.
    pub fn del(&mut self, key: &[u8]) -> Result<(), Fault> {
        let mut batch = WriteBatch::new();
        batch.del(key);
        self.write(&batch)
    }
    /// Does all changes of a batch, or none.
    pub fn write(&mut self, batch: &WriteBatch) -> Result<(), Fault> {
        if batch.batch.is_empty() {
            return Ok(());
        }
        match self.db.write(&batch.batch) {
            Ok(_) => {}
            // Nobody else does the work that the engine waits for.
            Err(Error::Overloaded) => {
                self.log();
                self.work(u64::MAX);
                self.db.write(&batch.batch)?;
            }
            Err(error) => return Err(error.into()),
        }
        self.unsynced_bytes += batch.bytes;
        self.log();
        if let Some((_, error)) = self.db.failed() {
            return Err(error.into());
        }
        self.work((batch.bytes * SLICE_FACTOR).max(SLICE_BYTES_MIN));
        Ok(())
    }
    /// Looks a key up.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<Uint8Array>, Fault> {
        Ok(self.look(key)?.map(|value| Uint8Array::from(&value[..])))
    }
    /// Whether a key is there.
    pub fn has(&mut self, key: &[u8]) -> Result<bool, Fault> {
        Ok(self.look(key)?.is_some())
    }
    /// The next entries: key, value, key, value. Without any when the iterator is done.
    pub fn page(&mut self, cursor: &mut Cursor) -> Result<Array, Fault> {
        let entries = Array::new();
        while entries.length() == 0 && cursor.left > 0 {
            let Some(mut range) = cursor.range.take() else { break };
            range.limit = cursor.left.min(PAGE_COUNT);
            let (db, disk) = match &cursor.snapshot {
                Some((db, disk)) => (db, disk),
                None => (&self.db, &self.disk),
            };
            // Tables keep their numbers for good, so that snapshots and the store share one cache.
            let page = db.scan(range.clone()).run(disk, &mut self.cache)?;
            for (key, value) in &page.entries {
                entries.push(&Uint8Array::from(&key[..]));
                entries.push(&Uint8Array::from(&value[..]));
            }
            cursor.left -= page.entries.len() as u32;
            cursor.range = range.after(&page);
            if cursor.snapshot.is_none() && cursor.range.is_some() && cursor.left > 0 {
                // Costs a copy of the memtable; a short iteration is done before it needs one.
                cursor.snapshot = Some((self.db.clone(), self.disk.clone()));
            }
        }
        if cursor.range.is_none() || cursor.left == 0 {
            cursor.snapshot = None;
        }
        Ok(entries)
    }
    /// Sizes and counts.
    pub fn stats(&self) -> Result<wasm_bindgen::JsValue, Fault> {
        serde_wasm_bindgen::to_value(&self.db.stats()).map_err(|error| Fault::invalid(error.to_string()))
    }
}

impl Store {
    fn look(&mut self, key: &[u8]) -> Result<Option<Bytes>, Fault> {
        match self.db.get(key) {
            Lookup::Found(value) => Ok(Some(value)),
            Lookup::Absent => Ok(None),
            // Nothing comes between the look-up and its end here, so that no table can be gone.
            Lookup::OnDisk(read) => Ok(read.run(&self.disk, &mut self.cache).result?),
        }
    }
    fn log(&mut self) {
        if let Some(write) = self.db.log_write(false) {
            self.db.on_log(write.run(&mut self.disk));
        }
        if self.unsynced_bytes >= SYNC_BYTES {
            self.unsynced_bytes = 0;
            if let Some(sync) = self.db.log_sync() {
                self.db.on_log_sync(sync.run(&mut self.disk));
            }
        }
    }
    /// Does about so much of the work that is due.
    fn work(&mut self, budget_bytes: u64) {
        // Every step counts for something, so that a chain of short jobs ends as well.
        let (mut left, step) = (budget_bytes, SLICE_BYTES_MIN);
        while left > 0 {
            let Some(mut job) = self.job.take().or_else(|| self.db.job()) else { return };
            match job.step(&mut self.disk, &mut self.cache, step) {
                Some(done) => self.db.on_job(done),
                None => self.job = Some(job),
            }
            left = left.saturating_sub(step);
        }
    }
}
