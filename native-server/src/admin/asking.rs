use super::Admin;
use crate::reactor::{Calls, Mail, ShardMail};
use kvorum_core::control::Snapshot as ControlSnapshot;
use kvorum_core::data::{Op, Refusal, Reply, Snapshot};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

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
    /// A picture of each shard.
    pub async fn snapshots(&self) -> Vec<Snapshot> {
        let mut receivers = Vec::new();
        for shard in 0..self.shared.shards.len() {
            let (sender, receiver) = oneshot::channel();
            let take = Box::new(move |snapshot| {
                let _ = sender.send(snapshot);
            });
            self.shared.tell_shard(shard, ShardMail::Snapshot(take));
            receivers.push(receiver);
        }
        let mut snapshots = Vec::new();
        for receiver in receivers {
            if let Ok(Ok(snapshot)) = tokio::time::timeout(ANSWER_MAX, receiver).await {
                snapshots.push(snapshot);
            }
        }
        snapshots
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
    /// The wall clock in milliseconds.
    pub fn now_ms(&self) -> u64 {
        self.shared.clock.now().wall.as_millis()
    }
}
