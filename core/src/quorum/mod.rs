//! How many answers are enough, and whose.
//!
//! Quorum accounting is a pure value: a [`Plan`] says whom to ask and who stands in for whom, a [`Tally`] counts votes
//! of *members*, never integers, so a duplicated answer cannot count twice. Plain and joint quorums are the same
//! code. `quorum` knows no keys, no clocks and no IO.

mod plan;
mod tally;

pub use plan::{Plan, Purpose};
pub use tally::{Seat, Tally, Verdict, VoteSet};
