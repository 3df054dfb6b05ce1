use super::greeting::Greeting;
use kvorum_core::base::{MemberId, Micros};
use kvorum_core::message::{Frame, Hello, PeerMessage, split_frame};
use kvorum_core::ring::{Member, View};
use mio::net::TcpStream;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;

/// Bytes of messages that wait for a peer; more are dropped, as if the network had lost them.
const QUEUE_BYTES_MAX: usize = 8 << 20;
/// While there is no connection less is kept: most of it is stale when there is one.
const QUEUE_BYTES_UNCONNECTED: usize = 256 << 10;
/// First pause before connecting again.
const RETRY_MIN: Micros = Micros::from_millis(20);
/// Longest pause before connecting again.
const RETRY_MAX: Micros = Micros::from_millis(500);
/// A connection that takes no bytes for so long is given up.
const STUCK_MAX: Micros = Micros::from_secs(5);
/// A connection that is not made in this time is given up.
const CONNECT_MAX: Micros = Micros::from_secs(1);
/// An output buffer above this is given back once it is empty.
const KEPT_BYTES: usize = 256 << 10;

/// Of another server, or of another port of a node.
const NO_HELLO: &str = "what answers there does not speak Kvorum";

/// A system's error without its number.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or_default();
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

enum State {
    /// Not connected; to be tried again then.
    Idle { retry_at: Micros },
    /// Its host name is being looked up.
    Resolving,
    /// Connecting, or connected and waiting for its hello.
    Greeting { stream: TcpStream, since: Micros, is_connected: bool },
    /// Working.
    Up { stream: TcpStream },
}

/// An outgoing connection to one peer address.
pub struct Link {
    /// host:port.
    pub address: String,
    /// Who should answer there.
    pub expected: Option<MemberId>,
    /// Last used for an address that no member has; such links end when idle.
    pub used_at: Micros,
    /// Listed for writing at the end of the turn.
    pub is_dirty: bool,
    state: State,
    pause: Micros,
    out: Vec<u8>,
    out_at: usize,
    input: Vec<u8>,
    progress_at: Micros,
    /// Said last, so that a refusal is logged once.
    complaint: String,
    /// Why the last attempt failed; empty while it is up.
    problem: String,
    /// Who answered, while it is up.
    hello: Option<Hello>,
    /// Whether that is the expected member: if not, what is for a member is not for who answers there.
    is_expected: bool,
}

/// What changed about a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// It works now.
    Up,
    /// It broke, or was refused.
    Down,
}

impl Link {
    /// A link to be connected at once.
    pub fn new(address: String, now: Micros) -> Link {
        Link {
            address,
            expected: None,
            used_at: now,
            is_dirty: false,
            state: State::Idle { retry_at: now },
            pause: RETRY_MIN,
            out: Vec::new(),
            out_at: 0,
            input: Vec::new(),
            progress_at: now,
            complaint: String::new(),
            problem: String::new(),
            hello: None,
            is_expected: false,
        }
    }
    /// Whether messages flow.
    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. })
    }
    /// Why there is no connection; `None` if there is one, or none was tried yet.
    pub fn problem(&self) -> Option<&str> {
        Some(self.problem.as_str()).filter(|problem| !problem.is_empty())
    }
    /// Whether the member that should answer there does.
    pub fn is_to_member(&self) -> bool {
        self.is_expected && self.is_up()
    }
    /// The expected member is this one now, as the topology names it: judges again who answers there. A node that does
    /// not know yet that it is a member is one all the same; one that lost its store is not.
    pub fn expect(&mut self, member: Option<&Member>) -> Change {
        let was = self.is_to_member();
        self.expected = member.map(|member| member.id);
        self.is_expected = match (&self.hello, member) {
            (Some(hello), Some(member)) => hello.store == member.store && hello.name == member.name,
            _ => false,
        };
        match (was, self.is_to_member()) {
            (false, true) => Change::Up,
            (true, false) => Change::Down,
            _ => Change::None,
        }
    }
    /// Queues a message; false when there is no room.
    pub fn push(&mut self, now: Micros, id: u64, message: &PeerMessage) -> bool {
        let queued = self.out.len() - self.out_at;
        let limit = if self.is_up() { QUEUE_BYTES_MAX } else { QUEUE_BYTES_UNCONNECTED };
        if queued > limit {
            return false;
        }
        if queued == 0 {
            self.progress_at = now;
        }
        Frame::encode(&mut self.out, id, |bytes| message.encode(bytes));
        true
    }
    /// When to call [`Link::wake`].
    pub fn wake_at(&self) -> Option<Micros> {
        match &self.state {
            State::Idle { retry_at } => Some(*retry_at),
            State::Resolving => None,
            State::Greeting { since, .. } => Some(*since + CONNECT_MAX),
            State::Up { .. } if self.out_at < self.out.len() => Some(self.progress_at + STUCK_MAX),
            State::Up { .. } => None,
        }
    }
    /// Whether it is time to connect; the caller then resolves the address and calls [`Link::connect`].
    pub fn is_due(&self, now: Micros) -> bool {
        matches!(&self.state, State::Idle { retry_at } if *retry_at <= now)
    }
    /// Its host name is being looked up elsewhere.
    pub fn set_resolving(&mut self) {
        self.state = State::Resolving;
    }
    /// Begins to connect.
    pub fn connect(&mut self, now: Micros, address: Option<SocketAddr>) -> Option<&mut TcpStream> {
        let Some(address) = address else {
            // Looked up again and again, so it is named once.
            self.complain("its name cannot be looked up");
            self.fail(now, "its name cannot be looked up");
            return None;
        };
        let stream = match TcpStream::connect(address) {
            Ok(stream) => stream,
            Err(error) => {
                self.fail(now, &plain(&error));
                return None;
            }
        };
        let _ = stream.set_nodelay(true);
        self.state = State::Greeting { stream, since: now, is_connected: false };
        match &mut self.state {
            State::Greeting { stream, .. } => Some(stream),
            _ => None,
        }
    }
    /// Time passed: gives up what takes too long.
    pub fn wake(&mut self, now: Micros) -> Change {
        match &self.state {
            State::Greeting { since, is_connected: false, .. } if *since + CONNECT_MAX <= now => {
                self.fail(now, "no connection within a second")
            }
            State::Greeting { since, .. } if *since + CONNECT_MAX <= now => self.fail(now, NO_HELLO),
            State::Up { .. } if self.out_at < self.out.len() && self.progress_at + STUCK_MAX <= now => {
                self.fail(now, "it takes no bytes")
            }
            _ => Change::None,
        }
    }
    fn complain(&mut self, why: &str) {
        if self.complaint != why {
            tracing::warn!("peer {}: {why}", self.address);
            self.complaint = why.to_owned();
        }
    }
    fn fail(&mut self, now: Micros, why: &str) -> Change {
        self.problem.clear();
        self.problem.push_str(why);
        self.state = State::Idle { retry_at: now + self.pause };
        self.pause = Micros((self.pause.0 * 2).min(RETRY_MAX.0));
        self.input.clear();
        self.hello = None;
        self.is_expected = false;
        // Half a frame may have gone out: what is queued starts again at nothing.
        self.out.clear();
        self.out_at = 0;
        Change::Down
    }
    /// The socket said something.
    pub fn ready(&mut self, now: Micros, me: &Greeting, view: Option<&View>, scratch: &mut [u8]) -> Change {
        if let State::Greeting { stream, is_connected: is_connected @ false, .. } = &mut self.state {
            if let Ok(Some(error)) | Err(error) = stream.take_error() {
                return self.fail(now, &plain(&error));
            }
            match stream.peer_addr() {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotConnected => return Change::None,
                Err(error) => return self.fail(now, &plain(&error)),
            }
            *is_connected = true;
            let mut bytes = Vec::new();
            Frame::encode(&mut bytes, 0, |bytes| me.hello(view).encode(bytes));
            // A new socket takes this much at once.
            if stream.write_all(&bytes).is_err() {
                return self.fail(now, "it takes no bytes");
            }
        }
        let change = self.read(now, me, view, scratch);
        if change == Change::Down { change } else { self.flush(now).max_with(change) }
    }
    /// After its hello a peer has nothing to say here but that it goes.
    fn read(&mut self, now: Micros, me: &Greeting, view: Option<&View>, scratch: &mut [u8]) -> Change {
        loop {
            let stream = match &mut self.state {
                State::Greeting { stream, .. } | State::Up { stream } => stream,
                _ => return Change::None,
            };
            match stream.read(scratch) {
                Ok(0) if self.is_up() => return self.fail(now, "it closed the connection"),
                Ok(0) => return self.fail(now, NO_HELLO),
                Ok(count) if !self.is_up() => {
                    self.input.extend_from_slice(&scratch[..count]);
                    let hello = match split_frame(&self.input) {
                        Ok(None) if self.input.len() < 64 << 10 => continue,
                        Ok(Some((frame, _))) => Hello::decode(frame.payload).ok(),
                        _ => None,
                    };
                    return self.greeted(now, hello, me, view);
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Change::None,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.fail(now, &plain(&error)),
            }
        }
    }
    fn greeted(&mut self, now: Micros, hello: Option<Hello>, me: &Greeting, view: Option<&View>) -> Change {
        let judged = match &hello {
            None => Err(NO_HELLO.to_owned()),
            Some(hello) => me.judge(hello, view),
        };
        self.input = Vec::new();
        if let Err(why) = judged {
            self.complain(&why);
            self.pause = RETRY_MAX;
            return self.fail(now, &why);
        }
        self.complaint.clear();
        self.problem.clear();
        let state = std::mem::replace(&mut self.state, State::Resolving);
        if let State::Greeting { stream, .. } = state {
            self.state = State::Up { stream };
        }
        self.pause = RETRY_MIN;
        self.progress_at = now;
        self.hello = hello;
        let member = self.expected.and_then(|expected| view?.topology.member(expected));
        self.is_expected = false;
        match self.expect(member) {
            Change::Up => Change::Up,
            // Whoever answers may be written to by address.
            _ => Change::None,
        }
    }
    /// Writes what the socket takes.
    pub fn flush(&mut self, now: Micros) -> Change {
        let State::Up { stream } = &mut self.state else { return Change::None };
        while self.out_at < self.out.len() {
            match stream.write(&self.out[self.out_at..]) {
                Ok(0) => return self.fail(now, "it takes no bytes"),
                Ok(count) => {
                    self.out_at += count;
                    self.progress_at = now;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if self.out_at > QUEUE_BYTES_MAX / 2 {
                        self.out.drain(..self.out_at);
                        self.out_at = 0;
                    }
                    return Change::None;
                }
                Err(error) => return self.fail(now, &plain(&error)),
            }
        }
        self.out_at = 0;
        self.out.clear();
        if self.out.capacity() > KEPT_BYTES {
            self.out = Vec::new();
        }
        Change::None
    }
    /// The socket, to be deregistered.
    pub fn stream(&mut self) -> Option<&mut TcpStream> {
        match &mut self.state {
            State::Greeting { stream, .. } | State::Up { stream } => Some(stream),
            _ => None,
        }
    }
}

impl Change {
    fn max_with(self, earlier: Change) -> Change {
        if self == Change::None { earlier } else { self }
    }
}
