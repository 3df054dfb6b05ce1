use kvorum_core::data::{Op, Reply, RequestId};
use mio::Waker;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Requests from outside the data threads, answered together.
pub struct Calls {
    /// What is asked.
    pub ops: Vec<Op>,
    /// Takes the replies, in the order of `ops`. Called on the data thread: it must not block.
    pub done: Box<dyn FnOnce(Vec<Reply>) + Send>,
}

/// What other threads want of a data thread.
pub enum Mail {
    /// Replies to its requests, from a thread that drove another shard.
    Replies(Vec<(RequestId, Reply)>),
    /// A client has come.
    Client(TcpStream, SocketAddr),
    /// A peer has come.
    Peer(TcpStream, SocketAddr),
    /// Close the connection of the client of this id.
    Kill(u64),
    /// Requests of the admin port.
    Calls(Calls),
    /// For the control plane (thread 0 only).
    Control(kvorum_core::control::Input),
    /// Somebody wants a picture of the control plane (thread 0 only).
    ControlSnapshot(Box<dyn FnOnce(kvorum_core::control::Snapshot) + Send>),
    /// A peer's host name has an address now, or none.
    Resolved(String, Option<SocketAddr>),
}

/// Where a data thread gets its mail, and what wakes it.
pub struct Mailbox {
    mails: Mutex<Vec<Mail>>,
    waker: Waker,
    is_notified: AtomicBool,
}

impl Mailbox {
    /// An empty one.
    pub fn new(waker: Waker) -> Mailbox {
        Mailbox { mails: Mutex::new(Vec::new()), waker, is_notified: AtomicBool::new(false) }
    }
    /// Leaves something and wakes the thread.
    pub fn send(&self, mail: Mail) {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).push(mail);
        self.notify();
    }
    /// Wakes the thread, unless somebody has since it last looked.
    pub fn notify(&self) {
        if !self.is_notified.swap(true, Ordering::SeqCst)
            && let Err(error) = self.waker.wake()
        {
            tracing::error!("a data thread cannot be woken: {error}");
        }
    }
    /// Takes everything, into `mails`. Whoever sends from now on wakes the thread again.
    pub fn take(&self, mails: &mut Vec<Mail>) {
        if self.is_notified.swap(false, Ordering::SeqCst) {
            mails.append(&mut self.mails.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}
