//! The `kvorum` command line.
mod placeholder {}
use crate::server::{ServerOptions, serve};
use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "kvorum", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}
#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node
    Server(ServerOptions),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Server(options) => match serve(&options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => { eprintln!("kvorum: {}", failure.message); ExitCode::from(failure.status) }
        },
    }
}
