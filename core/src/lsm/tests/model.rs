//! The engine under random options and operations agrees with a map.

use super::*;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn options(random: &mut Random) -> Options {
    Options {
        memtable_bytes: *random.pick(&[1 << 10, 4 << 10, 64 << 10]).unwrap(),
        block_bytes: *random.pick(&[64, 256, 4096]).unwrap(),
        table_bytes: *random.pick(&[1 << 10, 4 << 10, 1 << 20]).unwrap(),
        filter_bits: *random.pick(&[0, 2, 10]).unwrap(),
        ..Options::default()
    }
}

fn key(random: &mut Random, style: u64, count: u64) -> Vec<u8> {
    let number = random.below(count);
    match style {
        0 => number.to_be_bytes().to_vec(),
        1 => alloc::format!("user/{number:08}").into_bytes(),
        _ => alloc::format!("{}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 10_000).into_bytes(),
    }
}

fn change(random: &mut Random, style: u64, count: u64, model: &mut Model) -> Batch {
    let mut batch = Batch::new();
    for _ in 0..random.between(1, 4) {
        let key = key(random, style, count);
        match random.below(60) {
            0 => {
                let other = self::key(random, style, count);
                batch.delete_range(&key, &other);
                model.retain(|at, _| !(key <= *at && *at < other));
            }
            1..10 => {
                batch.delete(&key);
                model.remove(&key);
            }
            dice => {
                let value = alloc::vec![random.next_u64() as u8; random.below(100) as usize];
                batch.put(&key, &value, dice < 15);
                model.insert(key, value);
            }
        }
    }
    batch
}

fn compare(
    rig: &mut Rig<MemoryDisk>,
    model: &Model,
    random: &mut Random,
    style: u64,
    count: u64,
    note: &str,
) {
    for _ in 0..10 {
        let key = key(random, style, count);
        assert_eq!(rig.get(&key).unwrap().as_deref(), model.get(&key).map(|v| &v[..]), "{note} {key:?}");
    }
    let (mut from, mut to) = (key(random, style, count), key(random, style, count));
    if random.chance(1, 4) {
        (from, to) = (Vec::new(), alloc::vec![255; 20]);
    }
    let reverse = random.chance(1, 2);
    let limit = random.between(1, 50) as u32;
    let bytes_max = random.between(1, 2000) as u32;
    let range = ScanRange { from: from.clone().into(), to: to.clone().into(), limit, bytes_max, reverse };
    let mut expected: Vec<(Bytes, Bytes)> = model
        .iter()
        .filter(|(key, _)| from <= **key && **key < to)
        .map(|(key, value)| (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)))
        .collect();
    if reverse {
        expected.reverse();
    }
    assert_eq!(rig.scan(range).unwrap(), expected, "{note} {from:?}..{to:?} reverse {reverse}");
}

#[test]
fn random_options_and_operations_agree_with_a_map() {
    let mut most = 0;
    for seed in 0..150 {
        let mut random = Random::new(seed);
        let mut options = options(&mut random);
        let (style, count) = (seed % 3, *random.pick(&[20, 200, 3000]).unwrap());
        let (mut rig, _) = Rig::open(MemoryDisk::new(), &options).unwrap();
        let mut model = Model::new();
        let mut compactions = 0;
        for step in 0..random.between(10, 1500) {
            let note = alloc::format!("seed {seed} step {step}");
            let mut after = model.clone();
            let batch = change(&mut random, style, count, &mut after);
            if !batch.is_empty() && rig.db.write(&batch).is_ok() {
                model = after;
            }
            match random.below(20) {
                0..6 => rig.write_log(true),
                6..8 => rig.write_log(false),
                8 => rig.sync_log(),
                9..12 => {
                    rig.write_log(false);
                    rig.work();
                }
                12 => rig.db.freeze(),
                13 => compare(&mut rig, &model, &mut random, style, count, &note),
                14 if random.chance(1, 5) => {
                    rig.write_log(false);
                    compactions += rig.db.stats().compactions;
                    let (disk, old) = (rig.disk, options);
                    options = Options { cache_space: 0, ..self::options(&mut random) };
                    let (opened, recovery) = Rig::open(disk, &options).unwrap();
                    assert_eq!(recovery.bytes_cut, 0, "{note} {old:?}");
                    rig = opened;
                    compare(&mut rig, &model, &mut random, style, count, &note);
                }
                _ => {}
            }
            rig.db.check().unwrap();
        }
        rig.write_log(true);
        rig.db.freeze();
        rig.work();
        rig.db.check_deeply().unwrap();
        rig.db.verify(&rig.disk).unwrap();
        for _ in 0..5 {
            compare(&mut rig, &model, &mut random, style, count, "the end");
        }
        compactions += rig.db.stats().compactions;
        most = most.max(compactions);
    }
    assert!(most > 20, "the test compacts: {most}");
}

#[test]
fn many_levels_agree_with_a_map() {
    let mut random = Random::new(1);
    let (mut rig, _) = Rig::open(MemoryDisk::new(), &tiny()).unwrap();
    let (mut model, mut depth) = (Model::new(), 0);
    for step in 0..8000u64 {
        let mut batch = Batch::new();
        let key = self::key(&mut random, 1, 4000);
        match random.below(400) {
            0 => {
                let mut to = key.clone();
                to[11] += 1;
                batch.delete_range(&key, &to);
                model.retain(|at, _| !(key <= *at && *at < to));
            }
            1..40 => {
                batch.delete(&key);
                model.remove(&key);
            }
            _ => {
                // Numbers that do not compress: the last level has to be large.
                let value: Vec<u8> = (0..15).flat_map(|_| random.next_u64().to_le_bytes()).collect();
                batch.put(&key, &value, false);
                model.insert(key, value);
            }
        }
        rig.db.write(&batch).unwrap();
        rig.write_log(step % 50 == 0);
        rig.work();
        depth = depth.max(rig.db.stats().runs.len());
        if step % 500 == 0 {
            compare(&mut rig, &model, &mut random, 1, 4000, &alloc::format!("step {step}"));
        }
    }
    assert!(depth > 3, "{depth} levels");
    rig.db.check_deeply().unwrap();
    rig.db.verify(&rig.disk).unwrap();
    rig.write_log(true);
    let (mut rig, _) = Rig::open(rig.disk, &tiny()).unwrap();
    for _ in 0..20 {
        compare(&mut rig, &model, &mut random, 1, 4000, "the end");
    }
}
