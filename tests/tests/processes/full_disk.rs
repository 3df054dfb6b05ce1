//! A disk without space: a small tmpfs, which takes root to mount.

use kvorum_tests::node::{Node, PATIENCE};
use kvorum_tests::resp::Reply;
use kvorum_tests::say;
use kvorum_tests::wait::{until, until_true};
use std::path::Path;
use std::process::Command;

struct Mount<'a>(&'a Path);

impl<'a> Mount<'a> {
    fn tmpfs(path: &'a Path, size: &str) -> Option<Mount<'a>> {
        let options = format!("size={size}");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "kvorum-test"]).arg(path).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Mount(path))
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        // Lazily: a node that a failed test left may still be about to end.
        let _ = Command::new("umount").arg("-l").arg(self.0).output();
    }
}

#[test]
fn a_full_disk_refuses_writes_clearly_answers_reads_and_heals() {
    let dir = tempfile::tempdir().unwrap();
    let Some(_mount) = Mount::tmpfs(dir.path(), "64M") else {
        say("SKIPPED: a tmpfs cannot be mounted here (that takes root), so a full disk was not tried");
        return;
    };
    let ballast = dir.path().join("ballast");
    std::fs::write(&ballast, vec![1; 24 << 20]).unwrap();
    let mut node = Node::new(dir.path(), "n1", &["--memory", "8M"]);
    node.spawn(&["--bootstrap"]);
    node.wait_ready();
    let mut client = node.client();
    let value = |index: usize| {
        // Hard to compress, so that it takes its room.
        let mut state = index as u64 + 1;
        let step = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        (0..32 << 10).map(step).collect::<Vec<u8>>()
    };
    let mut acked = 0;
    let mut was_in_doubt = false;
    let says_so = |node: &Node| {
        node.log().contains("writes are refused by shard 0 of this node: no space left on the disk")
    };
    let began = std::time::Instant::now();
    let refusal = loop {
        assert!(acked < 4_000 && began.elapsed() < 2 * PATIENCE, "{acked} writes, and the disk is not full");
        match client.ask_bytes(&[b"SET", format!("k{acked}").as_bytes(), &value(acked)]).unwrap() {
            Reply::Simple(_) => {
                acked += 1;
                was_in_doubt = false;
            }
            // The write whose bytes meet the full disk stays queued and may yet be written: only this one is in doubt,
            // until a flush makes room for some more.
            Reply::Error(text) if text.starts_with("INDOUBT") && !was_in_doubt => was_in_doubt = true,
            Reply::Error(text) => {
                assert!(text.contains("space"), "{text}");
                // One job may find no room and the next, after a flush, some: full is what stays so.
                if says_so(&node) {
                    break text;
                }
            }
            other => panic!("{other:?}"),
        }
    };
    say(format!("full after {acked} writes of 32 KiB: {refusal}"));
    for index in 0..acked {
        let found = client.ask(&["GET", &format!("k{index}")]).unwrap();
        assert!(found == Reply::Bulk(value(index)), "k{index} while the disk is full");
    }
    assert_eq!(kvorum_tests::http::get(node.admin, "/livez").unwrap().status, 200);
    std::fs::remove_file(&ballast).unwrap();
    let (_, took) = until(PATIENCE, "writes go on once there is space", || {
        match client.ask_bytes(&[b"SET", format!("k{acked}").as_bytes(), &value(acked)]).unwrap() {
            Reply::Simple(_) => Ok(()),
            other => Err(other.error().to_owned()),
        }
    });
    say(format!("writes go on {} ms after space was made", took.as_millis()));
    until_true(PATIENCE, "the log says that it is over", || {
        node.log().contains("writes are taken again by shard 0 of this node")
    });
    node.kill();
    node.spawn(&[]);
    node.wait_ready();
    let mut client = node.client();
    for index in 0..=acked {
        let found = client.ask(&["GET", &format!("k{index}")]).unwrap();
        assert!(found == Reply::Bulk(value(index)), "k{index} after a restart");
    }
}
