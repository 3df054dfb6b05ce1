//! C3: nothing dead comes back, and nothing is read that nobody wrote.

use super::{FinalKey, Voters, by_key, must_have_ended, superseder};
use crate::base::Micros;
use crate::sim::history::{Asked, History, Record};
use crate::sim::verdict::{Checker, Violation};
use crate::version::Resolve;
use alloc::{format, string::String, vec::Vec};

/// Judges what is there at the end: no value that an acknowledged delete came wholly after (`lww`), that an
/// acknowledged write's context had seen (`siblings`), or that must have expired.
pub fn zombies(
    history: &History,
    voters: &Voters,
    finals: &[FinalKey],
    resolve: Resolve,
    now: Micros,
) -> Vec<Violation> {
    let keys = finals.iter().map(|found| found.key + 1).max().unwrap_or(0);
    let by_key = by_key(history, keys);
    let mut violations = Vec::new();
    for found in finals {
        let of_key = &by_key[usize::from(found.key)];
        for value in found.found(history) {
            let Some((_, record)) = of_key.iter().find(|(number, _)| *number == value.writer) else {
                continue; // Reported as an invention.
            };
            let mut report = |why: String| {
                let text = format!("value {} of key k{} is back: {why}", value.writer.0, found.key);
                violations.push(Violation { checker: Checker::C3, at: now, text });
            };
            if value.live && must_have_ended(record, of_key, found.read_ms) {
                report(format!("it must have expired before {}", found.read_ms));
            }
            match resolve {
                Resolve::Lww => {
                    if let Some((number, killer)) = superseder(record, of_key, voters)
                        && matches!(killer.asked, Asked::Delete { .. })
                    {
                        report(format!("delete {} began after it was acknowledged", number.0));
                    }
                }
                Resolve::Siblings => {
                    let had_seen = |killer: &&Record| match &killer.asked {
                        Asked::Put { seen: Some(seen), .. } | Asked::Delete { seen: Some(seen) } => {
                            killer.is_done() && seen.vector.covers(value.dot)
                        }
                        _ => false,
                    };
                    if let Some((number, _)) = of_key.iter().find(|(_, killer)| had_seen(killer)) {
                        report(format!("the acknowledged write {} had seen it", number.0));
                    }
                }
            }
        }
    }
    violations
}

/// Judges every value that was ever read, as (key, writer, when read): it was written to that key, by an operation
/// that had begun and was not said to be undone.
pub fn inventions(
    history: &History,
    reads: &[(u16, crate::sim::history::OpNumber, Micros)],
) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (key, writer, at) in reads {
        let problem = match history.get(*writer) {
            None => Some("nobody wrote it"),
            Some(record) if record.key != *key => Some("it was written to another key"),
            Some(record) if !matches!(record.asked, Asked::Put { .. }) => {
                Some("that operation writes no value")
            }
            Some(record) if record.started > *at => Some("it was not yet written"),
            Some(record) if !record.may_count() => Some("its writer was told that it is not done"),
            Some(_) => None,
        };
        if let Some(problem) = problem {
            let text = format!("value {} was read of key k{key}: {problem}", writer.0);
            violations.push(Violation { checker: Checker::C3, at: *at, text });
        }
    }
    violations
}
