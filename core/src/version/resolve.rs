use serde::Serialize;

/// What happens to concurrent values of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Resolve {
    /// Only the sibling of the greatest (stamp, dot) is kept.
    Lww,
    /// All are kept until a put covers them.
    Siblings,
}
