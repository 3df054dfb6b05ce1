//! Real `kvorum` processes on loopback: what a user meets.
//!
//! The binary is `KVORUM_BIN`, else the release build. Run with `--test-threads 1`: the machine is small, and figures
//! are printed. Timings are not asserted, except far beyond what they should be.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on is to say so")]

mod admin_port;
mod bad_input;
mod command_line;
mod copies;
mod failures;
mod full_disk;
mod joining;
mod one_node;
mod page;
mod stock_clients;
