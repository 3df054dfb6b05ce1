use std::fmt::Write;

/// What a client may send.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most arguments of a command.
    pub args_max: u32,
    /// Longest argument that is kept; a longer one is read past and answered by an error.
    pub bulk_bytes_max: u32,
    /// Longest command that is kept, all arguments together.
    pub command_bytes_max: u32,
    /// Longest inline command.
    pub inline_bytes_max: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            args_max: 1 << 20,
            bulk_bytes_max: 16 << 20,
            command_bytes_max: 64 << 20,
            inline_bytes_max: 64 << 10,
        }
    }
}

/// An argument announced longer than this is not even read past: the connection ends. As in Redis.
const BULK_BYTES_ABSURD: i64 = 512 << 20;
/// Longest `*12\r\n` or `$12\r\n` line; longer ones are no numbers.
const NUMBER_BYTES_MAX: usize = 32;

/// What the bytes so far amount to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Not yet a whole command. The first `consumed` bytes may be dropped (they belong to an oversized command).
    More {
        /// Bytes to drop.
        consumed: usize,
    },
    /// A command: ask [`Parser::args`], then drop its bytes.
    Command {
        /// Bytes to drop.
        consumed: usize,
    },
    /// Nothing was asked (an empty line).
    Nothing {
        /// Bytes to drop.
        consumed: usize,
    },
    /// A command too large to keep has been read past.
    Oversize {
        /// Bytes to drop.
        consumed: usize,
        /// Size of what was too large.
        bytes: u64,
        /// The limit that it broke.
        bytes_max: u64,
    },
    /// These bytes are not RESP: say this and close.
    Malformed(String),
}

/// The arguments of one command, as slices of the receive buffer.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    bytes: &'a [u8],
    ranges: &'a [(u32, u32)],
}

impl<'a> Args<'a> {
    /// How many, the command's name among them.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }
    /// Never true of a command that was parsed.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
    /// The argument at `index`; empty beyond the last.
    #[inline]
    pub fn get(&self, index: usize) -> &'a [u8] {
        match self.ranges.get(index) {
            Some((from, to)) => &self.bytes[*from as usize..*to as usize],
            None => &[],
        }
    }
    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (bytes, ranges) = (self.bytes, self.ranges);
        ranges.iter().map(move |(from, to)| &bytes[*from as usize..*to as usize])
    }
    /// Those from `index` on.
    pub fn from(&self, index: usize) -> Args<'a> {
        Args { bytes: self.bytes, ranges: self.ranges.get(index..).unwrap_or(&[]) }
    }
}

/// Where the parser of one connection stands. Offsets count from the first byte of the current command, which the
/// caller keeps at the start of what it passes to [`Parser::parse`].
#[derive(Debug, Default)]
pub struct Parser {
    position: usize,
    args_left: u32,
    /// Length of the argument whose bytes come next.
    bulk: Option<u32>,
    ranges: Vec<(u32, u32)>,
    /// Arguments of an inline command, unquoted; empty for an array.
    unquoted: Vec<u8>,
    /// Set while an oversized command is read past.
    skipping: Option<Skipping>,
}

#[derive(Debug, Clone, Copy)]
struct Skipping {
    bytes_left: u64,
    bytes: u64,
    bytes_max: u64,
}

enum Number {
    More,
    Is(i64, usize),
    NotOne,
}

impl Parser {
    /// The arguments of the command that [`Step::Command`] announced in `bytes`.
    #[inline]
    pub fn args<'a>(&'a self, bytes: &'a [u8]) -> Args<'a> {
        let bytes = if self.unquoted.is_empty() { bytes } else { &self.unquoted };
        Args { bytes, ranges: &self.ranges }
    }
    /// Looks for a whole command at the start of `bytes`, going on where it stopped.
    #[inline]
    pub fn parse(&mut self, bytes: &[u8], limits: &Limits) -> Step {
        if self.skipping.is_some() {
            return self.skip(bytes);
        }
        if self.position == 0 {
            match bytes.first() {
                None => return Step::More { consumed: 0 },
                Some(b'*') => {
                    let (count, next) = match number(bytes, 1) {
                        Number::More => return Step::More { consumed: 0 },
                        Number::Is(count, next) if count <= i64::from(limits.args_max) => (count, next),
                        _ => return malformed("invalid multibulk length"),
                    };
                    if count <= 0 {
                        return Step::Nothing { consumed: next };
                    }
                    self.args_left = count as u32;
                    self.position = next;
                    self.bulk = None;
                    self.ranges.clear();
                    self.unquoted.clear();
                }
                Some(_) => return self.inline(bytes, limits),
            }
        }
        self.array(bytes, limits)
    }
    #[inline]
    fn array(&mut self, bytes: &[u8], limits: &Limits) -> Step {
        while self.args_left > 0 {
            let length = match self.bulk {
                Some(length) => length,
                None => {
                    match bytes.get(self.position) {
                        None => return Step::More { consumed: 0 },
                        Some(b'$') => {}
                        Some(other) => {
                            let mut text = String::from("expected '$', got '");
                            let _ = write!(text, "{}'", char::from(*other).escape_default());
                            return malformed(&text);
                        }
                    }
                    let (length, next) = match number(bytes, self.position + 1) {
                        Number::More => return Step::More { consumed: 0 },
                        Number::Is(length, next) if (0..=BULK_BYTES_ABSURD).contains(&length) => {
                            (length as u64, next)
                        }
                        _ => return malformed("invalid bulk length"),
                    };
                    self.position = next;
                    let whole = next as u64 + length;
                    if length > u64::from(limits.bulk_bytes_max) {
                        return self.begin_skip(bytes, length, (length, limits.bulk_bytes_max));
                    }
                    if whole > u64::from(limits.command_bytes_max) {
                        return self.begin_skip(bytes, length, (whole, limits.command_bytes_max));
                    }
                    self.bulk = Some(length as u32);
                    length as u32
                }
            };
            let from = self.position;
            let to = from + length as usize;
            if bytes.len() < to + 2 {
                return Step::More { consumed: 0 };
            }
            if &bytes[to..to + 2] != b"\r\n" {
                return malformed("expected CR LF behind a bulk");
            }
            self.ranges.push((from as u32, to as u32));
            self.position = to + 2;
            self.bulk = None;
            self.args_left -= 1;
        }
        Step::Command { consumed: std::mem::take(&mut self.position) }
    }
    fn begin_skip(&mut self, bytes: &[u8], length: u64, (found, bytes_max): (u64, u32)) -> Step {
        self.skipping =
            Some(Skipping { bytes_left: length + 2, bytes: found, bytes_max: u64::from(bytes_max) });
        self.ranges.clear();
        self.args_left -= 1;
        let head = std::mem::take(&mut self.position);
        match self.skip(&bytes[head..]) {
            Step::More { consumed } => Step::More { consumed: head + consumed },
            Step::Oversize { consumed, bytes, bytes_max } => {
                Step::Oversize { consumed: head + consumed, bytes, bytes_max }
            }
            other => other,
        }
    }
    fn skip(&mut self, bytes: &[u8]) -> Step {
        let mut consumed = 0;
        let Some(mut skipping) = self.skipping else { return Step::More { consumed } };
        loop {
            let step = skipping.bytes_left.min((bytes.len() - consumed) as u64);
            skipping.bytes_left -= step;
            consumed += step as usize;
            self.skipping = Some(skipping);
            if skipping.bytes_left > 0 {
                return Step::More { consumed };
            }
            if self.args_left == 0 {
                self.skipping = None;
                return Step::Oversize { consumed, bytes: skipping.bytes, bytes_max: skipping.bytes_max };
            }
            match bytes.get(consumed) {
                None => return Step::More { consumed },
                Some(b'$') => {}
                Some(_) => return malformed("expected '$'"),
            }
            match number(bytes, consumed + 1) {
                Number::More => return Step::More { consumed },
                Number::Is(length, next) if (0..=BULK_BYTES_ABSURD).contains(&length) => {
                    skipping.bytes_left = length as u64 + 2;
                    self.args_left -= 1;
                    consumed = next;
                }
                _ => return malformed("invalid bulk length"),
            }
        }
    }
    fn inline(&mut self, bytes: &[u8], limits: &Limits) -> Step {
        let window = &bytes[..bytes.len().min(limits.inline_bytes_max as usize)];
        let Some(end) = window.iter().position(|byte| *byte == b'\n') else {
            if window.len() < bytes.len() || bytes.len() == limits.inline_bytes_max as usize {
                return malformed("too big inline request");
            }
            return Step::More { consumed: 0 };
        };
        let line = window[..end].strip_suffix(b"\r").unwrap_or(&window[..end]);
        self.ranges.clear();
        self.unquoted.clear();
        if !unquote(line, &mut self.unquoted, &mut self.ranges) {
            return malformed("unbalanced quotes in request");
        }
        if self.ranges.is_empty() {
            return Step::Nothing { consumed: end + 1 };
        }
        // `args` tells inline commands by these bytes being there, also for `""`.
        self.unquoted.push(0);
        Step::Command { consumed: end + 1 }
    }
}

fn malformed(what: &str) -> Step {
    Step::Malformed(format!("Protocol error: {what}"))
}

/// A decimal number up to CR LF.
#[inline]
fn number(bytes: &[u8], from: usize) -> Number {
    let mut position = from;
    let mut value = 0i64;
    let negative = bytes.get(position) == Some(&b'-');
    position += usize::from(negative);
    let digits = position;
    loop {
        match bytes.get(position) {
            None => return Number::More,
            Some(digit @ b'0'..=b'9') => {
                if position - digits >= NUMBER_BYTES_MAX {
                    return Number::NotOne;
                }
                value = value.saturating_mul(10).saturating_add(i64::from(digit - b'0'));
                position += 1;
            }
            Some(b'\r') => break,
            Some(_) => return Number::NotOne,
        }
    }
    match bytes.get(position + 1) {
        None => Number::More,
        Some(b'\n') if position > digits => Number::Is(if negative { -value } else { value }, position + 2),
        Some(_) => Number::NotOne,
    }
}

/// Splits an inline command as Redis does: blanks part arguments, `"…"` takes escapes, `'…'` takes `\'`.
fn unquote(line: &[u8], out: &mut Vec<u8>, ranges: &mut Vec<(u32, u32)>) -> bool {
    let mut rest = line;
    loop {
        while let [first, tail @ ..] = rest
            && first.is_ascii_whitespace()
        {
            rest = tail;
        }
        let Some(first) = rest.first() else { return true };
        let start = out.len() as u32;
        if matches!(first, b'"' | b'\'') {
            let quote = *first;
            rest = &rest[1..];
            loop {
                match rest {
                    [] => return false,
                    [b'\\', b'x', high, low, tail @ ..]
                        if quote == b'"' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
                    {
                        let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0) as u8;
                        out.push(digit(*high) << 4 | digit(*low));
                        rest = tail;
                    }
                    [b'\\', escaped, tail @ ..] if quote == b'"' => {
                        out.push(match escaped {
                            b'n' => b'\n',
                            b'r' => b'\r',
                            b't' => b'\t',
                            b'b' => 8,
                            b'a' => 7,
                            other => *other,
                        });
                        rest = tail;
                    }
                    [b'\\', b'\'', tail @ ..] if quote == b'\'' => {
                        out.push(b'\'');
                        rest = tail;
                    }
                    [byte, tail @ ..] if *byte == quote => {
                        rest = tail;
                        break;
                    }
                    [byte, tail @ ..] => {
                        out.push(*byte);
                        rest = tail;
                    }
                }
            }
            if rest.first().is_some_and(|byte| !byte.is_ascii_whitespace()) {
                return false;
            }
        } else {
            while let [byte, tail @ ..] = rest
                && !byte.is_ascii_whitespace()
            {
                out.push(*byte);
                rest = tail;
            }
        }
        ranges.push((start, out.len() as u32));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(bytes: &[u8], limits: &Limits, cut: usize) -> (Vec<Vec<Vec<u8>>>, Vec<u64>, Option<String>) {
        let mut parser = Parser::default();
        let (mut commands, mut oversize) = (Vec::new(), Vec::new());
        let mut buffer = Vec::new();
        for chunk in bytes.chunks(cut.max(1)) {
            buffer.extend_from_slice(chunk);
            let mut start = 0;
            loop {
                let consumed = match parser.parse(&buffer[start..], limits) {
                    Step::More { consumed } => {
                        start += consumed;
                        break;
                    }
                    Step::Command { consumed } => {
                        commands.push(parser.args(&buffer[start..]).iter().map(Vec::from).collect());
                        consumed
                    }
                    Step::Nothing { consumed } => consumed,
                    Step::Oversize { consumed, bytes, .. } => {
                        oversize.push(bytes);
                        consumed
                    }
                    Step::Malformed(why) => return (commands, oversize, Some(why)),
                };
                assert!(consumed > 0 && consumed <= buffer.len() - start);
                start += consumed;
            }
            buffer.drain(..start);
        }
        (commands, oversize, None)
    }

    fn words(text: &str) -> Vec<Vec<u8>> {
        text.split(' ').map(|word| word.as_bytes().to_vec()).collect()
    }

    #[test]
    fn arrays_and_inline_commands_parse_however_they_are_cut() {
        let bytes =
            b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\na\r\nbc\r\n\r\nget \"k\\x41\\n\" 'it\\'s'\r\n*0\r\n*1\r\n$4\r\nPING\r\nPING\n";
        for cut in 1..bytes.len() {
            let (commands, oversize, error) = all(bytes, &Limits::default(), cut);
            assert_eq!(error, None);
            assert!(oversize.is_empty());
            assert_eq!(commands.len(), 4);
            assert_eq!(commands[0], [b"SET".to_vec(), b"k".to_vec(), b"a\r\nbc".to_vec()]);
            assert_eq!(commands[1], [b"get".to_vec(), b"kA\n".to_vec(), b"it's".to_vec()]);
            assert_eq!(commands[2], words("PING"));
            assert_eq!(commands[3], words("PING"));
        }
    }

    #[test]
    fn an_oversized_value_is_read_past_and_the_next_command_served() {
        let limits = Limits { bulk_bytes_max: 8, command_bytes_max: 64, ..Limits::default() };
        let bytes = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$10\r\n0123456789\r\n*1\r\n$4\r\nPING\r\n";
        for cut in 1..bytes.len() {
            let (commands, oversize, error) = all(bytes, &limits, cut);
            assert_eq!((commands, oversize, error), (vec![words("PING")], vec![10], None));
        }
        let many = format!("*20\r\n{}PING\r\n", "$8\r\n01234567\r\n".repeat(20));
        for cut in 1..many.len() {
            let (commands, oversize, error) = all(many.as_bytes(), &limits, cut);
            assert_eq!((commands.len(), oversize.len(), error), (1, 1, None), "cut {cut}");
        }
    }

    #[test]
    fn what_is_not_resp_is_named() {
        let error = |bytes: &[u8]| all(bytes, &Limits::default(), 1000).2.unwrap_or_default();
        assert_eq!(error(b"*x\r\n"), "Protocol error: invalid multibulk length");
        assert_eq!(error(b"*2000000\r\n"), "Protocol error: invalid multibulk length");
        assert_eq!(error(b"*1\r\n+OK\r\n"), "Protocol error: expected '$', got '+'");
        assert_eq!(error(b"*1\r\n$-1\r\n"), "Protocol error: invalid bulk length");
        assert_eq!(error(b"*1\r\n$99999999999\r\n"), "Protocol error: invalid bulk length");
        assert_eq!(error(b"get \"k\r\n"), "Protocol error: unbalanced quotes in request");
        assert_eq!(
            all(&[b'a'; 70_000], &Limits::default(), 70_000).2.unwrap_or_default(),
            "Protocol error: too big inline request"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_the_same_and_never_panic(
            bytes in proptest::collection::vec(prop_oneof![
                Just(b'*'), Just(b'$'), Just(b'\r'), Just(b'\n'), Just(b'1'), Just(b'3'), Just(b'"'), any::<u8>()
            ], 0..200),
            cut in 1usize..20,
        ) {
            let limits = Limits { bulk_bytes_max: 16, command_bytes_max: 40, ..Limits::default() };
            let (whole, oversize, error) = all(&bytes, &limits, bytes.len().max(1));
            let pieces = all(&bytes, &limits, cut);
            prop_assert_eq!(pieces.0, whole);
            prop_assert_eq!(pieces.1, oversize);
            prop_assert_eq!(pieces.2.is_some(), error.is_some());
        }
    }
}
