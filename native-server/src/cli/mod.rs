//! The `kvorum` command line: one binary for servers and for people.
//!
//! Commands other than `server` talk to a node's admin port; none of them touches a data folder.

mod client;
mod export;
mod import;
mod keys;
mod sim;
mod status;

use crate::server::{ServerOptions, serve};
use clap::{Args, Parser, Subcommand};
use std::fmt::Display;
use std::process::ExitCode;

/// Done.
const DONE: u8 = 0;
/// Not done, or failed.
const NOT_DONE: u8 = 1;
/// Partly done.
const PARTLY: u8 = 3;

#[derive(Debug, Parser)]
#[command(
    name = "kvorum",
    version,
    about = "A Dynamo-style key-value store that speaks the Redis protocol",
    after_long_help = "\
A cluster of three on this machine:
  kvorum server --data n1 --name n1 --bootstrap
  kvorum server --data n2 --name n2 --join 127.0.0.1:7381 \\
    --listen 127.0.0.1:7389 --admin 127.0.0.1:7390 --peer 127.0.0.1:7391
  kvorum server --data n3 --name n3 --join 127.0.0.1:7381 \\
    --listen 127.0.0.1:7399 --admin 127.0.0.1:7400 --peer 127.0.0.1:7401
Then:
  redis-cli -p 7379 set greeting hello
  kvorum status
  kvorum import people.csv --key 'person:{id}'

Exit status: 0 done, 1 not done or failed, 2 a mistake on the command line, 3 partly done."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node
    Server(Box<ServerOptions>),
    /// Show the cluster: its nodes, who answers, what they hold
    Status(status::StatusOptions),
    /// Write the value of a key to stdout; exit status 1 if there is none
    Get(keys::GetOptions),
    /// Set a key
    Put(keys::PutOptions),
    /// Delete keys
    Del(keys::DelOptions),
    /// Write the rows of a CSV or JSON-lines file, each under a key made from its columns
    Import(import::ImportOptions),
    /// Write all keys and values to a CSV or JSON-lines file
    Export(export::ExportOptions),
    /// Run a whole cluster with faults in one thread, and check every promise
    Sim(sim::SimOptions),
}

/// Which node to ask.
#[derive(Debug, Clone, Args)]
struct AdminOptions {
    /// Admin port of any node of the cluster
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:7380",
        env = "KVORUM_ADMIN",
        value_parser = admin_url
    )]
    admin: String,
}

/// The address of an admin port, as requests begin with it.
fn admin_url(text: &str) -> Result<String, String> {
    let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let parsed: Result<ureq::http::Uri, _> = url.parse();
    let is_one = parsed.is_ok_and(|uri| {
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let host = uri.host().unwrap_or_default();
        // A port that is no number counts as none.
        let is_address = !host.is_empty() && (authority.ends_with(host) || uri.port_u16().is_some());
        uri.scheme_str() == Some("http") && is_address
    });
    if is_one {
        Ok(url.trim_end_matches('/').to_owned())
    } else {
        Err("an admin port speaks plain HTTP: give it as http://HOST:PORT or HOST:PORT, for example http://127.0.0.1:7380"
            .into())
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let status = match Cli::parse().command {
        Command::Server(options) => server(&options),
        Command::Status(options) => status::run(&options),
        Command::Get(options) => keys::get(&options),
        Command::Put(options) => keys::put(&options),
        Command::Del(options) => keys::del(&options),
        Command::Import(options) => import::run(&options),
        Command::Export(options) => export::run(&options),
        Command::Sim(options) => sim::run_sim(&options),
    };
    ExitCode::from(status)
}

/// Says on stderr what went wrong.
fn complain(message: impl Display) {
    use std::io::Write;
    // A closed stderr is nobody to tell.
    let _ = writeln!(std::io::stderr(), "kvorum: {message}");
}

fn server(options: &ServerOptions) -> u8 {
    use std::io::IsTerminal;
    tracing_subscriber::fmt()
        .with_max_level(options.log)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    // A thread that panics leaves a machine in an unknown state: the process ends before it answers from it, and comes
    // back from its log.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
    match serve(options) {
        Ok(()) => DONE,
        Err(failure) => {
            complain(failure.message);
            failure.status
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_address_is_http() {
        assert_eq!(admin_url("127.0.0.1:7380"), Ok("http://127.0.0.1:7380".into()));
        assert_eq!(admin_url("http://n1.example:80/"), Ok("http://n1.example:80".into()));
        assert_eq!(admin_url("[::1]:7380"), Ok("http://[::1]:7380".into()));
        for text in ["", "ftp://x", "https://x", "http://", "http://:80", "http://a b", "x:99999", "://x"] {
            assert!(admin_url(text).is_err(), "{text}");
        }
    }
}
