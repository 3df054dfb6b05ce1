//! The control plane of a node: who is a member, who answers, and which topology is decided.
//!
//! `control` knows no keys. It publishes an immutable `View`; shards know the cluster only through the latest one.
