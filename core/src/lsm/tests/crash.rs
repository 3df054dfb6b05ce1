//! Power cuts at every storage call and at random ones.

use super::*;
use crate::storage::{CrashStyle, FileId, StorageError};
use core::cell::RefCell;

/// A disk as it was just before a call, and what had been promised then.
#[derive(Debug, Clone)]
struct Moment {
    disk: MemoryDisk,
    synced: u64,
    issued: u64,
}

/// A disk that keeps every moment.
#[derive(Debug, Clone)]
struct Recorder {
    disk: MemoryDisk,
    moments: RefCell<Vec<Moment>>,
    synced: u64,
    issued: u64,
}

impl Recorder {
    fn new(disk: MemoryDisk) -> Recorder {
        Recorder { disk, moments: RefCell::default(), synced: 0, issued: 0 }
    }
    fn keep(&self) {
        let moment = Moment { disk: self.disk.clone(), synced: self.synced, issued: self.issued };
        self.moments.borrow_mut().push(moment);
    }
}

impl Storage for Recorder {
    fn create(&mut self, file: FileId) -> Result<(), StorageError> {
        self.keep();
        self.disk.create(file)
    }
    fn len(&self, file: FileId) -> Result<u64, StorageError> {
        self.disk.len(file)
    }
    fn read_at(&self, file: FileId, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        self.disk.read_at(file, offset, buffer)
    }
    fn write_at(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.keep();
        self.disk.write_at(file, offset, bytes)
    }
    fn allocate(&mut self, file: FileId, bytes: u64) -> Result<(), StorageError> {
        self.keep();
        self.disk.allocate(file, bytes)
    }
    fn truncate(&mut self, file: FileId, bytes: u64) -> Result<(), StorageError> {
        self.keep();
        self.disk.truncate(file, bytes)
    }
    fn sync(&mut self, file: FileId) -> Result<(), StorageError> {
        self.keep();
        self.disk.sync(file)
    }
    fn rename(&mut self, from: FileId, to: FileId) -> Result<(), StorageError> {
        self.keep();
        self.disk.rename(from, to)
    }
    fn remove(&mut self, file: FileId) -> Result<(), StorageError> {
        self.keep();
        self.disk.remove(file)
    }
    fn list(&self) -> Result<Vec<FileId>, StorageError> {
        self.disk.list()
    }
    fn sync_dir(&mut self) -> Result<(), StorageError> {
        self.keep();
        self.disk.sync_dir()
    }
}

/// Opens what a crash left and compares; returns the engine.
fn reopen(moment: &Moment, disk: MemoryDisk, history: &History, note: &str) -> Rig<MemoryDisk> {
    let (mut rig, _) = match Rig::open(disk, &tiny()) {
        Ok(opened) => opened,
        Err((error, _)) => panic!("{note}: {error}"),
    };
    let last = rig.db.issued().0;
    assert!(
        moment.synced <= last,
        "{note}: ticket {} was durable, {last} is the last one left",
        moment.synced
    );
    assert!(last <= moment.issued, "{note}: {last} is left, {} was the last one given", moment.issued);
    assert_eq!(rig.db.synced(), rig.db.issued());
    if let Err(what) = history.compare(&mut rig) {
        panic!("{note}: {what}");
    }
    rig.db.check().unwrap();
    rig
}

#[test]
fn no_power_cut_at_any_call_loses_what_was_promised() {
    let mut random = Random::new(11);
    let mut history = History::new();
    let (mut rig, _) = Rig::open(Recorder::new(MemoryDisk::new()), &tiny()).unwrap();
    for step in 0..200 {
        let written = history.write(&mut rig, &mut random);
        assert!(written.is_ok() || written == Err(Error::Overloaded));
        rig.disk.issued = rig.db.issued().0;
        match step % 10 {
            0 | 3 => rig.write_log(true),
            5 => rig.write_log(false),
            6 => rig.sync_log(),
            7 if step % 20 == 7 => rig.db.freeze(),
            9 => rig.work(),
            _ => {}
        }
        rig.disk.synced = rig.db.synced().0;
    }
    assert!(rig.db.stats().compactions > 3);
    let moments = rig.disk.moments.into_inner();
    assert!(moments.len() > 300, "{} calls", moments.len());
    for (number, moment) in moments.iter().enumerate() {
        for style in [CrashStyle::LoseAll, CrashStyle::KeepRandom, CrashStyle::Torn, CrashStyle::KeepAll] {
            let note = alloc::format!("call {number} {style:?}");
            let mut disk = moment.disk.clone();
            disk.crash(style, &mut Random::new(number as u64));
            let rig = reopen(moment, disk, &history, &note);
            // What recovery found is durable from then on, whatever comes next.
            let mut disk = rig.disk;
            disk.crash(CrashStyle::LoseAll, &mut Random::new(1));
            let last = rig.db.issued().0;
            let moment = Moment { disk: MemoryDisk::new(), synced: last, issued: last };
            reopen(&moment, disk, &history, &alloc::format!("{note}, again"));
        }
    }
}

#[test]
fn a_power_cut_in_the_midst_of_recovery_changes_nothing() {
    for seed in 0..12 {
        let mut random = Random::new(seed);
        let mut history = History::new();
        let (mut rig, _) = Rig::open(MemoryDisk::new(), &tiny()).unwrap();
        for step in 0..random.between(5, 60) {
            let _ = history.write(&mut rig, &mut random);
            rig.write_log(random.chance(1, 2));
            if step % 7 == 0 {
                rig.work();
            }
        }
        let (synced, issued) = (rig.db.synced().0, rig.db.issued().0);
        let mut disk = rig.disk;
        disk.crash(CrashStyle::Torn, &mut random);
        let mut recorder = Recorder::new(disk);
        (recorder.synced, recorder.issued) = (synced, issued);
        let Ok((rig, _)) = Rig::open(recorder, &tiny()) else { panic!("seed {seed}") };
        for (number, moment) in rig.disk.moments.into_inner().iter().enumerate() {
            for round in 0..6 {
                let style = [CrashStyle::LoseAll, CrashStyle::KeepRandom, CrashStyle::Torn][round % 3];
                let mut disk = moment.disk.clone();
                disk.crash(style, &mut Random::named(seed, &alloc::format!("{number} {round}")));
                reopen(moment, disk, &history, &alloc::format!("seed {seed} call {number} {style:?}"));
            }
        }
    }
}

/// Lives of one engine, each ended by a power cut, the death of the process, or a restart under other options.
#[test]
fn a_thousand_random_ends_lose_nothing_that_was_promised() {
    let mut ends = 0;
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let mut history = History::new();
        let mut disk = MemoryDisk::new();
        let (mut synced, mut written) = (0, 0);
        for life in 0..25 {
            let note = alloc::format!("seed {seed} life {life}");
            let options = Options {
                memtable_bytes: random.between(1 << 10, 8 << 10) as u32,
                block_bytes: random.between(64, 1024) as u32,
                table_bytes: random.between(1 << 10, 8 << 10) as u32,
                ..Options::default()
            };
            let (mut rig, _) = match Rig::open(disk, &options) {
                Ok(opened) => opened,
                Err((error, _)) => panic!("{note}: {error}"),
            };
            let last = rig.db.issued().0;
            assert!(synced <= last && written <= last, "{note}: {last} is left of {synced} and {written}");
            history.compare(&mut rig).unwrap_or_else(|what| panic!("{note}: {what}"));
            history.cut(last);
            let mut flight = None;
            let mut sync_flight = None;
            // Slow jobs are out several at a time and end in any order.
            let mut jobs: Vec<Job> = Vec::new();
            let is_slow = random.chance(1, 2);
            for _ in 0..random.below(60) {
                let _ = history.write(&mut rig, &mut random);
                // Writes and syncs take a while, in which other things happen.
                match random.below(10) {
                    0..2 if flight.is_none() => flight = rig.db.log_write(random.chance(1, 2)),
                    2..4 => {
                        if let Some(write) = flight.take() {
                            let done = LogWrite::run(write, &mut rig.disk);
                            rig.db.on_log(done);
                        }
                    }
                    4 if sync_flight.is_none() => sync_flight = rig.db.log_sync(),
                    5 => {
                        if let Some(sync) = sync_flight.take() {
                            let done = LogSync::run(sync, &mut rig.disk);
                            rig.db.on_log_sync(done);
                        }
                    }
                    6 if !is_slow => rig.work(),
                    6..9 => {
                        jobs.extend(rig.db.job());
                        if !jobs.is_empty() {
                            let at = random.below(jobs.len() as u64) as usize;
                            let budget = random.between(1, 3000);
                            if let Some(done) = jobs[at].step(&mut rig.disk, &mut rig.cache, budget) {
                                jobs.swap_remove(at);
                                rig.db.on_job(done);
                            }
                        }
                    }
                    _ => {}
                }
                rig.db.check().unwrap();
            }
            (synced, written) = (rig.db.synced().0, 0);
            disk = rig.disk;
            match random.below(5) {
                0 => written = rig.db.written().0,
                1 => disk.crash(CrashStyle::LoseAll, &mut random),
                2 => disk.crash(CrashStyle::KeepRandom, &mut random),
                _ => disk.crash(CrashStyle::Torn, &mut random),
            }
            ends += 1;
        }
    }
    assert_eq!(ends, 1000);
}

/// Cuts the power and opens again: everything up to the last durable ticket is there.
fn cut_and_compare(rig: Rig<MemoryDisk>, history: &History) {
    let moment = Moment { disk: MemoryDisk::new(), synced: rig.db.synced().0, issued: rig.db.issued().0 };
    let mut disk = rig.disk;
    disk.crash(CrashStyle::LoseAll, &mut Random::new(1));
    reopen(&moment, disk, history, "after the cut");
}

fn run_job(rig: &mut Rig<MemoryDisk>, mut job: Job) {
    let done = job.step(&mut rig.disk, &mut rig.cache, u64::MAX).unwrap();
    assert_eq!(done.error(), None);
    rig.db.on_job(done);
}

#[test]
fn a_segment_still_in_the_making_is_not_passed_over_by_a_flush() {
    let mut random = Random::new(1);
    let mut history = History::new();
    let (mut rig, _) = Rig::open(MemoryDisk::new(), &Options::default()).unwrap();
    history.write(&mut rig, &mut random).unwrap();
    rig.write_log(true);
    let install = rig.db.job().unwrap();
    run_job(&mut rig, install);
    let prepare = rig.db.job().unwrap();
    assert_eq!(prepare.kind(), JobKind::Prepare);
    rig.db.freeze();
    rig.work();
    assert_eq!(rig.db.stats().flushes, 1);
    run_job(&mut rig, prepare);
    history.write(&mut rig, &mut random).unwrap();
    rig.write_log(true);
    assert_eq!(rig.db.synced(), Ticket(2));
    cut_and_compare(rig, &history);
}

#[test]
fn a_sync_in_flight_keeps_its_segments_from_being_used_again() {
    let mut random = Random::new(1);
    let mut history = History::new();
    let (mut rig, _) = Rig::open(MemoryDisk::new(), &Options::default()).unwrap();
    history.write(&mut rig, &mut random).unwrap();
    rig.write_log(false);
    let sync = rig.db.log_sync().unwrap();
    for _ in 0..3 {
        rig.db.freeze();
        rig.work();
        history.write(&mut rig, &mut random).unwrap();
        rig.write_log(true);
    }
    let done = sync.run(&mut rig.disk);
    rig.db.on_log_sync(done);
    assert_eq!(rig.db.failed(), None);
    cut_and_compare(rig, &history);
}

#[test]
fn a_synced_write_syncs_the_name_that_a_sync_in_flight_might_not() {
    let mut random = Random::new(1);
    let mut history = History::new();
    let (mut rig, _) = Rig::open(MemoryDisk::new(), &Options::default()).unwrap();
    history.write(&mut rig, &mut random).unwrap();
    rig.write_log(true);
    // No segment was made ahead, so the write makes one.
    rig.db.freeze();
    history.write(&mut rig, &mut random).unwrap();
    rig.write_log(false);
    let _in_flight = rig.db.log_sync().unwrap();
    history.write(&mut rig, &mut random).unwrap();
    rig.write_log(true);
    assert_eq!(rig.db.synced(), Ticket(3));
    cut_and_compare(rig, &history);
}
