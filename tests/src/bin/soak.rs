//! Many seeds of the simulator on all cores, and the proof that its checkers catch what they are for.
//!
//! ```text
//! soak seeds A..B [--twice EVERY]      default seeds from A up to B (B excluded)
//! soak seed S [BUG]                     one seed, what happened in it, and how long it took
//! soak story S KEY                      what befell one key in a seed, by all members
//! soak sabotage [NAME…] [--within N]   each bug (all without names): the first seed of 0..N whose checker catches it
//! soak recorded FILE [--more N]        each bug at its recorded seed, and N seeds without it
//! ```
//!
//! Exit code 0 only if every promise was kept and every bug caught by the checker named for it.
#![allow(clippy::print_stdout)] // Its output is its purpose.

use kvorum_core::base::Bug;
use kvorum_core::sim::{OpNumber, Options, RunReport, checker_of, run_options, run_twice, trace_of};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome =
        match words.as_slice() {
            ["seeds", range, rest @ ..] => {
                parse_range(range).map(|range| soak(range, option(rest, "--twice", 50)))
            }
            ["seed", seed, rest @ ..] => one(seed, rest.first().copied()),
            ["story", seed, key] => story(seed, key),
            ["sabotage", rest @ ..] => sabotage(rest),
            ["recorded", file, rest @ ..] => recorded(file, option(rest, "--more", 50)),
            _ => Err("usage: soak seeds A..B | soak sabotage [NAME…] [--within N] | soak recorded FILE"
                .to_string()),
        };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("soak: {problem}");
            ExitCode::from(2)
        }
    }
}

fn one(seed: &str, bug: Option<&str>) -> Result<bool, String> {
    let seed = seed.parse().map_err(|_| format!("`{seed}` is no seed"))?;
    let options = match bug.map(|name| Bug::named(name).ok_or_else(|| format!("there is no bug `{name}`"))) {
        None => Options::drawn(seed),
        Some(bug) => Options::sabotaged(seed, bug?).ok_or("this build cannot break")?,
    };
    println!("{options:?}\n{}", kvorum_core::sim::default_script(&options));
    let begun = Instant::now();
    let report = run_options(options);
    println!(
        "{:032x}: {} operations, {} events, {} virtual ms in {:.3} s",
        report.trace_hash,
        report.operations,
        report.events,
        report.virtual_time.as_millis(),
        begun.elapsed().as_secs_f64()
    );
    report.violations.iter().for_each(|violation| println!("{violation}"));
    Ok(report.violations.is_empty())
}

/// Prints what befell one key, by all members, in the order of the world's time.
fn story(seed: &str, key: &str) -> Result<bool, String> {
    use kvorum_core::base::trace::{Kind, records};
    let seed = seed.parse().map_err(|_| format!("`{seed}` is no seed"))?;
    let (trace, history) = trace_of(Options::drawn(seed));
    let index: Option<u32> = key.strip_prefix('k').and_then(|digits| digits.parse().ok());
    let is_name = |payload: &[u32]| {
        let bytes: Vec<u8> = payload[2..].iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.get(..payload[1] as usize) == Some(key.as_bytes())
    };
    let name = records(&trace).find(|record| record.kind == Kind::String && is_name(record.payload));
    let name = name.ok_or_else(|| format!("nothing is said of key {key}"))?.payload[0];
    // Requests of a member are numbered anew at each of its starts; a later start takes a number over.
    let mut requests = std::collections::BTreeSet::new();
    let mut partition = None;
    for record in records(&trace) {
        let request = |at: usize| Some((record.node, *record.payload.get(at)?, *record.payload.get(at + 1)?));
        let is_told = match record.kind {
            Kind::RequestStarted => {
                let is_ours = record.payload.get(4) == Some(&name);
                let request = request(0).unwrap_or_default();
                if is_ours {
                    requests.insert(request);
                    partition = record.payload.get(3).copied();
                } else {
                    requests.remove(&request);
                }
                is_ours
            }
            Kind::ReplicaAsked | Kind::ReplicaAnswered | Kind::RequestEnded | Kind::ReadRepaired => {
                request(0).is_some_and(|request| requests.contains(&request))
            }
            Kind::Restamped | Kind::PlannedAgain => {
                let is_ours = request(0).is_some_and(|request| requests.contains(&request));
                if let Some(again) = request(2).filter(|_| is_ours) {
                    requests.insert(again);
                }
                is_ours
            }
            Kind::OpStarted => index.is_some() && record.payload.get(3).copied() == index,
            Kind::OpEnded => {
                let number = OpNumber(record.payload.first().copied().unwrap_or_default());
                history.get(number).is_some_and(|op| Some(u32::from(op.key)) == index)
            }
            Kind::CellMerged | Kind::HintStored | Kind::HintDelivered => record.payload.contains(&name),
            Kind::TransferPage | Kind::TransferDone | Kind::PartitionDropped => {
                record.payload.first().copied() == partition
            }
            Kind::TopologyAdopted | Kind::Crashed | Kind::Restarted | Kind::WentDown | Kind::CameUp => true,
            _ => false,
        };
        if is_told {
            let micros = record.time.0;
            println!("{micros:>10} n{} {} {:?}", record.node, record.kind.name(), record.payload);
            if record.kind == Kind::OpStarted
                && let Some(op) = history.get(OpNumber(record.payload[0]))
            {
                println!("{:>10} {:?}, {:?}", "", op.asked, op.outcome);
            }
        }
    }
    Ok(true)
}

fn parse_range(text: &str) -> Result<std::ops::Range<u64>, String> {
    let wrong = || format!("`{text}` is no range; write A..B");
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    Ok(from.parse().map_err(|_| wrong())?..to.parse().map_err(|_| wrong())?)
}

fn option(words: &[&str], name: &str, default: u64) -> u64 {
    let value = words.iter().skip_while(|word| **word != name).nth(1);
    value.and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Runs `each` over the seeds on all cores until one says stop.
fn on_all_cores(range: std::ops::Range<u64>, each: impl Fn(u64) -> bool + Sync) {
    let next = AtomicU64::new(range.start);
    let is_over = AtomicBool::new(false);
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= range.end {
                        break;
                    }
                    if !each(seed) {
                        is_over.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
}

fn soak(range: std::ops::Range<u64>, twice_every: u64) -> bool {
    let begun = Instant::now();
    let failed: Mutex<Vec<RunReport>> = Mutex::new(Vec::new());
    let (events, operations, micros) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let count = range.end.saturating_sub(range.start);
    on_all_cores(range, |seed| {
        let options = Options::drawn(seed);
        let report = if seed % twice_every == 0 { run_twice(options) } else { run_options(options) };
        events.fetch_add(report.events, Ordering::Relaxed);
        operations.fetch_add(u64::from(report.operations), Ordering::Relaxed);
        micros.fetch_add(report.virtual_time.0, Ordering::Relaxed);
        if let Some(violation) = report.violations.first() {
            println!("seed {seed}: {violation}\n  repeat with: kvorum sim --seed {seed}");
            if let Ok(mut failed) = failed.lock() {
                failed.push(report);
            }
        }
        true
    });
    let (real, failed) =
        (begun.elapsed().as_secs_f64(), failed.into_inner().map_or(1, |failed| failed.len()));
    let virtual_seconds = micros.into_inner() as f64 / 1e6;
    println!(
        "{count} seeds, {failed} failed; {} operations, {} events, {virtual_seconds:.0} virtual s in {real:.1} s",
        operations.into_inner(),
        events.into_inner(),
    );
    failed == 0
}

fn run_bug(bug: Bug, seed: u64) -> Option<RunReport> {
    let options = Options::sabotaged(seed, bug)?;
    Some(if bug == Bug::ProcessDependentOrder { run_twice(options) } else { run_options(options) })
}

fn is_caught(bug: Bug, report: &RunReport) -> bool {
    report.violations.iter().any(|violation| violation.checker == checker_of(bug))
}

fn sabotage(words: &[&str]) -> Result<bool, String> {
    let within = option(words, "--within", 500);
    let mut names: Vec<&str> = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if *word == "--within" {
            rest.next();
        } else {
            names.push(word);
        }
    }
    let bugs: Vec<Bug> = if names.is_empty() {
        Bug::ALL.to_vec()
    } else {
        let named = |name: &&str| Bug::named(name).ok_or_else(|| format!("there is no bug `{name}`"));
        names.iter().map(named).collect::<Result<_, _>>()?
    };
    let mut all_caught = true;
    std::panic::set_hook(Box::new(|_| {}));
    println!("| bug | checker | first seed | also seen |\n|---|---|--:|---|");
    for bug in bugs {
        if Options::sabotaged(0, bug).is_none() {
            return Err("this build cannot break: build it with --features sabotage".to_string());
        }
        let first = AtomicU64::new(u64::MAX);
        let others = Mutex::new(std::collections::BTreeMap::<String, u64>::new());
        on_all_cores(0..within, |seed| {
            if seed > first.load(Ordering::Relaxed) {
                return false;
            }
            // A broken machine may stop its process: that is a catch too, but not by the checker named for it.
            let Ok(Some(report)) = std::panic::catch_unwind(|| run_bug(bug, seed)) else {
                if let Ok(mut others) = others.lock() {
                    *others.entry("panic".to_string()).or_default() += 1;
                }
                return true;
            };
            if is_caught(bug, &report) {
                first.fetch_min(seed, Ordering::Relaxed);
                return false;
            }
            if let (Some(violation), Ok(mut others)) = (report.violations.first(), others.lock()) {
                *others.entry(violation.checker.to_string()).or_default() += 1;
            }
            true
        });
        let first = first.into_inner();
        let others = others.into_inner().unwrap_or_default();
        let others: Vec<String> =
            others.iter().map(|(checker, count)| format!("{checker} {count}×")).collect();
        let seed = if first == u64::MAX { format!("none in {within}") } else { first.to_string() };
        println!("| {bug} | {} | {seed} | {} |", checker_of(bug), others.join(", "));
        all_caught &= first != u64::MAX;
    }
    Ok(all_caught)
}

fn recorded(file: &str, more: u64) -> Result<bool, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let mut missing: Vec<Bug> = Bug::ALL.to_vec();
    let mut is_good = true;
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let (name, seed) = line.split_once(' ').ok_or_else(|| format!("{file}: `{line}` is no NAME SEED"))?;
        let bug = Bug::named(name).ok_or_else(|| format!("{file}: there is no bug `{name}`"))?;
        let seed: u64 = seed.trim().parse().map_err(|_| format!("{file}: `{line}` names no seed"))?;
        let report =
            run_bug(bug, seed).ok_or("this build cannot break: build it with --features sabotage")?;
        let caught = is_caught(bug, &report);
        println!("{bug} at seed {seed}: {}", if caught { "caught" } else { "NOT CAUGHT" });
        is_good &= caught;
        missing.retain(|other| *other != bug);
    }
    for bug in missing {
        println!("{bug}: no recorded seed");
        is_good = false;
    }
    Ok(soak(0..more, u64::MAX) && is_good)
}
