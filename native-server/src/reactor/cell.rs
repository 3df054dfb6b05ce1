use super::DiskHands;
use super::seldom::Seldom;
use crate::disk::Disk;
use kvorum_core::base::Micros;
use kvorum_core::data::{Counters, Input, Shard};
use kvorum_core::lsm::BlockCache;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// Looks at a shard on the thread that drives it: it must not block, and changes nothing but what the cache holds.
pub type Look = Box<dyn FnOnce(&Shard, &Disk, &mut BlockCache) + Send>;

/// What is left for whoever drives a shard next.
pub enum ShardMail {
    /// For the machine.
    Input(Input),
    /// Somebody wants to see it.
    Look(Look),
    /// Record events, or do not.
    Trace(bool),
}

/// A shard and what it is driven with. Whoever holds it is the shard's driver.
pub struct ShardSeat {
    /// The machine.
    pub shard: Shard,
    /// For inline log writes and reads.
    pub disk: Disk,
    /// Blocks for inline reads.
    pub cache: BlockCache,
    /// For syncs and jobs.
    pub hands: DiskHands,
    /// Whether somebody listens to its events.
    pub is_traced: bool,
    /// When counters were last published.
    pub published_at: Micros,
    /// Puts onto crowded keys that the log has told of.
    pub crowded: (u64, Seldom),
    /// Failed reads in the log.
    pub unreadable: Seldom,
    /// What the log has told of an engine that takes no writes.
    pub refusing: Refusing,
}

/// What the log has told of an engine that takes no writes.
#[derive(Debug, Default)]
pub struct Refusing {
    told: Seldom,
    /// It said so, and not yet that it is over.
    is_told: bool,
    /// When writes were last refused. An engine that tries again refuses none for the moment that takes.
    seen_at: Micros,
}

/// It takes writes again when it has taken them for so long: it tries every second.
const RECOVERED_AFTER: Micros = Micros::from_secs(3);

impl Refusing {
    /// Whether the log should say now that writes are refused (`Some(true)`), or that they are taken again.
    pub fn note(&mut self, now: Micros, is_refusing: bool) -> Option<bool> {
        if is_refusing {
            self.seen_at = now;
            let is_due = self.told.is_due(now);
            self.is_told |= is_due;
            return is_due.then_some(true);
        }
        let is_over = self.is_told && self.seen_at + RECOVERED_AFTER <= now;
        self.is_told &= !is_over;
        is_over.then_some(false)
    }
}

/// A shard between threads.
pub struct ShardCell {
    seat: Mutex<ShardSeat>,
    inbox: Mutex<Vec<ShardMail>>,
    has_mail: AtomicBool,
    /// When the machine wants to be woken, in monotonic microseconds; `u64::MAX` for never.
    wake_at: AtomicU64,
    /// When its owner will wake by itself.
    armed_at: AtomicU64,
    /// The thread that owns it: does its timers and is told of its mail.
    pub owner: usize,
    counters: Mutex<Counters>,
}

impl ShardCell {
    /// A shard owned by data thread `owner`.
    pub fn new(seat: ShardSeat, owner: usize) -> ShardCell {
        ShardCell {
            seat: Mutex::new(seat),
            inbox: Mutex::new(Vec::new()),
            has_mail: AtomicBool::new(false),
            wake_at: AtomicU64::new(0),
            armed_at: AtomicU64::new(0),
            owner,
            counters: Mutex::new(Counters::default()),
        }
    }
    /// The seat, if nobody sits in it.
    pub fn try_sit(&self) -> Option<MutexGuard<'_, ShardSeat>> {
        match self.seat.try_lock() {
            Ok(seat) => Some(seat),
            // A driver panicked in the middle of a turn: the machine may be in any state, so the process must not go
            // on answering from it.
            Err(TryLockError::Poisoned(_)) => std::process::abort(),
            Err(TryLockError::WouldBlock) => None,
        }
    }
    /// Leaves something for the next driver. Whoever leaves mail must then try to sit, or wake the owner: a driver
    /// looks at the inbox after it has left the seat, so between them they cannot miss it.
    pub fn leave(&self, mail: impl IntoIterator<Item = ShardMail>) {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        inbox.extend(mail);
        self.has_mail.store(true, Ordering::SeqCst);
    }
    /// Whether there is mail.
    pub fn has_mail(&self) -> bool {
        self.has_mail.load(Ordering::SeqCst)
    }
    /// Takes all mail, into `mail`.
    pub fn take(&self, mail: &mut Vec<ShardMail>) {
        if self.has_mail() {
            let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
            self.has_mail.store(false, Ordering::SeqCst);
            mail.append(&mut inbox);
        }
    }
    /// When the machine wants to be woken.
    pub fn wake_at(&self) -> Micros {
        Micros(self.wake_at.load(Ordering::SeqCst))
    }
    /// The driver says when the machine wants to be woken. True if the owner must be told, because it would sleep
    /// past that.
    pub fn set_wake_at(&self, at: Option<Micros>) -> bool {
        let at = at.map_or(u64::MAX, |at| at.0);
        self.wake_at.store(at, Ordering::SeqCst);
        at < self.armed_at.load(Ordering::SeqCst)
    }
    /// The owner is about to sleep until then. Returns when the machine wants to be woken, read after the promise.
    pub fn arm(&self, until: Micros) -> Micros {
        self.armed_at.store(until.0, Ordering::SeqCst);
        self.wake_at()
    }
    /// Publishes counts for other threads to read.
    pub fn publish(&self, counters: Counters) {
        *self.counters.lock().unwrap_or_else(PoisonError::into_inner) = counters;
    }
    /// Counts, as last published.
    pub fn counters(&self) -> Counters {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_refuses_is_told_of_now_and_then_and_its_recovery_once() {
        let mut refusing = Refusing::default();
        let mut told = Vec::new();
        // Refusing from second 1 to 25, but for the moments in which it tries again.
        for tenth in 0..400 {
            let is_refusing = (10..250).contains(&tenth) && tenth % 10 != 5;
            if let Some(what) = refusing.note(Micros::from_millis(tenth * 100), is_refusing) {
                told.push((tenth, what));
            }
        }
        assert_eq!(told, [(10, true), (110, true), (210, true), (279, false)]);
    }
}
