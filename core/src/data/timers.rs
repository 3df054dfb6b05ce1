use crate::base::BTreeMap;
use crate::base::Micros;
use alloc::collections::VecDeque;

/// What a shard wants to be woken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// An operation's deadline.
    Deadline(u64),
    /// An operation asks one more.
    Hedge(u64),
    /// The log is to be synced (`interval`).
    SyncLog,
    /// Trees are to be compared with the next peer.
    Compare,
    /// Hints and transfers are looked after.
    Tend,
    /// The next page of the census is due.
    Census,
}

/// Times at which something is due. Two lanes take the many timers of requests, which come nearly in order, at the cost
/// of a push; the rest lies in a map.
#[derive(Debug, Clone, Default)]
pub(super) struct Timers {
    deadlines: VecDeque<(Micros, u64)>,
    hedges: VecDeque<(Micros, u64)>,
    others: BTreeMap<(Micros, Timer), ()>,
}

impl Timers {
    pub fn set(&mut self, at: Micros, timer: Timer) {
        let lane = match timer {
            Timer::Deadline(_) => &mut self.deadlines,
            Timer::Hedge(_) => &mut self.hedges,
            _ => {
                self.others.insert((at, timer), ());
                return;
            }
        };
        let (Timer::Deadline(op) | Timer::Hedge(op)) = timer else { return };
        if lane.back().is_none_or(|last| last.0 <= at) {
            lane.push_back((at, op));
        } else {
            self.others.insert((at, timer), ());
        }
    }
    /// Drops the timers at the head of the lanes whose operation is over.
    pub fn trim(&mut self, is_over: impl Fn(u64) -> bool) {
        for lane in [&mut self.deadlines, &mut self.hedges] {
            while lane.front().is_some_and(|(_, op)| is_over(*op)) {
                lane.pop_front();
            }
        }
    }
    pub fn next_at(&self) -> Option<Micros> {
        let lanes = [self.deadlines.front(), self.hedges.front()].into_iter().flatten().map(|first| first.0);
        lanes.chain(self.others.first_key_value().map(|(first, ())| first.0)).min()
    }
    /// Takes one that is due.
    pub fn take_due(&mut self, now: Micros) -> Option<Timer> {
        if let Some((at, op)) = self.deadlines.front().copied()
            && at <= now
        {
            self.deadlines.pop_front();
            return Some(Timer::Deadline(op));
        }
        if let Some((at, op)) = self.hedges.front().copied()
            && at <= now
        {
            self.hedges.pop_front();
            return Some(Timer::Hedge(op));
        }
        let ((at, timer), ()) = self.others.first_key_value()?;
        let (at, timer) = (*at, *timer);
        if at > now {
            return None;
        }
        self.others.pop_first();
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_come_due_whatever_the_order_they_were_set_in() {
        let mut timers = Timers::default();
        for (at, timer) in [
            (5, Timer::Deadline(1)),
            (3, Timer::Deadline(2)),
            (9, Timer::Deadline(3)),
            (4, Timer::Hedge(1)),
            (1, Timer::Tend),
        ] {
            timers.set(Micros(at), timer);
        }
        assert_eq!(timers.next_at(), Some(Micros(1)));
        let mut due = alloc::vec::Vec::new();
        while let Some(timer) = timers.take_due(Micros(5)) {
            due.push(timer);
        }
        due.sort();
        assert_eq!(due, [Timer::Deadline(1), Timer::Deadline(2), Timer::Hedge(1), Timer::Tend]);
        timers.trim(|op| op == 3);
        assert_eq!(timers.next_at(), None);
    }
}
