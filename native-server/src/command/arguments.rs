use crate::resp::Args;
use kvorum_core::data::Expiry;
use std::borrow::Cow;

/// Why a command is not run: the code and message of its error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The word before the message.
    pub code: &'static str,
    /// The message.
    pub message: Cow<'static, str>,
}

/// An `ERR` of this message.
pub fn wrong(message: impl Into<Cow<'static, str>>) -> Wrong {
    Wrong { code: "ERR", message: message.into() }
}
/// What Redis says to options that do not fit.
pub fn syntax() -> Wrong {
    wrong("syntax error")
}
/// What Redis says to a number that is none.
pub fn not_an_integer() -> Wrong {
    wrong("value is not an integer or out of range")
}

/// A signed decimal number that fills `bytes`, written in the one way that Redis takes: no plus, no blanks, no zeros in
/// front, no minus before zero.
pub fn integer(bytes: &[u8]) -> Result<i64, Wrong> {
    let is_plain = matches!(bytes, [b'0'] | [b'1'..=b'9', ..] | [b'-', b'1'..=b'9', ..]);
    let text = std::str::from_utf8(bytes).ok().filter(|_| is_plain);
    text.and_then(|text| text.parse().ok()).ok_or_else(not_an_integer)
}

/// Whether an argument is this word in any case.
pub fn is(argument: &[u8], word: &str) -> bool {
    argument.eq_ignore_ascii_case(word.as_bytes())
}

/// A span or a time of a client, as it is named in options and commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// `EX`, `EXPIRE`.
    InSeconds,
    /// `PX`, `PEXPIRE`.
    InMillis,
    /// `EXAT`, `EXPIREAT`.
    AtSeconds,
    /// `PXAT`, `PEXPIREAT`.
    AtMillis,
}

impl Deadline {
    /// The option of that name.
    pub fn of_option(word: &[u8]) -> Option<Deadline> {
        let options = [
            ("ex", Deadline::InSeconds),
            ("px", Deadline::InMillis),
            ("exat", Deadline::AtSeconds),
            ("pxat", Deadline::AtMillis),
        ];
        options.into_iter().find(|(name, _)| is(word, name)).map(|(_, deadline)| deadline)
    }
    /// The Unix millisecond that `number` means at `now_ms`; `None` when it does not fit. May lie in the past.
    pub fn at_ms(self, number: i64, now_ms: u64) -> Option<u64> {
        let millis = match self {
            Deadline::InSeconds | Deadline::AtSeconds => number.checked_mul(1_000)?,
            Deadline::InMillis | Deadline::AtMillis => number,
        };
        let at = match self {
            Deadline::InSeconds | Deadline::InMillis => i64::try_from(now_ms).ok()?.checked_add(millis)?,
            Deadline::AtSeconds | Deadline::AtMillis => millis,
        };
        Some(at.max(0) as u64)
    }
    /// The expiry of a write, which must lie ahead in its own terms: zero and less are refused as in Redis.
    pub fn of_write(self, argument: &[u8], now_ms: u64, command: &str) -> Result<Expiry, Wrong> {
        let number = integer(argument)?;
        let at = self.at_ms(number, now_ms).filter(|_| number > 0);
        let at = at.ok_or_else(|| wrong(format!("invalid expire time in '{command}' command")))?;
        Ok(Expiry::At(at))
    }
}

/// The end of a value that is to live for so many milliseconds.
pub fn ttl(ttl_ms: i64, now_ms: u64) -> Result<Expiry, Wrong> {
    let at = Deadline::InMillis.at_ms(ttl_ms, now_ms).filter(|_| ttl_ms > 0);
    let why = "TTL is a number of milliseconds above 0, and its end must fit into a signed 64-bit number";
    at.map(Expiry::At).ok_or_else(|| wrong(why))
}

/// A byte string as lower-case hexadecimal digits: contexts survive a terminal that way.
pub fn to_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// What [`to_hex`] made; `None` for anything else.
pub fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    pairs.iter().map(|[high, low]| Some((digit(*high)? << 4 | digit(*low)?) as u8)).collect()
}

/// The arguments as Redis repeats them behind an unknown command: at most about 128 bytes.
pub fn quoted_beginning(args: Args<'_>) -> String {
    let mut text = String::new();
    for argument in args.iter() {
        if text.len() >= 128 {
            break;
        }
        let kept = &argument[..argument.len().min(128 - text.len())];
        text.push('\'');
        text.push_str(&String::from_utf8_lossy(kept));
        text.push_str("' ");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_reads_back_and_anything_else_is_refused() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(from_hex(to_hex(&bytes).as_bytes()), Some(bytes));
        assert_eq!(from_hex(b"abc"), None);
        assert_eq!(from_hex(b"zz"), None);
    }

    #[test]
    fn times_that_do_not_fit_are_refused() {
        assert_eq!(Deadline::InSeconds.at_ms(i64::MAX, 0), None);
        assert_eq!(Deadline::InSeconds.at_ms(2, 1_000), Some(3_000));
        assert_eq!(Deadline::AtMillis.at_ms(-5, 1_000), Some(0));
        assert!(Deadline::InMillis.of_write(b"0", 5, "set").is_err());
        assert_eq!(Deadline::InMillis.of_write(b"1", 5, "set"), Ok(Expiry::At(6)));
        assert!(ttl(0, 5).is_err() && ttl(-1, 5).is_err() && ttl(i64::MAX, 5).is_err());
        assert_eq!(ttl(1, 5), Ok(Expiry::At(6)));
    }

    #[test]
    fn integers_are_as_strict_as_in_redis() {
        for (text, number) in [
            ("0", 0),
            ("7", 7),
            ("-7", -7),
            ("100", 100),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(integer(text.as_bytes()), Ok(number), "{text}");
        }
        for text in [
            "",
            "-",
            "+5",
            "-0",
            "00",
            "05",
            "-05",
            " 5",
            "5 ",
            "5.0",
            "1e3",
            "0x10",
            "5\0",
            "9223372036854775808",
        ] {
            assert_eq!(integer(text.as_bytes()), Err(not_an_integer()), "{text:?}");
        }
        assert_eq!(integer(b"\xff"), Err(not_an_integer()));
    }
}
