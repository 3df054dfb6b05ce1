use super::Admin;
use crate::disk::Disk;
use crate::reactor::{Calls, Mail, ShardMail};
use bytes::Bytes;
use kvorum_core::base::MemberId;
use kvorum_core::control::Snapshot as ControlSnapshot;
use kvorum_core::data::{Copies, HintCount, Op, Refusal, Reply, Shard, ShardPicture, Snapshot};
use kvorum_core::lsm::{BlockCache, Error as EngineError};
use kvorum_core::ring::View;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

/// A member that does not answer within this is left out.
const MEMBER_ANSWER_MAX: Duration = Duration::from_millis(500);
/// No answer of a member is longer.
const MEMBER_BYTES_MAX: u64 = 64 << 20;
/// No answer of a data thread takes longer, unless the node is stopping.
const ANSWER_MAX: Duration = Duration::from_secs(10);

impl Admin {
    /// Asks shards, in any order; the replies are in that of `ops`.
    pub async fn ask(&self, ops: Vec<Op>) -> Vec<Reply> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let count = ops.len();
        let (sender, receiver) = oneshot::channel();
        let done = Box::new(move |replies| {
            let _ = sender.send(replies);
        });
        let mailboxes = &self.shared.mailboxes;
        mailboxes[NEXT.fetch_add(1, Ordering::Relaxed) % mailboxes.len()]
            .send(Mail::Calls(Calls { ops, done }));
        match tokio::time::timeout(ANSWER_MAX, receiver).await {
            Ok(Ok(replies)) => replies,
            _ => vec![Reply::Refused(Refusal::TryAgain("the node is stopping")); count],
        }
    }
    /// Asks one thing.
    pub async fn ask_one(&self, op: Op) -> Reply {
        let mut replies = self.ask(vec![op]).await;
        replies.pop().unwrap_or(Reply::Refused(Refusal::TryAgain("the node is stopping")))
    }
    /// What is seen of each shard, by its number, on whichever thread drives it.
    async fn look<T: Send + 'static>(
        &self,
        look: impl Fn(&Shard, &Disk, &mut BlockCache) -> T + Clone + Send + 'static,
    ) -> Vec<T> {
        let mut receivers = Vec::new();
        for shard in 0..self.shared.shards.len() {
            let (sender, receiver) = oneshot::channel();
            let look = look.clone();
            let look = Box::new(move |shard: &Shard, disk: &Disk, cache: &mut BlockCache| {
                let _ = sender.send(look(shard, disk, cache));
            });
            self.shared.tell_shard(shard, ShardMail::Look(look));
            receivers.push(receiver);
        }
        let mut seen = Vec::new();
        for receiver in receivers {
            if let Ok(Ok(one)) = tokio::time::timeout(ANSWER_MAX, receiver).await {
                seen.push(one);
            }
        }
        seen
    }
    /// What each shard says of itself.
    pub async fn snapshots(&self) -> Vec<Snapshot> {
        self.look(|shard, _, _| shard.snapshot()).await
    }
    /// A picture of each shard, with a key's way through it, and the hints that it keeps.
    pub async fn pictures(&self, key: Option<&[u8]>) -> Vec<(ShardPicture, Vec<HintCount>)> {
        let key = key.map(Bytes::copy_from_slice);
        let draw = move |shard: &Shard, disk: &Disk, cache: &mut BlockCache| {
            (shard.picture(key.as_deref(), disk, cache), shard.hint_counts())
        };
        self.look(draw).await
    }
    /// What this node holds of a key; shards that hold nothing are left out.
    pub async fn copies(&self, key: &[u8]) -> Result<Vec<Copies>, EngineError> {
        let key = Bytes::copy_from_slice(key);
        let found = self.look(move |shard, disk, cache| shard.copies(&key, disk, cache)).await;
        let mut held = found.into_iter().collect::<Result<Vec<_>, _>>()?;
        held.retain(|copies| copies.own.is_some() || !copies.hints.is_empty());
        Ok(held)
    }
    /// A picture of the control plane; `None` if the node is stopping.
    pub async fn control_snapshot(&self) -> Option<ControlSnapshot> {
        let (sender, receiver) = oneshot::channel();
        let take = Box::new(move |snapshot| {
            let _ = sender.send(snapshot);
        });
        self.shared.mailboxes[0].send(Mail::ControlSnapshot(take));
        tokio::time::timeout(ANSWER_MAX, receiver).await.ok()?.ok()
    }
    /// Asks all other members the same; those that do not answer in time are left out.
    pub async fn ask_members(&self, view: &View, path: &str) -> Vec<(MemberId, Vec<u8>)> {
        let others = view.topology.members.iter().filter(|member| member.id != view.me);
        let asked: Vec<_> = others
            .map(|member| {
                let (id, address, path) = (member.id, member.admin.clone(), path.to_owned());
                tokio::spawn(async move {
                    let answer = tokio::time::timeout(MEMBER_ANSWER_MAX, ask_member(&address, &path));
                    Some((id, answer.await.ok()??))
                })
            })
            .collect();
        let mut answers = Vec::new();
        for answer in asked {
            answers.extend(answer.await.ok().flatten());
        }
        answers
    }
    /// The wall clock in milliseconds.
    pub fn now_ms(&self) -> u64 {
        self.shared.clock.now().wall.as_millis()
    }
}

/// Ten lines of HTTP/1.0 in place of a client library: it asks nodes of this very build.
async fn ask_member(address: &str, path: &str) -> Option<Vec<u8>> {
    let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut bytes = Vec::new();
    stream.take(MEMBER_BYTES_MAX).read_to_end(&mut bytes).await.ok()?;
    if !bytes.starts_with(b"HTTP/1.0 200") && !bytes.starts_with(b"HTTP/1.1 200") {
        return None;
    }
    let body = bytes.windows(4).position(|end| end == b"\r\n\r\n")?;
    Some(bytes.split_off(body + 4))
}
