use crate::base::MemberId;
use smallvec::SmallVec;

/// One unbroken memory of one member: its number (16 bits) and a generation (48 bits).
///
/// A generation lives exactly as long as the memory behind it. A member takes a new one at every start, when it
/// becomes owner of a partition, when part of its store is lost, and for every write to a key of which it holds no
/// cell. That keeps "everything up to c" in a version vector true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Actor(pub u64);

impl Actor {
    /// The lower 48 bits of `generation` under `member`.
    pub fn new(member: MemberId, generation: u64) -> Actor {
        Actor(u64::from(member.0) << 48 | generation & Actor::GENERATION_MASK)
    }
    /// Bits of a generation.
    pub const GENERATION_MASK: u64 = (1 << 48) - 1;
    /// The member whose memory it is.
    pub fn member(self) -> MemberId {
        MemberId((self.0 >> 48) as u16)
    }
    /// Which of its memories.
    pub fn generation(self) -> u64 {
        self.0 & Actor::GENERATION_MASK
    }
}

/// The name of one write: the `counter`-th of `actor`. Never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot {
    /// Who gave it.
    pub actor: Actor,
    /// Counts the actor's writes from 1.
    pub counter: u64,
}

/// For each actor the greatest counter seen: all its writes to this key up to there are known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VersionVector {
    /// Sorted by actor, each once, counters above 0.
    entries: SmallVec<[(Actor, u64); 2]>,
}

impl VersionVector {
    /// The vector that has seen nothing.
    pub fn new() -> VersionVector {
        VersionVector::default()
    }
    /// How far `actor` has been seen; 0 for not at all.
    pub fn counter(&self, actor: Actor) -> u64 {
        self.find(actor).map_or(0, |index| self.entries[index].1)
    }
    fn find(&self, actor: Actor) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&actor, |entry| entry.0)
    }
    /// Whether the write of that name has been seen.
    pub fn covers(&self, dot: Dot) -> bool {
        self.counter(dot.actor) >= dot.counter
    }
    /// Whether everything that `other` has seen has been seen.
    pub fn covers_all(&self, other: &VersionVector) -> bool {
        other.entries.iter().all(|(actor, counter)| self.counter(*actor) >= *counter)
    }
    /// Sees `dot`, and with it all before it.
    pub fn add(&mut self, dot: Dot) {
        match self.find(dot.actor) {
            Ok(index) => self.entries[index].1 = self.entries[index].1.max(dot.counter),
            Err(index) => self.entries.insert(index, (dot.actor, dot.counter)),
        }
    }
    /// Sees everything that `other` has seen.
    pub fn join(&mut self, other: &VersionVector) {
        for (actor, counter) in &other.entries {
            self.add(Dot { actor: *actor, counter: *counter });
        }
    }
    /// Entries in order of actor.
    pub fn iter(&self) -> impl Iterator<Item = Dot> + '_ {
        self.entries.iter().map(|(actor, counter)| Dot { actor: *actor, counter: *counter })
    }
    /// How many actors have been seen.
    pub fn len(&self) -> usize {
        self.entries.len()
    }
    /// Whether nothing has been seen.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
    /// Appends an entry known to be the greatest; `false` if it is not, or its counter is 0.
    pub(super) fn push_sorted(&mut self, dot: Dot) -> bool {
        let sorted = self.entries.last().is_none_or(|last| last.0 < dot.actor) && dot.counter > 0;
        if sorted {
            self.entries.push((dot.actor, dot.counter));
        }
        sorted
    }
    /// The index of `actor` among the entries.
    pub(super) fn index_of(&self, actor: Actor) -> Option<usize> {
        self.find(actor).ok()
    }
    /// The actor at `index`.
    pub(super) fn actor_at(&self, index: usize) -> Option<Actor> {
        self.entries.get(index).map(|entry| entry.0)
    }
}
