//! Markdown from rows: first the figures, then ratios at a glance.

use crate::measure::Row;
use std::fmt::Write;

/// The middle of several rounds: by throughput, but CPU time by its own median.
pub fn medians(rounds: &[Row]) -> Vec<Row> {
    let mut order: Vec<(&str, &str)> = Vec::new();
    for row in rounds {
        if !order.contains(&(&row.stage, &row.engine)) {
            order.push((&row.stage, &row.engine));
        }
    }
    let middle = |(stage, engine): &(&str, &str)| {
        let mut same: Vec<&Row> =
            rounds.iter().filter(|r| r.stage == *stage && r.engine == *engine).collect();
        same.sort_by(|a, b| a.ops_per_sec().total_cmp(&b.ops_per_sec()));
        let mut middle = same[same.len() / 2].clone();
        let mut cpu: Vec<f64> = same.iter().map(|r| r.cpu_secs / r.ops.max(1) as f64).collect();
        cpu.sort_by(f64::total_cmp);
        middle.cpu_secs = cpu[cpu.len() / 2] * middle.ops as f64;
        middle
    };
    order.iter().map(middle).collect()
}

pub fn markdown(rows: &[Row], peer: &str) -> String {
    let mut stages: Vec<&str> = Vec::new();
    let mut engines: Vec<&str> = Vec::new();
    for row in rows {
        if !stages.contains(&row.stage.as_str()) {
            stages.push(&row.stage);
        }
        if !engines.contains(&row.engine.as_str()) {
            engines.push(&row.engine);
        }
    }
    let find = |stage: &str, engine: &str| rows.iter().find(|r| r.stage == stage && r.engine == engine);
    let cpu_ratio = |row: &Row| match find(&row.stage, peer) {
        Some(base) if base.cpu_secs > 0.0 && row.cpu_secs > 0.0 => {
            format!(
                "{:.2}",
                (row.cpu_secs / row.ops.max(1) as f64) / (base.cpu_secs / base.ops.max(1) as f64)
            )
        }
        _ => "-".to_string(),
    };
    let ratio = |row: &Row| match find(&row.stage, peer) {
        Some(base) if base.secs > 0.0 => format!("{:.2}", row.ops_per_sec() / base.ops_per_sec()),
        _ => "-".to_string(),
    };

    let mut out = String::new();
    let _ = writeln!(
        out,
        "| workload | engine | ops/s | x {peer} | p50 us | p99 us | p99.9 us | CPU us/op | write amp | device write amp | disk MiB | peak RSS MiB |"
    );
    let _ = writeln!(out, "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for stage in &stages {
        for engine in &engines {
            let Some(row) = find(stage, engine) else {
                continue;
            };
            let _ = writeln!(
                out,
                "| {stage} | {engine} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                thousands(row.ops_per_sec()),
                ratio(row),
                micros(row.p50_ns),
                micros(row.p99_ns),
                micros(row.p999_ns),
                figure(row.cpu_secs * 1e6 / row.ops.max(1) as f64),
                figure(row.write_amp),
                figure(row.device_write_amp),
                figure(row.disk_mib),
                figure(row.rss_mib)
            );
        }
    }
    let tables: [(&str, &dyn Fn(&Row) -> String); 2] = [
        ("ops/s as a multiple of PEER (more is better)", &ratio),
        ("CPU time per op as a multiple of PEER (less is better)", &cpu_ratio),
    ];
    for (title, cell) in tables {
        let _ = writeln!(out, "\n| {} | {} |", title.replace("PEER", peer), engines.join(" | "));
        let _ = writeln!(out, "|---|{}", "--:|".repeat(engines.len()));
        for stage in &stages {
            let cells: Vec<String> =
                engines.iter().map(|engine| find(stage, engine).map_or("-".to_string(), cell)).collect();
            let _ = writeln!(out, "| {stage} | {} |", cells.join(" | "));
        }
    }
    out
}

fn thousands(n: f64) -> String {
    let digits = format!("{n:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

fn micros(ns: u64) -> String {
    match ns {
        0 => String::new(),
        _ => format!("{:.1}", ns as f64 / 1000.0),
    }
}

fn figure(n: f64) -> String {
    match n {
        n if n == 0.0 => String::new(),
        n if n < 100.0 => format!("{n:.2}"),
        n => format!("{n:.0}"),
    }
}
