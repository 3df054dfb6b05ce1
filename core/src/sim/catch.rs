use super::verdict::Checker;
use crate::base::Bug;

/// The checker that is named for a bug: the one that has to catch it.
pub fn checker_of(bug: Bug) -> Checker {
    match bug {
        Bug::AckBeforeSync | Bug::HintAckBeforeSync | Bug::TornMiddleSkipped => Checker::C7,
        Bug::ReplyCountedTwice
        | Bug::OldOwnerDropsEarly
        | Bug::JointSetSkipped
        | Bug::MergeDropsSibling
        | Bug::LostWriteNotRestamped
        | Bug::ActorReusedAfterWipe => Checker::C2,
        Bug::TombstoneDroppedEarly => Checker::C3,
        Bug::TreeKeepsOldHash => Checker::C4,
        Bug::ReporterCountedTwice => Checker::C8,
        Bug::PromiseNotSynced | Bug::ProposerPrefersOwn => Checker::C9,
        Bug::SiblingBoundIgnored => Checker::C10,
        Bug::ProcessDependentOrder => Checker::C11,
        Bug::DeadlineNeverArmed => Checker::C12,
    }
}
