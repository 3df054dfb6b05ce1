//! What commands may ask about the node, on a data thread.

use super::super::mailbox::Mail;
use super::super::shared::Shared;
use crate::command::{ClientInfo, NodeFacts, NodeLoad, NodeSettings};
use kvorum_core::ring::View;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What commands ask about the node, on a data thread.
pub(super) struct Facts<'a> {
    pub(super) shared: &'a Shared,
    pub(super) view: Option<&'a Arc<View>>,
}
impl NodeFacts for Facts<'_> {
    fn settings(&self) -> &NodeSettings {
        &self.shared.settings
    }
    fn view(&self) -> Option<&Arc<View>> {
        self.view
    }
    fn load(&self) -> NodeLoad {
        let mut load = NodeLoad {
            connections: self.shared.connection_count.load(Ordering::Relaxed) as u64,
            connections_total: self.shared.connection_total.load(Ordering::Relaxed),
            ..NodeLoad::default()
        };
        for counters in &self.shared.counters {
            load.commands += counters.commands.iter().map(|count| count.load(Ordering::Relaxed)).sum::<u64>();
        }
        for counters in self.shared.shard_counters() {
            load.keys += counters.keys;
            load.gets += counters.gets;
            load.puts += counters.puts;
        }
        load
    }
    fn clients(&self) -> Vec<Arc<ClientInfo>> {
        self.shared.clients()
    }
    fn kill(&self, client: &ClientInfo) {
        self.shared.mailboxes[client.thread].send(Mail::Kill(client.id));
    }
    fn reset_stats(&self) {
        for counters in &self.shared.counters {
            counters.commands.iter().for_each(|count| count.store(0, Ordering::Relaxed));
            counters.unknown.store(0, Ordering::Relaxed);
        }
    }
}
