use crate::command::Verb;

/// What `HELP` says behind a command's head, as Redis lays it out: a subcommand, then what it does, indented. Only what is
/// there is named.
pub fn lines_of(verb: Verb) -> &'static [&'static str] {
    match verb {
        Verb::Cluster => CLUSTER,
        Verb::Client => CLIENT,
        Verb::Config => CONFIG,
        Verb::Command => COMMAND,
        Verb::Object => OBJECT,
        Verb::Memory => MEMORY,
        _ => &[],
    }
}

const CLUSTER: &[&str] = &[
    "COUNTKEYSINSLOT <slot>",
    "    Return the number of keys in <slot>, an estimate.",
    "COUNT-FAILURE-REPORTS <node-id>",
    "    Return 0: see kvorum status.",
    "INFO",
    "    Return information about the cluster.",
    "KEYSLOT <key>",
    "    Return the hash slot for <key>.",
    "LINKS",
    "    Return an empty list: see kvorum status.",
    "MYID",
    "    Return the node id.",
    "MYSHARDID",
    "    Return the node id.",
    "NODES",
    "    Return the nodes of the cluster, each with the slots that it is to be asked for first.",
    "REPLICAS <node-id>",
    "    Return an empty list: every node answers for every key.",
    "SHARDS",
    "    Return the slots by the live nodes that own them.",
    "SLOTS",
    "    Return ranges of slots with the live nodes that own them.",
];

const CLIENT: &[&str] = &[
    "GETNAME",
    "    Return the name of the current connection.",
    "GETREDIR",
    "    Return -1: there is no tracking.",
    "ID",
    "    Return the ID of the current connection.",
    "INFO",
    "    Return information about the current client connection.",
    "KILL <ip:port>",
    "    Kill connection made from <ip:port>.",
    "KILL <option> <value> [<option> <value> [...]]",
    "    Kill connections. Options are:",
    "    * ADDR <ip:port>",
    "      Kill connections made from the specified address.",
    "    * ID <client-id>",
    "      Kill the connection of that ID.",
    "    * LADDR <ip:port>",
    "      Kill connections made to the specified local address.",
    "    * MAXAGE <seconds>",
    "      Kill connections that are as old or older.",
    "    * SKIPME (YES|NO)",
    "      Skip killing the current connection (default: yes).",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "      Kill connections by type: all are normal.",
    "    * USER <username>",
    "      Kill connections of that user: all are default.",
    "LIST [options ...]",
    "    Return information about client connections of this node. Options:",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "      Return clients of specified type.",
    "    * ID <client-id> [<client-id> ...]",
    "      Return clients of these IDs.",
    "NO-EVICT (ON|OFF)",
    "    Accepted: clients are not evicted.",
    "NO-TOUCH (ON|OFF)",
    "    Accepted: reads leave no mark.",
    "REPLY (ON|OFF|SKIP)",
    "    Control the replies sent to the current connection.",
    "SETINFO (LIB-NAME|LIB-VER) <value>",
    "    Set what CLIENT LIST says of the client's library.",
    "SETNAME <name>",
    "    Assign the name <name> to the current connection.",
    "TRACKING OFF",
    "    Accepted: there is no tracking.",
    "TRACKINGINFO",
    "    Report that tracking is off.",
];

const CONFIG: &[&str] = &[
    "GET <pattern>",
    "    Return parameters matching the glob-like <pattern> and their values.",
    "SET <directive> <value>",
    "    Accepted if <value> is the present one: settings are flags of kvorum server.",
    "RESETSTAT",
    "    Reset statistics reported by the INFO command.",
];

const COMMAND: &[&str] = &[
    "(no subcommand)",
    "    Return details about all commands.",
    "COUNT",
    "    Return the total number of commands.",
    "LIST [FILTERBY (PATTERN <pattern>|ACLCAT <category>)]",
    "    Return the names of commands.",
    "INFO [<command-name> ...]",
    "    Return details about multiple commands.",
    "    If no command names are given, details of all are returned.",
    "DOCS [<command-name> ...]",
    "    Return what multiple commands do, and in what they differ from Redis.",
    "GETKEYS <full-command>",
    "    Return the keys from a full command.",
];

const OBJECT: &[&str] = &[
    "ENCODING <key>",
    "    Return the kind of internal representation that Redis would use for the value of <key>.",
];

const MEMORY: &[&str] = &[
    "USAGE <key> [SAMPLES <count>]",
    "    Return memory in bytes that one copy of <key> and its value take, an estimate.",
];
