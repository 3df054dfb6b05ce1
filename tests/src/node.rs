//! One `kvorum server` process, and the binary's other commands.

use crate::http;
use crate::resp::Client;
use crate::wait::until;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::OpenOptions;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

/// A node answers or is gone within this.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The binary under test.
pub fn binary() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/kvorum");
    let path = std::env::var_os("KVORUM_BIN").map_or(built, PathBuf::from);
    assert!(path.is_file(), "{} is not there: `make build` first, or set KVORUM_BIN", path.display());
    path
}

/// Runs a command of the binary to its end.
pub fn kvorum(args: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.args(args).stdin(Stdio::null()).env_remove("KVORUM_ADMIN");
    command.output().unwrap_or_else(|error| panic!("kvorum {args:?}: {error}"))
}

/// What a command said on stderr.
pub fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A loopback address that was free a moment ago.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address")
}

/// A node: its process runs or not, its folder and its ports stay the same.
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its data folder.
    pub data: PathBuf,
    /// For clients.
    pub listen: SocketAddr,
    /// For HTTP.
    pub admin: SocketAddr,
    /// For other nodes.
    pub peer: SocketAddr,
    /// Flags beside those above; without `--bootstrap` or `--join`.
    pub flags: Vec<String>,
    child: Option<Child>,
}

impl Node {
    /// A node under a folder, on free ports, not yet running.
    pub fn new(root: &Path, name: &str, flags: &[&str]) -> Node {
        Node {
            name: name.into(),
            data: root.join(name),
            listen: free_address(),
            admin: free_address(),
            peer: free_address(),
            flags: flags.iter().map(|flag| flag.to_string()).collect(),
            child: None,
        }
    }
    /// The flags it starts with.
    pub fn args(&self, begin: &[&str]) -> Vec<String> {
        let mut args: Vec<String> = ["server", "--name", &self.name, "--data"].map(String::from).into();
        args.push(self.data.display().to_string());
        for (flag, address) in [("--listen", self.listen), ("--admin", self.admin), ("--peer", self.peer)] {
            args.extend([flag.into(), address.to_string()]);
        }
        args.extend(self.flags.iter().cloned());
        args.extend(begin.iter().map(|flag| flag.to_string()));
        args
    }
    fn log_path(&self) -> PathBuf {
        self.data.with_extension("log")
    }
    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }
    /// Starts its process.
    pub fn spawn(&mut self, begin: &[&str]) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log = OpenOptions::new().create(true).append(true).open(self.log_path());
        let mut command = Command::new(binary());
        command.args(self.args(begin)).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(log.expect("the log can be written"));
        self.child = Some(command.spawn().expect("the server starts"));
    }
    /// Runs it where it must not come up, to its end.
    pub fn refused(&self, begin: &[&str]) -> Output {
        let mut command = Command::new(binary());
        command.args(self.args(begin)).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the server starts");
        let mut ended = || child.try_wait().ok().flatten().ok_or_else(|| "it still runs".to_owned());
        let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until(PATIENCE, "the server refuses to start", &mut ended)
        }));
        if waited.is_err() {
            let _ = child.kill();
        }
        let output = child.wait_with_output().expect("its output can be read");
        assert!(waited.is_ok(), "it did not refuse:\n{}", complaint(&output));
        output
    }
    /// Waits until `/readyz` says so.
    pub fn wait_ready(&mut self) -> Duration {
        let what = format!("{} is ready", self.name);
        until(PATIENCE, &what, || {
            if let Some(status) = self.exit_status() {
                panic!("{} has ended with {status}:\n{}", self.name, self.log());
            }
            match http::get(self.admin, "/readyz") {
                Ok(answer) if answer.status == 200 => Ok(()),
                Ok(answer) => Err(answer.text()),
                Err(error) => Err(error.to_string()),
            }
        })
        .1
    }
    /// How it ended, if it has.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().ok().flatten())
    }
    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }
    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).expect("the process is ours");
    }
    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("the process is ours");
            child.wait().expect("it ends");
        }
    }
    /// SIGTERM, and waits until it is gone.
    pub fn terminate(&mut self) -> (ExitStatus, Duration) {
        self.signal(Signal::TERM);
        let ended = until(PATIENCE, &format!("{} ends after SIGTERM", self.name), || {
            self.exit_status().ok_or_else(|| "it still runs".into())
        });
        self.child = None;
        ended
    }
    /// A connection to it.
    pub fn client(&self) -> Client {
        let connected = Client::connect(self.listen, PATIENCE);
        connected.unwrap_or_else(|error| panic!("{} takes clients: {error}\n{}", self.name, self.log()))
    }
    /// `http://…` of its admin port.
    pub fn url(&self) -> String {
        format!("http://{}", self.admin)
    }
    /// A figure of `/metrics`, summed over its labels.
    pub fn metric(&self, name: &str) -> f64 {
        let text = http::get(self.admin, "/metrics").expect("metrics are served").text();
        let lines = text.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ') || rest.starts_with('{'))
        });
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(15)..].join("\n  ");
            eprintln!("the end of {}'s log:\n  {tail}", self.name);
        }
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
