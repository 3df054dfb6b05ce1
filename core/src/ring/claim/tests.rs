use super::*;
use crate::base::Random;
use crate::ring::Topology;

fn ids(range: core::ops::Range<u16>) -> Vec<MemberId> {
    range.map(MemberId).collect()
}

fn check(old: &[Vec<MemberId>], members: &[MemberId], n: usize, claim: &Claim) {
    let (q, width) = (old.len(), n.min(members.len()));
    let mut primaries = vec![0usize; members.len()];
    let mut replicas = vec![0usize; members.len()];
    let mut kept = vec![0usize; members.len()];
    for (before, owners) in old.iter().zip(&claim.owners) {
        assert_eq!(owners.len(), width);
        for (place, id) in owners.iter().enumerate() {
            assert!(!owners[..place].contains(id), "distinct owners");
            let index = members.binary_search(id).expect("owners are members");
            replicas[index] += 1;
            primaries[index] += usize::from(place == 0);
        }
        for id in before.iter().take(width) {
            if let Ok(index) = members.binary_search(id) {
                kept[index] += 1;
            }
        }
    }
    let (least, most) = (q / members.len(), q.div_ceil(members.len()));
    assert!(primaries.iter().all(|count| (least..=most).contains(count)), "{least}..={most}: {primaries:?}");
    let (least, most) = (q * width / members.len(), (q * width).div_ceil(members.len()));
    assert!(replicas.iter().all(|count| (least..=most).contains(count)), "{least}..={most}: {replicas:?}");
    // Nobody can do with fewer: free seats must be filled, too large shares given up, too small ones filled up.
    let free: usize = q * width - kept.iter().sum::<usize>();
    let lacking: usize = kept.iter().map(|count| least.saturating_sub(*count)).sum();
    let surplus: usize = kept.iter().map(|count| count.saturating_sub(most)).sum();
    let fewest = lacking.max(free + surplus);
    let moved = claim.report.moved as usize;
    // When somebody goes, the free seats may all lie where the members that lack some sit already.
    let someone_went = old.iter().flatten().any(|id| !members.contains(id));
    let slack = if someone_went { fewest / 2 } else { fewest / 20 };
    assert!(moved <= fewest + slack + 2 * members.len(), "{moved} moves, {fewest} would do");
}

#[test]
fn random_histories_stay_fair_and_move_little() {
    let mut random = Random::new(7);
    for round in 0..300 {
        let q = [64, 64, 128, 256, 1024][random.below(if round % 20 == 0 { 5 } else { 4 }) as usize];
        let n = random.between(1, 5) as usize;
        let mut members = ids(0..1);
        let mut next = 1;
        let mut owners = claim(&vec![Vec::new(); q], &members, n).owners;
        for _ in 0..14 {
            if members.len() > 1 && random.chance(1, 4) {
                members.remove(random.below(members.len() as u64) as usize);
            } else {
                for _ in 0..random.between(1, 3) {
                    members.push(MemberId(next));
                    next += 1;
                }
            }
            let claimed = claim(&owners, &members, n);
            check(&owners, &members, n, &claimed);
            assert_eq!(claimed, claim(&owners, &members, n));
            owners = claimed.owners;
        }
    }
}

#[test]
fn the_largest_ring_is_claimed_as_well() {
    let mut owners = vec![ids(0..1); 16_384];
    for count in [2, 3, 6, 40, 41] {
        let members = ids(0..count);
        let claimed = claim(&owners, &members, 3);
        check(&owners, &members, 3, &claimed);
        owners = claimed.owners;
    }
}

#[test]
fn nothing_moves_when_nobody_comes_or_goes() {
    let members = ids(0..7);
    let first = claim(&vec![Vec::new(); 256], &members, 3);
    let again = claim(&first.owners, &members, 3);
    assert_eq!(again.owners, first.owners);
    assert_eq!((again.report.moved, again.report.partitions), (0, 0));
}

#[test]
fn the_fallbacks_of_a_member_are_spread_over_the_others() {
    let mut owners = vec![ids(0..1); 1024];
    for count in [2, 3, 4, 6, 8, 9, 10] {
        owners = claim(&owners, &ids(0..count), 3).owners;
    }
    let topology = Topology {
        lineage: 0,
        epoch: crate::base::Epoch(1),
        next_member: 10,
        members: ids(0..10)
            .into_iter()
            .map(|id| crate::ring::Member {
                id,
                name: alloc::format!("{id}"),
                store: 0,
                listen: "".into(),
                admin: "".into(),
                peer: "".into(),
                refilling: false,
            })
            .collect(),
        partitions: owners
            .into_iter()
            .map(|owners| crate::ring::PartitionState { owners, ..Default::default() })
            .collect(),
        keyspaces: vec![],
    };
    for lost in ids(0..10) {
        let mut stands_in = [0u32; 10];
        for partition in 0..1024 {
            let partition = crate::base::PartitionId(partition);
            if topology.partition(partition).unwrap().owners.contains(&lost) {
                stands_in[usize::from(topology.walk(partition)[3].0)] += 1;
            }
        }
        let total: u32 = stands_in.iter().sum();
        let most = stands_in.iter().max().unwrap();
        assert!(most * 9 < total * 2, "{lost}: {stands_in:?}");
    }
}
