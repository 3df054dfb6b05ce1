//! C2 (and C7): no acknowledged write is lost.
//!
//! `lww`: what is there at the end is a write that no acknowledged write came wholly after; absence wants a delete or
//! an end of that kind ([`Voters`] says which pairs only the clocks order). `siblings`: each acknowledged value is there,
//! or some write may have covered it: one that had read it, or one without a context, not over before it began. That is enough for the transitive case too: whoever
//! covered it *first* had read it or wrote blindly.

use super::{FinalKey, Voters, by_key, may_have_ended, superseder};
use crate::base::Micros;
use crate::sim::history::{Asked, History, OpNumber, Record};
use crate::sim::verdict::{Checker, Violation};
use crate::version::Resolve;
use alloc::{format, string::String, vec::Vec};

/// Judges all keys. `power_cut` is when the whole cluster lost power, if it did: a write acknowledged before it and
/// lost is reported as C7.
pub fn lost_acks(
    history: &History,
    voters: &Voters,
    finals: &[FinalKey],
    resolve: Resolve,
    power_cut: Option<Micros>,
    now: Micros,
) -> Vec<Violation> {
    let keys = finals.iter().map(|found| found.key + 1).max().unwrap_or(0);
    let by_key = by_key(history, keys);
    let mut violations = Vec::new();
    for found in finals {
        let of_key = &by_key[usize::from(found.key)];
        let lost = match resolve {
            Resolve::Lww => lost_of_lww(found, of_key, voters, history).into_iter().collect(),
            Resolve::Siblings => lost_of_siblings(found, of_key, voters, history),
        };
        for (number, record, why) in lost {
            let survived_nothing = power_cut.is_some_and(|cut| record.ended.is_some_and(|end| end < cut));
            let checker = if survived_nothing { Checker::C7 } else { Checker::C2 };
            let ended = record.ended.unwrap_or_default();
            let text = format!(
                "the acknowledged write {} of key k{} ({} to {} ms, through {}) is lost: {why}",
                number.0,
                found.key,
                record.started.as_millis(),
                ended.as_millis(),
                record.node,
            );
            violations.push(Violation { checker, at: now, text });
        }
    }
    violations
}

fn lost_of_lww<'a>(
    found: &FinalKey,
    of_key: &[(OpNumber, &'a Record)],
    voters: &Voters,
    history: &History,
) -> Option<(OpNumber, &'a Record, String)> {
    let visible = found.found(history).into_iter().find(|value| value.live);
    match visible {
        Some(value) => {
            let (_, record) = of_key.iter().find(|(number, _)| *number == value.writer)?;
            let (number, lost) = superseder(record, of_key, voters)?;
            // A delete undone is a zombie: C3 reports it.
            matches!(lost.asked, Asked::Put { .. }).then(|| {
                let ended = record.ended.unwrap_or_default().as_millis();
                (number, lost, format!("write {}, which ended at {ended} ms, is there", value.writer.0))
            })
        }
        None => {
            let writes = || of_key.iter().filter(|(_, record)| record.is_write() && record.may_count());
            let explained = writes().filter(|(_, record)| superseder(record, of_key, voters).is_none()).any(
                |(_, record)| match record.asked {
                    Asked::Delete { .. } => true,
                    _ => may_have_ended(record, of_key, found.read_ms),
                },
            );
            if explained {
                return None;
            }
            let done = writes().filter(|(_, record)| record.is_done());
            let (number, lost) = done.max_by_key(|(_, record)| record.started)?;
            Some((*number, *lost, String::from("nothing is there, and no delete or end explains it")))
        }
    }
}

fn lost_of_siblings<'a>(
    found: &FinalKey,
    of_key: &[(OpNumber, &'a Record)],
    voters: &Voters,
    history: &History,
) -> Vec<(OpNumber, &'a Record, String)> {
    let present = found.found(history);
    let is_lost = |(number, record): &&(OpNumber, &'a Record)| {
        let acked = record.is_done() && matches!(record.asked, Asked::Put { .. });
        acked
            && !present.iter().any(|value| history.is_same_value(value.writer, *number))
            && !of_key
                .iter()
                .any(|(other, cover)| *other != *number && may_cover(cover, *number, record, voters))
    };
    let why = || String::from("it is not among the siblings, and no write can have covered it");
    of_key.iter().filter(is_lost).map(|(number, record)| (*number, *record, why())).collect()
}

fn may_cover(cover: &Record, number: OpNumber, covered: &Record, voters: &Voters) -> bool {
    let (Asked::Put { seen, .. } | Asked::Delete { seen }) = &cover.asked else { return false };
    cover.may_count()
        && !voters.must_yield(cover, covered)
        && seen.as_ref().is_none_or(|seen| seen.values.contains(&number))
}
