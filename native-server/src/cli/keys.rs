use super::client::{Client, path_of};
use super::{AdminOptions, DONE, NOT_DONE, PARTLY, complain};
use clap::Args;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;

/// Flags of `kvorum get`.
#[derive(Debug, Args)]
pub struct GetOptions {
    key: OsString,
    #[command(flatten)]
    admin: AdminOptions,
}

/// Flags of `kvorum put`.
#[derive(Debug, Args)]
pub struct PutOptions {
    key: OsString,
    /// The value; `-` reads it from stdin
    value: OsString,
    /// Milliseconds to live
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(i64).range(1..))]
    ttl: Option<i64>,
    #[command(flatten)]
    admin: AdminOptions,
}

/// Flags of `kvorum del`.
#[derive(Debug, Args)]
pub struct DelOptions {
    #[arg(required = true)]
    keys: Vec<OsString>,
    #[command(flatten)]
    admin: AdminOptions,
}

/// `kvorum get`.
pub fn get(options: &GetOptions) -> u8 {
    let answer = Client::new(&options.admin).get(&path_of(options.key.as_bytes()));
    let value = answer.and_then(|answer| match answer.status {
        404 => Err(format!("no such key: {}", options.key.display())),
        _ => answer.done(),
    });
    match value {
        Ok(value) => {
            let mut out = std::io::stdout().lock();
            let written = out.write_all(&value).and_then(|()| {
                // A person wants the prompt on a line of its own; a program wants the bytes.
                if std::io::IsTerminal::is_terminal(&out) { out.write_all(b"\n") } else { Ok(()) }
            });
            if written.and_then(|()| out.flush()).is_ok() { DONE } else { NOT_DONE }
        }
        Err(why) => {
            complain(why);
            NOT_DONE
        }
    }
}

/// `kvorum put`.
pub fn put(options: &PutOptions) -> u8 {
    let mut value = options.value.as_bytes().to_vec();
    if value == b"-" {
        value.clear();
        if let Err(error) = std::io::stdin().lock().read_to_end(&mut value) {
            complain(format!("stdin cannot be read: {error}"));
            return NOT_DONE;
        }
    }
    let ttl = options.ttl.map_or_else(String::new, |ttl| format!("?ttl_ms={ttl}"));
    let path = format!("{}{ttl}", path_of(options.key.as_bytes()));
    match Client::new(&options.admin).put(&path, &value).and_then(super::client::Answer::done) {
        Ok(_) => DONE,
        Err(why) => {
            complain(why);
            NOT_DONE
        }
    }
}

/// `kvorum del`.
pub fn del(options: &DelOptions) -> u8 {
    let client = Client::new(&options.admin);
    let mut failed = 0;
    for key in &options.keys {
        if let Err(why) = client.delete(&path_of(key.as_bytes())).and_then(super::client::Answer::done) {
            complain(format!("{}: {why}", key.display()));
            failed += 1;
        }
    }
    match failed {
        0 => DONE,
        failed if failed == options.keys.len() => NOT_DONE,
        _ => PARTLY,
    }
}
