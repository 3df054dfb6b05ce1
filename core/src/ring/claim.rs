use crate::base::MemberId;
use alloc::vec::Vec;

/// Placeholder until the claim lands.
#[derive(Debug, Clone, Default)]
pub struct Claim {
    /// The owners of each partition.
    pub owners: Vec<Vec<MemberId>>,
    /// What will move.
    pub report: ClaimReport,
}
/// Placeholder until the claim lands.
#[derive(Debug, Clone, Default)]
pub struct ClaimReport;
/// Placeholder until the claim lands.
pub fn claim(_old: &[Vec<MemberId>], _members: &[MemberId], _n: usize) -> Claim {
    Claim::default()
}
