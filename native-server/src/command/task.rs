use super::answer::{Moment, refuse};
use super::glob;
use crate::resp::Replies;
use bytes::Bytes;
use kvorum_core::base::PartitionId;
use kvorum_core::data::{ExpireWhen, Expiry, Op, Page, Refusal, Reply};
use kvorum_core::ring::View;
use kvorum_core::version::Sibling;
use std::collections::VecDeque;

/// Most requests of one command in flight: enough to fill a batch, too few to crowd others out.
const WINDOW: usize = 128;
/// Most keys that `KEYS` lists.
const KEYS_COUNT_MAX: usize = 1_000_000;
/// Most bytes of keys that `KEYS` lists.
const KEYS_BYTES_MAX: usize = 48 << 20;
/// Most partitions that one `SCAN` looks into before it answers, however few keys it found.
const SCAN_PARTITIONS_MAX: u32 = 256;
/// Most bytes of values that `MGET` answers with.
const GET_BYTES_MAX: usize = 512 << 20;
/// Keys of a page in commands that walk over everything.
const WALK_PAGE: u32 = 512;

/// A command that takes several requests. Pulled: [`Task::pull`] says what to ask, [`Task::on_reply`] takes the
/// answers in any order, [`Task::encode`] words the whole once [`Task::is_finished`].
#[derive(Debug)]
pub struct Task {
    kind: TaskKind,
    outstanding: usize,
    refusal: Option<Refusal>,
}

/// What is done.
#[derive(Debug)]
pub enum TaskKind {
    /// `MGET`.
    Get {
        /// The keys.
        keys: Vec<Bytes>,
        /// How many were asked.
        asked: usize,
        /// What was found, by index of the key.
        values: Vec<Option<Bytes>>,
        /// Its size.
        bytes: usize,
    },
    /// `MSET`.
    Set {
        /// Still to be written.
        pairs: VecDeque<(Bytes, Bytes)>,
    },
    /// `DEL`, `EXISTS` of several keys.
    Tally {
        /// Still to be asked.
        keys: VecDeque<Bytes>,
        /// Delete them, else look.
        delete: bool,
        /// How many were there.
        count: i64,
    },
    /// `GETEX` with an option.
    GetThenExpire {
        /// The key.
        key: Bytes,
        /// Its new end.
        expiry: Expiry,
        /// What was read.
        value: Option<Bytes>,
        /// 0 nothing asked, 1 read, 2 expiry asked.
        step: u8,
    },
    /// `SCAN`.
    Scan {
        /// Where to go on; `None` at the end.
        at: Option<(PartitionId, u32)>,
        /// Q.
        partition_count: u16,
        /// Only these.
        pattern: Option<Bytes>,
        /// Keys wanted.
        count: u32,
        /// Keys looked at.
        looked_at: u32,
        /// Partitions looked into.
        partitions: u32,
        /// What matched.
        found: Vec<Bytes>,
    },
    /// `KEYS`.
    Keys {
        /// Pages still to be asked.
        walk: Walk,
        /// Only these.
        pattern: Bytes,
        /// What matched.
        found: Vec<Bytes>,
        /// Their size.
        bytes: usize,
        /// Stop at the first.
        one: bool,
    },
    /// `DBSIZE`, `CLUSTER COUNTKEYSINSLOT`.
    Count {
        /// Partitions still to be asked.
        next: u32,
        /// The last one, exclusive.
        end: u32,
        /// What the sum is divided by.
        divisor: u64,
        /// The sum.
        sum: u64,
    },
    /// `FLUSHDB`.
    Flush {
        /// Pages still to be asked.
        walk: Walk,
        /// Keys still to be deleted.
        keys: VecDeque<Bytes>,
    },
}

/// A walk over all partitions, page by page, several partitions at a time.
#[derive(Debug)]
pub struct Walk {
    next_partition: u32,
    partition_count: u32,
    /// Pages that go on.
    pages: VecDeque<(PartitionId, u32)>,
}

impl Walk {
    /// Over `partition_count` partitions.
    pub fn new(partition_count: u16) -> Walk {
        Walk { next_partition: 0, partition_count: u32::from(partition_count), pages: VecDeque::new() }
    }
    fn pull(&mut self) -> Option<(u32, Op)> {
        let (partition, from_hash) = match self.pages.pop_front() {
            Some(page) => page,
            None if self.next_partition < self.partition_count => {
                self.next_partition += 1;
                (PartitionId((self.next_partition - 1) as u16), 0)
            }
            None => return None,
        };
        Some((u32::from(partition.0), Op::Scan { partition, from_hash, limit: WALK_PAGE }))
    }
    fn on_page(&mut self, partition: u32, page: &Page) {
        if let Some(hash) = page.next_hash {
            self.pages.push_back((PartitionId(partition as u16), hash));
        }
    }
    fn stop(&mut self) {
        self.next_partition = self.partition_count;
        self.pages.clear();
    }
}

fn value_of(reply: &Reply, moment: Moment) -> Option<Bytes> {
    let Reply::Read(read) = reply else { return None };
    let winner = read.cell.as_ref()?.winner(moment.now_ms)?;
    Sibling::value(winner).cloned()
}

fn get(key: Bytes) -> Op {
    Op::Get { key, r: None }
}

/// The cursor of `SCAN` for a place: 0 is the start and the end, so places count from 1.
pub fn cursor_of(partition: PartitionId, hash: u32) -> u64 {
    (u64::from(partition.0) << 32 | u64::from(hash)) + 1
}
/// The place of a cursor; `None` for one that no `SCAN` gave.
pub fn place_of(cursor: u64, partition_count: u16) -> Option<(PartitionId, u32)> {
    let place = cursor.saturating_sub(1);
    let partition = u16::try_from(place >> 32).ok().filter(|partition| *partition < partition_count)?;
    Some((PartitionId(partition), place as u32))
}

impl Task {
    /// A task that has asked nothing yet.
    pub fn new(kind: TaskKind) -> Task {
        Task { kind, outstanding: 0, refusal: None }
    }
    /// What to ask next, with a number that comes back with its reply; `None` for now when as much as may be is in
    /// flight, or nothing is left.
    pub fn pull(&mut self) -> Option<(u32, Op)> {
        if self.outstanding >= WINDOW || self.refusal.is_some() {
            return None;
        }
        let next = match &mut self.kind {
            TaskKind::Get { keys, asked, .. } => keys.get(*asked).map(|key| {
                *asked += 1;
                (*asked as u32 - 1, get(key.clone()))
            }),
            TaskKind::Set { pairs } => pairs.pop_front().map(|(key, value)| {
                (0, Op::Put { key, value, context: None, expiry: Expiry::Never, w: None })
            }),
            TaskKind::Tally { keys, delete, .. } => keys
                .pop_front()
                .map(|key| (0, if *delete { Op::Delete { key, context: None, w: None } } else { get(key) })),
            TaskKind::GetThenExpire { key, expiry, value, step } => match (*step, &value) {
                (0, _) => {
                    *step = 1;
                    Some((0, get(key.clone())))
                }
                (1, Some(_)) if self.outstanding == 0 => {
                    *step = 2;
                    let when = ExpireWhen::Always;
                    Some((1, Op::Expire { key: key.clone(), expiry: *expiry, when }))
                }
                _ => None,
            },
            TaskKind::Scan { at: Some((partition, from_hash)), count, looked_at, partitions, .. }
                if self.outstanding == 0 && *looked_at < *count && *partitions < SCAN_PARTITIONS_MAX =>
            {
                let limit = *count - *looked_at;
                Some((0, Op::Scan { partition: *partition, from_hash: *from_hash, limit }))
            }
            TaskKind::Scan { .. } => None,
            TaskKind::Keys { walk, .. } => walk.pull(),
            TaskKind::Count { next, end, .. } => (*next < *end).then(|| {
                *next += 1;
                (0, Op::Count { partition: PartitionId((*next - 1) as u16) })
            }),
            TaskKind::Flush { walk, keys } => match keys.pop_front() {
                Some(key) => Some((u32::MAX, Op::Delete { key, context: None, w: None })),
                None => walk.pull(),
            },
        };
        self.outstanding += usize::from(next.is_some());
        next
    }
    /// Takes the reply to what was asked under `number`.
    pub fn on_reply(&mut self, number: u32, reply: Reply, moment: Moment) {
        self.outstanding -= 1;
        let reply = match reply {
            Reply::Refused(refusal) => {
                self.refuse(refusal);
                return;
            }
            reply => reply,
        };
        match &mut self.kind {
            TaskKind::Get { values, bytes, .. } => {
                if let Some(value) = values.get_mut(number as usize) {
                    *value = value_of(&reply, moment);
                    *bytes += value.as_ref().map_or(0, Bytes::len);
                }
                if *bytes > GET_BYTES_MAX {
                    values.clear();
                    self.refuse(Refusal::Invalid(
                        "the values come to more than 512 MiB; ask for fewer keys at once",
                    ));
                }
            }
            TaskKind::Set { .. } => {}
            TaskKind::Tally { delete: true, count, .. } => {
                *count += i64::from(matches!(reply, Reply::Written(written) if written.existed));
            }
            TaskKind::Tally { count, .. } => *count += i64::from(value_of(&reply, moment).is_some()),
            TaskKind::GetThenExpire { value, .. } => {
                if number == 0 {
                    *value = value_of(&reply, moment);
                }
            }
            TaskKind::Scan { at, partition_count, pattern, looked_at, partitions, found, .. } => {
                let (Reply::Page(page), Some((partition, _))) = (reply, *at) else { return };
                *looked_at = looked_at.saturating_add(page.entries.len() as u32);
                *at = match page.next_hash {
                    Some(hash) => Some((partition, hash)),
                    None => {
                        *partitions += 1;
                        let next = partition.0 + 1;
                        (next < *partition_count).then_some((PartitionId(next), 0))
                    }
                };
                let keys = page.entries.into_iter().map(|entry| entry.key);
                found.extend(keys.filter(|key| pattern.as_ref().is_none_or(|p| glob::matches(p, key))));
            }
            TaskKind::Keys { walk, pattern, found, bytes, one } => {
                let Reply::Page(page) = reply else { return };
                walk.on_page(number, &page);
                for entry in page.entries.into_iter().filter(|entry| glob::matches(pattern, &entry.key)) {
                    *bytes += entry.key.len() + 16;
                    found.push(entry.key);
                }
                if *one && !found.is_empty() {
                    walk.stop();
                } else if found.len() > KEYS_COUNT_MAX || *bytes > KEYS_BYTES_MAX {
                    self.refuse(Refusal::Invalid("more keys match than KEYS may list; use SCAN"));
                }
            }
            TaskKind::Count { sum, .. } => {
                if let Reply::Count(count) = reply {
                    *sum += count;
                }
            }
            TaskKind::Flush { walk, keys } => {
                let Reply::Page(page) = reply else { return };
                walk.on_page(number, &page);
                keys.extend(page.entries.into_iter().map(|entry| entry.key));
            }
        }
    }
    /// The first refusal is the answer, but "outcome unknown" outranks "not done": parts may have been done.
    fn refuse(&mut self, refusal: Refusal) {
        let in_doubt = matches!(refusal, Refusal::InDoubt { .. });
        if self.refusal.is_none() || in_doubt {
            self.refusal = Some(refusal);
        }
    }
    /// Whether all is asked and answered. Ask [`Task::pull`] first.
    pub fn is_finished(&self) -> bool {
        self.outstanding == 0
    }
    /// Appends the answer.
    pub fn encode(&self, view: Option<&View>, out: &mut Replies<'_>) {
        if let Some(refusal) = &self.refusal {
            return refuse(refusal, view, out);
        }
        match &self.kind {
            TaskKind::Get { values, .. } => {
                out.array(values.len());
                for value in values {
                    match value {
                        Some(value) => out.bulk(value),
                        None => out.null(),
                    }
                }
            }
            TaskKind::Set { .. } | TaskKind::Flush { .. } => out.ok(),
            TaskKind::Tally { count, .. } => out.integer(*count),
            TaskKind::GetThenExpire { value, .. } => match value {
                Some(value) => out.bulk(value),
                None => out.null(),
            },
            TaskKind::Scan { at, found, .. } => {
                out.array(2);
                let cursor = at.map_or(0, |(partition, hash)| cursor_of(partition, hash));
                out.bulk(cursor.to_string().as_bytes());
                out.array(found.len());
                found.iter().for_each(|key| out.bulk(key));
            }
            TaskKind::Keys { found, one: true, .. } => match found.first() {
                Some(key) => out.bulk(key),
                None => out.null(),
            },
            TaskKind::Keys { found, .. } => {
                out.array(found.len());
                found.iter().for_each(|key| out.bulk(key));
            }
            TaskKind::Count { sum, divisor, .. } => out.integer((sum / divisor.max(&1)) as i64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::Protocol;
    use kvorum_core::data::{PageEntry, WriteReply};

    const MOMENT: Moment = Moment { now_ms: 0, lineage: 0 };

    fn run(mut task: Task, mut reply_to: impl FnMut(Op) -> Reply) -> String {
        loop {
            let mut asked = Vec::new();
            while let Some((number, op)) = task.pull() {
                asked.push((number, op));
            }
            assert!(asked.len() <= WINDOW);
            for (number, op) in asked.into_iter().rev() {
                task.on_reply(number, reply_to(op), MOMENT);
            }
            // As the driver does: ask again before believing that it is finished.
            match task.pull() {
                Some((number, op)) => task.on_reply(number, reply_to(op), MOMENT),
                None if task.is_finished() => break,
                None => {}
            }
        }
        let mut out = Vec::new();
        task.encode(None, &mut Replies::new(&mut out, Protocol::V3));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn cursors_are_numbers_that_name_a_place_and_zero_is_none() {
        assert_eq!(place_of(0, 64), Some((PartitionId(0), 0)));
        for (partition, hash) in [(0, 0), (63, u32::MAX), (5, 7)] {
            let cursor = cursor_of(PartitionId(partition), hash);
            assert!(cursor > 0);
            assert_eq!(place_of(cursor, 64), Some((PartitionId(partition), hash)));
        }
        assert_eq!(place_of(cursor_of(PartitionId(64), 0), 64), None);
        assert_eq!(place_of(u64::MAX, 64), None);
    }

    #[test]
    fn a_scan_ends_after_the_last_partition() {
        let kind = TaskKind::Scan {
            at: Some((PartitionId(62), 9)),
            partition_count: 64,
            pattern: Some(Bytes::from_static(b"b*")),
            count: 10,
            looked_at: 0,
            partitions: 0,
            found: Vec::new(),
        };
        let said = run(Task::new(kind), |op| match op {
            Op::Scan { partition, from_hash, .. } => {
                assert!(partition.0 == 63 || from_hash == 9);
                let key =
                    |text: &'static str| PageEntry { hash: 1, key: Bytes::from_static(text.as_bytes()) };
                Reply::Page(Page { entries: vec![key("a"), key("b1")], next_hash: None })
            }
            _ => panic!("a scan asks for pages"),
        });
        assert_eq!(said, "*2\r\n$1\r\n0\r\n*2\r\n$2\r\nb1\r\n$2\r\nb1\r\n");
    }

    #[test]
    fn a_flush_deletes_what_it_finds_and_doubt_outranks_not_done() {
        let mut deleted = 0;
        let kind = TaskKind::Flush { walk: Walk::new(64), keys: VecDeque::new() };
        let said = run(Task::new(kind), |op| match op {
            Op::Scan { from_hash, .. } => {
                let entries = (0..10).map(|_| PageEntry { hash: 0, key: Bytes::new() }).collect();
                Reply::Page(Page { entries, next_hash: (from_hash == 0).then_some(7) })
            }
            _ => {
                deleted += 1;
                Reply::Written(WriteReply { existed: true, acks: 1, hinted: 0, stamp: None })
            }
        });
        assert_eq!((said.as_str(), deleted), ("+OK\r\n", 64 * 20));

        let pairs = (0..3).map(|_| (Bytes::new(), Bytes::new())).collect();
        let mut answers = 0;
        let said = run(Task::new(TaskKind::Set { pairs }), |_| {
            answers += 1;
            Reply::Refused(match answers {
                1 => Refusal::TryAgain("starting"),
                2 => Refusal::InDoubt { acks: 1, needed: 2 },
                _ => Refusal::BadContext,
            })
        });
        assert!(said.starts_with("-INDOUBT"), "{said}");
    }
}
