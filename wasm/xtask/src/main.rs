//! Builds `wasm/npm/dist`: the module for browsers, workers and Node, and the bindings that load it.
//!
//! The same steps as wasm-pack's, with the tool of the very version that Cargo.lock pins and without installing any:
//! `make test` and the page use this, `make npm` uses wasm-pack.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::SystemTime;
use wasm_bindgen_cli_support::Bindgen;

const PROFILE: &str = "wasm-release";
const TARGET: &str = "wasm32-unknown-unknown";
/// What wasm-opt does; the same as in `wasm/Cargo.toml` for wasm-pack. The first kibibyte of memory is the far end of the
/// stack, where nothing lies that is pointed to. Flat code shows it more that is alike, and what
/// makes it fast comes before what makes it small.
const PASSES: &[&str] = &["--low-memory-unused", "--flatten", "--rereloop", "-O3", "-Oz", "-Oz"];
const USAGE: &str = "usage: cargo run -p kvorum-xtask -- bindgen [--no-opt] [--names]

  --no-opt   leave out wasm-opt: larger, and built sooner
  --names    keep the names of functions, to see what takes the room";

struct Wishes {
    is_optimized: bool,
    keeps_names: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ["bindgen", flags @ ..] = &words[..] else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if let Some(unknown) = flags.iter().find(|flag| !["--no-opt", "--names"].contains(flag)) {
        eprintln!("`{unknown}` is no flag\n{USAGE}");
        return ExitCode::from(2);
    }
    let wishes =
        Wishes { is_optimized: !flags.contains(&"--no-opt"), keeps_names: flags.contains(&"--names") };
    match bindgen(&wishes) {
        Ok(line) => {
            eprintln!("{line}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn bindgen(wishes: &Wishes) -> Result<String, String> {
    let root = root()?;
    let built = build(&root)?;
    let dist = root.join("wasm/npm/dist");
    let module = dist.join("kvorum.wasm");
    let stamp = dist.join("built-from");
    let optimizer = if wishes.is_optimized { optimizer(&root) } else { None };
    let recipe = recipe(&built, optimizer.as_deref(), wishes)?;
    if module.exists() && std::fs::read_to_string(&stamp).is_ok_and(|known| known == recipe) {
        return Ok(format!("{} is up to date", module.display()));
    }
    std::fs::create_dir_all(&dist).map_err(|error| format!("cannot make {}: {error}", dist.display()))?;
    Bindgen::new()
        .input_path(&built)
        .out_name("kvorum_wasm")
        .typescript(false)
        .keep_debug(wishes.keeps_names)
        // The package says where its module lies; a second opinion would send bundlers after a file that is not there.
        .omit_default_module_path(true)
        .web(true)
        .and_then(|bindgen| bindgen.generate(&dist))
        .map_err(|error| format!("wasm-bindgen: {error:#}"))?;
    rename(&dist.join("kvorum_wasm_bg.wasm"), &module)?;
    let how = match &optimizer {
        Some(tool) => {
            optimize(tool, &module, wishes)?;
            "optimized"
        }
        None if wishes.is_optimized => {
            "not optimized: no wasm-opt here; `tests/tools/need.sh npm-package` brings it"
        }
        None => "not optimized",
    };
    std::fs::write(&stamp, recipe).map_err(|error| format!("cannot write {}: {error}", stamp.display()))?;
    let bytes = std::fs::metadata(&module).map_or(0, |meta| meta.len());
    Ok(format!("{}: {bytes} bytes, {how}", module.display()))
}

fn root() -> Result<PathBuf, String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().nth(2).ok_or("xtask does not lie in wasm/xtask")?;
    Ok(root.to_path_buf())
}

/// Lets cargo build the module, and says where it lies.
fn build(root: &Path) -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root).args(["build", "--locked", "-p", "kvorum-wasm", "--lib"]);
    command.args(["--target", TARGET, "--profile", PROFILE]);
    run(&mut command)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    Ok(target.join(TARGET).join(PROFILE).join("kvorum_wasm.wasm"))
}

/// What the output depends on: as long as it stays the same, there is nothing to do.
fn recipe(built: &Path, optimizer: Option<&Path>, wishes: &Wishes) -> Result<String, String> {
    let meta =
        std::fs::metadata(built).map_err(|error| format!("cargo built no {}: {error}", built.display()))?;
    let since = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH).duration_since(SystemTime::UNIX_EPOCH);
    let nanos = since.map_or(0, |since| since.as_nanos());
    let (has_optimizer, names) = (optimizer.is_some(), wishes.keeps_names);
    Ok(format!("{nanos} {} optimizer={has_optimizer} names={names}\n", meta.len()))
}

/// The wasm-opt of the package's development tools, or one on the path.
fn optimizer(root: &Path) -> Option<PathBuf> {
    let own = root.join("wasm/npm/node_modules/.bin/wasm-opt");
    if own.exists() {
        return Some(own);
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("wasm-opt")).find(|tool| tool.is_file())
}

fn optimize(tool: &Path, module: &Path, wishes: &Wishes) -> Result<(), String> {
    let smaller = module.with_extension("opt.wasm");
    let mut command = Command::new(tool);
    command.args(PASSES).arg(if wishes.keeps_names { "-g" } else { "--strip-debug" });
    command.arg("--strip-producers").arg(module).arg("-o").arg(&smaller);
    run(&mut command)?;
    rename(&smaller, module)
}

fn rename(from: &Path, to: &Path) -> Result<(), String> {
    std::fs::rename(from, to)
        .map_err(|error| format!("cannot move {} to {}: {error}", from.display(), to.display()))
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().map_err(|error| format!("cannot start {name}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{name} ended with {status}")) }
}
