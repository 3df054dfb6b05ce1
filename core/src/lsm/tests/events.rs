//! What an engine tells whoever listens.

use super::*;

fn put(rig: &mut Rig<MemoryDisk>, key: &str) {
    let mut batch = Batch::new();
    batch.put(key.as_bytes(), &[7; 100], false);
    rig.db.write(&batch).unwrap();
}

#[test]
fn an_engine_tells_what_it_did_only_to_who_listens() {
    let (mut rig, _) = Rig::open(MemoryDisk::new(), &Options::default()).unwrap();
    put(&mut rig, "a");
    rig.write_log(true);
    assert_eq!(rig.db.take_events(), [], "nobody listens");
    rig.db.set_listened(true);
    put(&mut rig, "a");
    put(&mut rig, "b");
    rig.write_log(false);
    let [Event::Appended { bytes, records: 2 }] = rig.db.take_events()[..] else { panic!("one write") };
    assert!(bytes > 200);
    rig.sync_log();
    assert_eq!(rig.db.take_events(), [Event::Synced(Ticket(3))]);
    rig.db.freeze();
    assert!(matches!(rig.db.take_events()[..], [Event::Frozen { bytes: 200.. }]));
    rig.work();
    let [Event::Flushed { table, entries: 2, bytes: 1.. }] = rig.db.take_events()[..] else {
        panic!("a flush")
    };
    let steps = |rig: &mut Rig<MemoryDisk>, key: &[u8]| {
        let Lookup::OnDisk(read) = rig.db.get(key) else { return Vec::new() };
        read.run(&rig.disk, &mut rig.cache).events
    };
    let read = |step| Event::Read { step, table };
    assert_eq!(steps(&mut rig, b"b"), [read(ReadStep::FilterYes), read(ReadStep::Block)]);
    assert_eq!(steps(&mut rig, b"aa"), [read(ReadStep::FilterNo)]);
    rig.db.set_listened(false);
    assert_eq!(steps(&mut rig, b"b"), []);
    rig.db.set_listened(true);
    // Runs in level 0 until they are merged.
    for _ in 0..20 {
        put(&mut rig, "c");
        rig.write_log(true);
        rig.db.freeze();
        rig.work();
    }
    let events = rig.db.take_events();
    let merged = |event: &Event| matches!(event, Event::Compacted { tables_in: 2.., tables_out: 1, .. });
    assert!(events.iter().any(merged), "{events:?}");
}
