use std::sync::OnceLock;

/// How far a command is what Redis users know by that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// As in Redis.
    Full,
    /// Other than in Redis in this respect.
    Differs(&'static str),
    /// Known and refused, for this reason, with what to use instead.
    Refused(&'static str),
}

macro_rules! verbs {
    ($($variant:ident = $name:literal, $arity:literal, $flags:literal, $first:literal $last:literal $step:literal, $group:literal, $support:expr, $summary:literal;)*) => {
        /// A supported command.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[allow(missing_docs)] // Named by the table.
        pub enum Verb { $($variant),* }
        /// All supported commands.
        static SPECS: &[Spec] = &[$(Spec {
            verb: Verb::$variant, name: $name, arity: $arity, flags: $flags,
            first_key: $first, last_key: $last, key_step: $step,
            group: $group, support: $support, summary: $summary,
        }),*];
    };
}

/// What is known of a command before it runs.
#[derive(Debug)]
pub struct Spec {
    /// Which one.
    pub verb: Verb,
    /// In lower case.
    pub name: &'static str,
    /// Arguments with the name; negative for a minimum.
    pub arity: i32,
    /// As `COMMAND` lists them, blank-separated.
    pub flags: &'static str,
    /// Index of the first key, 0 for none.
    pub first_key: i32,
    /// Index of the last key; negative counts from the end.
    pub last_key: i32,
    /// From one key to the next.
    pub key_step: i32,
    /// Group in `COMMAND DOCS`.
    pub group: &'static str,
    /// How it compares with Redis.
    pub support: Support,
    /// One sentence.
    pub summary: &'static str,
}

use Support::{Differs, Full};
const NOT_ATOMIC: Support = Differs("not atomic: each key by itself");
const NEEDS_STRONG: Support =
    Differs("-NOAPSAFE: it must read and decide, which no available keyspace can do without losing updates");

verbs! {
    Get = "get", 2, "readonly fast", 1 1 1, "string", Full, "Returns the value of a key.";
    Set = "set", -3, "write denyoom", 1 1 1, "string", Differs("NX, XX, IFEQ and GET answer -NOAPSAFE"), "Sets a key.";
    SetEx = "setex", 4, "write denyoom", 1 1 1, "string", Full, "Sets a key with a time to live in seconds.";
    PSetEx = "psetex", 4, "write denyoom", 1 1 1, "string", Full, "Sets a key with a time to live in milliseconds.";
    SetNx = "setnx", 3, "write denyoom fast", 1 1 1, "string", NEEDS_STRONG, "Sets a key that is not there.";
    GetSet = "getset", 3, "write denyoom fast", 1 1 1, "string", NEEDS_STRONG, "Sets a key and returns what it held.";
    GetDel = "getdel", 2, "write fast", 1 1 1, "string", NEEDS_STRONG, "Deletes a key and returns what it held.";
    GetEx = "getex", -2, "write fast", 1 1 1, "string", Differs("a read, then a change of expiry: not one step"), "Returns the value of a key and changes when it ends.";
    Incr = "incr", 2, "write denyoom fast", 1 1 1, "string", NEEDS_STRONG, "Adds one.";
    Decr = "decr", 2, "write denyoom fast", 1 1 1, "string", NEEDS_STRONG, "Takes one away.";
    IncrBy = "incrby", 3, "write denyoom fast", 1 1 1, "string", NEEDS_STRONG, "Adds a number.";
    DecrBy = "decrby", 3, "write denyoom fast", 1 1 1, "string", NEEDS_STRONG, "Takes a number away.";
    IncrByFloat = "incrbyfloat", 3, "write denyoom fast", 1 1 1, "string", NEEDS_STRONG, "Adds a fraction.";
    Append = "append", 3, "write denyoom fast", 1 1 1, "string", NEEDS_STRONG, "Appends to a value.";
    SetRange = "setrange", 4, "write denyoom", 1 1 1, "string", NEEDS_STRONG, "Overwrites part of a value.";
    MSetNx = "msetnx", -3, "write denyoom", 1 -1 2, "string", NEEDS_STRONG, "Sets keys of which none is there.";
    MGet = "mget", -2, "readonly fast", 1 -1 1, "string", NOT_ATOMIC, "Returns the values of keys.";
    MSet = "mset", -3, "write denyoom", 1 -1 2, "string", NOT_ATOMIC, "Sets keys.";
    StrLen = "strlen", 2, "readonly fast", 1 1 1, "string", Full, "Returns the length of a value.";
    Del = "del", -2, "write", 1 -1 1, "generic", NOT_ATOMIC, "Deletes keys.";
    Unlink = "unlink", -2, "write fast", 1 -1 1, "generic", NOT_ATOMIC, "Deletes keys.";
    Exists = "exists", -2, "readonly fast", 1 -1 1, "generic", NOT_ATOMIC, "Counts the keys that are there.";
    Touch = "touch", -2, "readonly fast", 1 -1 1, "generic", NOT_ATOMIC, "Counts the keys that are there.";
    Type = "type", 2, "readonly fast", 1 1 1, "generic", Full, "Returns the type of a value: string or none.";
    Expire = "expire", -3, "write fast", 1 1 1, "generic", Full, "Sets a time to live in seconds.";
    PExpire = "pexpire", -3, "write fast", 1 1 1, "generic", Full, "Sets a time to live in milliseconds.";
    ExpireAt = "expireat", -3, "write fast", 1 1 1, "generic", Full, "Sets when a key ends, in Unix seconds.";
    PExpireAt = "pexpireat", -3, "write fast", 1 1 1, "generic", Full, "Sets when a key ends, in Unix milliseconds.";
    Ttl = "ttl", 2, "readonly fast", 1 1 1, "generic", Full, "Returns the time to live in seconds.";
    PTtl = "pttl", 2, "readonly fast", 1 1 1, "generic", Full, "Returns the time to live in milliseconds.";
    ExpireTime = "expiretime", 2, "readonly fast", 1 1 1, "generic", Full, "Returns when a key ends, in Unix seconds.";
    PExpireTime = "pexpiretime", 2, "readonly fast", 1 1 1, "generic", Full, "Returns when a key ends, in Unix milliseconds.";
    Persist = "persist", 2, "write fast", 1 1 1, "generic", Full, "Takes away a time to live.";
    Scan = "scan", -2, "readonly", 0 0 0, "generic", Differs("covers the whole cluster from any node"), "Walks over the keys.";
    Keys = "keys", 2, "readonly", 0 0 0, "generic", Differs("covers the whole cluster; refused beyond a million keys"), "Lists keys.";
    RandomKey = "randomkey", 1, "readonly", 0 0 0, "generic", Differs("some key, not evenly chosen"), "Returns a key.";
    DbSize = "dbsize", 1, "readonly fast", 0 0 0, "server", Differs("an estimate over the whole cluster"), "Counts the keys.";
    FlushDb = "flushdb", -1, "write", 0 0 0, "server", Differs("scans and deletes: keys written meanwhile may stay"), "Deletes all keys.";
    FlushAll = "flushall", -1, "write", 0 0 0, "server", Differs("the same as FLUSHDB"), "Deletes all keys.";
    Object = "object", -2, "readonly", 2 2 1, "generic", Differs("ENCODING only"), "Inspects a value.";
    Memory = "memory", -2, "readonly", 0 0 0, "server", Differs("USAGE only, an estimate of one copy"), "Inspects memory.";
    Ping = "ping", -1, "fast loading stale", 0 0 0, "connection", Full, "Answers.";
    Echo = "echo", 2, "fast loading stale", 0 0 0, "connection", Full, "Answers the same.";
    Hello = "hello", -1, "noscript loading stale fast no_auth", 0 0 0, "connection", Full, "Chooses the protocol version.";
    Auth = "auth", -2, "noscript loading stale fast no_auth", 0 0 0, "connection", Differs("no users exist yet"), "Authenticates.";
    Quit = "quit", -1, "noscript loading stale fast no_auth", 0 0 0, "connection", Full, "Closes the connection.";
    Reset = "reset", 1, "noscript loading stale fast no_auth", 0 0 0, "connection", Full, "Makes the connection like new.";
    Select = "select", 2, "loading stale fast", 0 0 0, "connection", Differs("0 only"), "Chooses the keyspace.";
    Client = "client", -2, "noscript loading stale", 0 0 0, "connection", Differs("no TRACKING, PAUSE or UNBLOCK"), "Inspects connections.";
    ReadOnly = "readonly", 1, "loading stale fast", 0 0 0, "cluster", Differs("changes nothing: any node answers any key"), "Accepts reads at replicas.";
    ReadWrite = "readwrite", 1, "loading stale fast", 0 0 0, "cluster", Differs("changes nothing"), "Undoes READONLY.";
    Asking = "asking", 1, "fast", 0 0 0, "cluster", Differs("changes nothing"), "Follows an ASK.";
    Cluster = "cluster", -2, "loading stale", 0 0 0, "cluster", Differs("views only; never MOVED"), "Shows the cluster.";
    Command = "command", -1, "loading stale", 0 0 0, "server", Full, "Describes the commands.";
    Config = "config", -2, "admin noscript loading stale", 0 0 0, "server", Differs("a small table; SET takes what changes nothing"), "Shows settings.";
    Info = "info", -1, "loading stale", 0 0 0, "server", Full, "Describes the node.";
    Time = "time", 1, "loading stale fast", 0 0 0, "server", Full, "Returns the node's clock.";
    KvGet = "kv.get", -2, "readonly", 1 1 1, "kvorum", Full, "Returns all concurrent values: KV.GET key [R n] [WITHCONTEXT].";
    KvPut = "kv.put", -3, "write denyoom", 1 1 1, "kvorum", Full, "Writes: KV.PUT key value [CONTEXT c] [W n] [TTL ms].";
    KvDel = "kv.del", -2, "write", 1 1 1, "kvorum", Full, "Deletes: KV.DEL key [CONTEXT c] [W n].";
    KvExplain = "kv.explain", 2, "readonly", 1 1 1, "kvorum", Full, "Says where a key lives and what each owner holds.";
}

const NO_TYPES: &str = "Kvorum keeps strings only: lists, hashes, sets, sorted sets, streams are not offered";
const NO_PARTS: &str = "a value is read and written whole: GET it, work on it, and SET it";
const NO_SCRIPTS: &str = "a script would have to run on all owners of a key at once";
const NO_TRANSACTIONS: &str = "keys live on different nodes; send the commands as a plain pipeline (redis-py: pipeline(transaction=False))";
const NO_PUBSUB: &str = "Kvorum carries no messages between clients";
const NO_BLOCKING: &str = "Kvorum has no blocking commands";
const NO_COPY: &str = "it would not be one step across nodes; read and write yourself";
const NO_REPLICATION: &str = "replication is Kvorum's own; see KV.EXPLAIN and `kvorum status`";
const NO_ADMIN: &str = "use the admin port: /metrics, /status, or `kvorum status`";

/// Commands of Redis that are known and refused.
static REFUSED: &[(&str, &[&str])] = &[
    (NO_TRANSACTIONS, &["multi", "exec", "discard", "watch", "unwatch"]),
    (NO_SCRIPTS, &["eval", "evalsha", "eval_ro", "evalsha_ro", "script", "function", "fcall", "fcall_ro"]),
    (
        NO_PUBSUB,
        &[
            "publish",
            "subscribe",
            "psubscribe",
            "unsubscribe",
            "punsubscribe",
            "pubsub",
            "ssubscribe",
            "spublish",
            "sunsubscribe",
        ],
    ),
    (
        NO_BLOCKING,
        &[
            "blpop",
            "brpop",
            "blmove",
            "bzpopmin",
            "bzpopmax",
            "blmpop",
            "bzmpop",
            "brpoplpush",
            "wait",
            "waitaof",
        ],
    ),
    (
        NO_COPY,
        &["rename", "renamenx", "copy", "move", "swapdb", "dump", "restore", "migrate", "sort", "sort_ro"],
    ),
    (NO_REPLICATION, &["sync", "psync", "replicaof", "slaveof", "replconf", "failover", "role"]),
    (
        NO_ADMIN,
        &[
            "slowlog",
            "latency",
            "monitor",
            "acl",
            "module",
            "debug",
            "shutdown",
            "save",
            "bgsave",
            "bgrewriteaof",
            "lastsave",
        ],
    ),
    (
        NO_TYPES,
        &[
            "lpush",
            "rpush",
            "lpushx",
            "rpushx",
            "lpop",
            "rpop",
            "llen",
            "lrange",
            "lindex",
            "lset",
            "lrem",
            "ltrim",
            "linsert",
            "lmove",
            "rpoplpush",
            "lpos",
            "lmpop",
            "hset",
            "hsetnx",
            "hget",
            "hmset",
            "hmget",
            "hgetall",
            "hdel",
            "hexists",
            "hincrby",
            "hincrbyfloat",
            "hkeys",
            "hvals",
            "hlen",
            "hscan",
            "hstrlen",
            "hrandfield",
            "hexpire",
            "hpexpire",
            "hexpireat",
            "hpexpireat",
            "httl",
            "hpttl",
            "hexpiretime",
            "hpexpiretime",
            "hpersist",
            "hgetdel",
            "hgetex",
            "hsetex",
            "sadd",
            "srem",
            "smembers",
            "sismember",
            "smismember",
            "scard",
            "sscan",
            "spop",
            "srandmember",
            "sinter",
            "sintercard",
            "sinterstore",
            "sunion",
            "sunionstore",
            "sdiff",
            "sdiffstore",
            "smove",
            "zadd",
            "zrem",
            "zrange",
            "zrangestore",
            "zrangebyscore",
            "zrangebylex",
            "zrevrange",
            "zrevrangebyscore",
            "zrevrangebylex",
            "zscore",
            "zmscore",
            "zcard",
            "zcount",
            "zlexcount",
            "zincrby",
            "zrank",
            "zrevrank",
            "zpopmin",
            "zpopmax",
            "zmpop",
            "zscan",
            "zrandmember",
            "zremrangebyscore",
            "zremrangebyrank",
            "zremrangebylex",
            "zinter",
            "zintercard",
            "zinterstore",
            "zunion",
            "zunionstore",
            "zdiff",
            "zdiffstore",
            "xadd",
            "xread",
            "xrange",
            "xrevrange",
            "xlen",
            "xgroup",
            "xreadgroup",
            "xack",
            "xdel",
            "xtrim",
            "xclaim",
            "xautoclaim",
            "xinfo",
            "xpending",
            "xsetid",
            "geoadd",
            "geosearch",
            "geosearchstore",
            "geopos",
            "geodist",
            "geohash",
            "georadius",
            "georadiusbymember",
            "pfadd",
            "pfcount",
            "pfmerge",
        ],
    ),
    (
        NO_PARTS,
        &[
            "getrange",
            "substr",
            "lcs",
            "setbit",
            "getbit",
            "bitcount",
            "bitop",
            "bitpos",
            "bitfield",
            "bitfield_ro",
        ],
    ),
];

/// All supported commands, in the order of the table.
pub fn specs() -> &'static [Spec] {
    SPECS
}

/// Known and refused commands with the reason, for documents.
pub fn refused() -> impl Iterator<Item = (&'static str, &'static str)> {
    REFUSED.iter().flat_map(|(reason, names)| names.iter().map(move |name| (*name, *reason)))
}

const INDEX_SIZE: usize = 512;
/// Longest known name.
const NAME_BYTES_MAX: usize = 16;

/// The command of that name in any case.
#[inline]
pub fn find(name: &[u8]) -> Option<&'static Spec> {
    static INDEX: OnceLock<[u8; INDEX_SIZE]> = OnceLock::new();
    let index = INDEX.get_or_init(|| {
        let mut index = [u8::MAX; INDEX_SIZE];
        for (number, spec) in SPECS.iter().enumerate() {
            let mut place = place_of(spec.name.as_bytes());
            while index[place] != u8::MAX {
                place = (place + 1) % INDEX_SIZE;
            }
            index[place] = number as u8;
        }
        index
    });
    let mut place = place_of(name);
    loop {
        let spec = SPECS.get(usize::from(index[place]))?;
        if spec.name.as_bytes().eq_ignore_ascii_case(name) {
            return Some(spec);
        }
        place = (place + 1) % INDEX_SIZE;
    }
}

#[inline]
fn place_of(name: &[u8]) -> usize {
    let step = |hash: u32, byte: &u8| (hash ^ u32::from(byte | 0x20)).wrapping_mul(0x0100_0193);
    let hash = name.iter().take(NAME_BYTES_MAX).fold(0x811c_9dc5, step);
    (hash ^ hash >> 15) as usize % INDEX_SIZE
}

/// Why a known command is not supported; `None` for names that Redis does not know either.
pub fn refusal_of(name: &[u8]) -> Option<&'static str> {
    refused().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name)).map(|(_, reason)| reason)
}

impl Spec {
    /// Whether so many arguments (the name among them) are right.
    #[inline]
    pub fn takes(&self, count: usize) -> bool {
        let count = count as i32;
        if self.arity < 0 { count >= -self.arity } else { count == self.arity }
    }
    /// Where the keys are among `count` arguments.
    pub fn key_indexes(&self, count: usize) -> impl Iterator<Item = usize> + use<> {
        let first = self.first_key;
        let last = if self.last_key < 0 { count as i32 + self.last_key } else { self.last_key };
        let step = self.key_step.max(1);
        (first..=last.min(count as i32 - 1))
            .step_by(step as usize)
            .filter(|index| *index > 0)
            .map(|i| i as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_by_its_name_in_any_case() {
        for (number, spec) in specs().iter().enumerate() {
            assert_eq!(spec.verb as usize, number);
            let upper = spec.name.to_ascii_uppercase();
            assert_eq!(find(upper.as_bytes()).map(|found| found.verb), Some(spec.verb));
            assert_eq!(refusal_of(spec.name.as_bytes()), None, "{} is supported and refused", spec.name);
        }
        assert!(find(b"nosuch").is_none() && find(b"").is_none());
        assert!(refusal_of(b"LPUSH").is_some_and(|reason| reason.contains("strings only")));
        assert!(refusal_of(b"GetRange").is_some_and(|reason| reason.contains("GET it")));
    }

    /// `docs/commands.md` says what this table says.
    #[test]
    fn the_document_tells_of_every_command() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/commands.md");
        let text = std::fs::read_to_string(path).unwrap().replace("\\|", "|");
        let mut missing = Vec::new();
        for spec in specs() {
            let name = format!("| `{}` | ", spec.name.to_ascii_uppercase());
            let Some(line) = text.lines().find(|line| line.starts_with(&name)) else {
                missing.push(spec.name);
                continue;
            };
            let is_told = match spec.support {
                Support::Full => line.contains(" full | ") || line.contains(" own | "),
                Support::Differs(why) => {
                    line.contains(why) || (spec.support == NEEDS_STRONG && line.contains("-NOAPSAFE"))
                }
                Support::Refused(why) => line.contains(why),
            };
            if !is_told {
                missing.push(spec.name);
            }
        }
        for (name, reason) in refused() {
            let name_quoted = format!("`{}`", name.to_ascii_uppercase());
            if !text.lines().any(|line| line.contains(&name_quoted) && line.contains(reason)) {
                missing.push(name);
            }
        }
        assert!(missing.is_empty(), "docs/commands.md says otherwise, or nothing, about {missing:?}");
    }

    #[test]
    fn keys_are_where_redis_says() {
        let keys = |name: &[u8], count| find(name).map(|spec| spec.key_indexes(count).collect::<Vec<_>>());
        assert_eq!(keys(b"mset", 5), Some(vec![1, 3]));
        assert_eq!(keys(b"mget", 3), Some(vec![1, 2]));
        assert_eq!(keys(b"get", 2), Some(vec![1]));
        assert_eq!(keys(b"ping", 1), Some(vec![]));
    }
}
