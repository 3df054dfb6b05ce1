//! The bytes of a small store, annotated, so that the diff of a change of format can be read.
//!
//! `REWRITE=1 cargo test -p kvorum-core golden` rewrites them: a change here means that released stores do not open.

use super::*;
use crate::base::Reader;
use crate::lsm::{record, table::Handle};
use crate::storage::{FileId, FileKind};
use alloc::{format, string::String};
use core::fmt::Write;

const GOLDEN: &str = include_str!("golden.txt");

struct Dump {
    text: String,
    bytes: Vec<u8>,
    at: usize,
}

impl Dump {
    /// The next `count` bytes are `what`.
    fn take(&mut self, count: usize, what: &str) -> Vec<u8> {
        let taken = self.bytes[self.at..self.at + count].to_vec();
        for (line, bytes) in taken.chunks(16).enumerate() {
            let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let what = if line == 0 { what } else { "" };
            let text = format!("{:6}  {:47}  {what}", self.at + line * 16, hex.join(" "));
            writeln!(self.text, "{}", text.trim_end()).unwrap();
        }
        self.at += count;
        taken
    }
    fn record(&mut self) {
        self.take(8, "xxh3 of what follows, seeded with the file's number");
        let len = u32::from_le_bytes(self.take(4, "payload length").try_into().unwrap()) as usize;
        self.take(4, "file number");
        self.take(8, "first ticket or edit");
        self.take(4, "count");
        self.take(4, "lag: how many before the first were not durable yet");
        self.take(len, "payload");
        self.take(self.at.next_multiple_of(record::ALIGN_BYTES) - self.at, "padding");
    }
    fn block(&mut self, handle: Handle, what: &str) {
        self.at = handle.offset as usize;
        self.take(handle.len as usize - 9, what);
        self.take(1, "codec");
        self.take(8, "xxh3, seeded with number and offset");
    }
}

fn dump(disk: &MemoryDisk, rig: &Rig<MemoryDisk>, file: FileId) -> String {
    let mut bytes = alloc::vec![0; disk.len(file).unwrap() as usize];
    disk.read_at(file, 0, &mut bytes).unwrap();
    let mut dump = Dump { text: format!("== {file}: {} bytes\n", bytes.len()), bytes, at: 0 };
    match file.kind {
        FileKind::Log | FileKind::Manifest => {
            while record::read(&dump.bytes, dump.at, file.number).is_some() {
                dump.record();
            }
            assert!(dump.bytes[dump.at..].iter().all(|byte| *byte == 0));
        }
        FileKind::Current => {
            dump.take(8, "magic");
            dump.take(4, "format");
            dump.take(4, "reserved");
            dump.take(8, "manifest number");
            dump.take(8, "xxh3");
        }
        FileKind::Table => {
            let table = rig.db.tables().find(|table| table.number == file.number).unwrap();
            let top = table.top;
            let mut loader = super::super::table::Loader { storage: disk, cache: None, space: 0 };
            let top_block = loader.block(&table, top).unwrap();
            for at in 0..top_block.count() {
                let mut reader = Reader::new(top_block.slice(top_block.entry(at).value));
                let (index, filter) =
                    (Handle::decode(&mut reader).unwrap(), Handle::decode(&mut reader).unwrap());
                let index_block = loader.block(&table, index).unwrap();
                for at in 0..index_block.count() {
                    let entry = index_block.entry(at);
                    let data = Handle::decode(&mut Reader::new(index_block.slice(entry.value))).unwrap();
                    dump.block(data, "data: flags, count, prefix length, prefix, tags, offsets, entries");
                }
                dump.block(filter, "filter: probes, lines");
                dump.block(index, "index: last key → offset, length");
            }
            dump.block(top, "top index: last key → index, filter");
            let footer = dump.bytes.len() - 40;
            let meta = u64::from_le_bytes(dump.bytes[footer + 16..footer + 24].try_into().unwrap());
            let len = u32::from_le_bytes(dump.bytes[footer + 24..footer + 28].try_into().unwrap());
            dump.block(Handle { offset: meta, len }, "meta");
            for (count, what) in
                [(8, "magic"), (4, "format"), (4, "reserved"), (8, "meta offset"), (4, "meta length")]
            {
                dump.take(count, what);
            }
            dump.take(4, "reserved");
            dump.take(8, "xxh3, seeded with number and offset");
            assert_eq!(dump.at, dump.bytes.len());
        }
        FileKind::Temporary => panic!("{file} was left behind"),
    }
    dump.text
}

#[test]
fn the_bytes_on_disk_are_those_of_this_format() {
    let options =
        Options { block_bytes: 100, filter_bits: 10, memtable_bytes: 1 << 12, ..Options::default() };
    let (mut rig, _) = Rig::open(MemoryDisk::new(), &options).unwrap();
    let mut batch = Batch::new();
    batch.put(b"fruit/apple", b"red", false);
    batch.put(b"fruit/banana", b"yellow", false);
    batch.put(b"fruit/cherry", b"gone", true);
    batch.delete(b"fruit/date");
    batch.delete_range(b"grain/", b"grain0");
    rig.db.write(&batch).unwrap();
    batch.clear();
    batch.put(b"herb/mint", &[b'm'; 120], false);
    rig.db.write(&batch).unwrap();
    rig.write_log(true);
    rig.db.freeze();
    rig.work();
    batch.clear();
    batch.put(b"fruit/elder", b"black", false);
    rig.db.write(&batch).unwrap();
    rig.write_log(true);
    batch.clear();
    batch.put(b"fruit/fig", b"green", false);
    rig.db.write(&batch).unwrap();
    rig.write_log(true);
    let mut files = rig.disk.list().unwrap();
    files.sort();
    let text: String = files.into_iter().map(|file| dump(&rig.disk, &rig, file)).collect();
    if std::env::var_os("REWRITE").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/lsm/tests/golden.txt");
        std::fs::write(path, &text).unwrap();
        return;
    }
    for (line, (new, old)) in text.lines().zip(GOLDEN.lines()).enumerate() {
        assert_eq!(new, old, "line {}", line + 1);
    }
    assert_eq!(text.len(), GOLDEN.len());
}
