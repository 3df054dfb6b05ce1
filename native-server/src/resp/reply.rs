/// Which version a connection speaks; [`Protocol::V2`] until `HELLO 3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// RESP2.
    #[default]
    V2,
    /// RESP3.
    V3,
}

/// Appends answers to a connection's output.
pub struct Replies<'a> {
    out: &'a mut Vec<u8>,
    protocol: Protocol,
}

impl<'a> Replies<'a> {
    /// Answers in `protocol`, appended to `out`.
    pub fn new(out: &'a mut Vec<u8>, protocol: Protocol) -> Replies<'a> {
        Replies { out, protocol }
    }
    /// The version spoken.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }
    /// From now on answers are in this version (`HELLO`).
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }
    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }
    /// A simple string: no CR or LF in it.
    pub fn simple(&mut self, text: &str) {
        self.out.push(b'+');
        self.line(text);
    }
    /// An error: its code and its message, CR and LF taken out.
    pub fn error(&mut self, code: &str, message: &str) {
        self.out.push(b'-');
        self.out.extend_from_slice(code.as_bytes());
        self.out.push(b' ');
        self.line(message);
    }
    fn line(&mut self, text: &str) {
        let clean = text.bytes().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte });
        self.out.extend(clean);
        self.out.extend_from_slice(b"\r\n");
    }
    /// A number.
    #[inline]
    pub fn integer(&mut self, value: i64) {
        self.out.push(b':');
        if value < 0 {
            self.out.push(b'-');
        }
        push_decimal(self.out, value.unsigned_abs());
        self.out.extend_from_slice(b"\r\n");
    }
    /// Bytes.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.out.reserve(bytes.len() + 16);
        self.header(b'$', bytes.len());
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(b"\r\n");
    }
    /// Nothing.
    #[inline]
    pub fn null(&mut self) {
        self.out.extend_from_slice(match self.protocol {
            Protocol::V2 => b"$-1\r\n".as_slice(),
            Protocol::V3 => b"_\r\n".as_slice(),
        });
    }
    /// The head of an array of `count` items, which the caller appends.
    pub fn array(&mut self, count: usize) {
        self.header(b'*', count);
    }
    /// The head of a map of `count` pairs, which the caller appends; in version 2 an array.
    pub fn map(&mut self, count: usize) {
        match self.protocol {
            Protocol::V2 => self.header(b'*', count * 2),
            Protocol::V3 => self.header(b'%', count),
        }
    }
    /// The head of a set of `count` items; in version 2 an array.
    pub fn set(&mut self, count: usize) {
        match self.protocol {
            Protocol::V2 => self.header(b'*', count),
            Protocol::V3 => self.header(b'~', count),
        }
    }
    /// Text for people; in version 2 bytes.
    pub fn verbatim(&mut self, text: &str) {
        match self.protocol {
            Protocol::V2 => self.bulk(text.as_bytes()),
            Protocol::V3 => {
                self.header(b'=', text.len() + 4);
                self.out.extend_from_slice(b"txt:");
                self.out.extend_from_slice(text.as_bytes());
                self.out.extend_from_slice(b"\r\n");
            }
        }
    }
    #[inline]
    fn header(&mut self, kind: u8, count: usize) {
        self.out.push(kind);
        push_decimal(self.out, count as u64);
        self.out.extend_from_slice(b"\r\n");
    }
}

#[inline]
fn push_decimal(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(protocol: Protocol, say: impl FnOnce(&mut Replies<'_>)) -> String {
        let mut out = Vec::new();
        say(&mut Replies::new(&mut out, protocol));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn both_versions_say_what_the_protocol_documents() {
        let say = |r: &mut Replies<'_>| {
            r.map(1);
            r.bulk(b"k");
            r.null();
            r.integer(i64::MIN);
            r.set(0);
            r.error("ERR", "two\r\nlines");
            r.verbatim("x");
        };
        assert_eq!(
            said(Protocol::V2, say),
            "*2\r\n$1\r\nk\r\n$-1\r\n:-9223372036854775808\r\n*0\r\n-ERR two  lines\r\n$1\r\nx\r\n"
        );
        assert_eq!(
            said(Protocol::V3, say),
            "%1\r\n$1\r\nk\r\n_\r\n:-9223372036854775808\r\n~0\r\n-ERR two  lines\r\n=5\r\ntxt:x\r\n"
        );
    }
}
