//! Files of a directory (see the engine's brief).

/// Placeholder until the engine lands.
#[derive(Debug, Clone)]
pub struct FileStorage;
