use super::Admin;
use crate::reactor::Events;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use kvorum_core::base::trace::Kind;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Words kept for a listener that is slow; older batches are dropped, and counted.
const QUEUE_WORDS_MAX: usize = 1 << 20;
/// Words of string-table entries kept from dropped batches.
const STRING_WORDS_MAX: usize = 1 << 18;
/// Most listeners of a node.
const LISTENER_COUNT_MAX: usize = 16;

/// Hands the events of a node to whoever listens.
#[derive(Clone, Default)]
pub struct Hub {
    listeners: Arc<Mutex<BTreeMap<u64, Arc<Listener>>>>,
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
    dropped: u64,
}

impl Events for Hub {
    fn push(&self, words: Vec<u32>) {
        let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        for listener in listeners.values() {
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
            keep_strings(&oldest, &mut self.strings);
        }
    }
    /// What is to be sent now: entries of dropped batches first.
    fn take(&mut self) -> (Vec<Vec<u32>>, u64) {
        let mut batches = Vec::new();
        if !self.strings.is_empty() {
            batches.push(std::mem::take(&mut self.strings));
        }
        batches.extend(self.batches.drain(..));
        self.words = 0;
        (batches, std::mem::take(&mut self.dropped))
    }
}

/// Copies the string-table entries among records.
fn keep_strings(words: &[u32], strings: &mut Vec<u32>) {
    let mut rest = words;
    while let Some(head) = rest.first() {
        let length = (head >> 16) as usize;
        if length < 4 || length > rest.len() {
            return;
        }
        let (record, tail) = rest.split_at(length);
        let is_string = Kind::from_number(*head as u16) == Some(Kind::String);
        if is_string && strings.len() + length <= STRING_WORDS_MAX {
            strings.extend_from_slice(record);
        }
        rest = tail;
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
        let mut listeners = admin.hub.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        if listeners.len() >= LISTENER_COUNT_MAX {
            return None;
        }
        let number = listeners.last_key_value().map_or(0, |(number, _)| number + 1);
        listeners.insert(number, listener.clone());
        admin.shared.set_listened_to(true);
        drop(listeners);
        Some(Listening { admin, number, listener })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut listeners = self.admin.hub.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.remove(&self.number);
        if listeners.is_empty() {
            self.admin.shared.set_listened_to(false);
        }
    }
}

/// `GET /events`: a WebSocket. First one text message with a snapshot, then binary messages of records, packed u32
/// words in little-endian; a text message `{"dropped": n}` says that n batches were left out.
pub async fn events(State(admin): State<Admin>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(move |socket| async move {
        // A listener that goes is no error.
        let _ = stream(admin, socket).await;
    })
}

async fn stream(admin: Admin, mut socket: WebSocket) -> Result<(), axum::Error> {
    let Some(listening) = Listening::begin(admin) else {
        return socket.send(Message::Text(r#"{"error":"too many listeners"}"#.into())).await;
    };
    let snapshot = super::status::snapshot(&listening.admin).await;
    socket.send(Message::Text(snapshot.to_string().into())).await?;
    loop {
        tokio::select! {
            _ = listening.listener.notify.notified() => {}
            heard = socket.recv() => match heard {
                Some(Ok(Message::Close(_))) | None => return Ok(()),
                Some(Err(error)) => return Err(error),
                Some(Ok(_)) => continue,
            },
        }
        let (batches, dropped) = {
            let mut queue = listening.listener.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.take()
        };
        if dropped > 0 {
            socket.send(Message::Text(format!(r#"{{"dropped":{dropped}}}"#).into())).await?;
        }
        for batch in batches {
            let bytes: Vec<u8> = batch.iter().flat_map(|word| word.to_le_bytes()).collect();
            socket.send(Message::Binary(Bytes::from(bytes))).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvorum_core::base::Micros;
    use kvorum_core::base::trace::{Trace, records};

    #[test]
    fn a_slow_listener_loses_whole_batches_and_no_string() {
        let mut queue = Queue::default();
        let mut trace = Trace::new(0, true);
        trace.string(Micros(1), b"first");
        trace.emit(Micros(1), Kind::LogAppended, &[1, 2]);
        queue.push(trace.take());
        trace.string(Micros(2), b"last");
        for _ in 0..QUEUE_WORDS_MAX / 6 {
            trace.emit(Micros(2), Kind::LogAppended, &[1, 2]);
        }
        queue.push(trace.take());
        let (batches, dropped) = queue.take();
        assert!(dropped >= 1);
        let all = batches.concat();
        let strings = records(&all).filter(|record| record.kind == Kind::String).count();
        assert_eq!(strings, 2);
        assert!(queue.take().0.is_empty());
    }
}
