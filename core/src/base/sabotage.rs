//! Named bugs that can be switched on at run time, to prove that the simulator's checkers catch them.
//!
//! Without the feature `sabotage` a [`Sabotage`] is empty and [`Sabotage::is`] is `false` at compile time, so no
//! shipped artifact holds any of the broken paths.

use core::fmt;

macro_rules! bugs {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),* $(,)?) => {
        /// A bug to be caught.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Bug { $($(#[$doc])* $variant),* }
        impl Bug {
            /// All of them, in the order of the table in `docs/`.
            pub const ALL: &'static [Bug] = &[$(Bug::$variant),*];
            /// The name on the command line.
            pub const fn name(self) -> &'static str { match self { $(Bug::$variant => $name),* } }
        }
    };
}

bugs! {
    /// A replica acknowledges before its log is synced.
    AckBeforeSync = "ack-before-sync",
    /// A hinted acknowledgement counts before the hint is synced.
    HintAckBeforeSync = "hint-ack-before-sync",
    /// One reporter of a failure counts twice.
    ReporterCountedTwice = "reporter-counted-twice",
    /// A duplicated reply counts twice in a tally.
    ReplyCountedTwice = "reply-counted-twice",
    /// A wiped node goes on with the actor it had.
    ActorReusedAfterWipe = "actor-reused-after-wipe",
    /// An old owner drops its data as soon as a move away from it begins.
    OldOwnerDropsEarly = "old-owner-drops-early",
    /// During a move only the old owners' quorum is asked.
    JointSetSkipped = "joint-set-skipped",
    /// A voter of the topology register promises without syncing.
    PromiseNotSynced = "promise-not-synced",
    /// A tree keeps the hash of the cell that a write replaced.
    TreeKeepsOldHash = "tree-keeps-old-hash",
    /// Recovery skips a torn record in the middle of the log and goes on.
    TornMiddleSkipped = "torn-middle-skipped",
    /// Merge drops a concurrent sibling.
    MergeDropsSibling = "merge-drops-sibling",
    /// Compaction drops tombstones without proof.
    TombstoneDroppedEarly = "tombstone-dropped-early",
    /// The bound on siblings is ignored.
    SiblingBoundIgnored = "sibling-bound-ignored",
    /// A request's deadline is never armed.
    DeadlineNeverArmed = "deadline-never-armed",
    /// An order depends on the process that runs it.
    ProcessDependentOrder = "process-dependent-order",
    /// A write that lost to an unseen stamp is acknowledged without being stamped again.
    LostWriteNotRestamped = "lost-write-not-restamped",
    /// The proposer of a topology prefers its own value to one already accepted.
    ProposerPrefersOwn = "proposer-prefers-own",
}

impl Bug {
    /// The bug of that name.
    pub fn named(name: &str) -> Option<Bug> {
        Bug::ALL.iter().copied().find(|bug| bug.name() == name)
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which bug is on, if any. Empty without the feature `sabotage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sabotage {
    #[cfg(feature = "sabotage")]
    bug: Option<Bug>,
}

impl Sabotage {
    /// No bug.
    pub const NONE: Sabotage = Sabotage {
        #[cfg(feature = "sabotage")]
        bug: None,
    };

    /// One bug; `None` in a build that cannot break.
    pub fn with(bug: Bug) -> Option<Sabotage> {
        #[cfg(feature = "sabotage")]
        return Some(Sabotage { bug: Some(bug) });
        #[cfg(not(feature = "sabotage"))]
        {
            let _ = bug;
            None
        }
    }

    /// Whether `bug` is on.
    #[inline(always)]
    pub fn is(&self, bug: Bug) -> bool {
        #[cfg(feature = "sabotage")]
        return self.bug == Some(bug);
        #[cfg(not(feature = "sabotage"))]
        {
            let _ = bug;
            false
        }
    }
}

/// How often it was asked in this process: what an order must never depend on. Exists to be misused by
/// [`Bug::ProcessDependentOrder`].
#[cfg(feature = "sabotage")]
pub fn process_count() -> u64 {
    use core::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    u64::from(COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Nothing in a build that cannot break.
#[cfg(not(feature = "sabotage"))]
pub fn process_count() -> u64 {
    0
}

/// Whether this build can break on purpose. Shipped artifacts assert that it cannot.
pub const IS_BUILT_IN: bool = cfg!(feature = "sabotage");
