use crate::base::BTreeMap;
use crate::base::{MemberId, Micros};

/// How fast each peer has answered lately: whom to ask first, and how long to wait before asking another too.
///
/// Only ever decides an order and a delay, never whether somebody counts as failed.
#[derive(Debug, Clone, Default)]
pub(super) struct Peers(BTreeMap<MemberId, Peer>);

#[derive(Debug, Clone, Copy)]
struct Peer {
    /// Smoothed time of an answer.
    usual: Micros,
    /// Until when it ranks last, for it missed its hedge.
    slow_until: Micros,
}

/// The delay before a second peer is asked, while nothing is known of the first.
const HEDGE_FIRST: Micros = Micros::from_millis(20);
const HEDGE_MIN: Micros = Micros::from_millis(3);
const HEDGE_MAX: Micros = Micros::from_millis(50);
/// How long a peer that missed its hedge ranks last.
const SLOW_FOR: Micros = Micros::from_millis(500);

impl Peers {
    /// A peer answered after `took`.
    pub fn answered(&mut self, peer: MemberId, took: Micros) {
        let known = self.0.entry(peer).or_insert(Peer { usual: took, slow_until: Micros(0) });
        known.usual = Micros((known.usual.0 * 7 + took.0) / 8);
        known.slow_until = Micros(0);
    }
    /// A peer was waited for in vain.
    pub fn missed(&mut self, peer: MemberId, now: Micros) {
        let known = self.0.entry(peer).or_insert(Peer { usual: HEDGE_FIRST, slow_until: now });
        known.slow_until = now + SLOW_FOR;
    }
    /// Whether it ranks last.
    pub fn is_slow(&self, peer: MemberId, now: Micros) -> bool {
        self.0.get(&peer).is_some_and(|known| known.slow_until > now)
    }
    /// How long to wait for it before another is asked too.
    pub fn hedge_after(&self, peer: MemberId) -> Micros {
        let learned = self.0.get(&peer).map(|known| Micros(known.usual.0 * 4));
        learned.map_or(HEDGE_FIRST, |delay| delay.clamp(HEDGE_MIN, HEDGE_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_missed_its_hedge_ranks_last_for_a_while() {
        let mut peers = Peers::default();
        let (peer, now) = (MemberId(1), Micros::from_secs(1));
        assert_eq!(peers.hedge_after(peer), HEDGE_FIRST);
        peers.answered(peer, Micros(200));
        assert_eq!(peers.hedge_after(peer), HEDGE_MIN);
        peers.missed(peer, now);
        assert!(peers.is_slow(peer, now));
        assert!(!peers.is_slow(peer, now + SLOW_FOR));
        peers.missed(peer, now);
        peers.answered(peer, Micros(200));
        assert!(!peers.is_slow(peer, now));
    }
}
