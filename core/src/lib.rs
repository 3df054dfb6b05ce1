//! The deterministic core of Kvorum: everything that decides, nothing that performs.
//!
//! `core` reads no clock, no entropy, no environment and owns no IO. Each machine in it has four verbs: `handle` takes
//! what happened, `poll` says what to do next, `wake_at` says when to call again, `snapshot` is a picture of it. The
//! native server, the browser module and the simulator drive the same machines.
//!
//! Layers, bottom up; imports point downward only: [`base`], [`storage`], [`lsm`], [`version`], [`ring`], [`quorum`],
//! [`message`], [`control`] and [`data`], [`node`], [`sim`].
#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod base;
pub mod control;
pub mod data;
pub mod lsm;
pub mod message;
pub mod node;
pub mod quorum;
pub mod ring;
pub mod sim;
pub mod storage;
pub mod version;
