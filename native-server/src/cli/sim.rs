use super::{DONE, NOT_DONE, complain};
use clap::Args;
use kvorum_core::base::checksum_seeded;
use kvorum_core::sim::{Options, RunReport, Script, default_script, run};
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;

/// A mistake on the command line.
const USAGE: u8 = 2;

/// Flags of `kvorum sim`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
A seed is a whole run: how many nodes, which faults when, what clients do. The same seed gives the same run, byte for
byte, and its trace hash proves it:
  kvorum sim --seed 7
  kvorum sim --seeds 0..100 --json
  kvorum sim --seed 7 --print-script > seven.script   (then edit it, and)
  kvorum sim --seed 7 --script seven.script

The last line on stdout is one JSON object. Exit status: 0 every promise kept, 1 a promise broken, 2 a mistake on the
command line.")]
pub struct SimOptions {
    /// Run this seed
    #[arg(long, value_name = "S", required_unless_present = "seeds", conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Run the seeds from A up to B, B excluded
    #[arg(long, value_name = "A..B", value_parser = parse_range)]
    seeds: Option<Range>,
    /// Faults from this file instead of those that the seed draws
    #[arg(long, value_name = "FILE", conflicts_with = "seeds")]
    script: Option<PathBuf>,
    /// Print the script of the seed and run nothing
    #[arg(long, conflicts_with = "seeds")]
    print_script: bool,
    /// Only the JSON object
    #[arg(long)]
    json: bool,
}

/// Seeds, the last one excluded.
#[derive(Debug, Clone)]
struct Range(std::ops::Range<u64>);

fn parse_range(text: &str) -> Result<Range, String> {
    let wrong = || format!("`{text}` is no range of seeds; write A..B, as in 0..100");
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    let range = from.parse().map_err(|_| wrong())?..to.parse().map_err(|_| wrong())?;
    if range.is_empty() { Err(wrong()) } else { Ok(Range(range)) }
}

/// Runs the simulator and says what it found.
pub fn run_sim(options: &SimOptions) -> u8 {
    match (options.seed, &options.seeds) {
        (Some(seed), _) => one(options, seed),
        (None, Some(range)) => many(options, range.0.clone()),
        (None, None) => USAGE, // The parser lets nobody come here.
    }
}

fn say(line: impl std::fmt::Display) {
    // A reader that has closed its end wants no more.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn script_of(options: &SimOptions, drawn: &Options) -> Result<Script, String> {
    let Some(file) = &options.script else { return Ok(default_script(drawn)) };
    let name = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read {name}: {error}"))?;
    Script::parse(&text).map_err(|error| format!("{name}: {error}"))
}

fn one(options: &SimOptions, seed: u64) -> u8 {
    let drawn = Options::drawn(seed);
    let script = match script_of(options, &drawn) {
        Ok(script) => script,
        Err(problem) => {
            complain(problem);
            return USAGE;
        }
    };
    if options.print_script {
        say(script);
        return DONE;
    }
    let report = run(drawn, script);
    if !options.json {
        describe(&report);
    }
    say(json!({
        "seed": seed,
        "trace_hash": format!("{:032x}", report.trace_hash),
        "violations": report.violations,
        "operations": report.operations,
        "events": report.events,
        "virtual_ms": report.virtual_time.as_millis(),
    }));
    if report.violations.is_empty() { DONE } else { NOT_DONE }
}

fn describe(report: &RunReport) {
    let (operations, events, millis) = (report.operations, report.events, report.virtual_time.as_millis());
    say(format_args!("{operations} operations and {events} events in {millis} virtual ms"));
    for violation in &report.violations {
        say(format_args!("broken: {violation}"));
    }
    if !report.violations.is_empty() {
        let version = env!("CARGO_PKG_VERSION");
        say(format_args!("repeat with: kvorum sim --seed {} (kvorum {version})", report.seed));
    }
}

fn many(options: &SimOptions, range: std::ops::Range<u64>) -> u8 {
    let mut hashes = Vec::new();
    let mut first_failing = None;
    for seed in range.clone() {
        let drawn = Options::drawn(seed);
        let script = default_script(&drawn);
        let report = run(drawn, script);
        hashes.extend_from_slice(&report.trace_hash.to_le_bytes());
        if !report.violations.is_empty() {
            if !options.json {
                describe(&report);
            }
            first_failing.get_or_insert(report);
        }
    }
    let low = checksum_seeded(&hashes, 0);
    let high = checksum_seeded(&hashes, 1);
    say(json!({
        "seeds": format!("{}..{}", range.start, range.end),
        "seed": first_failing.as_ref().map(|report| report.seed),
        "trace_hash": format!("{high:016x}{low:016x}"),
        "violations": first_failing.as_ref().map(|report| report.violations.clone()).unwrap_or_default(),
    }));
    if first_failing.is_none() { DONE } else { NOT_DONE }
}
