//! Decoders take any bytes: no panic, no memory beyond what the bytes can hold.

use super::*;
use crate::base::{Reader, Writer};
use crate::lsm::{
    batch::Ops,
    manifest::{CURRENT, read_current, read_state},
    version::Edit,
};
use crate::storage::{FileId, FileKind};

fn mangle(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..random.between(1, 6) {
        let at = random.below(bytes.len() as u64 + 1) as usize;
        match random.below(4) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.next_u64() as u8),
            _ if at < bytes.len() => bytes[at] = [0, 1, 127, 128, 255, random.next_u64() as u8][at % 6],
            _ => {}
        }
    }
}

/// Files of a small store.
fn store() -> MemoryDisk {
    let mut random = Random::new(9);
    let mut history = History::new();
    let (mut rig, _) = Rig::open(MemoryDisk::new(), &tiny()).unwrap();
    for step in 0..40 {
        history.write(&mut rig, &mut random).unwrap();
        rig.write_log(true);
        if step % 9 == 0 {
            rig.db.freeze();
            rig.work();
        }
    }
    rig.disk
}

fn read(disk: &MemoryDisk, file: FileId) -> Vec<u8> {
    let mut bytes = alloc::vec![0; disk.len(file).unwrap() as usize];
    disk.read_at(file, 0, &mut bytes).unwrap();
    bytes
}

fn replace(disk: &mut MemoryDisk, file: FileId, bytes: &[u8]) {
    disk.truncate(file, 0).unwrap();
    disk.write_at(file, 0, bytes).unwrap();
}

#[test]
fn batches_and_edits_are_refused_or_read() {
    let mut random = Random::new(2);
    let mut batch = Batch::new();
    batch.put(b"key", b"value", true);
    batch.delete_range(b"a", b"b");
    batch.delete(b"key");
    let edit = {
        let mut bytes = Vec::new();
        let state = read_state(&store(), read_current(&store()).unwrap().unwrap()).unwrap();
        state.to_edit().encode(&mut Writer(&mut bytes));
        let decoded = Edit::decode(&mut Reader::new(&bytes)).unwrap();
        assert_eq!(decoded, state.to_edit());
        bytes
    };
    for _ in 0..20_000 {
        let mut bytes = batch.as_bytes().to_vec();
        mangle(&mut random, &mut bytes);
        let mut ops = Ops::new(&bytes);
        while let Ok(Some(_)) = ops.next() {}
        let mut memtable = memtable::Memtable::new(1 << 10, 0);
        let _ = memtable.apply(&bytes);
        let mut bytes = edit.clone();
        mangle(&mut random, &mut bytes);
        if let Ok(edit) = Edit::decode(&mut Reader::new(&bytes)) {
            let _ = manifest::State::default().apply(&edit);
        }
    }
}

/// Whole files replaced by mangled ones, checksums of the parts made right again where that is easy: with checksums
/// in the way, little of what lies behind them would be reached.
#[test]
fn files_of_any_bytes_are_refused_or_read() {
    let disk = store();
    let files = disk.list().unwrap();
    let mut random = Random::new(crate::base::tests::seed(4));
    for round in 0..crate::base::tests::rounds(3_000) {
        let mut disk = disk.clone();
        let file = *random.pick(&files).unwrap();
        let mut bytes = read(&disk, file);
        mangle(&mut random, &mut bytes);
        if file == CURRENT && bytes.len() >= 32 {
            let sum = crate::base::checksum(&bytes[..24]);
            bytes[24..32].copy_from_slice(&sum.to_le_bytes());
        }
        replace(&mut disk, file, &bytes);
        match Rig::open(disk, &tiny()) {
            Ok((mut rig, _)) => {
                let _ = rig.scan(everything(round % 2 == 0, 1000));
                let _ = rig.get(b"key 007");
                let _ = rig.db.verify(&rig.disk);
            }
            Err((Error::Corruption { .. } | Error::FormatTooNew { .. }, _)) => {}
            Err((other, _)) => panic!("{file}: {other}"),
        }
    }
}

#[test]
fn a_manifest_of_any_edits_is_refused_or_read() {
    let mut random = Random::new(6);
    let disk = store();
    let number = read_current(&disk).unwrap().unwrap();
    let file = FileId { kind: FileKind::Manifest, number };
    let state = read_state(&disk, number).unwrap();
    for _ in 0..3000 {
        let mut payload = Vec::new();
        state.to_edit().encode(&mut Writer(&mut payload));
        mangle(&mut random, &mut payload);
        let mut bytes = Vec::new();
        record::begin(&mut bytes);
        bytes.extend_from_slice(&payload);
        record::finish(&mut bytes, 0, record::Header { file_number: number, first: 1, count: 1, durable: 0 });
        let mut disk = disk.clone();
        replace(&mut disk, file, &bytes);
        if let Ok((mut rig, _)) = Rig::open(disk, &tiny()) {
            let _ = rig.scan(everything(false, 1000));
            rig.work();
            let _ = rig.db.verify(&rig.disk);
        }
    }
}

#[test]
fn a_newer_format_is_refused_and_untouched() {
    let mut disk = store();
    let mut bytes = read(&disk, CURRENT);
    bytes[8] = 9;
    let sum = crate::base::checksum(&bytes[..24]);
    bytes[24..32].copy_from_slice(&sum.to_le_bytes());
    replace(&mut disk, CURRENT, &bytes);
    let mut before = disk.list().unwrap();
    let Err((error, disk)) = Rig::open(disk, &tiny()) else { panic!("it opened") };
    assert_eq!(error, Error::FormatTooNew { file: CURRENT, found: 9 });
    let mut after = disk.list().unwrap();
    before.sort();
    after.sort();
    assert_eq!(before, after);
}
