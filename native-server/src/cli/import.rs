use super::client::{Answer, Client};
use super::{AdminOptions, DONE, NOT_DONE, PARTLY, complain};
use crate::admin::{BulkReply, Entry, write_entry};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use rows::{Row, Rows};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;
use template::Template;

mod rows;
mod template;

/// Rows of a batch.
const BATCH_ROWS: usize = 512;
/// Bytes of a batch, about.
const BATCH_BYTES: usize = 4 << 20;
/// Batches on their way at a time.
const BATCHES_IN_FLIGHT: usize = 4;
/// A batch that may be tried again is, this often.
const TRIES: u32 = 8;
/// Pause before the first new try; doubled each time.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Told to stop, it names so many rows that failed; a whole batch may have, for one reason.
const NAMED_BEFORE_STOP: u64 = 3;

/// Flags of `kvorum import`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
The value of each key is its row as a JSON object. A CSV file begins with a line of column names; of a JSON-lines file
each line is one object. With --exported the file is one that `kvorum export` made: each key gets the value it had, byte
by byte, and ends when it would have; keys that have ended meanwhile are left out.

Examples:
  kvorum import people.csv --key id
  kvorum import cities.jsonl --key 'city:{country}:{name}' --repeat number
  kvorum import big.csv --key id --on-error skip
  kvorum import big.csv --key id --skip-lines 120000     # go on where it stopped
  kvorum import all.jsonl --exported                     # what `kvorum export all.jsonl` wrote

Exit status: 0 all rows written, 1 none, 2 a mistake on the command line, 3 some.")]
pub struct ImportOptions {
    /// A .csv, .jsonl, .ndjson or .json (lines) file
    file: PathBuf,
    /// The column that is the key, or a template like 'city:{country}:{name}'
    #[arg(long, value_name = "COLUMN|TEMPLATE", required_unless_present = "exported")]
    key: Option<String>,
    /// The file was written by `kvorum export`: its keys, values and ends come back as they were
    #[arg(long, conflicts_with_all = ["key", "repeat"])]
    exported: bool,
    /// What to do with a row that cannot be read or written
    #[arg(long, default_value = "stop")]
    on_error: OnError,
    /// What to do with a key that an earlier row of the file had
    #[arg(long, default_value = "overwrite")]
    repeat: Repeat,
    /// Skip so many lines of the file (counted with the CSV head), to go on where an import stopped
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    skip_lines: u64,
    #[command(flatten)]
    admin: AdminOptions,
}

/// `--on-error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnError {
    /// Stop at the first
    Stop,
    /// Name it and go on
    Skip,
}

/// `--repeat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Repeat {
    /// The last row wins
    Overwrite,
    /// The second becomes KEY#2, the third KEY#3
    Number,
}

struct Batch {
    lines: Vec<u64>,
    body: Vec<u8>,
    /// Bytes of the file up to its end.
    offset: u64,
}

/// What became of a batch.
struct Outcome {
    written: u64,
    /// Line and reason.
    failed: Vec<(u64, String)>,
    last_line: u64,
    offset: u64,
}

#[derive(Default)]
struct Tally {
    written: u64,
    failed: u64,
    /// Exported keys whose end has passed.
    ended: u64,
    /// Every line up to this one was dealt with.
    through_line: u64,
    first_failed: Option<u64>,
}

/// `kvorum import`.
pub fn run(options: &ImportOptions) -> u8 {
    let template = match options.key.as_deref().map(Template::parse).transpose() {
        Ok(template) => template,
        Err(why) => {
            complain(why);
            return 2;
        }
    };
    let maker = Maker { template, repeat: options.repeat, seen: HashMap::new() };
    let rows = match Rows::open(&options.file) {
        Ok(rows) => rows,
        Err(why) => {
            complain(format!("{}: {why}", options.file.display()));
            return NOT_DONE;
        }
    };
    let bar = progress_bar(rows.total_bytes());
    let mut tally = Tally { through_line: options.skip_lines, ..Tally::default() };
    std::thread::scope(|scope| {
        let mut lanes = Vec::new();
        for _ in 0..BATCHES_IN_FLIGHT {
            let (batch_in, batches) = sync_channel::<Batch>(1);
            let (outcome_in, outcomes) = sync_channel(2);
            let client = Client::new(&options.admin);
            scope.spawn(move || send_batches(&client, &batches, &outcome_in));
            lanes.push((batch_in, outcomes));
        }
        feed(options, maker, rows, &lanes, &bar, &mut tally);
    });
    bar.finish_and_clear();
    report(options, &tally, bar.elapsed())
}

fn progress_bar(total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    let style = ProgressStyle::with_template(
        "{bar:30} {percent:>3}% {bytes}/{total_bytes}  {msg}  {binary_bytes_per_sec}  ETA {eta}",
    );
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

type Lane = (SyncSender<Batch>, Receiver<Outcome>);

/// Reads rows into batches and deals them out in turn, so that outcomes come back in the order of the file.
fn feed(
    options: &ImportOptions,
    mut maker: Maker,
    mut rows: Rows,
    lanes: &[Lane],
    bar: &ProgressBar,
    tally: &mut Tally,
) {
    let now_ms = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis() as u64);
    let (mut sent, mut settled) = (0usize, 0usize);
    let mut is_stopped = false;
    let started = std::time::Instant::now();
    let settle = |settled: &mut usize, tally: &mut Tally| -> bool {
        let Ok(outcome) = lanes[*settled % lanes.len()].1.recv() else { return true };
        *settled += 1;
        tally.written += outcome.written;
        tally.through_line = tally.through_line.max(outcome.last_line);
        bar.set_position(outcome.offset);
        let rate = tally.written as f64 / started.elapsed().as_secs_f64().max(0.001);
        bar.set_message(format!("{} rows, {rate:.0}/s", tally.written));
        for (line, why) in &outcome.failed {
            note_failure(options, tally, bar, *line, why);
        }
        !outcome.failed.is_empty()
    };
    let mut batch = Batch { lines: Vec::new(), body: Vec::new(), offset: 0 };
    loop {
        let next = if is_stopped { None } else { rows.pull() };
        let is_end = next.is_none();
        match next {
            None => {}
            Some((line, row)) if line <= options.skip_lines => {
                // The keys of skipped rows count: the third of a name is #3 whoever wrote the first two.
                if let (Ok(row), Repeat::Number) = (row, options.repeat) {
                    let _ = maker.entry(&row);
                }
                continue;
            }
            Some((line, row)) => {
                match row.and_then(|row| maker.entry(&row)) {
                    // Written, it would take the place of what is there.
                    Ok(entry) if (1..=now_ms).contains(&entry.expires_at_ms) => tally.ended += 1,
                    Ok(Entry { key, value, expires_at_ms }) => {
                        batch.lines.push(line);
                        write_entry(&mut batch.body, &key, &value, expires_at_ms);
                    }
                    Err(why) => {
                        note_failure(options, tally, bar, line, &why);
                        is_stopped = options.on_error == OnError::Stop;
                    }
                }
            }
        }
        let is_full = batch.lines.len() >= BATCH_ROWS || batch.body.len() >= BATCH_BYTES;
        if !batch.lines.is_empty() && (is_full || is_end || is_stopped) {
            if sent - settled >= lanes.len() * 2 && settle(&mut settled, tally) {
                is_stopped |= options.on_error == OnError::Stop;
            }
            batch.offset = rows.offset();
            let full =
                std::mem::replace(&mut batch, Batch { lines: Vec::new(), body: Vec::new(), offset: 0 });
            if lanes[sent % lanes.len()].0.send(full).is_ok() {
                sent += 1;
            }
        }
        if is_end {
            break;
        }
    }
    while settled < sent {
        settle(&mut settled, tally);
    }
}

fn note_failure(options: &ImportOptions, tally: &mut Tally, bar: &ProgressBar, line: u64, why: &str) {
    tally.failed += 1;
    tally.first_failed = Some(tally.first_failed.map_or(line, |first| first.min(line)));
    if options.on_error == OnError::Skip || tally.failed <= NAMED_BEFORE_STOP {
        bar.suspend(|| complain(format!("{} line {line}: {why}", options.file.display())));
    }
}

/// Makes keys and values out of rows.
struct Maker {
    /// Of the key; `None` if rows are what an export wrote.
    template: Option<Template>,
    repeat: Repeat,
    seen: HashMap<String, u32>,
}

impl Maker {
    fn entry(&mut self, row: &Row) -> Result<Entry, String> {
        let Some(template) = &self.template else { return row.exported() };
        let mut key = template.fill(row)?;
        if self.repeat == Repeat::Number {
            let count = self.seen.entry(key.clone()).or_default();
            *count += 1;
            if *count > 1 {
                key = format!("{key}#{count}");
            }
        }
        Ok(Entry { key: key.into(), value: row.json().to_owned().into(), expires_at_ms: 0 })
    }
}

/// One lane: sends batches one after the other, and again what may be tried again.
fn send_batches(client: &Client, batches: &Receiver<Batch>, outcomes: &SyncSender<Outcome>) {
    while let Ok(batch) = batches.recv() {
        let outcome = send_batch(client, batch);
        if outcomes.send(outcome).is_err() {
            return;
        }
    }
}

fn send_batch(client: &Client, batch: Batch) -> Outcome {
    let last_line = batch.lines.last().copied().unwrap_or(0);
    let total = batch.lines.len() as u64;
    let mut pause = RETRY_PAUSE;
    let mut outcome = Outcome { written: 0, failed: Vec::new(), last_line, offset: batch.offset };
    for attempt in 1..=TRIES {
        // Putting all again is safe: each row's value is the same as before.
        let reply = client.post("/bulk", &batch.body).and_then(Answer::done);
        let reply = reply.and_then(|body| {
            serde_json::from_slice::<BulkReply>(&body).map_err(|error| format!("the node's answer: {error}"))
        });
        match reply {
            Ok(reply) => {
                let may_retry = reply.failed.iter().any(|failure| failure.code != "ERR");
                if !may_retry || attempt == TRIES {
                    outcome.written = reply.written;
                    outcome.failed = reply
                        .failed
                        .into_iter()
                        .map(|failure| {
                            let line = batch.lines.get(failure.index as usize).copied().unwrap_or(last_line);
                            (line, format!("{} {}", failure.code, failure.message))
                        })
                        .collect();
                    break;
                }
            }
            Err(why) if attempt == TRIES => {
                let first = batch.lines.first().copied().unwrap_or(0);
                outcome.failed = vec![(
                    first,
                    format!("{total} rows up to line {last_line} are not known to be written: {why}"),
                )];
            }
            Err(_) => {}
        }
        std::thread::sleep(pause);
        pause *= 2;
    }
    outcome
}

fn report(options: &ImportOptions, tally: &Tally, elapsed: Duration) -> u8 {
    let rate = tally.written as f64 / elapsed.as_secs_f64().max(0.001);
    complain(format!(
        "{} rows written in {:.1} s ({rate:.0}/s), {} not{}",
        tally.written,
        elapsed.as_secs_f64(),
        tally.failed,
        match tally.ended {
            0 => String::new(),
            ended => format!(", {ended} left out because they have ended"),
        }
    ));
    if tally.failed > 0 && options.on_error == OnError::Stop {
        let from = tally.first_failed.unwrap_or(1).saturating_sub(1);
        complain(format!(
            "to go on: mend what is named above, then the same command with --skip-lines {from} (or --on-error skip to leave \
             such lines out)"
        ));
    }
    match (tally.written, tally.failed) {
        (_, 0) => DONE,
        (0, _) => NOT_DONE,
        _ => PARTLY,
    }
}
