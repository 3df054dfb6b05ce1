use super::options::Addresses;
use super::{DataDir, ServerOptions};
use crate::admin::{self, Hub};
use crate::clock::Clock;
use crate::command::NodeSettings;
use crate::disk::Disk;
use crate::peer::Greeting;
use crate::reactor::{
    ControlSeat, DataThread, DiskHands, IdleHands, Listeners, Mailbox, ShardCell, ShardMail, ShardSeat,
    Shared, Stage, WAKER,
};
use kvorum_core::base::{Kept, Micros, Sabotage, ShardIndex};
use kvorum_core::control::{Config as ControlConfig, Control, Start};
use kvorum_core::data::{Config as ShardConfig, Input as ShardInput, Shard};
use kvorum_core::lsm::{BlockCache, Error as EngineError, Options as EngineOptions};
use mio::{Poll, Waker};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest key. The engine takes a little more, for what stands before it.
pub const KEY_BYTES_MAX: u32 = 64 << 10;
const _: () =
    assert!(KEY_BYTES_MAX as usize + 64 <= kvorum_core::lsm::KEY_BYTES_MAX, "a hint's key must fit");
/// Longest value.
pub const VALUE_BYTES_MAX: u32 = 16 << 20;
/// Most bytes of hints that a node keeps for others, all shards together.
const HINT_BYTES_MAX: u64 = 4 << 30;
/// A greater memtable is not faster, and each has a log segment of its size.
const MEMTABLE_BYTES_MAX: u64 = 64 << 20;

/// How long work on the disk is waited for at the end, and how often it is asked for.
const CLOSE_TIME: Duration = Duration::from_secs(3);
const CLOSE_PAUSE: Duration = Duration::from_millis(5);

/// Why a server did not start or did not go on: what went wrong and what to do, and the exit status.
#[derive(Debug)]
pub struct Failure {
    /// For the last line on stderr.
    pub message: String,
    /// 1 for what the world did, 2 for a mistake in the flags.
    pub status: u8,
}

impl From<String> for Failure {
    fn from(message: String) -> Failure {
        Failure { message, status: 1 }
    }
}

fn random() -> Result<u64, String> {
    getrandom::u64().map_err(|error| format!("the system gives no random numbers: {error}"))
}

/// Runs a node until it is told to stop.
pub fn serve(options: &ServerOptions) -> Result<(), Failure> {
    let addresses = options.check().map_err(|message| Failure { message, status: 2 })?;
    if !options.data.exists() {
        // A mistake in the flags leaves no folder behind.
        options.start(0).ok_or_else(homeless)?;
        check_seed(options, addresses)?;
    }
    let data = DataDir::open(&options.data, options.shards.unwrap_or(1), random()?)?;
    if let Some(wanted) = options.shards.filter(|wanted| *wanted != data.shard_count) {
        tracing::warn!(
            "--shards {wanted} is ignored: this data folder was made with {}, and that is fixed",
            data.shard_count
        );
    }
    raise_file_limit();
    let sockets = Sockets::bind(addresses)?;
    let clock = Clock::start();
    let (seats, kept) = open_shards(options, &data, clock)?;
    let settings = settings(options, &data, &sockets);
    let seed = options.join.clone().filter(|_| !Control::was_member(&kept));
    if seed.is_some() {
        check_seed(options, addresses)?;
    }
    let control = ControlSeat::new(control(options, &settings, clock, kept)?, seed);
    let (hub, shared, polls, hands) = share(clock, settings, seats)?;
    let signals = watch_signals(shared.clone())?;
    let mut hands_threads = Vec::new();
    for idle in hands {
        let started = idle.start(Arc::downgrade(&shared));
        hands_threads.extend(started.map_err(|error| format!("a thread cannot be started: {error}"))?);
    }
    admin::start(shared.clone(), hub, sockets.admin)?;
    run_threads(&shared, polls, sockets.clients, sockets.peers, control)?;
    close_shards(&shared);
    tracing::info!("stopped");
    drop(signals);
    match shared.failure() {
        None => Ok(()),
        Some(message) => Err(message.into()),
    }
}

/// Each client takes a file descriptor, and the usual soft limit is far below `--max-connections`.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!("the limit of open files stays as it is: {error}");
    }
}

struct Sockets {
    clients: TcpListener,
    peers: TcpListener,
    admin: TcpListener,
}

impl Sockets {
    fn bind(addresses: Addresses) -> Result<Sockets, String> {
        let bind = |flag: &str, address: SocketAddr| {
            let listener = TcpListener::bind(address).map_err(|error| match error.kind() {
                std::io::ErrorKind::AddrInUse => format!(
                    "--{flag} {address} is in use: another process listens there; stop it or give another port"
                ),
                _ => format!("--{flag} {address} cannot be listened on: {error}"),
            })?;
            listener.set_nonblocking(true).map_err(|error| format!("--{flag} {address}: {error}"))?;
            Ok::<_, String>(listener)
        };
        Ok(Sockets {
            clients: bind("listen", addresses.listen)?,
            peers: bind("peer", addresses.peer)?,
            admin: bind("admin", addresses.admin)?,
        })
    }
}

fn settings(options: &ServerOptions, data: &DataDir, sockets: &Sockets) -> NodeSettings {
    let told = |listener: &TcpListener, flag: &str| match (listener.local_addr(), &options.advertise) {
        (Ok(address), None) => address.to_string(),
        (Ok(address), Some(host)) if host.contains(':') => format!("[{host}]:{}", address.port()),
        (Ok(address), Some(host)) => format!("{host}:{}", address.port()),
        (Err(_), _) => flag.to_owned(),
    };
    NodeSettings {
        name: options.name.clone(),
        store: data.store,
        listen: told(&sockets.clients, &options.listen),
        admin: told(&sockets.admin, &options.admin),
        peer: told(&sockets.peers, &options.peer),
        data_dir: data.root().display().to_string(),
        shard_count: data.shard_count,
        connections_max: options.max_connections,
        memory_bytes: options.memory,
        since: Instant::now(),
    }
}

type Seats = Vec<(ShardSeat, IdleHands)>;

fn open_shards(options: &ServerOptions, data: &DataDir, clock: Clock) -> Result<(Seats, Kept), String> {
    let shard_count = u64::from(data.shard_count);
    let memory = options.memory / shard_count;
    let memtable_bytes = (memory / 8).min(MEMTABLE_BYTES_MAX);
    // Blocks serve scans and keys that are read for the first time; a key in use has a row.
    let cache_bytes = memory / 16;
    // The memtable twice: while one fills, the one before it is being flushed.
    let row_bytes = memory - cache_bytes - 2 * memtable_bytes;
    let mut seats = Vec::new();
    let mut first_kept = Kept::default();
    for index in 0..data.shard_count {
        let folder = data.shard(index);
        let broken = |error: &EngineError| {
            format!("the data in {} cannot be opened: {error}; {}", folder.display(), advice(error))
        };
        let mut disk = Disk::open(&folder).map_err(|error| broken(&EngineError::Io(error)))?;
        let mut cache = BlockCache::new(cache_bytes);
        let config = ShardConfig {
            shard: ShardIndex(index),
            shard_count: data.shard_count,
            entropy: random()?,
            key_bytes_max: KEY_BYTES_MAX,
            value_bytes_max: VALUE_BYTES_MAX,
            hint_bytes_max: HINT_BYTES_MAX / shard_count,
            engine: EngineOptions {
                memtable_bytes: memtable_bytes as u32,
                row_bytes,
                hash_seed: random()?,
                ..EngineOptions::default()
            },
            sabotage: Sabotage::NONE,
            trace: false,
        };
        let opened = Shard::open(clock.now(), config, &mut disk, &mut cache);
        let (shard, kept, recovery) = opened.map_err(|error| broken(&error))?;
        if index == 0 {
            first_kept = kept;
        }
        tracing::info!(
            "shard {index}: {} log records replayed{}",
            recovery.records_kept,
            match recovery.bytes_cut {
                0 => String::new(),
                bytes => format!(", a torn tail of {bytes} bytes cut"),
            }
        );
        let (hands, idle) = DiskHands::new(usize::from(index), disk.clone());
        let published_at = Micros(0);
        let (is_traced, crowded, unreadable, refusing) = Default::default();
        let seat =
            ShardSeat { shard, disk, cache, hands, is_traced, published_at, crowded, unreadable, refusing };
        seats.push((seat, idle));
    }
    Ok((seats, first_kept))
}

/// What to do about an engine that does not open.
fn advice(error: &EngineError) -> &'static str {
    match error {
        EngineError::Corruption { .. } => {
            "no data was changed: restore the data folder from a copy, or move it away and start with an empty one and \
             --join, and the other nodes refill it"
        }
        EngineError::NoSpace => "free some space and start again",
        EngineError::FormatTooNew { .. } => "start the newer version that wrote it",
        _ => "check the disk and the folder's permissions, then start again",
    }
}

/// Whoever is no member yet and asks itself waits for ever.
fn check_seed(options: &ServerOptions, addresses: Addresses) -> Result<(), Failure> {
    options.check_seed(addresses).map_err(|message| Failure { message, status: 2 })
}

/// Neither flag nor folder says which cluster it is to be.
fn homeless() -> Failure {
    let message = "this data folder belongs to no cluster yet: say --bootstrap to begin one, or --join with the peer \
                   address of a node of one";
    Failure { message: message.into(), status: 2 }
}

fn control(
    options: &ServerOptions,
    settings: &NodeSettings,
    clock: Clock,
    kept: Kept,
) -> Result<Control, Failure> {
    let is_member = Control::was_member(&kept);
    if let Some(name) = Control::name_kept(&kept, settings.store).filter(|name| *name != settings.name) {
        let message = format!(
            "the data folder {} belongs to node {name}: start it with --name {name}, or give node {} a --data folder of its own",
            settings.data_dir, settings.name
        );
        return Err(Failure { message, status: 2 });
    }
    let start = match (options.start(random()?), is_member) {
        (Some(_), true) => {
            tracing::info!(
                "this data folder belongs to a cluster already: --bootstrap and --join are ignored, the node returns \
                 as the member it was"
            );
            Start::Join { seed: options.join.clone().unwrap_or_default() }
        }
        (Some(start), false) => start,
        (None, true) => Start::Join { seed: String::new() },
        (None, false) => return Err(homeless()),
    };
    let config = ControlConfig {
        name: settings.name.clone(),
        store: settings.store,
        listen: settings.listen.clone(),
        admin: settings.admin.clone(),
        peer: settings.peer.clone(),
        start,
        entropy: random()?,
        sabotage: Sabotage::NONE,
        trace: false,
    };
    Ok(Control::new(clock.now(), config, kept))
}

type Parts = (Hub, Arc<Shared>, Vec<Poll>, Vec<IdleHands>);

/// One data thread for each shard.
fn share(clock: Clock, settings: NodeSettings, seats: Seats) -> Result<Parts, String> {
    let failed = |error: std::io::Error| format!("the system gives no event queue: {error}");
    let (mut polls, mut mailboxes, mut cells, mut hands) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (index, (seat, idle)) in seats.into_iter().enumerate() {
        let poll = Poll::new().map_err(failed)?;
        mailboxes.push(Mailbox::new(Waker::new(poll.registry(), WAKER).map_err(failed)?));
        polls.push(poll);
        cells.push(ShardCell::new(seat, index));
        hands.push(idle);
    }
    let hub = Hub::new(clock);
    let shared = Shared::new(clock, settings, cells, mailboxes, Box::new(hub.clone()));
    Ok((hub, Arc::new(shared), polls, hands))
}

fn run_threads(
    shared: &Arc<Shared>,
    polls: Vec<Poll>,
    clients: TcpListener,
    peers: TcpListener,
    control: ControlSeat,
) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("a data thread cannot be started: {error}");
    let (shard_count, thread_count) = (shared.shards.len(), shared.mailboxes.len());
    let settings = &shared.settings;
    tracing::info!(
        "node {}: clients on {}, admin on {}, peers on {}",
        settings.name,
        settings.listen,
        settings.admin,
        settings.peer
    );
    let listeners = Listeners {
        clients: mio::net::TcpListener::from_std(clients),
        peers: mio::net::TcpListener::from_std(peers),
    };
    let (mut listeners, mut control) = (Some(listeners), Some(control));
    let mut threads = Vec::new();
    for (index, poll) in polls.into_iter().enumerate() {
        let me = Greeting { name: settings.name.clone(), store: settings.store };
        let thread =
            DataThread::new(index, poll, listeners.take(), control.take(), me, shard_count, thread_count);
        let (thread, shared) = (thread.map_err(failed)?, shared.clone());
        let named = std::thread::Builder::new().name(format!("data-{index}"));
        threads.push(named.spawn(move || thread.run(&shared)).map_err(failed)?);
    }
    for thread in threads {
        if thread.join().is_err() {
            // The panic has said where; nothing may be answered from a machine in an unknown state.
            std::process::abort();
        }
    }
    Ok(())
}

/// Notes on the disk where each log ends. What is still out is waited for a while: without the note nothing is lost, only
/// the next start cannot tell a damaged end of the log from one that a crash tore.
fn close_shards(shared: &Arc<Shared>) {
    let until = Instant::now() + CLOSE_TIME;
    for (index, cell) in shared.shards.iter().enumerate() {
        let mut mail = Vec::new();
        loop {
            cell.take(&mut mail);
            let Some(mut seat) = cell.try_sit() else { break };
            for mail in mail.drain(..) {
                if let ShardMail::Input(
                    input @ (ShardInput::Log(_) | ShardInput::LogSync(_) | ShardInput::Work { .. }),
                ) = mail
                {
                    seat.shard.handle(shared.clock.now(), input);
                }
            }
            let ShardSeat { shard, disk, cache, .. } = &mut *seat;
            if shard.close(disk, cache) {
                break;
            }
            if Instant::now() >= until {
                tracing::warn!(
                    "shard {index}: work on the disk did not end in time; the end of its log is not noted"
                );
                break;
            }
            drop(seat);
            std::thread::sleep(CLOSE_PAUSE);
        }
    }
}

/// The first SIGTERM or SIGINT ends the node in order, the second at once.
fn watch_signals(shared: Arc<Shared>) -> Result<signal_hook::iterator::Handle, String> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let failed = |error: std::io::Error| format!("signals cannot be watched: {error}");
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT]).map_err(failed)?;
    let handle = signals.handle();
    let watch = move || {
        for signal in signals.forever() {
            let stage = if shared.stage() == Stage::Running { Stage::Stopping } else { Stage::Now };
            tracing::info!(
                "signal {signal}: {}",
                match stage {
                    Stage::Now => "leaving at once",
                    _ => "finishing what is in flight",
                }
            );
            shared.stop(stage);
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(watch).map_err(failed)?;
    Ok(handle)
}
