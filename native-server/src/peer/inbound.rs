use super::Sender;
use super::greeting::{Greeting, sender};
use kvorum_core::base::MemberId;
use kvorum_core::message::{Frame, Hello, PeerMessage, split_frame};
use kvorum_core::ring::View;
use mio::net::TcpStream;
use std::io::{ErrorKind, Read, Write};

/// Bytes read from one peer in one turn; the rest waits for the next.
const TURN_BYTES: usize = 1 << 20;

/// A peer that connected to this node: it speaks, this node only answers its hello.
pub struct Inbound {
    /// The socket.
    pub stream: TcpStream,
    /// For the log.
    pub address: String,
    input: Vec<u8>,
    hello: Option<Hello>,
    sender: Sender,
    judged_at: u64,
    /// The socket may have more.
    pub is_readable: bool,
}

/// One message of a peer.
pub struct Received {
    /// Who sent it; `None` for somebody who is no member as far as this node knows.
    pub from: Option<MemberId>,
    /// Its id, shared with its `Sent` event.
    pub id: u64,
    /// Its size in bytes.
    pub bytes: usize,
    /// What it says.
    pub message: PeerMessage,
}

impl Inbound {
    /// A peer that has just connected.
    pub fn new(stream: TcpStream, address: String) -> Inbound {
        Inbound {
            stream,
            address,
            input: Vec::new(),
            hello: None,
            sender: Sender::Stranger,
            judged_at: 0,
            is_readable: true,
        }
    }
    /// Its name, once it has said it.
    pub fn name(&self) -> &str {
        self.hello.as_ref().map_or("?", |hello| &hello.name)
    }
    /// Reads what is there and hands on whole messages. `Err` says why the connection is to be closed; an empty reason
    /// is a peer that went.
    pub fn read(
        &mut self,
        me: &Greeting,
        (view, view_version): (Option<&View>, u64),
        scratch: &mut [u8],
        mut take: impl FnMut(Received),
    ) -> Result<(), String> {
        let mut budget = TURN_BYTES;
        while self.is_readable && budget > 0 {
            match self.stream.read(scratch) {
                Ok(0) => return Err(String::new()),
                Ok(count) => {
                    self.is_readable = count == scratch.len();
                    budget = budget.saturating_sub(count);
                    if self.input.is_empty() {
                        let used = self.frames(&scratch[..count], me, (view, view_version), &mut take)?;
                        self.input.extend_from_slice(&scratch[used..count]);
                    } else {
                        self.input.extend_from_slice(&scratch[..count]);
                        let input = std::mem::take(&mut self.input);
                        let used = self.frames(&input, me, (view, view_version), &mut take)?;
                        self.input = input;
                        self.input.drain(..used);
                        if self.input.is_empty() && self.input.capacity() > TURN_BYTES {
                            self.input = Vec::new();
                        }
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }
    fn frames(
        &mut self,
        bytes: &[u8],
        me: &Greeting,
        (view, view_version): (Option<&View>, u64),
        take: &mut impl FnMut(Received),
    ) -> Result<usize, String> {
        let mut at = 0;
        while let Some((frame, used)) = split_frame(&bytes[at..]).map_err(|error| error.to_string())? {
            at += used;
            let Some(hello) = &self.hello else {
                let hello =
                    Hello::decode(frame.payload).map_err(|_| "it does not speak Kvorum".to_owned())?;
                self.greet(me, view);
                self.sender = me.judge(&hello, view)?;
                self.judged_at = view_version;
                self.hello = Some(hello);
                continue;
            };
            if self.judged_at != view_version {
                self.judged_at = view_version;
                self.sender = view.map_or(Sender::Stranger, |view| sender(hello, view));
            }
            let message = PeerMessage::decode(frame.payload).map_err(|error| error.to_string())?;
            let from = match self.sender {
                Sender::Member(member) => Some(member),
                Sender::Stranger => None,
            };
            take(Received { from, id: frame.message_id, bytes: used, message });
        }
        Ok(at)
    }
    /// The answer fits any socket buffer, so one write does; a peer that is gone will not miss it.
    fn greet(&mut self, me: &Greeting, view: Option<&View>) {
        let mut bytes = Vec::new();
        Frame::encode(&mut bytes, 0, |bytes| me.hello(view).encode(bytes));
        let _ = self.stream.write_all(&bytes);
    }
}
