//! What the system says about this process.

/// Resident memory of this process; 0 where the system does not say.
pub fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * rustix::param::page_size() as u64
}

/// User and system time of this process, in seconds; 0 where the system does not say.
pub fn cpu_seconds() -> (f64, f64) {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind = text.rsplit(')').next().unwrap_or_default();
    let mut fields = behind.split_whitespace().skip(11).map(|field| field.parse::<f64>().unwrap_or(0.0));
    let per_second = rustix::param::clock_ticks_per_second() as f64;
    let mut next = || fields.next().unwrap_or(0.0) / per_second;
    (next(), next())
}
