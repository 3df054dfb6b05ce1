use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::resp::Protocol;

/// What `CLIENT REPLY` asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReplyMode {
    /// Every command is answered.
    #[default]
    On,
    /// None is.
    Off,
    /// The next one is not.
    SkipNext,
}

/// What other connections may know of a client.
#[derive(Debug)]
pub struct ClientInfo {
    /// Counts connections of the node from 1.
    pub id: u64,
    /// Its address.
    pub addr: SocketAddr,
    /// The address it reached.
    pub laddr: SocketAddr,
    /// The data thread that serves it.
    pub thread: usize,
    /// When it came.
    pub since: Instant,
    /// What it said of itself.
    names: Mutex<Names>,
}

#[derive(Debug, Clone, Default)]
struct Names {
    name: String,
    library: String,
    library_version: String,
    resp: u8,
}

impl ClientInfo {
    /// A client that has just come.
    pub fn new(id: u64, addr: SocketAddr, laddr: SocketAddr, thread: usize) -> ClientInfo {
        let names = Mutex::new(Names { resp: 2, ..Names::default() });
        ClientInfo { id, addr, laddr, thread, since: Instant::now(), names }
    }
    fn with<T>(&self, use_names: impl FnOnce(&mut Names) -> T) -> T {
        use_names(&mut self.names.lock().unwrap_or_else(PoisonError::into_inner))
    }
    /// The name it gave itself.
    pub fn name(&self) -> String {
        self.with(|names| names.name.clone())
    }
    /// Takes a name.
    pub fn set_name(&self, name: String) {
        self.with(|names| names.name = name);
    }
    /// Takes the name of its library.
    pub fn set_library(&self, library: String) {
        self.with(|names| names.library = library);
    }
    /// Takes the version of its library.
    pub fn set_library_version(&self, version: String) {
        self.with(|names| names.library_version = version);
    }
    /// Takes the protocol version it speaks.
    pub fn set_protocol(&self, protocol: Protocol) {
        self.with(|names| names.resp = if protocol == Protocol::V3 { 3 } else { 2 });
    }
    /// As `CLIENT LIST` shows it.
    pub fn line(&self) -> String {
        let Names { name, library, library_version, resp } = self.with(|names| names.clone());
        format!(
            "id={} addr={} laddr={} fd=0 name={name} age={} idle=0 flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 \
             watch=0 qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 obl=0 oll=0 omem=0 tot-mem=0 events=r cmd=NULL \
             user=default redir=-1 resp={resp} lib-name={library} lib-ver={library_version} tot-net-in=0 tot-net-out=0",
            self.id,
            self.addr,
            self.laddr,
            self.since.elapsed().as_secs(),
        )
    }
}

/// What a connection has said about itself and how it wants to be answered.
#[derive(Debug)]
pub struct Session {
    /// Shared with `CLIENT LIST`.
    pub info: Arc<ClientInfo>,
    /// The version it speaks.
    pub protocol: Protocol,
    /// Whether it wants answers.
    pub reply_mode: ReplyMode,
}

impl Session {
    /// A session that has just begun.
    pub fn new(info: Arc<ClientInfo>) -> Session {
        Session { info, protocol: Protocol::V2, reply_mode: ReplyMode::On }
    }
}
