use super::Admin;
use crate::command::{process, specs};
use crate::reactor::{BOUNDS_US, Family, Histogram, REFUSAL_CODES, ThreadCounters};
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use kvorum_core::data::Snapshot;
use kvorum_core::ring::Liveness;
use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counters of core that may fall.
const GAUGES: &[&str] =
    &["hints_pending", "hint_bytes", "tombstones", "keys", "expired_keys", "old_vector_entries"];

/// The text format of Prometheus, version 0.0.4.
#[derive(Default)]
struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }
    fn line(&mut self, name: &str, labels: &[(&str, &dyn Display)], value: &dyn Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let text = text.to_string().replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{}{label}=\"{text}\"", if index == 0 { "{" } else { "," });
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
    fn one(&mut self, name: &str, kind: &str, help: &str, value: &dyn Display) {
        self.head(name, kind, help);
        self.line(name, &[], value);
    }
}

/// `GET /metrics`.
pub async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    let snapshots = admin.snapshots().await;
    let mut text = Text::default();
    process_lines(&admin, &mut text);
    request_lines(&admin, &mut text);
    cluster_lines(&admin, &mut text);
    time_lines(&admin, &mut text);
    shard_lines(&snapshots, &mut text);
    engine_lines(&snapshots, &mut text);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text.0)
}

fn process_lines(admin: &Admin, text: &mut Text) {
    let settings = &admin.shared.settings;
    text.head("kvorum_build_info", "gauge", "The version, as a label.");
    text.line("kvorum_build_info", &[("version", &env!("CARGO_PKG_VERSION")), ("node", &settings.name)], &1);
    let (user, system) = process::cpu_seconds();
    text.one("process_cpu_seconds_total", "counter", "CPU time, user and system.", &(user + system));
    text.one("process_resident_memory_bytes", "gauge", "Resident memory.", &process::resident_bytes());
    text.one("kvorum_uptime_seconds", "gauge", "Since the start.", &settings.since.elapsed().as_secs());
}

fn request_lines(admin: &Admin, text: &mut Text) {
    let threads = &admin.shared.counters;
    let sum = |of: fn(&ThreadCounters) -> &AtomicU64| {
        threads.iter().map(|thread| of(thread).load(Ordering::Relaxed)).sum::<u64>()
    };
    text.head("kvorum_requests_total", "counter", "Commands by verb.");
    for (index, spec) in specs().iter().enumerate() {
        let count: u64 = threads.iter().map(|thread| thread.commands[index].load(Ordering::Relaxed)).sum();
        if count > 0 {
            text.line("kvorum_requests_total", &[("verb", &spec.name)], &count);
        }
    }
    text.line("kvorum_requests_total", &[("verb", &"unknown")], &sum(|thread| &thread.unknown));
    text.head(
        "kvorum_replies_refused_total",
        "counter",
        "Requests that shards refused, by the word of the reply.",
    );
    for (index, code) in REFUSAL_CODES.iter().enumerate() {
        let count: u64 = threads.iter().map(|thread| thread.refusals[index].load(Ordering::Relaxed)).sum();
        text.line("kvorum_replies_refused_total", &[("code", code)], &count);
    }
    text.one("kvorum_connections", "gauge", "Open client connections.", &sum(|thread| &thread.connections));
    let total = admin.shared.connection_total.load(Ordering::Relaxed);
    text.one("kvorum_connections_total", "counter", "Client connections since the start.", &total);
    let cut_off = sum(|thread| &thread.clients_cut_off);
    text.one(
        "kvorum_clients_cut_off_total",
        "counter",
        "Clients cut off because they did not read.",
        &cut_off,
    );
    text.one("kvorum_turns_total", "counter", "Turns of the data threads.", &sum(|thread| &thread.turns));
    text.head("kvorum_peer_messages_total", "counter", "Messages between nodes.");
    for (what, count) in [
        ("sent", sum(|thread| &thread.peer_sent)),
        ("received", sum(|thread| &thread.peer_received)),
        ("dropped", sum(|thread| &thread.peer_dropped)),
    ] {
        text.line("kvorum_peer_messages_total", &[("what", &what)], &count);
    }
}

fn cluster_lines(admin: &Admin, text: &mut Text) {
    let view = admin.shared.view();
    text.one("kvorum_ready", "gauge", "1 once the node can coordinate.", &u8::from(view.is_some()));
    let Some(view) = view else { return };
    let topology = &view.topology;
    text.one("kvorum_topology_epoch", "gauge", "Epoch of the topology in force.", &topology.epoch.0);
    text.head("kvorum_gossip_members", "gauge", "Members by what is believed of them.");
    for (name, liveness) in [("up", Liveness::Up), ("suspect", Liveness::Suspect), ("down", Liveness::Down)] {
        let count = topology.members.iter().filter(|member| view.liveness_of(member.id) == liveness).count();
        text.line("kvorum_gossip_members", &[("state", &name)], &count);
    }
    let owned = topology.partitions.iter().filter(|state| state.owners.contains(&view.me)).count();
    let moving = topology.partitions.iter().filter(|state| !state.next.is_empty()).count();
    let ratio = owned as f64 / topology.partitions.len().max(1) as f64;
    text.one("kvorum_ring_owned_ratio", "gauge", "Share of the partitions that this node holds.", &ratio);
    text.one("kvorum_ring_moving_partitions", "gauge", "Partitions on their way to other owners.", &moving);
}

fn time_lines(admin: &Admin, text: &mut Text) {
    let name = "kvorum_wal_fsync_duration_seconds";
    text.head(name, "histogram", "Log syncs, with the write where it waits for one.");
    histogram(text, name, &[], [&admin.shared.sync_times]);
    let name = "kvorum_request_duration_seconds";
    text.head(
        name,
        "histogram",
        "From the turn that read a request to the end of the turn that answered it.",
    );
    for (index, family) in Family::NAMES.iter().enumerate() {
        let threads = admin.shared.counters.iter().map(|thread| &thread.request_times[index]);
        histogram(text, name, &[("family", family)], threads);
    }
}

fn histogram<'a>(
    text: &mut Text,
    name: &str,
    labels: &[(&str, &dyn Display)],
    parts: impl IntoIterator<Item = &'a Histogram>,
) {
    let (mut counts, mut sum) = ([0; BOUNDS_US.len() + 1], Duration::ZERO);
    for part in parts {
        counts.iter_mut().zip(part.cumulated()).for_each(|(count, more)| *count += more);
        sum += part.sum();
    }
    let bounds = BOUNDS_US.iter().map(|bound| (*bound as f64 / 1e6).to_string()).chain(["+Inf".into()]);
    for (bound, count) in bounds.zip(counts) {
        let labels = [labels, &[("le", &bound as &dyn Display)]].concat();
        text.line(&format!("{name}_bucket"), &labels, &count);
    }
    text.line(&format!("{name}_sum"), labels, &sum.as_secs_f64());
    text.line(&format!("{name}_count"), labels, &counts[BOUNDS_US.len()]);
}

/// All counters of core, by their own names.
fn shard_lines(snapshots: &[Snapshot], text: &mut Text) {
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for snapshot in snapshots {
        let value = serde_json::to_value(&snapshot.counters).unwrap_or_default();
        for (name, count) in value.as_object().into_iter().flatten() {
            *sums.entry(name.clone()).or_default() += count.as_u64().unwrap_or(0);
        }
    }
    for (name, count) in sums {
        if GAUGES.contains(&name.as_str()) {
            text.one(&format!("kvorum_{name}"), "gauge", "Held now, all shards of this node.", &count);
        } else {
            text.one(
                &format!("kvorum_{name}_total"),
                "counter",
                "Since the start, all shards of this node.",
                &count,
            );
        }
    }
}

fn engine_lines(snapshots: &[Snapshot], text: &mut Text) {
    let each = |text: &mut Text, name: &str, kind: &str, help: &str, of: &dyn Fn(&Snapshot) -> u64| {
        text.head(name, kind, help);
        for snapshot in snapshots {
            text.line(name, &[("shard", &snapshot.shard.0)], &of(snapshot));
        }
    };
    each(text, "kvorum_lsm_memtable_bytes", "gauge", "Active and frozen memtables.", &|s| {
        s.engine.memtable_bytes
    });
    each(text, "kvorum_lsm_row_bytes", "gauge", "Records of keys in use, ahead of tables.", &|s| {
        s.engine.row_bytes
    });
    each(text, "kvorum_lsm_log_bytes", "gauge", "Log not yet flushed.", &|s| s.engine.log_bytes);
    each(text, "kvorum_lsm_flushes_total", "counter", "Flushes finished.", &|s| s.engine.flushes);
    each(text, "kvorum_lsm_compactions_total", "counter", "Compactions finished.", &|s| s.engine.compactions);
    each(text, "kvorum_lsm_refusing", "gauge", "1 while the engine refuses writes.", &|s| {
        u64::from(s.engine.refusing.is_some())
    });
    for (name, help, bytes) in [
        ("kvorum_lsm_sstables", "Tables by level.", false),
        ("kvorum_lsm_sstable_bytes", "Bytes of tables by level.", true),
    ] {
        text.head(name, "gauge", help);
        for snapshot in snapshots {
            let tables = snapshot.engine.tables.iter().map(|count| u64::from(*count)).collect();
            let values: Vec<u64> = if bytes { snapshot.engine.table_bytes.clone() } else { tables };
            for (level, value) in values.iter().enumerate() {
                text.line(name, &[("shard", &snapshot.shard.0), ("level", &level)], value);
            }
        }
    }
}
