//! What a key holds and how two opinions of it become one.

/// Placeholder until versions land.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell;
