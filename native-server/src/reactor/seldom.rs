use kvorum_core::base::Micros;

/// How often the same thing is said to the log at most.
const EVERY: Micros = Micros::from_secs(10);

/// Lets something be said at once, and then now and then only: the log of a node in trouble stays readable.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seldom(Option<Micros>);

impl Seldom {
    /// Whether it is to be said now. If so, it counts as said.
    pub fn is_due(&mut self, now: Micros) -> bool {
        let is_due = self.0.is_none_or(|at| at + EVERY <= now);
        if is_due {
            self.0 = Some(now);
        }
        is_due
    }
}
