//! Kvorum's engine as a library: `kvorum_server::engine` drives `kvorum_core::lsm` over files. Blocks are always LZ4.

use crate::engine::{Engine, Result, Settings};
use kvorum_server::engine::{self, EngineOptions};
use std::path::Path;

pub struct Kvorum(engine::Engine);

impl Engine for Kvorum {
    fn open(dir: &Path, settings: &Settings) -> Result<Self> {
        let options = EngineOptions {
            memtable_bytes: settings.memtable_bytes as u32,
            cache_bytes: settings.cache_bytes as u64,
            filter_bits: settings.bloom_bits_per_key as u8,
            background_threads: settings.background_threads,
        };
        Ok(Kvorum(engine::Engine::open(dir, &options)?))
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.0.put(key, value)?)
    }

    fn put_sync(&self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.0.put_sync(key, value)?)
    }

    fn delete(&self, key: &[u8]) -> Result<()> {
        Ok(self.0.delete(key)?)
    }

    fn get(&self, key: &[u8], found: &mut dyn FnMut(&[u8])) -> Result<bool> {
        Ok(self.0.get(key, found)?)
    }

    fn scan(&self, start: &[u8], limit: usize, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<usize> {
        Ok(self.0.scan(start, limit, visit)?)
    }

    fn sync(&self) -> Result<()> {
        Ok(self.0.sync()?)
    }

    fn settle(&self) -> Result<()> {
        Ok(self.0.settle()?)
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.0.close()?)
    }
}
