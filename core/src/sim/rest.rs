//! The end that a run would have if every fault ended now.

use super::script::Action;
use super::script::Script;
use super::swarm::Options;
use super::verdict::Verdict;
use super::world::World;
use crate::base::Micros;

/// Leads a second world to where another stands, ends all faults and all load there, and judges it. The first is not
/// touched; what was broken in it on purpose stays broken.
///
/// Led there anew rather than copied: what copies a world is a twelfth of the browser's module.
#[derive(Debug)]
pub struct Rest {
    world: World,
    from: Micros,
}

impl Rest {
    /// The rest of `world`, not yet begun.
    pub fn of(world: &World) -> Rest {
        let from = world.now();
        let done = world.script().lines.iter().filter(|line| line.at <= from);
        let mut script = Script { lines: done.cloned().collect() };
        script.push(from, Action::Load(0));
        script.push(from, Action::Heal);
        let options = Options { keep_trace: false, ..world.options.clone() };
        Rest { world: World::new(options, script), from }
    }
    /// Goes on a little: so many things, or half a second of the cluster's rest. `true` when it is judged.
    pub fn go_on(&mut self, events_max: u32) -> bool {
        if self.world.now() >= self.from {
            return self.world.judge_on();
        }
        for _ in 0..events_max {
            if !self.world.violations().is_empty() || !self.world.step(self.from) {
                self.world.run_until(self.from);
                break;
            }
        }
        false
    }
    /// What is found.
    pub fn verdict(&self) -> Verdict {
        self.world.verdict()
    }
}
