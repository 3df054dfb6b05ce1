//! A world in one thread: real nodes over memory disks, a network that loses, doubles and delays, clocks that lie, and
//! checkers that know what was promised.
//!
//! Everything is drawn from one seed: the same seed and script give the same trace, natively and in WASM. `sim` knows a
//! node only through its four verbs, its snapshot and its disk, and judges by what clients were told.

mod asking;
mod catch;
mod checkers;
mod client;
mod guest;
mod history;
mod host;
mod judge;
mod nemesis;
mod network;
mod picture;
mod queue;
mod rest;
mod run;
mod script;
mod swarm;
mod verdict;
mod word;
mod world;

pub use catch::checker_of;
pub use checkers::{
    ControlChecker, FinalKey, HeldChecker, Needed, QuorumChecker, inventions, lost_acks, zombies,
};
pub use guest::{Guest, GuestAnswer, SubmitError};
pub use history::{Asked, Ends, History, OpNumber, Outcome, Record, Seen, value_of, writer_of};
pub use nemesis::{calm_script, default_script};
pub use picture::Flight;
pub use rest::Rest;
pub use run::{LAST_ANSWERS, RunReport, run, run_options, run_twice, trace_of};
pub use script::{
    Action, DiskMood, GuestAsk, GuestNumber, Line, NODE_COUNT_MAX, NetworkRates, NodeIndex, SCRIPT_LINES_MAX,
    SLOW_MS_MAX, Script, ScriptError, ScriptProblem,
};
pub use swarm::{FaultLevels, Level, Options};
pub use verdict::{Checker, Verdict, Violation, ViolationPicture};
pub use world::World;
