//! The engine's named bugs do what their names say, so that a checker has something to catch.

use super::*;
use crate::base::{Bug, Sabotage};
use crate::storage::{FileId, FileKind};

#[test]
fn a_damaged_middle_of_the_log_is_refused_and_skipped_under_sabotage() {
    let (mut rig, _) = Rig::open(MemoryDisk::new(), &Options::default()).unwrap();
    for number in 0..9u8 {
        let mut batch = Batch::new();
        batch.put(&[number], &[number; 30], false);
        rig.db.write(&batch).unwrap();
        rig.write_log(true);
    }
    let mut disk = rig.disk;
    let log = disk.list().unwrap().into_iter().find(|file| file.kind == FileKind::Log).unwrap();
    disk.rot(log, 300, 1);
    let Err((error, disk)) = Rig::open(disk, &Options::default()) else { panic!("it opened") };
    assert!(matches!(error, Error::Corruption { file: FileId { kind: FileKind::Log, .. }, offset: 1.., .. }));
    let sabotage = Sabotage::with(Bug::TornMiddleSkipped).unwrap();
    let (mut rig, _) = Rig::open(disk, &Options { sabotage, ..Options::default() }).unwrap();
    assert_eq!(rig.scan(everything(false, 100)).unwrap().len(), 8);
}

#[test]
fn dead_records_go_early_under_sabotage_only() {
    for (sabotage, left) in [(Sabotage::NONE, 30), (Sabotage::with(Bug::TombstoneDroppedEarly).unwrap(), 0)] {
        let options = Options { sabotage, ..tiny() };
        let (mut rig, _) = Rig::open(MemoryDisk::new(), &options).unwrap();
        for number in 0..300u32 {
            let mut batch = Batch::new();
            let key = (number % 30).to_be_bytes();
            batch.put(&key, b"a tombstone", true);
            rig.db.write(&batch).unwrap();
            rig.write_log(true);
            rig.work();
        }
        rig.db.freeze();
        while rig.db.stats().runs[0] > 0 {
            let mut batch = Batch::new();
            batch.put(b"zzz", b"", false);
            rig.db.write(&batch).unwrap();
            rig.write_log(true);
            rig.db.freeze();
            rig.work();
        }
        let range = ScanRange { to: Bytes::from_static(b"zz"), ..everything(false, 100) };
        assert_eq!(rig.scan(range).unwrap().len(), left);
    }
}
