//! The `kvorum server` command: flags, data directory, sockets, threads, and their end.

mod data_dir;
mod options;
mod run;

pub use data_dir::DataDir;
pub use options::ServerOptions;
pub use run::serve;
