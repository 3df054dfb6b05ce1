use super::Admin;
use super::sampling::{Sampler, Totals, is_always_kept};
use crate::clock::Clock;
use crate::reactor::Events;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use kvorum_core::base::trace::{Kind, records};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Words kept for a listener that is slow; older batches are dropped, and counted.
const QUEUE_WORDS_MAX: usize = 1 << 20;
/// Words of string-table entries kept from dropped batches.
const STRING_WORDS_MAX: usize = 1 << 18;
/// Words about members kept from dropped batches: thousands of events.
const MEMBER_WORDS_MAX: usize = 1 << 16;
/// Most listeners of a node.
const LISTENER_COUNT_MAX: usize = 16;
/// Events of so long go out together: a wake-up and a frame cost more than an event.
const GATHER_TIME: Duration = Duration::from_millis(40);
/// How often a listener is told how much there was, also when that is nothing: it shows that the node lives.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// A listener that takes nothing for so long is gone, and its place is free.
const SEND_TIME_MAX: Duration = Duration::from_secs(30);

/// Hands the events of a node to whoever listens.
#[derive(Clone)]
pub struct Hub {
    clock: Clock,
    listening: Arc<Mutex<Listeners>>,
}

#[derive(Default)]
struct Listeners {
    by_number: BTreeMap<u64, Arc<Listener>>,
    sampler: Sampler,
}

#[derive(Default)]
struct Listener {
    queue: Mutex<Queue>,
    notify: Notify,
}

#[derive(Default)]
struct Queue {
    batches: VecDeque<Vec<u32>>,
    words: usize,
    /// String-table entries of dropped batches: later events may name them.
    strings: Vec<u32>,
    /// What dropped batches told of members.
    members: Vec<u32>,
    dropped: u64,
}

impl Hub {
    /// Without listeners.
    pub fn new(clock: Clock) -> Hub {
        Hub { clock, listening: Arc::default() }
    }
    fn listeners(&self) -> std::sync::MutexGuard<'_, Listeners> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// One in how many requests is handed on now, and how much there was.
    fn told(&self) -> (u32, Totals) {
        let listeners = self.listeners();
        (listeners.sampler.one_in(), listeners.sampler.totals())
    }
    /// Events since somebody first listened.
    pub fn event_count(&self) -> u64 {
        self.told().1.events
    }
}

impl Events for Hub {
    fn push(&self, words: Vec<u32>) {
        let now = self.clock.now().mono;
        let mut listeners = self.listeners();
        let words = listeners.sampler.pass(now, words);
        if words.is_empty() {
            return;
        }
        for listener in listeners.by_number.values() {
            let mut queue = listener.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.push(words.clone());
            listener.notify.notify_one();
        }
    }
}

impl Queue {
    fn push(&mut self, words: Vec<u32>) {
        self.words += words.len();
        self.batches.push_back(words);
        while self.words > QUEUE_WORDS_MAX {
            let Some(oldest) = self.batches.pop_front() else { break };
            self.words -= oldest.len();
            self.dropped += 1;
            self.rescue(&oldest);
        }
    }
    /// What is to be sent now: what is left of dropped batches first.
    fn take(&mut self) -> (Vec<u32>, u64) {
        let mut words = std::mem::take(&mut self.strings);
        words.append(&mut self.members);
        self.batches.drain(..).for_each(|batch| words.extend(batch));
        self.words = 0;
        (words, std::mem::take(&mut self.dropped))
    }
    /// Keeps of a batch that is dropped what must not be missed.
    fn rescue(&mut self, words: &[u32]) {
        let mut at = 0;
        for record in records(words) {
            let whole = &words[at..at + 4 + record.payload.len()];
            at += whole.len();
            let (kept, words_max) = match record.kind {
                Kind::String => (&mut self.strings, STRING_WORDS_MAX),
                _ if is_always_kept(&record) => (&mut self.members, MEMBER_WORDS_MAX),
                _ => continue,
            };
            if kept.len() + whole.len() <= words_max {
                kept.extend_from_slice(whole);
            }
        }
    }
}

/// Takes its listener away when the socket's task ends, however it ends.
struct Listening {
    admin: Admin,
    number: u64,
    listener: Arc<Listener>,
}

impl Listening {
    fn begin(admin: Admin) -> Option<Listening> {
        let listener = Arc::new(Listener::default());
        let hub = admin.hub.clone();
        let mut listeners = hub.listeners();
        let open = &mut listeners.by_number;
        if open.len() >= LISTENER_COUNT_MAX {
            return None;
        }
        let number = open.last_key_value().map_or(0, |(number, _)| number + 1);
        open.insert(number, listener.clone());
        if open.len() == 1 {
            admin.shared.set_listened_to(true);
        }
        drop(listeners);
        Some(Listening { admin, number, listener })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut listeners = self.admin.hub.listeners();
        listeners.by_number.remove(&self.number);
        if listeners.by_number.is_empty() {
            self.admin.shared.set_listened_to(false);
        }
    }
}

/// `GET /events`: a WebSocket. First one text message with a snapshot and a picture, then binary messages of records,
/// packed u32 words in little-endian. A text message `{"dropped": n}` says that n batches were left out for a slow
/// listener, and each second one tells how much there was and that one in `sampled` requests is handed on.
pub async fn events(State(admin): State<Admin>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(move |socket| async move {
        // A listener that goes is no error.
        let _ = stream(admin, socket).await;
    })
}

async fn send(socket: &mut WebSocket, message: Message) -> Result<(), axum::Error> {
    let sent = tokio::time::timeout(SEND_TIME_MAX, socket.send(message)).await;
    sent.unwrap_or_else(|late| Err(axum::Error::new(late)))
}

async fn stream(admin: Admin, mut socket: WebSocket) -> Result<(), axum::Error> {
    let Some(listening) = Listening::begin(admin) else {
        return send(&mut socket, Message::Text(r#"{"error":"too many listeners"}"#.into())).await;
    };
    let admin = &listening.admin;
    let first = super::picture::first_message(admin).await;
    send(&mut socket, Message::Text(first.to_string().into())).await?;
    let (_, mut before) = admin.hub.told();
    let mut told_at = tokio::time::Instant::now();
    let mut tell = tokio::time::interval_at(told_at + TELL_EVERY, TELL_EVERY);
    tell.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = listening.listener.notify.notified() => tokio::time::sleep(GATHER_TIME).await,
            at = tell.tick() => {
                let (one_in, totals) = admin.hub.told();
                let text = serde_json::json!({
                    "sampled": one_in,
                    "ms": at.duration_since(told_at).as_millis() as u64,
                    "events": totals.events - before.events,
                    "reads": totals.reads - before.reads,
                    "writes": totals.writes - before.writes,
                }).to_string();
                (before, told_at) = (totals, at);
                send(&mut socket, Message::Text(text.into())).await?;
                continue;
            }
            heard = socket.recv() => match heard {
                Some(Ok(Message::Close(_))) | None => return Ok(()),
                Some(Err(error)) => return Err(error),
                Some(Ok(_)) => continue,
            },
        }
        let (words, dropped) = {
            let mut queue = listening.listener.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.take()
        };
        if dropped > 0 {
            send(&mut socket, Message::Text(format!(r#"{{"dropped":{dropped}}}"#).into())).await?;
        }
        if !words.is_empty() {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            send(&mut socket, Message::Binary(Bytes::from(bytes))).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvorum_core::base::Micros;
    use kvorum_core::base::trace::Trace;

    #[test]
    fn a_slow_listener_loses_whole_batches_and_neither_string_nor_member() {
        let mut queue = Queue::default();
        let mut trace = Trace::new(0, true);
        trace.string(Micros(1), b"first");
        trace.emit(Micros(1), Kind::LogAppended, &[1, 2]);
        trace.emit(Micros(1), Kind::WentDown, &[2, 3, 0, 1, 0]);
        queue.push(trace.take());
        trace.string(Micros(2), b"last");
        for _ in 0..QUEUE_WORDS_MAX / 6 {
            trace.emit(Micros(2), Kind::LogAppended, &[1, 2]);
        }
        queue.push(trace.take());
        let (words, dropped) = queue.take();
        assert!(dropped >= 1);
        let count = |kind| records(&words).filter(|record| record.kind == kind).count();
        assert_eq!((count(Kind::String), count(Kind::WentDown)), (2, 1));
        assert!(queue.take().0.is_empty());
    }
}
