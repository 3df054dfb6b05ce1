//! C10: everything stays within its bound. C12: every operation ends in time, and after healing all succeed.

use crate::base::Micros;
use crate::data::{Refusal, Reply};
use crate::sim::history::{OpNumber, Record};
use crate::sim::script::NodeIndex;
use crate::sim::verdict::{Checker, Violation};
use crate::version::SIBLING_COUNT_MAX;
use alloc::format;

/// Most operations, accesses and waits of a shard at once: far above what the clients of a world can cause.
const LOAD_MAX: usize = 50_000;

/// From healing on, how long until operations must succeed: failure detectors recover, links reconnect, moves end.
pub const HEALED_GRACE: Micros = Micros::from_millis(6_000);

/// C10 of a key that was read. Any member may give dots, as an owner, an owner to be, or a fallback; each may take siblings
/// up to the bound before it hears of the others'.
pub fn siblings(key: u16, count: usize, members: usize, at: Micros) -> Option<Violation> {
    let most = SIBLING_COUNT_MAX * members;
    (count > most).then(|| {
        let text = format!("key k{key} has {count} siblings, and {most} at most are promised");
        Violation { checker: Checker::C10, at, text }
    })
}

/// C10 of a shard's queues.
pub fn load(node: NodeIndex, load: [usize; 3], at: Micros) -> Option<Violation> {
    load.iter().any(|load| *load > LOAD_MAX).then(|| {
        let text = format!("{node} has more in flight than {LOAD_MAX}: {load:?}");
        Violation { checker: Checker::C10, at, text }
    })
}

/// C12 of an answer: some time after healing every operation succeeds, but for those refused for what they ask.
pub fn success(
    number: OpNumber,
    record: &Record,
    reply: &Reply,
    healed: Option<Micros>,
    at: Micros,
) -> Option<Violation> {
    use Refusal::{ClusterDown, InDoubt, Storage, TryAgain};
    let Reply::Refused(refusal @ (TryAgain(_) | ClusterDown { .. } | InDoubt { .. } | Storage(_))) = reply
    else {
        return None;
    };
    let healed = healed.filter(|healed| record.started > *healed + HEALED_GRACE)?;
    let since = record.started.since(healed).as_millis();
    let text = format!(
        "operation {} of k{} through {}, begun {since} ms after healing, failed: {refusal}",
        number.0, record.key, record.node
    );
    Some(Violation { checker: Checker::C12, at, text })
}

/// C12 of an operation that a node which ran all the while has not answered.
pub fn silence(number: OpNumber, node: NodeIndex, at: Micros) -> Violation {
    let text = format!("operation {} was not answered by its deadline through {node}", number.0);
    Violation { checker: Checker::C12, at, text }
}
