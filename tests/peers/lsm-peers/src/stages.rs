//! The workloads. Each runs in a child process of its own engine, so memory and I/O counters belong to one engine.

use crate::engine::{Engine, Result, Settings};
use crate::measure::{self, timed, Row};
use crate::workload::{
    key, missing_key, owner, value, Permutation, Rng, Zipf, KEY_LEN, USER_BYTES, VALUE_LEN,
};
use crate::{engines, Args};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The groups of stages, in the order in which they run; each is one child process.
pub const GROUPS: &[&str] = &["seq", "random", "mixed", "sync", "crash-write", "crash-read"];

const COLD_CACHE: usize = 8 << 20;

pub struct Run<'a> {
    pub engine: &'a str,
    pub args: &'a Args,
    pub dir: PathBuf,
}

impl Run<'_> {
    pub fn group(&self, name: &str) -> Result<()> {
        match name {
            "seq" => self.seq(),
            "random" => self.random(),
            "mixed" => self.mixed(),
            "sync" => self.sync(),
            "crash-write" => self.crash_write(),
            "crash-read" => self.crash_read(),
            _ => Err(format!("no stage group `{name}`").into()),
        }
    }

    fn open(&self, dir: &Path, settings: &Settings) -> Result<Box<dyn Engine>> {
        engines::open(self.engine, dir, settings)
    }

    fn emit(&self, stage: &str, mut row: Row) {
        row.stage = stage.to_string();
        row.engine = self.engine.to_string();
        row.rss_mib = measure::peak_rss_mib();
        println!("{}", row.to_line());
    }

    fn cap(&self) -> Option<Duration> {
        Some(Duration::from_secs(self.args.cap_secs))
    }

    /// Runs a writing stage, then lets background work finish: the row `stage` is the foreground alone, the row
    /// `stage + settle` the whole, with write amplification and the space left on disk.
    fn fill(
        &self,
        stage: &str,
        db: Box<dyn Engine>,
        dir: &Path,
        op: impl Fn(&dyn Engine, u64) -> Result<()> + Sync,
    ) -> Result<Box<dyn Engine>> {
        measure::reset_peak_rss();
        let before = measure::io();
        let cpu_before = measure::cpu_secs();
        let begin = Instant::now();
        let foreground = timed(1, self.args.keys, None, |_, i| op(&*db, i))?;
        db.settle()?;
        let secs = begin.elapsed().as_secs_f64();
        db.close()?;
        let after = measure::io();
        let user = (foreground.ops * USER_BYTES) as f64;
        let settled = Row {
            ops: foreground.ops,
            secs,
            cpu_secs: measure::cpu_secs() - cpu_before,
            write_amp: (after.written - before.written) as f64 / user,
            device_write_amp: (after.to_device - before.to_device) as f64 / user,
            disk_mib: measure::disk_mib(dir),
            ..Row::default()
        };
        self.emit(stage, foreground);
        self.emit(&format!("{stage} + settle"), settled);
        self.open(dir, &Settings::DEFAULT)
    }

    fn seq(&self) -> Result<()> {
        let dir = fresh(&self.dir.join("seq"))?;
        let db = self.open(&dir, &Settings::DEFAULT)?;
        let db = self.fill("fillseq", db, &dir, |db, i| db.put(&key(i), &value(i, 0)))?;
        let limit = self.args.keys as usize;
        measure::reset_peak_rss();
        let begin = Instant::now();
        let cpu_before = measure::cpu_secs();
        let mut next = 0;
        let visited = db.scan(&key(0), limit, &mut |k, v| {
            next += u64::from(k == key(next) && owner(v) == Some(next));
        })?;
        if visited != limit || next != self.args.keys {
            return Err(format!("full scan saw {visited} pairs, {next} of them right, of {limit}").into());
        }
        let secs = begin.elapsed().as_secs_f64();
        let cpu_secs = measure::cpu_secs() - cpu_before;
        self.emit("readseq", Row { ops: self.args.keys, secs, cpu_secs, ..Row::default() });
        db.close()
    }

    fn random(&self) -> Result<()> {
        let n = self.args.keys;
        let reads = self.args.reads.min(n);
        let dir = fresh(&self.dir.join("random"))?;
        let db = self.open(&dir, &Settings::DEFAULT)?;
        let order = Permutation::new(n, 1);
        let db = self.fill("fillrandom", db, &dir, |db, i| {
            let at = order.at(i);
            db.put(&key(at), &value(at, 1))
        })?;

        // Hot: a contiguous range of half the cache, read once before the clock starts.
        let hot = (Settings::DEFAULT.cache_bytes as u64 / 2 / USER_BYTES).min(n);
        for i in 0..hot {
            expect(&*db, i)?;
        }
        self.read("readrandom hot (in cache)", 1, reads, |_, i| {
            expect(&*db, Permutation::new(hot, 2).at(i % hot))
        })?;
        self.read("readrandom (64 MiB cache)", 1, reads, |_, i| expect(&*db, Permutation::new(n, 3).at(i)))?;
        let threads = self.args.threads;
        self.read(&format!("readrandom {threads} threads"), threads, reads, |t, i| {
            expect(&*db, Permutation::new(n, 4 + t).at(i))
        })?;
        self.read("readmissing", 1, reads, |_, i| absent(&*db, Permutation::new(n, 5).at(i)))?;
        self.read("seekrandom (scan 100)", 1, reads / 10, |_, i| {
            let at = Permutation::new(n - 100, 6).at(i);
            let mut next = at;
            let visited = db.scan(&key(at), 100, &mut |k, v| {
                next += u64::from(k == key(next) && owner(v) == Some(next))
            })?;
            match (visited, next - at) {
                (100, 100) => Ok(()),
                got => Err(format!("scan from key {at} saw {got:?} pairs (all, right), not 100").into()),
            }
        })?;
        db.close()?;

        let db = self.open(&dir, &Settings::DEFAULT.with_cache(COLD_CACHE))?;
        self.read("readrandom cold (8 MiB cache)", 1, reads, |_, i| {
            expect(&*db, Permutation::new(n, 7).at(i))
        })?;
        db.close()
    }

    /// Works on what `random` left behind.
    fn mixed(&self) -> Result<()> {
        let n = self.args.keys;
        let reads = self.args.reads.min(n);
        let threads = self.args.threads;
        let dir = self.dir.join("random");
        let db = self.open(&dir, &Settings::DEFAULT)?;
        self.read_while_writing(&*db, reads)?;
        let zipf = Zipf::new(n);
        for (stage, read_percent) in
            [("YCSB A (50% update)", 50), ("YCSB B (5% update)", 95), ("YCSB C (read only)", 100)]
        {
            let seeds = [Rng::new(1).next(), Rng::new(2).next(), Rng::new(3).next()];
            self.read(&format!("{stage}, {threads} threads"), threads, reads, |t, i| {
                let mut rng = Rng::new(seeds[read_percent % 3] ^ (t << 40) ^ i);
                let at = zipf.draw(&mut rng);
                match rng.below(100) < read_percent as u64 {
                    true => expect(&*db, at),
                    false => db.put(&key(at), &value(at, i)),
                }
            })?;
        }
        let order = Permutation::new(n, 8);
        let db = self.fill("overwrite", db, &dir, |db, i| {
            let at = order.at(i);
            db.put(&key(at), &value(at, 2))
        })?;

        // A contiguous tenth of the keys is deleted; the seek has to get past it.
        let dead = n / 10;
        let from = n / 2 - dead;
        self.read("delete", 1, dead, |_, i| db.delete(&key(from + i)))?;
        for i in 0..dead.min(1000) {
            absent_key(&*db, &key(from + i))?;
        }
        let seek = |_, _| {
            let mut first = None;
            db.scan(&key(from), 1, &mut |k, _| first = Some(k.to_vec()))?;
            match first.as_deref() == Some(&key(from + dead)[..]) {
                true => Ok(()),
                false => Err("a deleted key came back, or a live one was skipped".into()),
            }
        };
        self.read("seek past a deleted range", 1, 200, seek)?;
        db.settle()?;
        self.read("seek past it, settled", 1, 200, seek)?;
        db.close()
    }

    fn read(
        &self,
        stage: &str,
        threads: u64,
        ops: u64,
        op: impl Fn(u64, u64) -> Result<()> + Sync,
    ) -> Result<()> {
        measure::reset_peak_rss();
        self.emit(stage, timed(threads, ops, self.cap(), op)?);
        Ok(())
    }

    /// One reader beside one writer that is held to a fixed rate, so that every engine does the same writing.
    fn read_while_writing(&self, db: &dyn Engine, reads: u64) -> Result<()> {
        let n = self.args.keys;
        let stop = AtomicBool::new(false);
        let written = AtomicU64::new(0);
        let mut row = Row::default();
        let mut write_secs = 0.0;
        std::thread::scope(|scope| -> Result<()> {
            let (stop, written) = (&stop, &written);
            let writer = scope.spawn(move || -> Result<f64> {
                let order = Permutation::new(n, 9);
                let begin = Instant::now();
                for i in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let due = Duration::from_secs_f64(i as f64 / self.args.write_rate as f64);
                    if i % 64 == 0 {
                        std::thread::sleep(due.saturating_sub(begin.elapsed()));
                    }
                    let at = order.at(i % n);
                    db.put(&key(at), &value(at, i))?;
                    written.store(i + 1, Ordering::Relaxed);
                }
                Ok(begin.elapsed().as_secs_f64())
            });
            let result = timed(1, reads, self.cap(), |_, i| expect(db, Permutation::new(n, 10).at(i)));
            stop.store(true, Ordering::Relaxed);
            write_secs = writer.join().expect("the writer panicked")?;
            row = result?;
            Ok(())
        })?;
        self.emit("readwhilewriting", row);
        let row = Row { ops: written.load(Ordering::Relaxed), secs: write_secs, ..Row::default() };
        self.emit("  its writer (rate-limited)", row);
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        for (stage, threads) in [("fillsync 1 thread", 1), ("fillsync 16 threads", 16)] {
            let dir = fresh(&self.dir.join("sync"))?;
            let db = self.open(&dir, &Settings::DEFAULT)?;
            let order = Permutation::new(self.args.sync_ops, 11);
            let next = AtomicU64::new(0);
            let before = measure::io();
            let mut row = timed(threads, self.args.sync_ops, self.cap(), |_, _| {
                let at = order.at(next.fetch_add(1, Ordering::Relaxed) % self.args.sync_ops);
                db.put_sync(&key(at), &value(at, 3))
            })?;
            let after = measure::io();
            let user = (row.ops * USER_BYTES) as f64;
            row.write_amp = (after.written - before.written) as f64 / user;
            row.device_write_amp = (after.to_device - before.to_device) as f64 / user;
            self.emit(stage, row);
            db.close()?;
        }
        Ok(())
    }

    /// Leaves a database behind whose last memtable (half of `memtable_bytes`) is only in the log, and dies unclosed.
    fn crash_write(&self) -> Result<()> {
        let dir = fresh(&self.dir.join("crash"))?;
        let db = self.open(&dir, &Settings::DEFAULT)?;
        for i in 0..self.crash_keys() {
            db.put(&key(i), &value(i, 4))?;
        }
        db.sync()?;
        // SAFETY: _exit takes no pointers and never returns; nothing of this process is used after it.
        unsafe { libc::_exit(0) }
    }

    fn crash_read(&self) -> Result<()> {
        let begin = Instant::now();
        let cpu_before = measure::cpu_secs();
        let db = self.open(&self.dir.join("crash"), &Settings::DEFAULT)?;
        let secs = begin.elapsed().as_secs_f64();
        let cpu_secs = measure::cpu_secs() - cpu_before;
        let row = Row { ops: self.crash_keys(), secs, cpu_secs, ..Row::default() };
        for i in 0..self.crash_keys() {
            expect(&*db, i)?;
        }
        self.emit("recover 32 MiB of log", row);
        db.close()
    }

    fn crash_keys(&self) -> u64 {
        (Settings::DEFAULT.memtable_bytes as u64 / 2 / USER_BYTES).min(self.args.keys)
    }
}

fn fresh(dir: &Path) -> Result<PathBuf> {
    if dir.exists() {
        std::fs::remove_dir_all(dir)?;
    }
    std::fs::create_dir_all(dir)?;
    Ok(dir.to_path_buf())
}

fn expect(db: &dyn Engine, i: u64) -> Result<()> {
    let mut right = false;
    let found = db.get(&key(i), &mut |v| right = v.len() == VALUE_LEN && owner(v) == Some(i))?;
    match found && right {
        true => Ok(()),
        false => Err(format!("key {i}: found {found}, value right {right}").into()),
    }
}

fn absent(db: &dyn Engine, i: u64) -> Result<()> {
    absent_key(db, &missing_key(i))
}

fn absent_key(db: &dyn Engine, key: &[u8; KEY_LEN]) -> Result<()> {
    match db.get(key, &mut |_| {})? {
        false => Ok(()),
        true => Err(format!("found a key that is not stored: {}", String::from_utf8_lossy(key)).into()),
    }
}
