//! House rules that a machine can check. Each message says what to do instead.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the tests folder lies in the workspace").to_path_buf()
}

/// Files that git knows or would take: what is ignored is nobody's business.
fn files() -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git lists the files");
    let text = String::from_utf8(output.stdout).expect("file names are UTF-8");
    text.lines().map(PathBuf::from).filter(|file| root().join(file).is_file()).collect()
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_default()
}

fn fail(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// The layers of core, bottom up. Those of one number know nothing of each other.
const LAYERS: &[(&str, u32)] = &[
    ("base", 0),
    ("storage", 1),
    ("lsm", 2),
    ("version", 1),
    ("ring", 2),
    ("quorum", 3),
    ("message", 3),
    ("control", 4),
    ("data", 4),
    ("node", 5),
    ("sim", 6),
];

fn rank(layer: &str) -> Option<u32> {
    LAYERS.iter().find(|(name, _)| *name == layer).map(|(_, rank)| *rank)
}

/// The layer that a file of core belongs to.
fn layer_of(file: &Path) -> Option<String> {
    let inner = file.strip_prefix("core/src").ok()?;
    let first = inner.components().next()?.as_os_str().to_str()?;
    rank(first).map(|_| first.to_string())
}

/// Lines of a file up to its tests, without comments.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
        .enumerate()
        .map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
}

fn is_test_file(file: &Path) -> bool {
    file.components().any(|part| part.as_os_str() == "tests") || file.ends_with("tests.rs")
}

fn core_files() -> Vec<PathBuf> {
    let is_core = |file: &PathBuf| {
        file.starts_with("core/src") && file.extension().is_some_and(|e| e == "rs") && !is_test_file(file)
    };
    files().into_iter().filter(is_core).collect()
}

#[test]
fn layers_import_downward_only_and_through_their_front_door() {
    let mut problems = Vec::new();
    for file in core_files() {
        let Some(layer) = layer_of(&file) else { continue };
        let text = read(&file);
        for (number, line) in code_lines(&text) {
            if line.trim_start().starts_with("use crate::{") {
                problems.push(format!(
                    "{}:{number}: name each layer in a `use` of its own, so that this test sees it",
                    file.display()
                ));
            }
            for import in line.split("crate::").skip(1) {
                let mut words = import.split(|c: char| !c.is_alphanumeric() && c != '_');
                let target = words.next().unwrap_or_default();
                let Some(target_rank) = rank(target) else { continue };
                let place = format!("{}:{number}", file.display());
                if target != layer && rank(&layer).is_some_and(|own| target_rank >= own) {
                    problems.push(format!(
                        "{place}: `{layer}` imports `{target}`, which does not lie below it: move the shared \
                         part down, or pass a value in"
                    ));
                }
                let inner = import.strip_prefix(target).and_then(|rest| rest.strip_prefix("::"));
                let is_inside = inner.is_some_and(|inner| {
                    let name: String =
                        inner.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                    let is_module = inner[name.len()..].starts_with("::")
                        && name.chars().next().is_some_and(char::is_lowercase);
                    is_module && !["trace", "sabotage"].contains(&name.as_str())
                });
                if is_inside && target != layer {
                    problems.push(format!(
                        "{place}: reaches into `{target}`: export what is needed in core/src/{target}/mod.rs"
                    ));
                }
            }
        }
    }
    fail(&problems);
}

#[test]
fn core_uses_nothing_that_would_make_it_undecided() {
    let banned = [
        ("std::collections::HashMap", "use BTreeMap, or hashbrown for look-ups that are never iterated"),
        ("SystemTime", "time is an argument: `Now`"),
        ("std::time", "time is an argument: `Now`"),
        ("Instant::now", "time is an argument: `Now`"),
        ("std::thread", "machines have no threads; their drivers do"),
        ("std::env", "core reads no environment"),
        ("println!", "emit a trace event, or return a value"),
        ("todo!(", "finish it, or leave it out and say so"),
        ("unimplemented!(", "finish it, or leave it out and say so"),
        (".unwrap()", "return an error, or `expect` with the sentence that proves it"),
        ("f64", "no floating point in decisions"),
    ];
    let mut problems = Vec::new();
    for file in core_files() {
        let text = read(&file);
        // What is drawn decides nothing.
        let is_picture = file.file_name().is_some_and(|name| name == "picture.rs");
        for (number, line) in code_lines(&text) {
            for (word, instead) in banned {
                if line.contains(word) && !(is_picture && word == "f64") {
                    problems.push(format!("{}:{number}: `{word}`: {instead}", file.display()));
                }
            }
        }
    }
    fail(&problems);
}

#[test]
fn no_file_is_stray_or_far_too_long() {
    let mut problems = Vec::new();
    for file in files() {
        let size = root().join(&file).metadata().map_or(0, |metadata| metadata.len());
        let is_lock = file.ends_with("Cargo.lock") || file.ends_with("package-lock.json");
        if size > 300 << 10 && !is_lock {
            problems.push(format!(
                "{}: {} KiB: data of that size is fetched or made",
                file.display(),
                size >> 10
            ));
        }
        let is_code = file.extension().is_some_and(|e| e == "rs" || e == "ts");
        let lines = if is_code { read(&file).lines().count() } else { 0 };
        if lines > 900 {
            problems.push(format!("{}: {lines} lines: which second idea has moved in?", file.display()));
        }
    }
    fail(&problems);
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    let here = ["/work/", "../shared", "/root/", "/home/"];
    let mut problems = Vec::new();
    for file in files().into_iter().filter(|file| !file.ends_with("tidy.rs")) {
        for (index, line) in read(&file).lines().enumerate() {
            if let Some(path) = here.iter().find(|path| line.contains(**path)) {
                problems.push(format!("{}:{}: `{path}`: no paths of one machine", file.display(), index + 1));
            }
        }
    }
    fail(&problems);
}

#[test]
fn links_in_documents_lead_somewhere() {
    let mut problems = Vec::new();
    for file in files().into_iter().filter(|file| file.extension().is_some_and(|e| e == "md")) {
        let folder = root().join(&file).parent().expect("a file lies in a folder").to_path_buf();
        for link in read(&file).split("](").skip(1) {
            let Some(target) = link.split([')', '#', ' ']).next().filter(|target| !target.is_empty()) else {
                continue;
            };
            let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
            if !is_elsewhere && !folder.join(target).exists() {
                problems.push(format!("{}: dead link `{target}`", file.display()));
            }
        }
    }
    fail(&problems);
}

#[test]
fn every_dependency_has_a_licence_that_we_may_pass_on() {
    // One of the alternatives of each package's expression must consist of these alone.
    const ALLOWED: &[&str] = &[
        "MIT",
        "MIT-0",
        "Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "ISC",
        "Unicode-3.0",
        "Unlicense",
        "Zlib",
        "CC0-1.0",
    ];
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo tells its metadata");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("metadata is JSON");
    let packages = metadata["packages"].as_array().expect("there are packages");
    assert!(packages.len() > 10, "metadata lists the dependencies");
    let mut problems = Vec::new();
    for package in packages {
        let licence = package["license"].as_str().unwrap_or_default().replace('/', " OR ");
        let is_allowed = licence
            .replace(['(', ')'], " ")
            .split(" OR ")
            .any(|choice| choice.split(" AND ").all(|part| ALLOWED.contains(&part.trim())));
        if !is_allowed {
            problems.push(format!("{}: licence `{licence}` is not on the list", package["name"]));
        }
    }
    fail(&problems);
}
