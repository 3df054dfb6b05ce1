use super::REDIS_VERSION;
use crate::command::NodeFacts;
use crate::command::process::{cpu_seconds, resident_bytes};
use crate::resp::Args;
use std::fmt::Write;

const SECTIONS: &[&str] = &[
    "server",
    "clients",
    "memory",
    "persistence",
    "stats",
    "replication",
    "cpu",
    "modules",
    "errorstats",
    "cluster",
    "keyspace",
];

/// The text of `INFO`, for the named sections or for all.
pub fn info(wanted: Args<'_>, node: &dyn NodeFacts) -> String {
    let all = wanted.is_empty()
        || wanted.iter().any(|word| {
            ["all", "default", "everything"].iter().any(|every| word.eq_ignore_ascii_case(every.as_bytes()))
        });
    let mut text = String::new();
    for section in SECTIONS {
        if all || wanted.iter().any(|word| word.eq_ignore_ascii_case(section.as_bytes())) {
            if !text.is_empty() {
                text.push_str("\r\n");
            }
            write_section(section, node, &mut text);
        }
    }
    text
}

fn write_section(section: &str, node: &dyn NodeFacts, text: &mut String) {
    let (settings, load) = (node.settings(), node.load());
    let mut title = section.to_owned();
    title[..1].make_ascii_uppercase();
    let _ = write!(text, "# {title}\r\n");
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        let _ = write!(text, "{name}:{value}\r\n");
    };
    match section {
        "server" => {
            line("redis_version", &REDIS_VERSION);
            line("kvorum_version", &env!("CARGO_PKG_VERSION"));
            line("redis_mode", &"cluster");
            line("server_name", &"kvorum");
            line("os", &std::env::consts::OS);
            line("arch_bits", &(usize::BITS));
            line("multiplexing_api", &"epoll");
            line("process_id", &std::process::id());
            line("run_id", &format_args!("{:040x}", settings.store));
            line("tcp_port", &settings.listen.rsplit(':').next().unwrap_or("0"));
            line("uptime_in_seconds", &settings.since.elapsed().as_secs());
            line("uptime_in_days", &(settings.since.elapsed().as_secs() / 86_400));
            line("executable", &"kvorum");
            line("config_file", &"");
        }
        "clients" => {
            line("connected_clients", &load.connections);
            line("maxclients", &settings.connections_max);
            line("blocked_clients", &0);
            line("tracking_clients", &0);
        }
        "memory" => {
            let used = resident_bytes();
            line("used_memory", &used);
            line("used_memory_human", &format_args!("{:.2}M", used as f64 / (1u64 << 20) as f64));
            line("used_memory_rss", &used);
            line("maxmemory", &0);
            line("maxmemory_policy", &"noeviction");
        }
        "persistence" => {
            line("loading", &0);
            line("async_loading", &0);
            line("rdb_bgsave_in_progress", &0);
            line("rdb_last_bgsave_status", &"ok");
            line("aof_enabled", &1);
            line("aof_rewrite_in_progress", &0);
            line("aof_rewrite_scheduled", &0);
            line("aof_last_write_status", &"ok");
        }
        "stats" => {
            line("total_connections_received", &load.connections_total);
            line("total_commands_processed", &load.commands);
            line("total_reads_processed", &load.gets);
            line("total_writes_processed", &load.puts);
            line("expired_keys", &0);
            line("evicted_keys", &0);
        }
        "replication" => {
            line("role", &"master");
            line("connected_slaves", &0);
            line("master_failover_state", &"no-failover");
            line("master_repl_offset", &0);
        }
        "cpu" => {
            let (user, system) = cpu_seconds();
            line("used_cpu_sys", &format_args!("{system:.6}"));
            line("used_cpu_user", &format_args!("{user:.6}"));
        }
        "cluster" => line("cluster_enabled", &1),
        "keyspace" if load.keys > 0 => {
            line("db0", &format_args!("keys={},expires=0,avg_ttl=0", load.keys));
        }
        _ => {}
    }
}
