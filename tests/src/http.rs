//! As much HTTP and WebSocket as the tests need, so that they can also send what no library would.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// No answer takes longer.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// The head as it came.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, ANSWER_MAX)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    stream.set_write_timeout(Some(ANSWER_MAX))?;
    Ok(stream)
}

/// Sends a request with these headers and no others.
pub fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer> {
    let mut stream = connect(address)?;
    let mut head = format!("{method} {path} HTTP/1.0\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    stream.write_all(body)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let end = end_of_head(&bytes).ok_or_else(|| Error::from(ErrorKind::UnexpectedEof))?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    Ok(Answer { status: status_of(&head)?, head, body: bytes[end..].to_vec() })
}

/// `GET` with the address as `Host`.
pub fn get(address: SocketAddr, path: &str) -> Result<Answer> {
    request(address, "GET", path, &[("Host", &address.to_string())], &[])
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4)
}

fn status_of(head: &str) -> Result<u16> {
    let number = head.split(' ').nth(1).and_then(|number| number.parse().ok());
    number.ok_or_else(|| Error::new(ErrorKind::InvalidData, head.to_owned()))
}

/// A WebSocket message of the server.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// Anything else, by its opcode.
    Other(u8),
}

/// A WebSocket that only listens.
pub struct WebSocket {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl WebSocket {
    /// Upgrades a connection; `Err` carries the answer's head if it was refused.
    pub fn open(address: SocketAddr, path: &str, origin: Option<&str>) -> Result<WebSocket> {
        let mut stream = connect(address)?;
        let origin = origin.map_or_else(String::new, |origin| format!("Origin: {origin}\r\n"));
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\n{origin}Connection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        let mut socket = WebSocket { stream, buffer: Vec::new() };
        loop {
            if let Some(end) = end_of_head(&socket.buffer) {
                let head = String::from_utf8_lossy(&socket.buffer[..end]).into_owned();
                if status_of(&head)? != 101 {
                    return Err(Error::new(ErrorKind::ConnectionRefused, head));
                }
                socket.buffer.drain(..end);
                return Ok(socket);
            }
            socket.fill()?;
        }
    }
    fn fill(&mut self) -> Result<()> {
        let mut chunk = [0; 64 << 10];
        match self.stream.read(&mut chunk)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            count => {
                self.buffer.extend_from_slice(&chunk[..count]);
                Ok(())
            }
        }
    }
    fn take(&mut self, count: usize) -> Result<Vec<u8>> {
        while self.buffer.len() < count {
            self.fill()?;
        }
        Ok(self.buffer.drain(..count).collect())
    }
    /// The next message. The server sends whole, unmasked frames.
    pub fn receive(&mut self) -> Result<Message> {
        let head = self.take(2)?;
        let length = match head[1] & 0x7f {
            126 => self.take(2)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
            127 => self.take(8)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
            length => usize::from(length),
        };
        let payload = self.take(length)?;
        Ok(match head[0] & 0x0f {
            1 => Message::Text(String::from_utf8_lossy(&payload).into_owned()),
            2 => Message::Binary(payload),
            other => Message::Other(other),
        })
    }
}
