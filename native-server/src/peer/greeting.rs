use kvorum_core::base::MemberId;
use kvorum_core::message::{Hello, PROTOCOL_VERSION};
use kvorum_core::ring::{Member, View};

/// Who this node says it is.
#[derive(Debug, Clone)]
pub struct Greeting {
    /// Its name.
    pub name: String,
    /// The random number of its data dir.
    pub store: u64,
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// A member of this cluster as this node knows it.
    Member(MemberId),
    /// Somebody else, who may speak to the control plane.
    Stranger,
}

impl Greeting {
    /// The hello to send, under a view.
    pub fn hello(&self, view: Option<&View>) -> Hello {
        Hello {
            protocol: PROTOCOL_VERSION,
            lineage: view.map_or(0, |view| view.topology.lineage),
            member: view.map(|view| view.me),
            name: self.name.clone(),
            store: self.store,
        }
    }
    /// Judges a hello; `Err` says why the connection cannot be.
    pub fn judge(&self, hello: &Hello, view: Option<&View>) -> Result<Sender, String> {
        if hello.protocol != PROTOCOL_VERSION {
            return Err(format!(
                "node '{}' speaks peer protocol {}, this build speaks {PROTOCOL_VERSION}: run the same version on all \
                 nodes",
                hello.name, hello.protocol
            ));
        }
        let Some(view) = view else { return Ok(Sender::Stranger) };
        if hello.lineage != 0 && hello.lineage != view.topology.lineage {
            return Err(format!(
                "node '{}' belongs to another cluster ({:016x}, this one is {:016x}): check its --join address, or \
                 give it an empty data dir",
                hello.name, hello.lineage, view.topology.lineage
            ));
        }
        Ok(sender(hello, view))
    }
}

/// A member is whom the topology names by name and store, also when it had not yet heard so when it said hello. A node
/// that lost its store is a stranger until it is decided otherwise, and so is one with this node's own store: a copy of
/// its data dir, which may be asked who it is.
pub fn sender(hello: &Hello, view: &View) -> Sender {
    let may_be = hello.lineage == 0 || hello.lineage == view.topology.lineage;
    let is_it = |member: &&Member| {
        member.name == hello.name
            && member.store == hello.store
            && member.id != view.me
            && hello.member.is_none_or(|said| said == member.id)
    };
    let member = view.topology.members.iter().find(is_it).filter(|_| may_be);
    member.map_or(Sender::Stranger, |member| Sender::Member(member.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvorum_core::base::{Epoch, KeyspaceId};
    use kvorum_core::ring::{Durability, Keyspace, PartitionState, Topology};
    use kvorum_core::version::Resolve;
    use std::sync::Arc;

    fn view() -> View {
        let member = |id: u16, name: &str| Member {
            id: MemberId(id),
            name: name.into(),
            store: u64::from(id) + 100,
            listen: String::new(),
            admin: String::new(),
            peer: String::new(),
            refilling: false,
        };
        let keyspace = Keyspace {
            id: KeyspaceId(0),
            n: 3,
            r: 2,
            w: 2,
            resolve: Resolve::Lww,
            durability: Durability::Always,
        };
        let topology = Topology {
            lineage: 7,
            epoch: Epoch(1),
            next_member: 2,
            members: vec![member(0, "a"), member(1, "b")],
            partitions: vec![PartitionState::default(); 64],
            keyspaces: vec![keyspace],
        };
        View { topology: Arc::new(topology), me: MemberId(0), liveness: Vec::new(), unreachable: Vec::new() }
    }

    #[test]
    fn members_are_known_strangers_may_ask_and_foreigners_are_refused() {
        let me = Greeting { name: "a".into(), store: 100 };
        let view = view();
        let hello = |lineage, member: Option<u16>, name: &str, store| Hello {
            protocol: PROTOCOL_VERSION,
            lineage,
            member: member.map(MemberId),
            name: name.into(),
            store,
        };
        let judge = |hello: Hello| me.judge(&hello, Some(&view));
        assert_eq!(judge(hello(7, Some(1), "b", 101)), Ok(Sender::Member(MemberId(1))));
        assert_eq!(judge(hello(7, Some(1), "b", 999)), Ok(Sender::Stranger));
        assert_eq!(judge(hello(7, Some(9), "z", 109)), Ok(Sender::Stranger));
        assert_eq!(judge(hello(0, None, "c", 102)), Ok(Sender::Stranger));
        assert_eq!(judge(hello(0, None, "b", 101)), Ok(Sender::Member(MemberId(1))));
        assert!(judge(hello(8, Some(1), "b", 101)).is_err());
        assert_eq!(judge(hello(7, Some(0), "a", 100)), Ok(Sender::Stranger), "a copy of its folder");
        let newer = Hello { protocol: 99, ..hello(7, Some(1), "b", 101) };
        assert!(judge(newer).is_err());
        assert_eq!(me.judge(&hello(8, Some(1), "b", 101), None), Ok(Sender::Stranger));
    }
}
