//! Commands that the connection's thread answers from what it knows.

mod cluster;
mod describe;
mod help;
mod info;

use super::arguments::{Wrong, integer, is, syntax, wrong};
use super::{ClientInfo, NodeFacts, Plan, ReplyMode, Session, Spec, Verb};
use crate::resp::{Args, Protocol, Replies};
use std::sync::Arc;

/// The version of Redis whose commands these are.
pub const REDIS_VERSION: &str = "7.4.0";

/// What Redis says to an unknown word behind a command.
pub fn unknown_subcommand(spec: &Spec, args: Args<'_>) -> Wrong {
    let word = String::from_utf8_lossy(&args.get(1)[..args.get(1).len().min(128)]).into_owned();
    wrong(format!("unknown subcommand '{word}'. Try {} HELP.", spec.name.to_ascii_uppercase()))
}

/// What Redis says to a subcommand with too few or too many arguments.
pub fn arity_of(spec: &Spec, word: &str) -> Wrong {
    wrong(format!("wrong number of arguments for '{}|{word}' command", spec.name))
}

/// Answers `HELP` of a command.
pub fn help(spec: &Spec, args: Args<'_>, out: &mut Replies<'_>) -> Result<Plan, Wrong> {
    if args.len() > 2 {
        return Err(arity_of(spec, "help"));
    }
    let lines = help::lines_of(spec.verb);
    let name = spec.name.to_ascii_uppercase();
    out.array(lines.len() + 3);
    out.simple(&format!("{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    lines.iter().for_each(|line| out.simple(line));
    out.simple("HELP");
    out.simple("    Prints this help.");
    Ok(Plan::Answered)
}

/// Answers a command that needs no shard.
pub fn run(
    spec: &'static Spec,
    args: Args<'_>,
    session: &mut Session,
    node: &dyn NodeFacts,
    now_ms: u64,
    out: &mut Replies<'_>,
) -> Result<Plan, Wrong> {
    match spec.verb {
        Verb::Ping => match args.len() {
            1 => out.simple("PONG"),
            2 => out.bulk(args.get(1)),
            _ => return Err(wrong("wrong number of arguments for 'ping' command")),
        },
        Verb::Echo => out.bulk(args.get(1)),
        Verb::Quit => {
            out.ok();
            return Ok(Plan::AnsweredAndClose);
        }
        Verb::Reset => {
            *session = Session::new(session.info.clone());
            session.info.set_name(String::new());
            session.info.set_protocol(Protocol::V2);
            out.simple("RESET");
        }
        Verb::Hello => hello(args, session, out)?,
        Verb::Auth => return Err(no_auth()),
        Verb::Select => match integer(args.get(1))? {
            0 => out.ok(),
            1..=15 => return Err(wrong("DB index is out of range: Kvorum has keyspace 0 only")),
            _ => return Err(wrong("DB index is out of range")),
        },
        Verb::ReadOnly | Verb::ReadWrite | Verb::Asking => out.ok(),
        Verb::Time => {
            out.array(2);
            out.bulk((now_ms / 1_000).to_string().as_bytes());
            out.bulk((now_ms % 1_000 * 1_000).to_string().as_bytes());
        }
        Verb::Client => return client(spec, args, session, node, out),
        Verb::Config => config(spec, args, node, out)?,
        Verb::Info => out.verbatim(&info::info(args.from(1), node)),
        Verb::Command => describe::command(spec, args, out)?,
        Verb::Cluster => cluster::cluster(spec, args, node, out)?,
        _ => return Err(wrong("internal: a command without a plan")),
    }
    Ok(Plan::Answered)
}

fn no_auth() -> Wrong {
    wrong(
        "AUTH called without any password configured: this build of Kvorum has no users yet. Are you sure your \
         configuration is correct?",
    )
}

fn hello(args: Args<'_>, session: &mut Session, out: &mut Replies<'_>) -> Result<(), Wrong> {
    let mut protocol = session.protocol;
    if args.len() > 1 {
        let version =
            integer(args.get(1)).map_err(|_| wrong("Protocol version is not an integer or out of range"))?;
        protocol = match version {
            2 => Protocol::V2,
            3 => Protocol::V3,
            _ => return Err(Wrong { code: "NOPROTO", message: "unsupported protocol version".into() }),
        };
    }
    let mut at = 2;
    let mut name = None;
    while at < args.len() {
        if is(args.get(at), "auth") && at + 2 < args.len() {
            return Err(no_auth());
        } else if is(args.get(at), "setname") && at + 1 < args.len() {
            name = Some(client_name(args.get(at + 1))?);
            at += 2;
        } else {
            let word = String::from_utf8_lossy(args.get(at)).into_owned();
            return Err(wrong(format!("Syntax error in HELLO option '{word}'")));
        }
    }
    if let Some(name) = name {
        session.info.set_name(name);
    }
    session.protocol = protocol;
    session.info.set_protocol(protocol);
    out.set_protocol(protocol);
    out.map(7);
    out.bulk(b"server");
    out.bulk(b"redis");
    out.bulk(b"version");
    out.bulk(REDIS_VERSION.as_bytes());
    out.bulk(b"proto");
    out.integer(if protocol == Protocol::V3 { 3 } else { 2 });
    out.bulk(b"id");
    out.integer(session.info.id as i64);
    out.bulk(b"mode");
    out.bulk(b"cluster");
    out.bulk(b"role");
    out.bulk(b"master");
    out.bulk(b"modules");
    out.array(0);
    Ok(())
}

/// A name that fits a line of `CLIENT LIST`.
fn client_name(bytes: &[u8]) -> Result<String, Wrong> {
    if bytes.len() > 256 || bytes.iter().any(|byte| !(b'!'..=b'~').contains(byte)) {
        return Err(wrong("Client names cannot contain spaces, newlines or special characters."));
    }
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

fn client(
    spec: &'static Spec,
    args: Args<'_>,
    session: &mut Session,
    node: &dyn NodeFacts,
    out: &mut Replies<'_>,
) -> Result<Plan, Wrong> {
    let word = args.get(1).to_ascii_lowercase();
    match (word.as_slice(), args.len()) {
        (b"id", 2) => out.integer(session.info.id as i64),
        (b"info", 2) => out.verbatim(&(session.info.line() + "\n")),
        (b"getname", 2) => match session.info.name() {
            name if name.is_empty() => out.null(),
            name => out.bulk(name.as_bytes()),
        },
        (b"setname", 3) => {
            session.info.set_name(client_name(args.get(2))?);
            out.ok();
        }
        (b"setinfo", 4) => {
            let text = client_name(args.get(3)).map_err(|_| {
                wrong("lib-name or lib-ver cannot contain spaces, newlines or special characters.")
            })?;
            if is(args.get(2), "lib-name") {
                session.info.set_library(text);
            } else if is(args.get(2), "lib-ver") {
                session.info.set_library_version(text);
            } else {
                let word = String::from_utf8_lossy(args.get(2)).into_owned();
                return Err(wrong(format!("Unrecognized option '{word}'")));
            }
            out.ok();
        }
        (b"list", _) => list(args, node, out)?,
        (b"kill", 3..) => return kill(args, session, node, out),
        (b"reply", 3) => {
            session.reply_mode = match args.get(2) {
                mode if is(mode, "on") => ReplyMode::On,
                mode if is(mode, "off") => ReplyMode::Off,
                mode if is(mode, "skip") => ReplyMode::SkipNext,
                _ => return Err(syntax()),
            };
            if session.reply_mode == ReplyMode::On {
                out.ok();
            }
        }
        (b"no-evict" | b"no-touch", 3) if is(args.get(2), "on") || is(args.get(2), "off") => out.ok(),
        (b"no-evict" | b"no-touch", 3) => return Err(syntax()),
        (b"maint_notifications", _) => out.ok(),
        (b"tracking", 3..) if is(args.get(2), "off") => out.ok(),
        (b"tracking", _) => {
            return Err(wrong("CLIENT TRACKING is not supported: Kvorum sends no invalidations"));
        }
        (b"trackinginfo", 2) => {
            out.map(3);
            out.bulk(b"flags");
            out.set(1);
            out.bulk(b"off");
            out.bulk(b"redirect");
            out.integer(-1);
            out.bulk(b"prefixes");
            out.array(0);
        }
        (b"getredir", 2) => out.integer(-1),
        (
            b"id" | b"info" | b"getname" | b"setname" | b"setinfo" | b"kill" | b"reply" | b"no-evict"
            | b"no-touch" | b"trackinginfo" | b"getredir",
            _,
        ) => {
            return Err(arity_of(spec, &String::from_utf8_lossy(&word)));
        }
        _ => return Err(unknown_subcommand(spec, args)),
    }
    Ok(Plan::Answered)
}

/// Whether a client is one of those meant.
type Filter = Box<dyn Fn(&ClientInfo) -> bool>;

/// Whether `CLIENT … TYPE` of this word means the clients that there are: all are normal ones.
fn is_normal_type(word: &[u8]) -> Result<bool, Wrong> {
    let known = ["normal", "master", "replica", "slave", "pubsub"];
    if !known.iter().any(|known| is(word, known)) {
        return Err(wrong(format!("Unknown client type '{}'", String::from_utf8_lossy(word))));
    }
    Ok(is(word, "normal"))
}

fn list(args: Args<'_>, node: &dyn NodeFacts, out: &mut Replies<'_>) -> Result<(), Wrong> {
    let fits: Filter = match args.len() {
        2 => Box::new(|_| true),
        4 if is(args.get(2), "type") => {
            let is_normal = is_normal_type(args.get(3))?;
            Box::new(move |_| is_normal)
        }
        4.. if is(args.get(2), "id") => {
            let ids: Result<Vec<i64>, Wrong> = args.from(3).iter().map(integer).collect();
            let ids = ids.map_err(|_| wrong("Invalid client ID"))?;
            Box::new(move |client| ids.contains(&(client.id as i64)))
        }
        _ => return Err(syntax()),
    };
    let mut text = String::new();
    for client in node.clients().iter().filter(|client| fits(client)) {
        text.push_str(&client.line());
        text.push('\n');
    }
    out.verbatim(&text);
    Ok(())
}

/// Which clients `CLIENT KILL` means, and whether it spares who asks. As Redis does, each filter is judged before any client
/// is looked at: a word that is none must not leave a filter that fits everybody.
fn kill_filters(args: Args<'_>) -> Result<(Vec<Filter>, bool), Wrong> {
    let mut skip_me = true;
    let mut wanted: Vec<Filter> = Vec::new();
    for at in (2..args.len()).step_by(2) {
        if at + 1 >= args.len() {
            return Err(syntax());
        }
        let (word, bytes) = (args.get(at), args.get(at + 1));
        let value = String::from_utf8_lossy(bytes).into_owned();
        if is(word, "id") {
            let id = integer(bytes).ok().filter(|id| *id > 0);
            let id = id.ok_or_else(|| wrong("client-id should be greater than 0"))?;
            wanted.push(Box::new(move |client| client.id as i64 == id));
        } else if is(word, "addr") {
            wanted.push(Box::new(move |client| client.addr.to_string() == value));
        } else if is(word, "laddr") {
            wanted.push(Box::new(move |client| client.laddr.to_string() == value));
        } else if is(word, "type") {
            let is_normal = is_normal_type(bytes)?;
            wanted.push(Box::new(move |_| is_normal));
        } else if is(word, "user") {
            if value != "default" {
                return Err(wrong(format!("No such user '{value}'")));
            }
        } else if is(word, "maxage") {
            let secs = integer(bytes).map_err(|_| wrong("maxage is not an integer or out of range"))?;
            if secs <= 0 {
                return Err(wrong("maxage should be greater than 0"));
            }
            wanted.push(Box::new(move |client| client.since.elapsed().as_secs() as i64 >= secs));
        } else if is(word, "skipme") && is(bytes, "yes") {
            skip_me = true;
        } else if is(word, "skipme") && is(bytes, "no") {
            skip_me = false;
        } else {
            return Err(syntax());
        }
    }
    Ok((wanted, skip_me))
}

fn kill(
    args: Args<'_>,
    session: &Session,
    node: &dyn NodeFacts,
    out: &mut Replies<'_>,
) -> Result<Plan, Wrong> {
    let old_form = args.len() == 3;
    let (wanted, skip_me) = if old_form {
        let addr = String::from_utf8_lossy(args.get(2)).into_owned();
        let fits: Filter = Box::new(move |client| client.addr.to_string() == addr);
        (vec![fits], false)
    } else {
        kill_filters(args)?
    };
    let (mut count, mut me) = (0, false);
    for client in node.clients() {
        if wanted.iter().all(|fits| fits(&client)) {
            if Arc::ptr_eq(&client, &session.info) {
                if skip_me {
                    continue;
                }
                me = true;
            } else {
                node.kill(&client);
            }
            count += 1;
        }
    }
    match (old_form, count) {
        (true, 0) => return Err(wrong("No such client")),
        (true, _) => out.ok(),
        (false, _) => out.integer(count),
    }
    Ok(if me { Plan::AnsweredAndClose } else { Plan::Answered })
}

fn settings(node: &dyn NodeFacts) -> Vec<(&'static str, String)> {
    let settings = node.settings();
    let port = settings.listen.rsplit(':').next().unwrap_or("0").to_owned();
    let host = settings.listen.rsplit_once(':').map_or("", |(host, _)| host).to_owned();
    let keyspace = node.view().and_then(|view| view.topology.keyspaces.first().cloned());
    let fsync = match keyspace.map(|keyspace| keyspace.durability) {
        Some(kvorum_core::ring::Durability::Always) | None => "always",
        Some(kvorum_core::ring::Durability::Interval) => "everysec",
        Some(kvorum_core::ring::Durability::Memory) => "no",
    };
    vec![
        ("appendfsync", fsync.into()),
        ("appendonly", "yes".into()),
        ("bind", host),
        ("cluster-enabled", "yes".into()),
        ("databases", "1".into()),
        ("dir", settings.data_dir.clone()),
        ("maxclients", settings.connections_max.to_string()),
        ("maxmemory", "0".into()),
        ("maxmemory-policy", "noeviction".into()),
        ("notify-keyspace-events", String::new()),
        ("port", port),
        ("proto-max-bulk-len", crate::resp::Limits::default().bulk_bytes_max.to_string()),
        ("requirepass", String::new()),
        ("save", String::new()),
        ("tcp-keepalive", "300".into()),
        ("timeout", "0".into()),
    ]
}

fn config(spec: &Spec, args: Args<'_>, node: &dyn NodeFacts, out: &mut Replies<'_>) -> Result<(), Wrong> {
    if is(args.get(1), "get") && args.len() > 2 {
        let fits = |name: &str| {
            let patterns = args.from(2);
            patterns.iter().any(|p| super::glob::matches(&p.to_ascii_lowercase(), name.as_bytes()))
        };
        let found: Vec<_> = settings(node).into_iter().filter(|(name, _)| fits(name)).collect();
        out.map(found.len());
        for (name, value) in found {
            out.bulk(name.as_bytes());
            out.bulk(value.as_bytes());
        }
    } else if is(args.get(1), "set") && args.len() > 3 && args.len().is_multiple_of(2) {
        let known = settings(node);
        for at in (2..args.len()).step_by(2) {
            let name = String::from_utf8_lossy(args.get(at)).to_ascii_lowercase();
            let Some((_, value)) = known.iter().find(|(known, _)| *known == name) else {
                return Err(wrong(format!(
                    "Unknown option or number of arguments for CONFIG SET - '{name}'"
                )));
            };
            if value.as_bytes() != args.get(at + 1) {
                return Err(wrong(format!(
                    "CONFIG SET failed - can't set '{name}': it is fixed while the server runs; \
                     use the flags of `kvorum server`"
                )));
            }
        }
        out.ok();
    } else if is(args.get(1), "resetstat") && args.len() == 2 {
        node.reset_stats();
        out.ok();
    } else if is(args.get(1), "rewrite") {
        return Err(wrong("The server is running without a config file"));
    } else if ["get", "set", "resetstat"].iter().any(|word| is(args.get(1), word)) {
        return Err(arity_of(spec, &String::from_utf8_lossy(args.get(1)).to_ascii_lowercase()));
    } else {
        return Err(unknown_subcommand(spec, args));
    }
    Ok(())
}
