use clap::{Args, ValueEnum};
use kvorum_core::base::ShardIndex;
use kvorum_core::control::{Birth, Start};
use kvorum_core::ring::{Durability, PARTITION_COUNT_MAX, PARTITION_COUNT_MIN};
use kvorum_core::version::Resolve;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

/// Flags of `kvorum server`.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "\
Examples:
  The first node of a new cluster:
    kvorum server --data n1 --name n1 --bootstrap
  A second and a third:
    kvorum server --data n2 --name n2 --join 127.0.0.1:7381 \\
      --listen 127.0.0.1:7389 --admin 127.0.0.1:7390 --peer 127.0.0.1:7391
  The same node again, after a stop or a crash: the same line. --bootstrap and --join are ignored then.

Exit status: 0 after SIGTERM or SIGINT, 1 when the node cannot go on, 2 for a mistake in the flags.")]
pub struct ServerOptions {
    /// Folder of this node's data; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Where clients connect (RESP2 and RESP3)
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7379")]
    pub listen: String,
    /// Where health, metrics, status and the command line are served over HTTP
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7380")]
    pub admin: String,
    /// Where other nodes connect
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7381")]
    pub peer: String,
    /// Host name or address that others are told, if not those listened on
    #[arg(long, value_name = "HOST")]
    pub advertise: Option<String>,
    /// Name of this node, unique in its cluster
    #[arg(long)]
    pub name: String,
    /// Begin a new cluster
    #[arg(long, conflicts_with = "join")]
    pub bootstrap: bool,
    /// Join the cluster of the node at this peer address; asked again until it answers
    #[arg(long, value_name = "PEER_ADDR")]
    pub join: Option<String>,
    /// Replicas of each key (fixed at --bootstrap)
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=15))]
    pub n: u8,
    /// Answers a read waits for (fixed at --bootstrap)
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=15))]
    pub r: u8,
    /// Acknowledgements a write waits for (fixed at --bootstrap)
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=15))]
    pub w: u8,
    /// Parts of the ring, a power of two from 64 to 16384 (fixed at --bootstrap)
    #[arg(long, default_value_t = 1024)]
    pub partitions: u16,
    /// What happens to concurrent values (fixed at --bootstrap)
    #[arg(long, default_value = "lww")]
    pub resolve: ResolveFlag,
    /// When a replica acknowledges: after fsync, after the write with a sync every second, or after the write
    /// (fixed at --bootstrap)
    #[arg(long, default_value = "always")]
    pub durability: DurabilityFlag,
    /// Shards of this node, a power of two up to 16, each with a data thread (fixed when the data folder is made)
    #[arg(long, value_name = "K")]
    pub shards: Option<u8>,
    /// Memory for memtables and block caches: bytes, or with K, M, G
    #[arg(long, default_value = "256M", value_parser = bytes_of, value_name = "BYTES")]
    pub memory: u64,
    /// Most client connections
    #[arg(long, default_value_t = 10_000, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: u32,
    /// error, warn, info, debug or trace
    #[arg(long, default_value = "info", value_name = "LEVEL")]
    pub log: tracing::Level,
    /// Listen on addresses other than loopback although nobody has to authenticate
    #[arg(long)]
    pub insecure_without_auth: bool,
}

/// `--resolve`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ResolveFlag {
    /// The last write wins
    Lww,
    /// All concurrent values are kept until a put covers them
    Siblings,
}

/// `--durability`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DurabilityFlag {
    /// After fsync
    Always,
    /// After the write; synced every second
    Interval,
    /// After the write
    Memory,
}

/// A size as people write it.
pub fn bytes_of(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text[digits.len()..].to_ascii_lowercase();
    let shift = match unit.trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        _ => return Err("a number of bytes, or one with K, M or G behind it".into()),
    };
    let number: u64 = digits.parse().map_err(|_| "a number of bytes, or one with K, M or G behind it")?;
    number.checked_mul(1 << shift).ok_or_else(|| "too many bytes".into())
}

/// The address of a flag, looked up.
fn address_of(flag: &str, text: &str) -> Result<SocketAddr, String> {
    let found = text.to_socket_addrs().map_err(|error| {
        format!("--{flag} {text}: {error}; give it as HOST:PORT, for example 127.0.0.1:7379")
    })?;
    found.into_iter().next().ok_or_else(|| format!("--{flag} {text}: no address has that name"))
}

/// The three addresses to listen on.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// Clients.
    pub listen: SocketAddr,
    /// Admin HTTP.
    pub admin: SocketAddr,
    /// Peers.
    pub peer: SocketAddr,
}

impl ServerOptions {
    /// What does not fit, in one sentence with what to do.
    pub fn check(&self) -> Result<Addresses, String> {
        let addresses = Addresses {
            listen: address_of("listen", &self.listen)?,
            admin: address_of("admin", &self.admin)?,
            peer: address_of("peer", &self.peer)?,
        };
        let ports = [("listen", addresses.listen), ("admin", addresses.admin), ("peer", addresses.peer)];
        for (flag, address) in ports {
            if !address.ip().is_loopback() && !self.insecure_without_auth {
                return Err(format!(
                    "--{flag} {address} can be reached from other machines, and this build has neither users nor TLS: \
                     listen on 127.0.0.1, or say --insecure-without-auth if the network is yours alone"
                ));
            }
        }
        if !self.partitions.is_power_of_two()
            || !(PARTITION_COUNT_MIN..=PARTITION_COUNT_MAX).contains(&self.partitions)
        {
            return Err(format!("--partitions {}: a power of two from 64 to 16384", self.partitions));
        }
        let shards = self.shards.unwrap_or(1);
        if !shards.is_power_of_two() || shards > ShardIndex::COUNT_MAX {
            return Err(format!("--shards {shards}: a power of two up to {}", ShardIndex::COUNT_MAX));
        }
        if self.r > self.n || self.w > self.n {
            return Err(format!(
                "--r {} and --w {} can be at most --n {}: no more can answer",
                self.r, self.w, self.n
            ));
        }
        if self.name.is_empty()
            || self.name.len() > 64
            || self.name.chars().any(|c| c.is_control() || c == ' ')
        {
            return Err("--name: 1 to 64 characters without blanks".into());
        }
        if self.memory < 8 << 20 {
            return Err("--memory: at least 8M".into());
        }
        if let Some(seed) = &self.join {
            let (host, port) = seed.rsplit_once(':').unwrap_or((seed, ""));
            if host.is_empty() || !port.parse::<u16>().is_ok_and(|port| port > 0) {
                return Err(format!(
                    "--join {seed}: give the --peer address of a node of the cluster as HOST:PORT, for example \
                     127.0.0.1:7381"
                ));
            }
        }
        Ok(addresses)
    }
    /// Whether `--join` names this very node, in one sentence with what to do.
    pub fn check_seed(&self, addresses: Addresses) -> Result<(), String> {
        let Some((host, port)) = self.join.as_deref().and_then(|seed| seed.rsplit_once(':')) else {
            return Ok(());
        };
        let own = addresses.peer;
        if port.parse() != Ok(own.port()) {
            return Ok(());
        }
        let is_own = |found: SocketAddr| {
            found.ip() == own.ip() || (own.ip().is_unspecified() && found.ip().is_loopback())
        };
        // A name that cannot be looked up now may be one later, and then of another node.
        let is_me = self.advertise.as_deref() == Some(host)
            || (host, own.port()).to_socket_addrs().is_ok_and(|mut found| found.any(is_own))
            || host.trim_matches(['[', ']']).parse().is_ok_and(|ip| is_own(SocketAddr::new(ip, own.port())));
        if is_me {
            return Err(format!(
                "--join {host}:{port} is this node's own --peer address: give that of another node, or --bootstrap to begin \
                 a cluster"
            ));
        }
        Ok(())
    }
    /// How the node begins, if its data dir belongs to no cluster yet; `None` if no flag says.
    pub fn start(&self, lineage: u64) -> Option<Start> {
        if let Some(seed) = &self.join {
            return Some(Start::Join { seed: seed.clone() });
        }
        self.bootstrap.then_some(Start::Bootstrap(Birth {
            lineage,
            partitions: self.partitions,
            n: self.n,
            r: self.r,
            w: self.w,
            resolve: match self.resolve {
                ResolveFlag::Lww => Resolve::Lww,
                ResolveFlag::Siblings => Resolve::Siblings,
            },
            durability: match self.durability {
                DurabilityFlag::Always => Durability::Always,
                DurabilityFlag::Interval => Durability::Interval,
                DurabilityFlag::Memory => Durability::Memory,
            },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        options: ServerOptions,
    }

    fn options(flags: &[&str]) -> ServerOptions {
        use clap::Parser;
        let line = ["server", "--data", "d", "--name", "n"].iter().chain(flags);
        Line::try_parse_from(line).unwrap().options
    }

    #[test]
    fn a_node_cannot_join_itself() {
        let check = |flags: &[&str]| {
            let options = options(&[flags, &["--insecure-without-auth"]].concat());
            options.check().and_then(|addresses| options.check_seed(addresses))
        };
        for flags in [
            &["--join", "127.0.0.1:7381"][..],
            &["--join", "localhost:7381"],
            &["--join", "[::1]:7381", "--peer", "[::1]:7381"],
            &["--join", "127.0.0.1:7381", "--peer", "0.0.0.0:7381"],
            &["--join", "me.example:7381", "--advertise", "me.example"],
        ] {
            assert!(check(flags).is_err_and(|said| said.contains("own --peer address")), "{flags:?}");
        }
        for flags in [&["--join", "127.0.0.1:7391"][..], &["--join", "127.0.0.2:7381"], &["--bootstrap"]] {
            assert_eq!(check(flags), Ok(()), "{flags:?}");
        }
        for seed in ["foo", "foo:", ":7381", "foo:0", "foo:99999"] {
            assert!(check(&["--join", seed]).is_err_and(|said| said.contains("HOST:PORT")), "{seed}");
        }
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(bytes_of("1024"), Ok(1024));
        assert_eq!(bytes_of("2k"), Ok(2048));
        assert_eq!(bytes_of("256M"), Ok(256 << 20));
        assert_eq!(bytes_of("1GiB"), Ok(1 << 30));
        assert!(bytes_of("x").is_err() && bytes_of("").is_err() && bytes_of("1T").is_err());
        assert!(bytes_of("99999999999999G").is_err());
    }
}
