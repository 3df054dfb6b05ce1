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
//! at TIME load OPS                       clients ask so often a second; 0 rests
//! at TIME power                          all nodes lose power at once
//! at TIME heal                           every fault ends, every stopped node starts
//! ```

use crate::base::Micros;
use alloc::{format, string::String, vec::Vec};
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

/// One thing done to a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// Clients ask so often a second, all together.
    Load(u32),
    /// All nodes lose power at once.
    PowerAll,
    /// Every fault ends, every stopped node starts.
    Heal,
}

/// One line of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    pub problem: String,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of the script: {}", self.line, self.problem)
    }
}
impl core::error::Error for ScriptError {}

/// Most lines of a script: far beyond any run, so that a wrong file is refused before it fills memory.
pub const SCRIPT_LINES_MAX: usize = 10_000;
/// Most nodes of a world.
pub const NODE_COUNT_MAX: u8 = 50;

impl Script {
    /// Adds an action.
    pub fn push(&mut self, at: Micros, action: Action) {
        self.lines.push(Line { at, action });
    }
    /// Orders the lines by time; those of one time keep their order.
    pub fn sort(&mut self) {
        self.lines.sort_by_key(|line| line.at);
    }
    /// When the last line is done.
    pub fn end(&self) -> Micros {
        self.lines.last().map_or(Micros(0), |line| line.at)
    }
    /// Reads a script; `#` starts a comment. Lines may come in any order.
    pub fn parse(text: &str) -> Result<Script, ScriptError> {
        let mut script = Script::default();
        for (index, raw) in text.lines().enumerate() {
            let error = |problem: String| ScriptError { line: index as u32 + 1, problem };
            let line = raw.split('#').next().unwrap_or_default();
            let words: Vec<&str> = line.split_whitespace().collect();
            if words.is_empty() {
                continue;
            }
            if script.lines.len() == SCRIPT_LINES_MAX {
                return Err(error(format!("more than {SCRIPT_LINES_MAX} lines")));
            }
            script.lines.push(parse_line(&words).map_err(error)?);
        }
        script.sort();
        Ok(script)
    }
}

fn parse_line(words: &[&str]) -> Result<Line, String> {
    let ["at", time, verb, arguments @ ..] = words else {
        return Err(format!("expected `at TIME ACTION`, found `{}`", words.join(" ")));
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
        ("load", [ops]) => Action::Load(parse_number(ops)?),
        ("power", []) => Action::PowerAll,
        ("heal", []) => Action::Heal,
        _ => return Err(format!("`{} {}` is no action", verb, arguments.join(" "))),
    };
    Ok(Line { at, action })
}

fn parse_number<T: core::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is no number of the range wanted here"))
}

fn parse_node(text: &str) -> Result<NodeIndex, String> {
    let index = text.strip_prefix('n').and_then(|index| index.parse().ok());
    match index {
        Some(index) if index < NODE_COUNT_MAX => Ok(NodeIndex(index)),
        _ => Err(format!("`{text}` is no node; nodes are n0 to n{}", NODE_COUNT_MAX - 1)),
    }
}

/// Seconds with up to six decimals and an `s`: `3s`, `0.25s`. No floating point, so that printing inverts it.
fn parse_time(text: &str) -> Result<Micros, String> {
    let wrong = || format!("`{text}` is no time; write seconds as `3s` or `3.25s`");
    let seconds = text.strip_suffix('s').ok_or_else(wrong)?;
    let (whole, part) = seconds.split_once('.').unwrap_or((seconds, ""));
    if part.len() > 6 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let whole: u32 = whole.parse().map_err(|_| wrong())?;
    let part: u64 = format!("{part:0<6}").parse().map_err(|_| wrong())?;
    Ok(Micros(u64::from(whole) * 1_000_000 + part))
}

fn parse_rates(words: &[&str]) -> Result<NetworkRates, String> {
    let mut rates = NetworkRates::default();
    for word in words {
        let (name, value) = word.split_once('=').ok_or_else(|| format!("`{word}` is no NAME=NUMBER"))?;
        let number: u16 = parse_number(value)?;
        if number > 1000 {
            return Err(format!("`{word}`: at most 1000 of 1000 messages"));
        }
        match name {
            "loss" => rates.loss_permille = number,
            "dup" => rates.dup_permille = number,
            "late" => rates.late_permille = number,
            "reorder" => rates.reorder = number != 0,
            _ => return Err(format!("`{name}` is no rate; there are loss, dup, late and reorder")),
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
        match self.action {
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
            Action::Load(ops) => write!(f, "load {ops}"),
            Action::PowerAll => f.write_str("power"),
            Action::Heal => f.write_str("heal"),
        }
    }
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
at 5s power
at 6s heal
";

    #[test]
    fn a_script_reads_back_as_it_was_printed() {
        let script = Script::parse(ALL).unwrap();
        assert_eq!(script.to_string(), ALL);
        assert_eq!(script.lines.len(), 17);
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
        ] {
            let error = Script::parse(text).unwrap_err();
            assert_eq!(error.line, line, "{error}");
        }
    }
}
