use super::history::{Asked, Ends, History, OpNumber, Outcome, Seen, client_key, value_of};
use super::host::WALL_AT_START_MS;
use super::swarm::Options;
use crate::base::BTreeMap;
use crate::base::{KeyspaceId, Micros, Random};
use crate::data::{ExpireWhen, Expiry, Op, ReadReply, Refusal, Reply, Request};
use crate::version::{Resolve, encode_context};
use alloc::format;
use bytes::Bytes;

/// How long a client waits; the node is told.
pub(super) const PATIENCE: Micros = Micros::from_millis(1_000);

/// What the clients of a run are like. Drawn once: a uniform mix finds less.
#[derive(Debug, Clone, Copy)]
pub(super) struct Habits {
    /// Puts without a context, in thousandths.
    blind_permille: u64,
    /// Puts with a context of long ago.
    stale_permille: u64,
    read_permille: u64,
    delete_permille: u64,
    expire_permille: u64,
    /// Puts whose value ends.
    ttl_permille: u64,
    /// Operations on the first few keys.
    hot_permille: u64,
}

impl Habits {
    pub fn drawn(options: &Options) -> Habits {
        let mut random = Random::named(options.seed, "habits");
        let siblings = options.resolve == Resolve::Siblings;
        Habits {
            blind_permille: if siblings { [1000, 500, 100, 0][random.below(4) as usize] } else { 950 },
            stale_permille: [0, 100, 500, 1000][random.below(4) as usize],
            read_permille: [100, 350, 600][random.below(3) as usize],
            delete_permille: [0, 50, 250][random.below(3) as usize],
            expire_permille: [0, 0, 60][random.below(3) as usize],
            ttl_permille: [0, 0, 150][random.below(3) as usize],
            hot_permille: [0, 500][random.below(2) as usize],
        }
    }
    /// Clients that delete much.
    pub fn deleting(mut self) -> Habits {
        (self.read_permille, self.delete_permille, self.expire_permille, self.ttl_permille) =
            (100, 400, 0, 0);
        self
    }
    /// Clients that never read again what they have read once: siblings pile up.
    pub fn stubborn(mut self) -> Habits {
        (self.blind_permille, self.stale_permille, self.read_permille) = (0, 1000, 100);
        (self.delete_permille, self.expire_permille, self.ttl_permille) = (0, 0, 0);
        self
    }
}

/// A client: one operation at a time, and what it remembers of what it has read.
#[derive(Debug, Clone)]
pub(super) struct Client {
    random: Random,
    /// By key: the context and what it had seen, the latest and the first.
    latest: BTreeMap<u16, (Bytes, Seen)>,
    first: BTreeMap<u16, (Bytes, Seen)>,
    /// The operation that is out.
    pub busy: Option<OpNumber>,
}

/// What a client is about to ask.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub key: u16,
    pub asked: Asked,
    context: Option<Bytes>,
}

impl Client {
    pub fn new(seed: u64, index: u16) -> Client {
        Client {
            random: Random::named(seed, &format!("client {index}")),
            latest: BTreeMap::new(),
            first: BTreeMap::new(),
            busy: None,
        }
    }
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }
    /// Draws the next operation, on one key of `stride`.
    pub fn plan(&mut self, now: Micros, options: &Options, habits: Habits, stride: u16) -> Plan {
        let keys = u64::from(options.keys);
        let keys = if self.random.chance(habits.hot_permille, 1000) { keys.min(3) } else { keys };
        let key = self.random.below(keys) as u16 / stride * stride;
        let mut draw = self.random.below(1000);
        let mut is_next = |permille: u64| {
            let is_it = draw < permille;
            draw = draw.saturating_sub(permille);
            is_it
        };
        if is_next(habits.read_permille) {
            return Plan { key, asked: Asked::Read, context: None };
        }
        if is_next(habits.expire_permille) {
            let ends = self.ends(now);
            return Plan { key, asked: Asked::Expire { ends }, context: None };
        }
        let is_delete = is_next(habits.delete_permille);
        let (context, seen) = self.context(key, habits).unzip();
        if is_delete {
            return Plan { key, asked: Asked::Delete { seen }, context };
        }
        let ends = if self.random.chance(habits.ttl_permille, 1000) { self.ends(now) } else { Ends::Never };
        let bytes = self.random.below(u64::from(options.value_bytes_max) + 1) as u32;
        Plan { key, asked: Asked::Put { seen, ends, bytes }, context }
    }
    fn ends(&mut self, now: Micros) -> Ends {
        match self.random.below(8) {
            0 => Ends::Never,
            _ => Ends::At(WALL_AT_START_MS + now.as_millis() + self.random.between(100, 6_000)),
        }
    }
    fn context(&mut self, key: u16, habits: Habits) -> Option<(Bytes, Seen)> {
        if self.random.chance(habits.blind_permille, 1000) {
            return None;
        }
        let is_stale = self.random.chance(habits.stale_permille, 1000);
        let known = if is_stale { &self.first } else { &self.latest };
        known.get(&key).cloned()
    }
    /// What it has read becomes what it remembers. Returns the writers of the values.
    pub fn remember(&mut self, lineage: u64, key: u16, reply: &ReadReply, history: &History) -> Seen {
        let Some(cell) = &reply.cell else { return Seen::default() };
        let values =
            cell.siblings().iter().filter_map(|sibling| history.writer(key, sibling.value()?)).collect();
        let seen = Seen { values, vector: cell.context().clone() };
        let context = encode_context(lineage, &client_key(key), cell);
        self.first.entry(key).or_insert((context.clone(), seen.clone()));
        self.latest.insert(key, (context, seen.clone()));
        seen
    }
}

impl Plan {
    /// The request that asks for it.
    pub fn request(self, number: OpNumber, now: Micros) -> Request {
        let key = client_key(self.key);
        let expiry = |ends: &Ends| match ends {
            Ends::Never => Expiry::Never,
            Ends::At(at) => Expiry::At(*at),
            Ends::Kept => Expiry::Keep,
        };
        let op = match &self.asked {
            Asked::Read => Op::Get { key, r: None },
            Asked::Put { ends, bytes, .. } => Op::Put {
                key,
                value: value_of(number, *bytes),
                context: self.context,
                expiry: expiry(ends),
                w: None,
            },
            Asked::Delete { .. } => Op::Delete { key, context: self.context, w: None },
            Asked::Expire { ends } => Op::Expire { key, expiry: expiry(ends), when: ExpireWhen::Always },
        };
        Request { keyspace: KeyspaceId(0), deadline: now + PATIENCE, op }
    }
}

/// What a reply means to a history.
pub(super) fn outcome_of(reply: &Reply) -> Outcome {
    match reply {
        Reply::Written(written) => Outcome::Done { hinted: written.hinted, stamp: written.stamp },
        Reply::Refused(Refusal::InDoubt { .. }) => Outcome::Unknown,
        Reply::Refused(_) => Outcome::NotDone,
        _ => Outcome::Done { hinted: 0, stamp: None },
    }
}
