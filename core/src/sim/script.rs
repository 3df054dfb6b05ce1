//! What is done to a world and when, as text: `at 3.25s crash n2 power`.
//!
//! A script is the whole of a run's faults, so that a failing one can be printed, shrunk by deleting lines and opened
//! in the page. What happens to single messages and disk calls is drawn from the world's seed under the rates that the
//! script sets.
//!
//! ```text
//! at TIME start NODE                     a node process begins (n0 bootstraps, others join)
//! at TIME stop NODE kill|power           it ends; `power` loses or tears what was not synced
//! at TIME wipe NODE                      power loss, and its disk is gone
//! at TIME rot NODE                       power loss, and one bit of its log has changed
//! at TIME pause NODE | resume NODE       as SIGSTOP and SIGCONT
//! at TIME cut NODE NODE                  messages from the first to the second vanish
//! at TIME join NODE NODE                 they arrive again
//! at TIME clock NODE MILLISECONDS        its wall clock is off by so much from now on
//! at TIME disk NODE ok|slow|full         its disk's mood
//! at TIME network loss=N dup=N late=N reorder=0|1   per mille of messages
//! at TIME slow NODE MILLISECONDS         its messages take so much longer, both ways; 0 ends it
//! at TIME lose NODE N                    N of a thousand of its messages are lost, both ways; 0 ends it
//! at TIME load OPS                       clients ask so often a second; 0 rests
//! at TIME put NODE KEY VALUE [seen=G] [w=N] [ttl=MS]   a guest asks that node; `seen` is the number of an earlier
//! at TIME del NODE KEY [seen=G] [w=N]                  get whose context goes along; guests' requests are counted
//! at TIME get NODE KEY [r=N]                           from 0. Bytes that are no printable ASCII are %41
//! at TIME power                          all nodes lose power at once
//! at TIME heal                           every fault ends, every stopped node starts
//! ```

use super::word::{bytes_of, word_of};
use crate::base::{Micros, Order};
use alloc::{format, string::String, vec::Vec};
use bytes::Bytes;
use core::fmt;

/// A node of the world by its index; its name is `n` and the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeIndex(pub u8);

impl fmt::Display for NodeIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// How a node's disk behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskMood {
    /// As fast as a good disk.
    Ok,
    /// Each call takes many times longer.
    Slow,
    /// No space left.
    Full,
}

/// What happens to messages, in thousandths of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NetworkRates {
    /// Lost.
    pub loss_permille: u16,
    /// Delivered twice.
    pub dup_permille: u16,
    /// Held back for up to a second.
    pub late_permille: u16,
    /// Whether messages of one link may overtake each other.
    pub reorder: bool,
}

/// The number of a guest's request, counted from 0 in the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestNumber(pub u32);

/// What a guest asks: somebody from outside, who chose key and value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuestAsk {
    /// Write a key.
    Put {
        /// The key.
        key: Bytes,
        /// The value.
        value: Bytes,
        /// The get whose context goes along.
        seen: Option<GuestNumber>,
        /// Acknowledgements to wait for, if not the keyspace's W.
        w: Option<u8>,
        /// How long the value lives, in milliseconds.
        ttl_ms: Option<u64>,
    },
    /// Delete a key.
    Delete {
        /// The key.
        key: Bytes,
        /// As in `Put`.
        seen: Option<GuestNumber>,
        /// As in `Put`.
        w: Option<u8>,
    },
    /// Read a key.
    Get {
        /// The key.
        key: Bytes,
        /// Answers to wait for, if not the keyspace's R.
        r: Option<u8>,
    },
}

impl GuestAsk {
    /// The key that it is about.
    pub fn key(&self) -> &Bytes {
        match self {
            GuestAsk::Put { key, .. } | GuestAsk::Delete { key, .. } | GuestAsk::Get { key, .. } => key,
        }
    }
}

/// One thing done to a world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A node process begins, or begins again.
    Start(NodeIndex),
    /// A node process ends; its page cache survives.
    Kill(NodeIndex),
    /// A node loses power: unsynced bytes vanish, tear or survive.
    Power(NodeIndex),
    /// A node loses power and its disk.
    Wipe(NodeIndex),
    /// A node loses power, and one bit of its log changes.
    Rot(NodeIndex),
    /// A node stands still, its connections open.
    Pause(NodeIndex),
    /// A paused node goes on.
    Resume(NodeIndex),
    /// Messages from the first to the second vanish.
    Cut(NodeIndex, NodeIndex),
    /// They arrive again.
    Join(NodeIndex, NodeIndex),
    /// A node's wall clock is off by so many milliseconds.
    Clock(NodeIndex, i32),
    /// A node's disk changes its mood.
    Disk(NodeIndex, DiskMood),
    /// The network changes its rates.
    Network(NetworkRates),
    /// A node's messages take so many milliseconds longer.
    Slow(NodeIndex, u32),
    /// So many of a thousand of a node's messages are lost.
    Lose(NodeIndex, u16),
    /// Clients ask so often a second, all together.
    Load(u32),
    /// A guest asks a node.
    Ask(NodeIndex, GuestAsk),
    /// All nodes lose power at once.
    PowerAll,
    /// Every fault ends, every stopped node starts.
    Heal,
}

/// One line of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When, from the world's start.
    pub at: Micros,
    /// What.
    pub action: Action,
}

/// What is done to a world and when, in order of time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Script {
    /// In order of time; those of one time in the order in which they are done.
    pub lines: Vec<Line>,
}

/// Why a text is not a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptError {
    /// Counted from 1.
    pub line: u32,
    /// What is wrong there.
    pub kind: ScriptProblem,
    /// The words that it is wrong with; none for [`ScriptProblem::TooLong`].
    pub found: String,
}

/// What can be wrong with a line of a script. What is told in other languages goes by this, not by the sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptProblem {
    /// It is not `at TIME ACTION`.
    NoLine,
    /// There are more lines than [`SCRIPT_LINES_MAX`] with it.
    TooLong,
    /// No time.
    NoTime,
    /// No action, or one with other words than it takes.
    NoAction,
    /// No node of `n0` to `n49`.
    NoNode,
    /// No number, or none of the size wanted.
    NoNumber,
    /// More than so much.
    TooLarge(u32),
    /// No key or value.
    NoWord,
    /// No option of this action.
    NoOption,
}

impl ScriptProblem {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            ScriptProblem::NoLine => "noLine",
            ScriptProblem::TooLong => "tooLong",
            ScriptProblem::NoTime => "noTime",
            ScriptProblem::NoAction => "noAction",
            ScriptProblem::NoNode => "noNode",
            ScriptProblem::NoNumber => "noNumber",
            ScriptProblem::TooLarge(_) => "tooLarge",
            ScriptProblem::NoWord => "noWord",
            ScriptProblem::NoOption => "noOption",
        }
    }
    /// The most that there may be, where there is a most.
    pub fn most(self) -> Option<u32> {
        match self {
            ScriptProblem::TooLong => Some(SCRIPT_LINES_MAX as u32),
            ScriptProblem::NoNode => Some(u32::from(NODE_COUNT_MAX) - 1),
            ScriptProblem::TooLarge(most) => Some(most),
            _ => None,
        }
    }
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ScriptError { line, kind, found } = self;
        write!(f, "line {line} of the script: ")?;
        match kind {
            ScriptProblem::NoLine => write!(f, "expected `at TIME ACTION`, found `{found}`"),
            ScriptProblem::TooLong => write!(f, "more than {SCRIPT_LINES_MAX} lines"),
            ScriptProblem::NoTime => write!(f, "`{found}` is no time; write seconds as `3s` or `3.25s`"),
            ScriptProblem::NoAction => write!(f, "`{found}` is no action"),
            ScriptProblem::NoNode => {
                write!(f, "`{found}` is no node; nodes are n0 to n{}", NODE_COUNT_MAX - 1)
            }
            ScriptProblem::NoNumber => write!(f, "`{found}` is no number of the range wanted here"),
            ScriptProblem::TooLarge(most) => write!(f, "`{found}`: at most {most}"),
            ScriptProblem::NoWord => {
                write!(f, "`{found}` is no key or value; write other bytes as %41, none as ''")
            }
            ScriptProblem::NoOption => write!(f, "`{found}` is no option here"),
        }
    }
}
impl core::error::Error for ScriptError {}

/// Most lines of a script: far beyond any run, so that a wrong file is refused before it fills memory.
pub const SCRIPT_LINES_MAX: usize = 10_000;
/// Most nodes of a world.
pub const NODE_COUNT_MAX: u8 = 50;

impl Script {
    /// Whether it breaks something and does not heal it afterwards. Told from the script alone, so that a replay is judged
    /// like the run that it repeats.
    pub fn leaves_faults(&self) -> bool {
        let healed = self.lines.iter().rposition(|line| matches!(line.action, Action::Heal));
        self.lines[healed.map_or(0, |at| at + 1)..].iter().any(|line| match &line.action {
            Action::Kill(_)
            | Action::Power(_)
            | Action::Wipe(_)
            | Action::Rot(_)
            | Action::Pause(_)
            | Action::Cut(..)
            | Action::PowerAll => true,
            Action::Clock(_, offset) => *offset != 0,
            Action::Disk(_, mood) => *mood != DiskMood::Ok,
            Action::Network(rates) => *rates != NetworkRates::default(),
            Action::Slow(_, ms) => *ms != 0,
            Action::Lose(_, permille) => *permille != 0,
            Action::Load(ops) => *ops != 0,
            Action::Start(_) | Action::Resume(_) | Action::Join(..) | Action::Ask(..) | Action::Heal => false,
        })
    }
    /// Adds an action.
    pub fn push(&mut self, at: Micros, action: Action) {
        self.lines.push(Line { at, action });
    }
    /// Orders the lines by time; those of one time keep their order.
    pub fn sort(&mut self) {
        self.lines.order_by_key(|line| line.at);
    }
    /// When the last line is done.
    pub fn end(&self) -> Micros {
        self.lines.last().map_or(Micros(0), |line| line.at)
    }
    /// Reads a script; `#` starts a comment. Lines may come in any order.
    pub fn parse(text: &str) -> Result<Script, ScriptError> {
        let mut script = Script::default();
        for (index, raw) in text.lines().enumerate() {
            let error = |Wrong(kind, found)| ScriptError { line: index as u32 + 1, kind, found };
            let line = raw.split('#').next().unwrap_or_default();
            let words: Vec<&str> = line.split_whitespace().collect();
            if words.is_empty() {
                continue;
            }
            if script.lines.len() == SCRIPT_LINES_MAX {
                return Err(error(Wrong(ScriptProblem::TooLong, String::new())));
            }
            script.lines.push(parse_line(&words).map_err(error)?);
        }
        script.sort();
        Ok(script)
    }
}

/// What is wrong, and with which words.
struct Wrong(ScriptProblem, String);

fn wrong(kind: ScriptProblem, found: &str) -> Wrong {
    Wrong(kind, found.into())
}

fn parse_line(words: &[&str]) -> Result<Line, Wrong> {
    let ["at", time, verb, arguments @ ..] = words else {
        return Err(Wrong(ScriptProblem::NoLine, words.join(" ")));
    };
    let at = parse_time(time)?;
    let action = match (*verb, arguments) {
        ("start", [node]) => Action::Start(parse_node(node)?),
        ("stop", [node, "kill"]) => Action::Kill(parse_node(node)?),
        ("stop", [node, "power"]) => Action::Power(parse_node(node)?),
        ("rot", [node]) => Action::Rot(parse_node(node)?),
        ("wipe", [node]) => Action::Wipe(parse_node(node)?),
        ("pause", [node]) => Action::Pause(parse_node(node)?),
        ("resume", [node]) => Action::Resume(parse_node(node)?),
        ("cut", [from, to]) => Action::Cut(parse_node(from)?, parse_node(to)?),
        ("join", [from, to]) => Action::Join(parse_node(from)?, parse_node(to)?),
        ("clock", [node, offset]) => Action::Clock(parse_node(node)?, parse_number(offset)?),
        ("disk", [node, "ok"]) => Action::Disk(parse_node(node)?, DiskMood::Ok),
        ("disk", [node, "slow"]) => Action::Disk(parse_node(node)?, DiskMood::Slow),
        ("disk", [node, "full"]) => Action::Disk(parse_node(node)?, DiskMood::Full),
        ("network", rates) => Action::Network(parse_rates(rates)?),
        ("slow", [node, ms]) => Action::Slow(parse_node(node)?, parse_bounded(ms, SLOW_MS_MAX)?),
        ("lose", [node, rate]) => Action::Lose(parse_node(node)?, parse_bounded(rate, PERMILLE_MAX)?),
        ("load", [ops]) => Action::Load(parse_number(ops)?),
        ("put", [node, key, value, options @ ..]) => {
            let found = parse_options(options, &["seen", "w", "ttl"])?;
            let (key, value) = (parse_word(key)?, parse_word(value)?);
            let ask = GuestAsk::Put { key, value, seen: found.seen, w: found.w, ttl_ms: found.ttl_ms };
            Action::Ask(parse_node(node)?, ask)
        }
        ("del", [node, key, options @ ..]) => {
            let found = parse_options(options, &["seen", "w"])?;
            let ask = GuestAsk::Delete { key: parse_word(key)?, seen: found.seen, w: found.w };
            Action::Ask(parse_node(node)?, ask)
        }
        ("get", [node, key, options @ ..]) => {
            let found = parse_options(options, &["r"])?;
            Action::Ask(parse_node(node)?, GuestAsk::Get { key: parse_word(key)?, r: found.r })
        }
        ("power", []) => Action::PowerAll,
        ("heal", []) => Action::Heal,
        _ => return Err(Wrong(ScriptProblem::NoAction, words[2..].join(" "))),
    };
    Ok(Line { at, action })
}

fn parse_number<T: core::str::FromStr>(text: &str) -> Result<T, Wrong> {
    text.parse().map_err(|_| wrong(ScriptProblem::NoNumber, text))
}

/// All of a thousand messages.
const PERMILLE_MAX: u16 = 1000;
/// Longest that a message can be held back by [`Action::Slow`]: beyond any patience already.
pub const SLOW_MS_MAX: u32 = 60_000;

fn parse_bounded<T>(text: &str, max: T) -> Result<T, Wrong>
where
    T: core::str::FromStr + PartialOrd + Copy + Into<u32>,
{
    let number: T = parse_number(text)?;
    if number > max { Err(wrong(ScriptProblem::TooLarge(max.into()), text)) } else { Ok(number) }
}

fn parse_word(text: &str) -> Result<Bytes, Wrong> {
    bytes_of(text).ok_or_else(|| wrong(ScriptProblem::NoWord, text))
}

#[derive(Default)]
struct AskOptions {
    seen: Option<GuestNumber>,
    w: Option<u8>,
    r: Option<u8>,
    ttl_ms: Option<u64>,
}

fn parse_options(words: &[&str], known: &[&str]) -> Result<AskOptions, Wrong> {
    let mut options = AskOptions::default();
    for word in words {
        let (name, value) = word.split_once('=').ok_or_else(|| wrong(ScriptProblem::NoOption, word))?;
        if !known.contains(&name) {
            return Err(wrong(ScriptProblem::NoOption, word));
        }
        match name {
            "seen" => options.seen = Some(GuestNumber(parse_number(value)?)),
            "w" => options.w = Some(parse_number(value)?),
            "r" => options.r = Some(parse_number(value)?),
            _ => options.ttl_ms = Some(parse_number(value)?),
        }
    }
    Ok(options)
}

fn parse_node(text: &str) -> Result<NodeIndex, Wrong> {
    let index = text.strip_prefix('n').and_then(|index| index.parse().ok());
    match index {
        Some(index) if index < NODE_COUNT_MAX => Ok(NodeIndex(index)),
        _ => Err(wrong(ScriptProblem::NoNode, text)),
    }
}

/// Seconds with up to six decimals and an `s`: `3s`, `0.25s`. No floating point, so that printing inverts it.
fn parse_time(text: &str) -> Result<Micros, Wrong> {
    let wrong = || wrong(ScriptProblem::NoTime, text);
    let seconds = text.strip_suffix('s').ok_or_else(wrong)?;
    let (whole, part) = seconds.split_once('.').unwrap_or((seconds, ""));
    if part.len() > 6 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let whole: u32 = whole.parse().map_err(|_| wrong())?;
    let part: u64 = format!("{part:0<6}").parse().map_err(|_| wrong())?;
    Ok(Micros(u64::from(whole) * 1_000_000 + part))
}

fn parse_rates(words: &[&str]) -> Result<NetworkRates, Wrong> {
    let mut rates = NetworkRates::default();
    for word in words {
        let (name, value) = word.split_once('=').ok_or_else(|| wrong(ScriptProblem::NoOption, word))?;
        let number: u16 = parse_bounded(value, PERMILLE_MAX)?;
        match name {
            "loss" => rates.loss_permille = number,
            "dup" => rates.dup_permille = number,
            "late" => rates.late_permille = number,
            "reorder" => rates.reorder = number != 0,
            _ => return Err(wrong(ScriptProblem::NoOption, word)),
        }
    }
    Ok(rates)
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, part) = (self.at.0 / 1_000_000, self.at.0 % 1_000_000);
        write!(f, "at {seconds}")?;
        if part > 0 {
            let digits = format!("{part:06}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str("s ")?;
        match &self.action {
            Action::Start(node) => write!(f, "start {node}"),
            Action::Kill(node) => write!(f, "stop {node} kill"),
            Action::Power(node) => write!(f, "stop {node} power"),
            Action::Wipe(node) => write!(f, "wipe {node}"),
            Action::Rot(node) => write!(f, "rot {node}"),
            Action::Pause(node) => write!(f, "pause {node}"),
            Action::Resume(node) => write!(f, "resume {node}"),
            Action::Cut(from, to) => write!(f, "cut {from} {to}"),
            Action::Join(from, to) => write!(f, "join {from} {to}"),
            Action::Clock(node, offset) => write!(f, "clock {node} {offset}"),
            Action::Disk(node, DiskMood::Ok) => write!(f, "disk {node} ok"),
            Action::Disk(node, DiskMood::Slow) => write!(f, "disk {node} slow"),
            Action::Disk(node, DiskMood::Full) => write!(f, "disk {node} full"),
            Action::Network(rates) => write!(
                f,
                "network loss={} dup={} late={} reorder={}",
                rates.loss_permille,
                rates.dup_permille,
                rates.late_permille,
                u8::from(rates.reorder)
            ),
            Action::Slow(node, ms) => write!(f, "slow {node} {ms}"),
            Action::Lose(node, permille) => write!(f, "lose {node} {permille}"),
            Action::Load(ops) => write!(f, "load {ops}"),
            Action::Ask(node, ask) => write_ask(f, *node, ask),
            Action::PowerAll => f.write_str("power"),
            Action::Heal => f.write_str("heal"),
        }
    }
}

fn write_ask(f: &mut fmt::Formatter<'_>, node: NodeIndex, ask: &GuestAsk) -> fmt::Result {
    let (seen, w, r, ttl_ms) = match ask {
        GuestAsk::Put { key, value, seen, w, ttl_ms } => {
            write!(f, "put {node} {} {}", word_of(key), word_of(value))?;
            (seen, w, &None, ttl_ms)
        }
        GuestAsk::Delete { key, seen, w } => {
            write!(f, "del {node} {}", word_of(key))?;
            (seen, w, &None, &None)
        }
        GuestAsk::Get { key, r } => {
            write!(f, "get {node} {}", word_of(key))?;
            (&None, &None, r, &None)
        }
    };
    if let Some(seen) = seen {
        write!(f, " seen={}", seen.0)?;
    }
    if let Some(w) = w {
        write!(f, " w={w}")?;
    }
    if let Some(r) = r {
        write!(f, " r={r}")?;
    }
    if let Some(ttl_ms) = ttl_ms {
        write!(f, " ttl={ttl_ms}")?;
    }
    Ok(())
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    const ALL: &str = "\
at 0s start n0
at 0.25s network loss=10 dup=5 late=2 reorder=1
at 0.5s load 200
at 1s stop n1 kill
at 1.000001s stop n2 power
at 2s wipe n3
at 2s rot n3
at 2s pause n1
at 2.5s resume n1
at 3s cut n0 n1
at 3s join n0 n1
at 4s clock n2 -400
at 4s disk n1 slow
at 4s disk n1 full
at 4s disk n1 ok
at 4s slow n1 40
at 4s lose n1 1000
at 4.1s put n0 city:KR:Seoul 9411260
at 4.1s put n0 a%20b '' seen=2 w=1 ttl=500
at 4.2s get n1 k3 r=3
at 4.2s get n1 ''
at 4.3s del n2 k3 seen=3 w=2
at 5s power
at 6s heal
";

    #[test]
    fn a_script_reads_back_as_it_was_printed() {
        let script = Script::parse(ALL).unwrap();
        assert_eq!(script.to_string(), ALL);
        assert_eq!(script.lines.len(), 24);
        assert_eq!(script.end(), Micros::from_secs(6));
    }

    #[test]
    fn what_is_no_script_is_refused_by_line() {
        for (text, line) in [
            ("at 1s dance n0", 1),
            ("\n# fine\nat 1s stop n0 gently", 3),
            ("at 1m heal", 1),
            ("at 1.0000001s heal", 1),
            ("at 1s start n50", 1),
            ("at 1s start x", 1),
            ("at 1s network loss=1001", 1),
            ("at 1s network luck=1", 1),
            ("at -1s heal", 1),
            ("heal", 1),
            ("at 1s slow n0 60001", 1),
            ("at 1s lose n0 1001", 1),
            ("at 1s put n0 k", 1),
            ("at 1s put n0 k v r=1", 1),
            ("at 1s put n0 k % ", 1),
            ("at 1s get n0 k seen=1", 1),
            ("at 1s get n0 k r=-1", 1),
        ] {
            let error = Script::parse(text).unwrap_err();
            assert_eq!(error.line, line, "{error}");
        }
    }
}
