use crate::base::{Epoch, MemberId, Micros};

/// Between two requests for a topology.
const REPEAT: Micros = Micros::from_millis(150);

/// Fetches a topology that somebody is known to have and this node has not.
#[derive(Debug, Clone, Default)]
pub(super) struct Fetcher {
    wanted: Epoch,
    source: Option<MemberId>,
    next_at: Micros,
}

impl Fetcher {
    /// `source` has this epoch.
    pub fn want(&mut self, epoch: Epoch, source: MemberId) {
        if epoch > self.wanted {
            self.wanted = epoch;
            self.source = Some(source);
        }
    }
    /// Whom to ask now, when this node has `have`. `another` is asked when the one who is known to have it said nothing.
    pub fn due(
        &mut self,
        now: Micros,
        have: Epoch,
        another: impl FnOnce() -> Option<MemberId>,
    ) -> Option<MemberId> {
        if self.wanted <= have || now < self.next_at {
            return None;
        }
        self.next_at = now + REPEAT;
        self.source.take().or_else(another)
    }
    /// When to ask again.
    pub fn wake_at(&self, have: Epoch) -> Option<Micros> {
        (self.wanted > have).then_some(self.next_at)
    }
}
