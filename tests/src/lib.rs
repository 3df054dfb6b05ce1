//! Cross-crate tests live in `tests/tests/`; what they share lives here: real nodes in temporary folders, a client that
//! speaks RESP, a load that remembers what was acknowledged.
//!
//! Nothing here sleeps for a while and hopes: [`wait::until`] asks again until a deadline.

pub mod cluster;
pub mod http;
pub mod load;
pub mod node;
pub mod resp;
pub mod wait;

/// Prints a measured figure, also when the test that measured it passes.
pub fn say(figure: impl std::fmt::Display) {
    use std::io::Write;
    // The test harness captures `eprintln!`, not this.
    let _ = writeln!(std::io::stderr(), "    {figure}");
}
