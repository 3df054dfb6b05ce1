use super::answer::SiblingsOf;
use super::arguments::{Deadline, Wrong, from_hex, integer, is, quoted_beginning, syntax, ttl, wrong};
use super::table::{refusal_of, specs};
use super::task::{Walk, place_of};
use super::{Answer, NodeFacts, Session, Spec, Task, TaskKind, Verb, find, local};
use crate::resp::{Args, Replies};
use bytes::Bytes;
use kvorum_core::data::{ExpireWhen, Expiry, Op};
use kvorum_core::ring::SLOT_COUNT;
use std::collections::VecDeque;

/// What is to be done about a command.
#[derive(Debug)]
pub enum Plan {
    /// It is answered already.
    Answered,
    /// It is answered; close when the answer is written.
    AnsweredAndClose,
    /// No client means this: drop the connection at once, with all that it sent behind.
    HangUp,
    /// Ask the shard of the key and word its reply.
    Ask {
        /// What to ask.
        op: Op,
        /// How to word the reply.
        answer: Answer,
    },
    /// Run this.
    Run(Box<Task>),
}

const NO_APSAFE: &str = "keyspace 0 is available, not strong: a command that must read and decide would lose updates \
                         here; use GET and SET, or KV.GET … WITHCONTEXT and KV.PUT … CONTEXT, which keep both sides \
                         of a race";

fn no_apsafe() -> Wrong {
    Wrong { code: "NOAPSAFE", message: NO_APSAFE.into() }
}

/// Decides what is to be done about a command. What can be answered from what this thread knows is appended to `out`.
#[inline]
pub fn plan(
    args: Args<'_>,
    session: &mut Session,
    node: &dyn NodeFacts,
    now_ms: u64,
    out: &mut Replies<'_>,
) -> (Option<Verb>, Plan) {
    let Some(spec) = find(args.get(0)) else {
        if is_http(args.get(0)) {
            return (None, Plan::HangUp);
        }
        unknown(args, out);
        return (None, Plan::Answered);
    };
    let planned = if spec.takes(args.len()) {
        plan_known(spec, args, session, node, now_ms, out)
    } else {
        Err(wrong(format!("wrong number of arguments for '{}' command", spec.name)))
    };
    let plan = planned.unwrap_or_else(|wrong| {
        out.error(wrong.code, &wrong.message);
        Plan::Answered
    });
    (Some(spec.verb), plan)
}

/// Whether this begins a line of an HTTP request that could carry commands. A web page can have a browser send one to this
/// port, and its body would run as inline commands; as in Redis, either word ends the connection before it comes to that.
fn is_http(word: &[u8]) -> bool {
    is(word, "post") || is(word, "host:")
}

fn unknown(args: Args<'_>, out: &mut Replies<'_>) {
    let name = &args.get(0)[..args.get(0).len().min(128)];
    let name = String::from_utf8_lossy(name);
    let message = match refusal_of(args.get(0)) {
        Some(reason) => format!("unsupported command '{name}': {reason}"),
        None => {
            let beginning = quoted_beginning(args.from(1));
            format!("unknown command '{name}', with args beginning with: {beginning}")
        }
    };
    out.error("ERR", &message);
}

#[inline]
fn plan_known(
    spec: &'static Spec,
    args: Args<'_>,
    session: &mut Session,
    node: &dyn NodeFacts,
    now_ms: u64,
    out: &mut Replies<'_>,
) -> Result<Plan, Wrong> {
    let key = || Bytes::copy_from_slice(args.get(1));
    let read = |answer| Ok(Plan::Ask { op: Op::Get { key: key(), r: None }, answer });
    match spec.verb {
        Verb::Get => read(Answer::Value),
        Verb::Set => set(args, now_ms),
        Verb::SetEx => set_for(spec, args, Deadline::InSeconds, now_ms),
        Verb::PSetEx => set_for(spec, args, Deadline::InMillis, now_ms),
        Verb::SetNx
        | Verb::GetSet
        | Verb::GetDel
        | Verb::Incr
        | Verb::Decr
        | Verb::IncrBy
        | Verb::DecrBy
        | Verb::IncrByFloat
        | Verb::Append
        | Verb::SetRange
        | Verb::MSetNx => Err(no_apsafe()),
        Verb::GetEx => get_ex(args, now_ms),
        Verb::MGet => {
            let keys: Vec<Bytes> = args.from(1).iter().map(Bytes::copy_from_slice).collect();
            let values = vec![None; keys.len()];
            Ok(run(TaskKind::Get { keys, asked: 0, values, bytes: 0 }))
        }
        Verb::MSet => mset(args),
        Verb::StrLen => read(Answer::Length),
        Verb::Type => read(Answer::Type),
        Verb::Del | Verb::Unlink => Ok(match args.len() {
            2 => Plan::Ask { op: Op::Delete { key: key(), context: None, w: None }, answer: Answer::Existed },
            _ => run(TaskKind::Tally { keys: keys_of(args), delete: true, count: 0 }),
        }),
        Verb::Exists | Verb::Touch => match args.len() {
            2 => read(Answer::Lives),
            _ => Ok(run(TaskKind::Tally { keys: keys_of(args), delete: false, count: 0 })),
        },
        Verb::Expire => expire(spec, args, Deadline::InSeconds, now_ms),
        Verb::PExpire => expire(spec, args, Deadline::InMillis, now_ms),
        Verb::ExpireAt => expire(spec, args, Deadline::AtSeconds, now_ms),
        Verb::PExpireAt => expire(spec, args, Deadline::AtMillis, now_ms),
        Verb::Ttl => read(Answer::Ends { in_millis: false, is_time: false }),
        Verb::PTtl => read(Answer::Ends { in_millis: true, is_time: false }),
        Verb::ExpireTime => read(Answer::Ends { in_millis: false, is_time: true }),
        Verb::PExpireTime => read(Answer::Ends { in_millis: true, is_time: true }),
        Verb::Persist => {
            let op = Op::Expire { key: key(), expiry: Expiry::Never, when: ExpireWhen::HasExpiry };
            Ok(Plan::Ask { op, answer: Answer::Existed })
        }
        Verb::Cluster | Verb::Client | Verb::Config | Verb::Command | Verb::Object | Verb::Memory
            if is(args.get(1), "help") =>
        {
            local::help(spec, args, out)
        }
        Verb::Object if is(args.get(1), "encoding") && args.len() == 3 => {
            let key = Bytes::copy_from_slice(args.get(2));
            Ok(Plan::Ask { op: Op::Get { key, r: None }, answer: Answer::Encoding })
        }
        Verb::Object if is(args.get(1), "encoding") => Err(local::arity_of(spec, "encoding")),
        Verb::Memory if is(args.get(1), "usage") && args.len() >= 3 => {
            samples(args.from(3))?;
            let key = Bytes::copy_from_slice(args.get(2));
            Ok(Plan::Ask { op: Op::Get { key, r: None }, answer: Answer::MemoryUsage })
        }
        Verb::Memory if is(args.get(1), "usage") => Err(local::arity_of(spec, "usage")),
        Verb::Object | Verb::Memory => Err(local::unknown_subcommand(spec, args)),
        Verb::Scan | Verb::Keys | Verb::RandomKey | Verb::DbSize | Verb::FlushDb | Verb::FlushAll => {
            walk(spec, args, node)
        }
        Verb::Cluster if is(args.get(1), "countkeysinslot") && args.len() == 3 => count_in_slot(args, node),
        Verb::KvGet => kv_get(args),
        Verb::KvPut => kv_put(args, now_ms),
        Verb::KvDel => kv_del(args),
        Verb::KvExplain => Ok(Plan::Ask { op: Op::Explain { key: key() }, answer: Answer::Explained }),
        _ => local::run(spec, args, session, node, now_ms, out),
    }
}

fn run(kind: TaskKind) -> Plan {
    Plan::Run(Box::new(Task::new(kind)))
}

fn keys_of(args: Args<'_>) -> VecDeque<Bytes> {
    args.from(1).iter().map(Bytes::copy_from_slice).collect()
}

#[inline]
fn put(key: &[u8], value: &[u8], expiry: Expiry) -> Op {
    let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
    Op::Put { key, value, context: None, expiry, w: None }
}

#[inline]
fn set(args: Args<'_>, now_ms: u64) -> Result<Plan, Wrong> {
    let mut expiry = Expiry::Never;
    let mut decides = false;
    let mut at = 3;
    while at < args.len() {
        let option = args.get(at);
        at += 1;
        if let Some(deadline) = Deadline::of_option(option) {
            if expiry != Expiry::Never || at >= args.len() {
                return Err(syntax());
            }
            expiry = deadline.of_write(args.get(at), now_ms, "set")?;
            at += 1;
        } else if is(option, "keepttl") {
            if expiry != Expiry::Never {
                return Err(syntax());
            }
            expiry = Expiry::Keep;
        } else if is(option, "nx") || is(option, "xx") || is(option, "get") {
            decides = true;
        } else if ["ifeq", "ifne", "ifdeq", "ifdne"].iter().any(|word| is(option, word)) {
            if at >= args.len() {
                return Err(syntax());
            }
            decides = true;
            at += 1;
        } else {
            return Err(syntax());
        }
    }
    if decides {
        return Err(no_apsafe());
    }
    Ok(Plan::Ask { op: put(args.get(1), args.get(2), expiry), answer: Answer::Ok })
}

/// Judges the options of `MEMORY USAGE`, which change nothing here: a string is one piece.
fn samples(args: Args<'_>) -> Result<(), Wrong> {
    for at in (0..args.len()).step_by(2) {
        if !is(args.get(at), "samples") || at + 1 >= args.len() || integer(args.get(at + 1))? < 0 {
            return Err(syntax());
        }
    }
    Ok(())
}

fn set_for(spec: &Spec, args: Args<'_>, deadline: Deadline, now_ms: u64) -> Result<Plan, Wrong> {
    let expiry = deadline.of_write(args.get(2), now_ms, spec.name)?;
    Ok(Plan::Ask { op: put(args.get(1), args.get(3), expiry), answer: Answer::Ok })
}

fn mset(args: Args<'_>) -> Result<Plan, Wrong> {
    if args.len().is_multiple_of(2) {
        return Err(wrong("wrong number of arguments for 'mset' command"));
    }
    let copy = Bytes::copy_from_slice;
    let pairs = (1..args.len()).step_by(2).map(|at| (copy(args.get(at)), copy(args.get(at + 1))));
    Ok(run(TaskKind::Set { pairs: pairs.collect() }))
}

fn get_ex(args: Args<'_>, now_ms: u64) -> Result<Plan, Wrong> {
    let key = Bytes::copy_from_slice(args.get(1));
    let option = args.get(2);
    let expiry = match args.len() {
        2 => return Ok(Plan::Ask { op: Op::Get { key, r: None }, answer: Answer::Value }),
        3 if is(option, "persist") => Expiry::Never,
        4 => Deadline::of_option(option).ok_or_else(syntax)?.of_write(args.get(3), now_ms, "getex")?,
        _ => return Err(syntax()),
    };
    Ok(run(TaskKind::GetThenExpire { key, expiry, value: None, step: 0 }))
}

fn expire(spec: &Spec, args: Args<'_>, deadline: Deadline, now_ms: u64) -> Result<Plan, Wrong> {
    let number = integer(args.get(2))?;
    let at = deadline.at_ms(number, now_ms);
    let at = at.ok_or_else(|| wrong(format!("invalid expire time in '{}' command", spec.name)))?;
    let (mut nx, mut xx, mut gt, mut lt) = (false, false, false, false);
    for option in args.from(3).iter() {
        let known = [("nx", &mut nx), ("xx", &mut xx), ("gt", &mut gt), ("lt", &mut lt)];
        let Some((_, flag)) = known.into_iter().find(|(word, _)| is(option, word)) else {
            return Err(wrong(format!("Unsupported option {}", String::from_utf8_lossy(option))));
        };
        *flag = true;
    }
    let when = match (nx, xx, gt, lt) {
        (false, false, false, false) => ExpireWhen::Always,
        (true, false, false, false) => ExpireWhen::NoExpiry,
        (false, true, false, false) => ExpireWhen::HasExpiry,
        (false, false, true, false) => ExpireWhen::Later,
        (false, false, false, true) => ExpireWhen::Earlier,
        // A later end than one that is there: what GT means by itself, for no expiry counts as infinite.
        (false, true, true, false) => ExpireWhen::Later,
        (false, true, false, true) => ExpireWhen::HasLater,
        (false, _, true, true) => {
            return Err(wrong("GT and LT options at the same time are not compatible"));
        }
        (true, ..) => {
            return Err(wrong("NX and XX, GT or LT options at the same time are not compatible"));
        }
    };
    let op = Op::Expire { key: Bytes::copy_from_slice(args.get(1)), expiry: Expiry::At(at), when };
    Ok(Plan::Ask { op, answer: Answer::Existed })
}

fn partition_count(node: &dyn NodeFacts) -> Result<u16, Wrong> {
    let view = node.view().ok_or(Wrong {
        code: "TRYAGAIN",
        message: "not done, try again: this node is no member of a cluster yet".into(),
    })?;
    Ok(view.topology.partition_count())
}

fn walk(spec: &Spec, args: Args<'_>, node: &dyn NodeFacts) -> Result<Plan, Wrong> {
    let partition_count = partition_count(node)?;
    Ok(run(match spec.verb {
        Verb::Scan => scan(args, partition_count)?,
        Verb::DbSize => TaskKind::Count { next: 0, end: u32::from(partition_count), divisor: 1, sum: 0 },
        Verb::Keys | Verb::RandomKey => TaskKind::Keys {
            walk: Walk::new(partition_count),
            pattern: match spec.verb {
                Verb::Keys => Bytes::copy_from_slice(args.get(1)),
                _ => Bytes::from_static(b"*"),
            },
            found: Vec::new(),
            bytes: 0,
            one: spec.verb == Verb::RandomKey,
        },
        _ => {
            let option = args.get(1);
            if args.len() > 2 || (args.len() == 2 && !is(option, "async") && !is(option, "sync")) {
                return Err(syntax());
            }
            TaskKind::Flush { walk: Walk::new(partition_count), keys: VecDeque::new() }
        }
    }))
}

fn scan(args: Args<'_>, partition_count: u16) -> Result<TaskKind, Wrong> {
    let text = std::str::from_utf8(args.get(1)).ok();
    let cursor = text.and_then(|text| text.parse().ok());
    let at = cursor.and_then(|cursor| place_of(cursor, partition_count));
    let mut at = Some(at.ok_or_else(|| wrong("invalid cursor"))?);
    let (mut pattern, mut count) = (None, 10);
    for option in (2..args.len()).step_by(2) {
        let (word, value) = (args.get(option), args.get(option + 1));
        if option + 1 >= args.len() {
            return Err(syntax());
        } else if is(word, "match") {
            pattern = (value != b"*").then(|| Bytes::copy_from_slice(value));
        } else if is(word, "count") {
            count = integer(value)?;
            if count < 1 {
                return Err(syntax());
            }
        } else if is(word, "type") {
            if !is(value, "string") {
                at = None;
            }
        } else {
            return Err(syntax());
        }
    }
    Ok(TaskKind::Scan {
        at,
        partition_count,
        pattern,
        count: count.min(10_000) as u32,
        looked_at: 0,
        partitions: 0,
        found: Vec::new(),
    })
}

fn count_in_slot(args: Args<'_>, node: &dyn NodeFacts) -> Result<Plan, Wrong> {
    let slot = integer(args.get(2))?;
    if !(0..i64::from(SLOT_COUNT)).contains(&slot) {
        return Err(wrong("Invalid slot"));
    }
    let partition_count = partition_count(node)?;
    let slots = SLOT_COUNT / partition_count;
    let next = slot as u32 / u32::from(slots);
    Ok(run(TaskKind::Count { next, end: next + 1, divisor: u64::from(slots), sum: 0 }))
}

/// The options of the `KV.` commands.
#[derive(Default)]
struct KvOptions {
    context: Option<Bytes>,
    votes: Option<u8>,
    ttl_ms: Option<i64>,
    with_context: bool,
}

fn kv_options(args: Args<'_>, from: usize, allowed: &[&str]) -> Result<KvOptions, Wrong> {
    let mut options = KvOptions::default();
    let mut at = from;
    while at < args.len() {
        let Some(word) = allowed.iter().find(|word| is(args.get(at), word)) else { return Err(syntax()) };
        at += 1;
        if *word == "withcontext" {
            options.with_context = true;
            continue;
        }
        if at >= args.len() {
            return Err(syntax());
        }
        let value = args.get(at);
        at += 1;
        match *word {
            "context" => {
                let context = from_hex(value).ok_or_else(|| {
                    wrong("the context is not what KV.GET … WITHCONTEXT gave: pass it on unchanged")
                })?;
                options.context = Some(Bytes::from(context));
            }
            "ttl" => options.ttl_ms = Some(integer(value)?),
            _ => {
                let votes = u8::try_from(integer(value)?).ok().filter(|votes| *votes > 0);
                options.votes = Some(votes.ok_or_else(|| wrong("R and W are numbers from 1 to N"))?);
            }
        }
    }
    Ok(options)
}

fn kv_get(args: Args<'_>) -> Result<Plan, Wrong> {
    let options = kv_options(args, 2, &["r", "withcontext"])?;
    let key = Bytes::copy_from_slice(args.get(1));
    let asked = SiblingsOf { key: key.clone(), with_context: options.with_context };
    Ok(Plan::Ask { op: Op::Get { key, r: options.votes }, answer: Answer::Siblings(Box::new(asked)) })
}

fn kv_put(args: Args<'_>, now_ms: u64) -> Result<Plan, Wrong> {
    let options = kv_options(args, 3, &["context", "w", "ttl"])?;
    let expiry = match options.ttl_ms {
        None => Expiry::Never,
        Some(ttl_ms) => ttl(ttl_ms, now_ms)?,
    };
    let (key, value) = (Bytes::copy_from_slice(args.get(1)), Bytes::copy_from_slice(args.get(2)));
    let op = Op::Put { key, value, context: options.context, expiry, w: options.votes };
    Ok(Plan::Ask { op, answer: Answer::Written })
}

fn kv_del(args: Args<'_>) -> Result<Plan, Wrong> {
    let options = kv_options(args, 2, &["context", "w"])?;
    let key = Bytes::copy_from_slice(args.get(1));
    let op = Op::Delete { key, context: options.context, w: options.votes };
    Ok(Plan::Ask { op, answer: Answer::Written })
}

/// The spec of each command, for `COMMAND`.
pub fn specs_named<'a>(args: Args<'a>) -> impl Iterator<Item = Option<&'static Spec>> + use<'a> {
    let all = args.is_empty().then(|| specs().iter().map(Some));
    all.into_iter().flatten().chain(args.iter().map(find))
}
