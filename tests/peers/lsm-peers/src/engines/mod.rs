//! One file per engine. To add one: implement `Engine`, then name it in `NAMES` and `open`.

#[cfg(feature = "fjall")]
mod fjall;
#[cfg(feature = "kvorum")]
mod kvorum;
#[cfg(feature = "redb")]
mod redb;
#[cfg(feature = "rocksdb")]
mod rocksdb;

use crate::engine::{Engine, Result, Settings};
use std::path::Path;

/// Engines compiled in, the peer that ratios are taken against first.
pub const NAMES: &[&str] = &[
    #[cfg(feature = "rocksdb")]
    "rocksdb",
    #[cfg(feature = "fjall")]
    "fjall",
    #[cfg(feature = "kvorum")]
    "kvorum",
    #[cfg(feature = "redb")]
    "redb",
];

pub fn open(name: &str, dir: &Path, settings: &Settings) -> Result<Box<dyn Engine>> {
    std::fs::create_dir_all(dir)?;
    match name {
        #[cfg(feature = "rocksdb")]
        "rocksdb" => Ok(Box::new(rocksdb::Rocks::open(dir, settings)?)),
        #[cfg(feature = "kvorum")]
        "kvorum" => Ok(Box::new(kvorum::Kvorum::open(dir, settings)?)),
        #[cfg(feature = "fjall")]
        "fjall" => Ok(Box::new(fjall::Fjall::open(dir, settings)?)),
        #[cfg(feature = "redb")]
        "redb" => Ok(Box::new(redb::Redb::open(dir, settings)?)),
        _ => Err(format!("engine `{name}` is not compiled in (have: {})", NAMES.join(", ")).into()),
    }
}
