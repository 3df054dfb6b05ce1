//! Kvorum's native server: sockets, files and threads around the machines of `kvorum-core`.
//!
//! The core decides; this crate performs. [`reactor`] is the turn loop of the data path, [`resp`] and [`command`] are
//! what clients speak, [`peer`] is what nodes speak, [`admin`] is HTTP for operators, [`engine`] drives one engine
//! for embedded use.

pub mod admin;
pub mod cli;
pub mod clock;
pub mod command;
pub mod disk;
pub mod engine;
pub mod peer;
pub mod reactor;
pub mod resp;
pub mod server;

// A bug that can be switched on has no place in anything that is shipped.
const _: () = assert!(!kvorum_core::base::sabotage::IS_BUILT_IN, "built with the feature `sabotage`");
