use super::client::Client;
use super::{AdminOptions, DONE, NOT_DONE, PARTLY, complain};
use crate::admin::{Entry, read_entries};
use bytes::Bytes;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::{File, rename};
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::Duration;

/// When a value ends, in Unix milliseconds.
pub(super) const EXPIRES_COLUMN: &str = "expires_at_ms";

/// A page that may be tried again is, this often.
const TRIES: u32 = 8;

/// Flags of `kvorum export`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
A .jsonl file gets one object for each key: {\"key\": …, \"value\": …}, and \"expires_at_ms\" (Unix milliseconds) for
one that ends; bytes that are no UTF-8 text are written as \"key_hex\" and \"value_hex\". A .csv file gets the columns
key, value and expires_at_ms, and refuses such bytes. `kvorum import FILE --exported` writes the same keys again.

Of concurrent values only the winner is written.

Keys that are written or deleted meanwhile may or may not be in it. The file appears under its name when it is whole.")]
pub struct ExportOptions {
    /// A .jsonl or .csv file; made, or replaced
    file: PathBuf,
    #[command(flatten)]
    admin: AdminOptions,
}

enum Target {
    Lines(BufWriter<File>),
    Csv(Box<csv::Writer<BufWriter<File>>>),
}

impl Target {
    fn write(&mut self, Entry { key, value, expires_at_ms }: &Entry) -> Result<(), String> {
        match self {
            Target::Lines(out) => {
                let mut map = serde_json::Map::new();
                for (name, bytes) in [("key", key), ("value", value)] {
                    match std::str::from_utf8(bytes) {
                        Ok(text) => map.insert(name.into(), text.into()),
                        Err(_) => map.insert(format!("{name}_hex"), crate::command::to_hex(bytes).into()),
                    };
                }
                if *expires_at_ms > 0 {
                    map.insert(EXPIRES_COLUMN.into(), (*expires_at_ms).into());
                }
                writeln!(out, "{}", serde_json::Value::Object(map)).map_err(|error| error.to_string())
            }
            Target::Csv(out) => {
                let text = |bytes| std::str::from_utf8(bytes).ok();
                let expires = if *expires_at_ms == 0 { String::new() } else { expires_at_ms.to_string() };
                let (Some(key_text), Some(value_text)) = (text(key), text(value)) else {
                    let key = String::from_utf8_lossy(key);
                    return Err(format!("key {key}: it or its value is no UTF-8 text; export to .jsonl"));
                };
                out.write_record([key_text, value_text, &expires]).map_err(|error| error.to_string())
            }
        }
    }
    fn finish(self) -> Result<(), String> {
        let file = match self {
            Target::Lines(out) => out.into_inner().map_err(|error| error.to_string())?,
            Target::Csv(out) => {
                let out = out.into_inner().map_err(|error| error.to_string())?;
                out.into_inner().map_err(|error| error.to_string())?
            }
        };
        file.sync_all().map_err(|error| error.to_string())
    }
}

/// `kvorum export`.
pub fn run(options: &ExportOptions) -> u8 {
    let extension = options.file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let is_csv = match extension.to_ascii_lowercase().as_str() {
        "csv" => true,
        "jsonl" => false,
        _ => {
            complain(format!("{}: its name must end in .jsonl or .csv", options.file.display()));
            return NOT_DONE;
        }
    };
    let mut part = options.file.clone().into_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    let file = match File::create(&part) {
        Ok(file) => BufWriter::with_capacity(1 << 20, file),
        Err(error) => {
            complain(format!("{} cannot be written: {error}", part.display()));
            return NOT_DONE;
        }
    };
    let mut target = if is_csv {
        let mut writer = csv::Writer::from_writer(file);
        // An error here comes again with the first row.
        let _ = writer.write_record(["key", "value", EXPIRES_COLUMN]);
        Target::Csv(Box::new(writer))
    } else {
        Target::Lines(file)
    };
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} keys  {per_sec}  {elapsed}") {
        bar.set_style(style);
    }
    let count = pages(&Client::new(&options.admin), &mut target, &bar);
    bar.finish_and_clear();
    let result = match count {
        Ok(()) => {
            target.finish().and_then(|()| rename(&part, &options.file).map_err(|error| error.to_string()))
        }
        Err(why) => Err(why),
    };
    match result {
        Ok(()) => {
            complain(format!("{} keys written to {}", bar.position(), options.file.display()));
            DONE
        }
        Err(why) => {
            complain(format!(
                "{why}; {} keys are in {}, which is not whole: run the command again",
                bar.position(),
                part.display()
            ));
            if bar.position() > 0 { PARTLY } else { NOT_DONE }
        }
    }
}

fn pages(client: &Client, target: &mut Target, bar: &ProgressBar) -> Result<(), String> {
    let mut cursor = 0;
    loop {
        let mut pause = Duration::from_millis(50);
        let mut attempt = 1;
        let answer = loop {
            let answer = client.get(&format!("/scan?cursor={cursor}&count=1024"));
            let is_done = matches!(&answer, Ok(answer) if answer.status != 503 && answer.status != 504);
            if is_done || attempt == TRIES {
                break answer?;
            }
            attempt += 1;
            std::thread::sleep(pause);
            pause *= 2;
        };
        let next = answer.cursor;
        let entries = read_entries(&Bytes::from(answer.done()?)).ok_or("the node's answer is cut off")?;
        for entry in &entries {
            target.write(entry)?;
        }
        bar.inc(entries.len() as u64);
        match next {
            Some(0) => return Ok(()),
            Some(next) => cursor = next,
            None => return Err("the node's answer says not where to go on".into()),
        }
    }
}
