//! `KV.EXPLAIN`: where a key lives and what each holder says, as JSON made here so that no other layer knows cells.

use super::get::Answers;
use crate::base::{MemberId, PartitionId};
use crate::ring::{Liveness, View, slot_of};
use crate::version::Cell;
use alloc::string::String;
use bytes::Bytes;
use core::fmt::Write;

/// The text; `answers` are those that came in time.
pub(super) fn text(
    view: &View,
    partition: PartitionId,
    key: &[u8],
    answers: &Answers,
    wall_ms: u64,
) -> String {
    let mut json = String::new();
    let slot = slot_of(key).0;
    let walk = view.topology.walk(partition);
    let owners = view.partition(partition).map_or(&[][..], |state| &state.owners);
    // Writing to a String cannot fail.
    let _ =
        write!(json, "{{\"slot\":{slot},\"partition\":{},\"epoch\":{}", partition.0, view.topology.epoch.0);
    json.push_str(",\"owners\":[");
    for (index, owner) in owners.iter().enumerate() {
        let answer = answers.iter().find(|(member, _)| member == owner).map(|(_, answer)| answer);
        comma(&mut json, index);
        holder(&mut json, view, *owner, answer, wall_ms);
    }
    json.push_str("],\"fallbacks\":[");
    for (index, member) in walk.iter().filter(|member| !owners.contains(member)).enumerate() {
        comma(&mut json, index);
        name(&mut json, view, *member);
    }
    json.push_str("]}");
    json
}

fn comma(json: &mut String, index: usize) {
    if index > 0 {
        json.push(',');
    }
}

fn name(json: &mut String, view: &View, member: MemberId) {
    let name = view.topology.member(member).map_or("", |member| &member.name);
    json.push('"');
    for c in name.chars() {
        match c {
            '"' | '\\' => {
                json.push('\\');
                json.push(c);
            }
            c if c.is_control() => {
                let _ = write!(json, "\\u{:04x}", c as u32);
            }
            c => json.push(c),
        }
    }
    json.push('"');
}

fn holder(json: &mut String, view: &View, member: MemberId, answer: Option<&Option<Bytes>>, wall_ms: u64) {
    json.push_str("{\"name\":");
    name(json, view, member);
    let state = match view.liveness_of(member) {
        Liveness::Up => "up",
        Liveness::Suspect => "suspect",
        Liveness::Down => "down",
    };
    let _ = write!(json, ",\"state\":\"{state}\",\"holds\":");
    match answer {
        None => json.push_str("\"no answer\""),
        Some(None) => json.push_str("null"),
        Some(Some(bytes)) => match Cell::decode(bytes) {
            Err(_) => json.push_str("\"damaged\""),
            Ok(cell) => cell_text(json, &cell, wall_ms),
        },
    }
    json.push('}');
}

fn cell_text(json: &mut String, cell: &Cell, wall_ms: u64) {
    json.push_str("{\"context\":[");
    for (index, dot) in cell.context().iter().enumerate() {
        comma(json, index);
        let (member, generation) = (dot.actor.member(), dot.actor.generation());
        let _ = write!(
            json,
            "{{\"member\":{},\"generation\":\"{generation:x}\",\"counter\":{}}}",
            member.0, dot.counter
        );
    }
    json.push_str("],\"siblings\":[");
    for (index, sibling) in cell.siblings().iter().enumerate() {
        comma(json, index);
        let dot = sibling.dot;
        let _ = write!(
            json,
            "{{\"dot\":\"{}.{:x}.{}\",\"stamp_ms\":{},\"stamped_by\":{},\"live\":{},\"value_bytes\":{}",
            dot.actor.member().0,
            dot.actor.generation(),
            dot.counter,
            sibling.stamp.hlc.millis(),
            sibling.stamp.member.0,
            sibling.is_live(wall_ms),
            sibling.value().map_or(-1, |value| value.len() as i64),
        );
        if let Some(at) = sibling.expires_at_ms() {
            let _ = write!(json, ",\"expires_at_ms\":{at}");
        }
        json.push('}');
    }
    json.push_str("]}");
}
