//! The `kvorum` binary.

use std::process::ExitCode;

// Measured against the system's allocator in docs/bench.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    kvorum_server::cli::main()
}
