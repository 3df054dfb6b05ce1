//! Disks that fail, fill up or rot.

use super::*;
use crate::storage::{FileId, FileKind, StorageErrorKind};

/// A small store with tables in several levels, several log segments and something in the last one.
fn small_store() -> (MemoryDisk, History) {
    let mut random = Random::new(5);
    let mut history = History::new();
    let (mut rig, _) = Rig::open(MemoryDisk::new(), &tiny()).unwrap();
    for step in 0..60 {
        history.write(&mut rig, &mut random).unwrap();
        rig.write_log(true);
        if step % 6 == 0 {
            rig.db.freeze();
            rig.work();
        }
    }
    (rig.disk, history)
}

#[test]
fn any_flipped_bit_gives_the_right_answer_or_a_located_error() {
    let (disk, history) = small_store();
    let mut files = disk.list().unwrap();
    files.sort();
    let (mut located, mut cut, mut unsaid, mut harmless) = (0, 0, 0, 0);
    for file in files {
        let len = disk.len(file).unwrap();
        for offset in 0..len {
            // Space made ahead is all zeros and long: a few of its bytes do.
            let mut byte = [0];
            disk.read_at(file, offset, &mut byte).unwrap();
            if file.kind == FileKind::Log && byte[0] == 0 && offset > 3000 && offset % 61 != 0 {
                continue;
            }
            let mut damaged = disk.clone();
            damaged.rot(file, offset, 1 << (offset % 8));
            let note = alloc::format!("{file} byte {offset}");
            let (mut rig, recovery) = match Rig::open(damaged, &tiny()) {
                Ok(opened) => opened,
                Err((Error::Corruption { file: found, .. } | Error::FormatTooNew { file: found, .. }, _)) => {
                    assert!(found == file || file.kind != FileKind::Table, "{note} was found in {found}");
                    located += 1;
                    continue;
                }
                Err((other, _)) => panic!("{note}: {other}"),
            };
            let last = rig.db.issued().0;
            if last < history.models.len() as u64 - 1 {
                // The last record of the log: a torn write looks the same, and it is said how much was cut, but for
                // a record that lost the very number that makes it one.
                assert_eq!(file.kind, FileKind::Log, "{note}");
                assert!(last + 2 >= history.models.len() as u64, "{note}");
                cut += 1;
                unsaid += u32::from(recovery.bytes_cut == 0);
            }
            match rig.scan(everything(false, 1000)) {
                Ok(_) => {
                    history.compare(&mut rig).unwrap_or_else(|what| panic!("{note}: {what}"));
                    harmless += 1;
                }
                Err(Error::Corruption { file: found, .. }) => {
                    assert_eq!(found, file, "{note}");
                    located += 1;
                }
                Err(other) => panic!("{note}: {other}"),
            }
            let model = &history.models[last as usize];
            for number in 0..40 {
                let key = alloc::format!("key {number:03}").into_bytes();
                match rig.get(&key) {
                    Ok(value) => assert_eq!(value.as_deref(), model.get(&key).map(|v| &v[..]), "{note}"),
                    Err(Error::Corruption { file: found, .. }) => assert_eq!(found, file, "{note}"),
                    Err(other) => panic!("{note}: {other}"),
                }
            }
            if file.kind == FileKind::Table {
                assert!(
                    rig.db.verify(&rig.disk).is_err() || offset_is_padding(&rig.disk, file, offset),
                    "{note}"
                );
            }
        }
    }
    assert!(located > 1000 && cut > 10 && unsaid <= 4, "{located} located, {cut} cut, {harmless} harmless");
}

/// Meta blocks are for tools that rebuild a manifest: `verify` does not read them.
fn offset_is_padding(disk: &MemoryDisk, file: FileId, offset: u64) -> bool {
    offset + 200 > disk.len(file).unwrap()
}

/// Runs a script with one failing call; then reopens and compares with what had been promised.
fn fail_call(number: u64) -> bool {
    let mut random = Random::new(3);
    let mut history = History::new();
    let mut disk = MemoryDisk::new();
    disk.faults_mut().fail_call = Some(number);
    let (mut synced, mut was_reached) = (0, true);
    let note = alloc::format!("call {number}");
    let disk = match Rig::open(disk, &tiny()) {
        Ok((mut rig, _)) => {
            for step in 0..60 {
                let _ = history.write(&mut rig, &mut random);
                if step % 3 == 0 {
                    rig.write_log(step % 2 == 0);
                }
                if step % 7 == 0 {
                    rig.sync_log();
                }
                if step % 5 == 0 {
                    rig.work();
                }
                if step % 9 == 0 {
                    rig.db.retry();
                }
                rig.db.check().unwrap_or_else(|what| panic!("{note}: {what}"));
            }
            for _ in 0..4 {
                rig.db.retry();
                rig.write_log(true);
                rig.sync_log();
                rig.work();
            }
            was_reached = rig.disk.calls() > number;
            rig.disk.faults_mut().fail_call = None;
            history.compare(&mut rig).unwrap_or_else(|what| panic!("{note}: {what}"));
            synced = rig.db.synced().0;
            match rig.db.failed() {
                None => assert_eq!((rig.db.synced(), rig.db.refusing()), (rig.db.issued(), None), "{note}"),
                Some(failed) => assert_eq!(failed, (rig.db.issued(), Error::Poisoned), "{note}"),
            }
            rig.disk
        }
        Err((_, disk)) => disk,
    };
    let mut disk = disk;
    disk.faults_mut().fail_call = None;
    disk.crash(crate::storage::CrashStyle::LoseAll, &mut random);
    let Ok((mut rig, _)) = Rig::open(disk, &tiny()) else { panic!("{note}: does not open again") };
    assert!(synced <= rig.db.issued().0, "{note}");
    history.compare(&mut rig).unwrap_or_else(|what| panic!("{note}: {what}"));
    was_reached
}

#[test]
fn an_error_at_any_call_loses_nothing_that_was_promised() {
    let mut number = 0;
    while fail_call(number) {
        number += 1;
    }
    assert!(number > 100, "{number} calls");
}

#[test]
fn a_failed_sync_poisons_for_good() {
    let (mut rig, _) = Rig::open(MemoryDisk::new(), &tiny()).unwrap();
    let mut history = History::new();
    let mut random = Random::new(1);
    history.write(&mut rig, &mut random).unwrap();
    rig.write_log(true);
    assert_eq!((rig.db.synced(), rig.db.failed()), (Ticket(1), None));
    history.write(&mut rig, &mut random).unwrap();
    rig.disk.faults_mut().fail_syncs = true;
    rig.write_log(true);
    rig.disk.faults_mut().fail_syncs = false;
    assert_eq!(rig.db.failed(), Some((Ticket(2), Error::Poisoned)));
    assert_eq!(history.write(&mut rig, &mut random), Err(Error::Poisoned));
    rig.db.retry();
    rig.write_log(true);
    rig.work();
    assert_eq!((rig.db.synced(), rig.db.refusing()), (Ticket(1), Some(Error::Poisoned)));
    history.compare(&mut rig).unwrap();
    let (mut rig, _) = Rig::open(rig.disk, &tiny()).unwrap();
    history.compare(&mut rig).unwrap();
}

#[test]
fn a_full_disk_refuses_writes_and_heals_without_a_restart() {
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let mut history = History::new();
        let (mut rig, _) = Rig::open(MemoryDisk::new(), &tiny()).unwrap();
        for round in 0..4 {
            let capacity = rig.disk.bytes_used() + random.below(40_000);
            rig.disk.faults_mut().capacity_bytes = Some(capacity);
            let mut refusals = 0;
            for _ in 0..2000 {
                match history.write(&mut rig, &mut random) {
                    Err(Error::NoSpace) => refusals += 1,
                    Ok(_) | Err(Error::Overloaded) => {}
                    Err(other) => panic!("seed {seed}: {other}"),
                }
                rig.write_log(random.chance(1, 2));
                rig.work();
                if refusals > 40 {
                    break;
                }
            }
            assert!(refusals > 40, "seed {seed}: a capacity of {capacity} was never reached");
            history.compare(&mut rig).unwrap();
            let refused = rig.disk.calls();
            rig.write_log(true);
            rig.work();
            assert!(rig.disk.calls() <= refused + 30, "no hot loop");
            rig.disk.faults_mut().capacity_bytes = None;
            rig.db.retry();
            for _ in 0..4 {
                rig.write_log(true);
                rig.work();
            }
            rig.sync_log();
            assert_eq!(rig.db.refusing(), None, "seed {seed} round {round}");
            assert_eq!(rig.db.synced(), rig.db.issued());
            history.write(&mut rig, &mut random).unwrap();
            rig.write_log(true);
        }
        let mut disk = rig.disk;
        disk.crash(crate::storage::CrashStyle::LoseAll, &mut random);
        let (mut rig, _) = Rig::open(disk, &tiny()).unwrap();
        assert_eq!(rig.db.issued().0, history.models.len() as u64 - 1);
        history.compare(&mut rig).unwrap();
    }
}

/// What is taken during a try that fails as well would be left in doubt, one write for each try.
#[test]
fn a_try_for_space_takes_no_writes_until_it_has_succeeded() {
    let mut random = Random::new(1);
    let mut history = History::new();
    let (mut rig, _) = Rig::open(MemoryDisk::new(), &tiny()).unwrap();
    rig.disk.faults_mut().is_full = true;
    // No job runs, so it is the log that finds no space: when it needs another segment.
    while rig.db.refusing().is_none() {
        history.write(&mut rig, &mut random).unwrap();
        rig.write_log(true);
    }
    assert_eq!(rig.db.refusing(), Some(Error::NoSpace));
    rig.db.retry();
    assert_eq!(rig.db.refusing(), Some(Error::NoSpace), "a try is not yet a success");
    rig.write_log(true);
    assert_eq!(rig.db.refusing(), Some(Error::NoSpace));
    rig.disk.faults_mut().is_full = false;
    rig.db.retry();
    rig.write_log(true);
    assert_eq!((rig.db.refusing(), rig.db.synced()), (None, rig.db.issued()));
}

#[test]
fn a_lost_current_is_damage_and_not_a_new_store() {
    let (mut disk, _) = small_store();
    let current = FileId { kind: FileKind::Current, number: 0 };
    disk.remove(current).unwrap();
    let Err((error, _)) = Rig::open(disk, &tiny()) else { panic!("it opened") };
    assert!(matches!(error, Error::Corruption { file, .. } if file == current));
}

#[test]
fn a_missing_file_is_named() {
    let (disk, history) = small_store();
    for file in disk.list().unwrap() {
        let mut disk = disk.clone();
        disk.remove(file).unwrap();
        match Rig::open(disk, &tiny()) {
            Err((Error::Corruption { .. }, _)) => {}
            Err((other, _)) => panic!("{file}: {other}"),
            Ok((mut rig, _)) => {
                // A segment made ahead, one kept to be used again, or the last one.
                assert_eq!(file.kind, FileKind::Log);
                history.compare(&mut rig).unwrap_or_else(|what| panic!("{file}: {what}"));
            }
        }
    }
}

#[test]
fn a_read_whose_table_was_removed_says_so() {
    let (disk, _) = small_store();
    let (mut rig, _) = Rig::open(disk, &tiny()).unwrap();
    rig.db.freeze();
    rig.work();
    let Lookup::OnDisk(read) = rig.db.get(b"key 001") else { panic!("it is in memory") };
    for file in rig.disk.list().unwrap() {
        if file.kind == FileKind::Table {
            rig.disk.remove(file).unwrap();
        }
    }
    let answer = read.run(&rig.disk, &mut BlockCache::new(0)).result;
    assert_eq!(answer, Err(Error::Superseded));
    rig.disk.faults_mut().fail_call = Some(rig.disk.calls());
    let answer = read.run(&rig.disk, &mut BlockCache::new(0)).result;
    assert!(matches!(answer, Err(Error::Io(error)) if error.kind == StorageErrorKind::Io(5)));
}
