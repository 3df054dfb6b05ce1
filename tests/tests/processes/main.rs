//! Real `kvorum` processes on loopback: what a user meets.
//!
//! The binary is `KVORUM_BIN`, else the release build. Run with `--test-threads 1`: the machine is small, and figures
//! are printed. Timings are not asserted, except far beyond what they should be.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on is to say so")]

mod bad_input;
mod failures;
mod one_node;
