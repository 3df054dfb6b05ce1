//! Writes the table of the page's files, to be built into the binary: what `make web` left in `web/dist`, or nothing.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let web = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("../web");
    let page = web.join("dist");
    println!("cargo:rerun-if-changed=build.rs");
    // A path that is not there would make cargo build anew each time; its folder changes when the page is made.
    for watched in [&page, &web] {
        if watched.is_dir() {
            println!("cargo:rerun-if-changed={}", watched.display());
            break;
        }
    }
    let mut files = Vec::new();
    if page.join("index.html").is_file() {
        collect(&page, &mut files)?;
    }
    let mut named = Vec::new();
    for file in &files {
        let inner = file.strip_prefix(&page).map_err(io::Error::other)?;
        let parts: Vec<_> = inner.components().map(|part| part.as_os_str().to_string_lossy()).collect();
        named.push((parts.join("/"), file.canonicalize()?));
    }
    // By name as text, not as a path: that is how they are looked up.
    named.sort();
    let mut table = String::from("&[\n");
    for (name, file) in &named {
        writeln!(table, "    ({name:?}, include_bytes!({file:?})),").map_err(io::Error::other)?;
    }
    table.push_str("]\n");
    fs::write(Path::new(&variable("OUT_DIR")?).join("page.rs"), table)
}

fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(|error| io::Error::other(format!("{name}: {error}")))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
