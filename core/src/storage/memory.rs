//! A disk in memory (see the engine's brief).

/// Placeholder until the engine lands.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk;
/// Placeholder until the engine lands.
#[derive(Debug, Clone, Copy)]
pub struct CrashStyle;
/// Placeholder until the engine lands.
#[derive(Debug, Clone, Default)]
pub struct Faults;
