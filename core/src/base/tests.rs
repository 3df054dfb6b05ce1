//! How long tests that feed decoders with anything go on, and from which seed: `make fuzz-short` asks for more.

/// `usual` rounds, or as many times more as `KVORUM_FUZZ` says.
pub(crate) fn rounds(usual: u64) -> u64 {
    let times = std::env::var("KVORUM_FUZZ").ok().and_then(|times| times.parse().ok());
    usual * times.unwrap_or(1u64).max(1)
}

/// `usual`, or another one for each `KVORUM_FUZZ_SEED`.
pub(crate) fn seed(usual: u64) -> u64 {
    let seed = std::env::var("KVORUM_FUZZ_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    seed.map_or(usual, |seed| seed.wrapping_mul(1 << 8).wrapping_add(usual))
}
