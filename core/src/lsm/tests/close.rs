//! After an orderly end a damaged log is damage, not a torn tail.

use super::*;
use crate::storage::{CrashStyle, FileKind};

fn closed() -> (MemoryDisk, History) {
    let mut random = Random::new(7);
    let (mut rig, _) = Rig::open(MemoryDisk::new(), &tiny()).expect("an empty disk opens");
    let mut history = History::new();
    for _ in 0..60 {
        history.write(&mut rig, &mut random).expect("it takes writes");
        rig.write_log(false);
        rig.work();
    }
    // The last ones are not even written.
    for _ in 0..3 {
        history.write(&mut rig, &mut random).expect("it takes writes");
    }
    assert!(rig.db.close(&mut rig.disk, &mut rig.cache));
    (rig.disk, history)
}

#[test]
fn what_was_written_is_there_after_a_close_and_a_power_cut() {
    let (mut disk, history) = closed();
    disk.crash(CrashStyle::LoseAll, &mut Random::new(1));
    let (mut rig, recovery) = Rig::open(disk, &tiny()).expect("it opens");
    assert_eq!(recovery.bytes_cut, 0);
    assert_eq!(rig.db.issued().0 as usize, history.models.len() - 1);
    history.compare(&mut rig).expect("nothing is missing");
}

#[test]
fn a_log_that_was_cut_damaged_or_taken_away_is_refused() {
    let (disk, history) = closed();
    let logs: Vec<_> = disk.list().unwrap().into_iter().filter(|file| file.kind == FileKind::Log).collect();
    let mut refused = 0;
    for file in logs {
        let mut judge = |damaged: MemoryDisk, what: &str| match Rig::open(damaged, &tiny()) {
            Err((Error::Corruption { file: found, .. }, _)) => {
                assert_eq!(found, file, "{what}");
                refused += 1;
            }
            Err((other, _)) => panic!("{file} {what}: {other}"),
            // It hit what is superfluous.
            Ok((mut rig, _)) => {
                assert_eq!(rig.db.issued().0 as usize, history.models.len() - 1, "{file} {what}");
                history.compare(&mut rig).unwrap_or_else(|lost| panic!("{file} {what}: {lost}"));
            }
        };
        let mut gone = disk.clone();
        gone.remove(file).unwrap();
        judge(gone, "gone");
        for offset in 0..disk.len(file).unwrap() {
            let mut rotten = disk.clone();
            rotten.rot(file, offset, 1 << (offset % 8));
            judge(rotten, "with a flipped bit");
            if offset % 7 == 0 {
                let mut short = disk.clone();
                short.truncate(file, offset).unwrap();
                judge(short, "cut");
            }
        }
    }
    assert!(refused > 500, "only {refused} refused: hardly any log was needed any more");
}

#[test]
fn a_segment_that_was_made_is_missed_even_after_a_crash() {
    let (mut rig, _) = Rig::open(MemoryDisk::new(), &tiny()).expect("an empty disk opens");
    let mut batch = Batch::new();
    batch.put(b"key", b"value", false);
    rig.work();
    rig.db.write(&batch).expect("it takes writes");
    rig.write_log(true);
    let log = rig.disk.list().unwrap().into_iter().find(|file| file.kind == FileKind::Log).expect("a log");
    rig.disk.remove(log).unwrap();
    let Err((Error::Corruption { file, .. }, _)) = Rig::open(rig.disk, &tiny()) else {
        panic!("an engine without its log opened")
    };
    assert_eq!(file, log);
}
