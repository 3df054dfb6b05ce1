use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions, create_dir_all, rename};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The folder of a node.
///
/// ```text
///  lock      held while a server runs on it
///  node      the number of the store and its count of shards, as text
///  shard-0/  one folder for each shard's engine
/// ```
///
/// Everything that must survive, but for the two numbers in `node`, is in the engines.
#[derive(Debug)]
pub struct DataDir {
    root: PathBuf,
    /// The random number of this data dir: another one under the same name is another store.
    pub store: u64,
    /// Shards, fixed when it was made.
    pub shard_count: u8,
    /// Whether this open made it.
    pub is_new: bool,
    _lock: File,
}

const FORMAT: &str = "kvorum data folder, format 0";

impl DataDir {
    /// Opens a data dir and locks it; makes it with `shard_count` shards if there is none. `Err` says what to do.
    pub fn open(root: &Path, shard_count: u8, entropy: u64) -> Result<DataDir, String> {
        let said = |what: &str, path: &Path, error: &dyn std::fmt::Display| {
            format!("{what} {}: {error}", path.display())
        };
        create_dir_all(root).map_err(|error| said("cannot make", root, &error))?;
        let lock_path = root.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(|error| said("cannot open", &lock_path, &error))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            rustix::io::Errno::WOULDBLOCK => format!(
                "another server runs on {}: stop it, or give this one a --data folder of its own",
                root.display()
            ),
            error => said("cannot lock", &lock_path, &error),
        })?;
        let node_path = root.join("node");
        let (store, shard_count, is_new) = match std::fs::read(&node_path) {
            Ok(bytes) => {
                let text = std::str::from_utf8(&bytes).ok();
                let (store, shard_count) = text.and_then(parse).ok_or_else(|| {
                    format!(
                        "{} is damaged or of another version of Kvorum: nothing was changed; restore it from a copy, \
                         or begin with an empty folder and --join, and the other nodes refill it",
                        node_path.display()
                    )
                })?;
                (store, shard_count, false)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if root.join("shard-0").exists() {
                    return Err(format!(
                        "{} holds shards but no file `node`: part of it is missing; restore it from a copy, or begin \
                         with an empty folder and --join",
                        root.display()
                    ));
                }
                write_safely(root, "node", &text(entropy, shard_count))
                    .map_err(|error| said("cannot write", &node_path, &error))?;
                (entropy, shard_count, true)
            }
            Err(error) => return Err(said("cannot read", &node_path, &error)),
        };
        Ok(DataDir { root: root.to_owned(), store, shard_count, is_new, _lock: lock })
    }
    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }
    /// The folder of a shard.
    pub fn shard(&self, index: u8) -> PathBuf {
        self.root.join(format!("shard-{index}"))
    }
}

fn text(store: u64, shard_count: u8) -> String {
    format!("{FORMAT}\nstore {store:016x}\nshards {shard_count}\n")
}

fn parse(text: &str) -> Option<(u64, u8)> {
    let mut lines = text.lines();
    if lines.next()? != FORMAT {
        return None;
    }
    let store = u64::from_str_radix(lines.next()?.strip_prefix("store ")?, 16).ok()?;
    let shard_count: u8 = lines.next()?.strip_prefix("shards ")?.parse().ok()?;
    shard_count.is_power_of_two().then_some((store, shard_count))
}

/// Whole or not at all, also after a power cut: written beside, synced, renamed, folder synced.
fn write_safely(root: &Path, name: &str, text: &str) -> std::io::Result<()> {
    let temporary = root.join(format!("{name}.tmp"));
    let mut file = File::create(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    rename(&temporary, root.join(name))?;
    File::open(root)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_dir_keeps_its_numbers_and_takes_one_server() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDir::open(dir.path(), 2, 7).unwrap();
        assert!(first.is_new);
        let second = DataDir::open(dir.path(), 2, 8);
        assert!(second.unwrap_err().contains("another server runs"));
        drop(first);
        let again = DataDir::open(dir.path(), 4, 9).unwrap();
        assert_eq!((again.store, again.shard_count, again.is_new), (7, 2, false));
    }

    #[test]
    fn a_damaged_node_file_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        for damage in [&b"nonsense"[..], b"\xff\xfe", b""] {
            std::fs::write(dir.path().join("node"), damage).unwrap();
            let said = DataDir::open(dir.path(), 1, 7).unwrap_err();
            assert!(said.contains("damaged") && said.contains("--join"), "{said}");
            assert_eq!(std::fs::read(dir.path().join("node")).unwrap(), damage);
        }
    }
}
