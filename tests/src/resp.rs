//! A small RESP client: pipelining, timeouts, and raw bytes for what no client library would send.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// `+OK`.
    Simple(String),
    /// `-ERR …`.
    Error(String),
    /// `:1`.
    Integer(i64),
    /// `$3`.
    Bulk(Vec<u8>),
    /// Nothing there.
    Null,
    /// `*2`; a map of RESP3 as its keys and values in turn.
    Array(Vec<Reply>),
}

impl Reply {
    /// `+OK`.
    pub fn ok() -> Reply {
        Reply::Simple("OK".into())
    }
    /// A bulk of this text.
    pub fn bulk(text: &str) -> Reply {
        Reply::Bulk(text.as_bytes().to_vec())
    }
    /// The text of an error, else the empty text.
    pub fn error(&self) -> &str {
        if let Reply::Error(text) = self { text } else { "" }
    }
    /// The text of a bulk or simple string.
    pub fn text(&self) -> Option<String> {
        match self {
            Reply::Bulk(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Reply::Simple(text) => Some(text.clone()),
            _ => None,
        }
    }
    /// The elements of an array, else none.
    pub fn items(&self) -> &[Reply] {
        if let Reply::Array(items) = self { items } else { &[] }
    }
    /// What a map says under a name.
    pub fn field(&self, name: &str) -> Option<&Reply> {
        let pairs = self.items().chunks_exact(2);
        pairs.into_iter().find(|pair| pair[0].text().as_deref() == Some(name)).map(|pair| &pair[1])
    }
    /// The number of an integer.
    pub fn integer(&self) -> Option<i64> {
        if let Reply::Integer(number) = self { Some(*number) } else { None }
    }
}

/// One connection.
pub struct Client {
    stream: TcpStream,
    input: Vec<u8>,
    at: usize,
    out: Vec<u8>,
}

impl Client {
    /// Connects; no reply may take longer than `patience`.
    pub fn connect(address: SocketAddr, patience: Duration) -> Result<Client> {
        let stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Client { stream, input: Vec::new(), at: 0, out: Vec::new() })
    }
    /// The socket, for those who want to be rude.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }
    /// Adds a command to what [`Client::flush`] sends.
    pub fn push(&mut self, args: &[&[u8]]) {
        // Into a Vec: cannot fail.
        let _ = write!(self.out, "*{}\r\n", args.len());
        for arg in args {
            let _ = write!(self.out, "${}\r\n", arg.len());
            self.out.extend_from_slice(arg);
            self.out.extend_from_slice(b"\r\n");
        }
    }
    /// Sends what was pushed.
    pub fn flush(&mut self) -> Result<()> {
        let sent = self.stream.write_all(&self.out);
        self.out.clear();
        sent
    }
    /// Sends bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes)
    }
    /// The next reply.
    pub fn receive(&mut self) -> Result<Reply> {
        let line = self.line()?;
        let (kind, rest) = line.split_at(1.min(line.len()));
        let number = || rest.parse::<i64>().map_err(|_| Error::new(ErrorKind::InvalidData, line.clone()));
        Ok(match kind {
            "+" => Reply::Simple(rest.into()),
            "-" => Reply::Error(rest.into()),
            ":" => Reply::Integer(number()?),
            "_" => Reply::Null,
            "$" => match usize::try_from(number()?) {
                Err(_) => Reply::Null,
                Ok(length) => {
                    let mut bytes = self.take(length + 2)?;
                    bytes.truncate(length);
                    Reply::Bulk(bytes)
                }
            },
            "*" | "%" => match usize::try_from(number()?) {
                Err(_) => Reply::Null,
                Ok(count) => {
                    let count = if kind == "%" { count * 2 } else { count };
                    Reply::Array((0..count).map(|_| self.receive()).collect::<Result<_>>()?)
                }
            },
            _ => return Err(Error::new(ErrorKind::InvalidData, line)),
        })
    }
    /// Sends one command and waits for its reply.
    pub fn ask(&mut self, args: &[&str]) -> Result<Reply> {
        self.ask_bytes(&args.iter().map(|arg| arg.as_bytes()).collect::<Vec<_>>())
    }
    /// [`Client::ask`] for arguments that are no text.
    pub fn ask_bytes(&mut self, args: &[&[u8]]) -> Result<Reply> {
        self.push(args);
        self.flush()?;
        self.receive()
    }
    /// Whether the server has closed the connection, after whatever it still says.
    pub fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).is_ok()
    }
    fn fill(&mut self) -> Result<()> {
        if self.at > 64 << 10 {
            self.input.drain(..self.at);
            self.at = 0;
        }
        let mut chunk = [0; 64 << 10];
        match self.stream.read(&mut chunk)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            count => {
                self.input.extend_from_slice(&chunk[..count]);
                Ok(())
            }
        }
    }
    fn take(&mut self, count: usize) -> Result<Vec<u8>> {
        while self.input.len() - self.at < count {
            self.fill()?;
        }
        let bytes = self.input[self.at..self.at + count].to_vec();
        self.at += count;
        Ok(bytes)
    }
    fn line(&mut self) -> Result<String> {
        let mut looked_at = 0;
        loop {
            let rest = &self.input[self.at + looked_at..];
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line = self.take(looked_at + end + 1)?;
                // Only the end of the line: what Redis says may end in a blank.
                return Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned());
            }
            looked_at += rest.len();
            self.fill()?;
        }
    }
}
