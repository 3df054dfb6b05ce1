//! Bytes as one word of a script: printable ASCII as it is, all else as `%41`, nothing as `''`.

use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt::Write;

/// Writes bytes as a word.
pub(super) fn word_of(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return String::from("''");
    }
    let mut word = String::with_capacity(bytes.len());
    for byte in bytes {
        let is_plain = byte.is_ascii_graphic() && !matches!(byte, b'%' | b'#' | b'\'');
        if is_plain {
            word.push(char::from(*byte));
        } else {
            let _ = write!(word, "%{byte:02X}"); // Writing to a String cannot fail.
        }
    }
    word
}

/// Reads a word back; `None` for what no bytes are written as.
pub(super) fn bytes_of(word: &str) -> Option<Bytes> {
    if word == "''" {
        return Some(Bytes::new());
    }
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        match first {
            b'%' => {
                let (digits, tail) = tail.split_at_checked(2)?;
                let digits = core::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'))?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = tail;
            }
            b'\'' => return None,
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    Some(Bytes::from(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_back_as_they_were_written() {
        for bytes in [&b""[..], b"city:KR:Seoul", b"a b", b"%", b"#", b"''", b"\0\xff", "서울".as_bytes()] {
            let word = word_of(bytes);
            assert!(!word.contains([' ', '#']) && !word.is_empty(), "{word}");
            assert_eq!(bytes_of(&word).as_deref(), Some(bytes), "{word}");
        }
        assert_eq!(word_of(b"a b"), "a%20b");
    }

    #[test]
    fn what_is_no_word_is_refused() {
        for word in ["%", "%4", "%zz", "%+4", "a'b"] {
            assert_eq!(bytes_of(word), None, "{word}");
        }
    }
}
