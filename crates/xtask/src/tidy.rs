//! The rules of the house that no compiler knows, checked over every file that is, or would be,
//! committed. Each finding says where, what, and what to do instead.

mod banned;
mod edges;
mod links;
mod modules;
mod paths;
mod size;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo::Metadata;
use modules::Reach;

/// Where the gateway runs: the dependencies of other systems need not be there to be checked.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// Something to mend.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// From the root of the repository.
    pub path: String,
    /// Counted from 1.
    pub line: usize,
    pub what: String,
    pub instead: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            line,
            what,
            instead,
        } = self;
        write!(formatter, "{path}:{line}: {what}: {instead}")
    }
}

/// Checks the work tree around the current directory; returns the number of files read and every
/// finding, in order.
///
/// # Errors
/// git or cargo cannot describe the work tree, or a Rust file is not Rust.
pub fn run() -> Result<(usize, Vec<Finding>)> {
    let metadata = Metadata::load(&["--filter-platform", PLATFORM])?;
    let names = committed(&metadata.workspace_root)?;
    let texts = read(&metadata.workspace_root, &names);
    let mut findings = edges::check(&metadata, &texts);
    let mut files = BTreeMap::new();
    for (path, text) in &texts {
        findings.extend(paths::check(path, text));
        match path.rsplit_once('.') {
            Some((_, "md")) => findings.extend(links::check(path, text, &names)),
            Some((_, "rs")) => {
                let tokens = tokens::read(text).with_context(|| format!("read {path} as Rust"))?;
                findings.extend(size::check(path, text, &tokens));
                files.insert(path.as_str(), tokens);
            }
            _ => {}
        }
    }
    let targets = metadata.members().flat_map(|package| &package.targets);
    let roots: Vec<_> = targets
        .map(|target| metadata.relative(&target.src_path))
        .collect();
    let reach = Reach::new(&roots, &files);
    for (path, tokens) in &files {
        findings.extend(reach.check(path));
        findings.extend(banned::check(path, tokens, reach.is_test(path)));
    }
    findings.sort();
    Ok((texts.len(), findings))
}

/// What git tracks, and what it would take up with `git add .`.
fn committed(root: &Path) -> Result<BTreeSet<String>> {
    let listed = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root)
        .output()
        .context("run git")?;
    if !listed.status.success() {
        bail!(
            "git ls-files failed: {}",
            String::from_utf8_lossy(&listed.stderr).trim()
        );
    }
    let listed = String::from_utf8(listed.stdout).context("a file's name is not UTF-8")?;
    let names = listed
        .split_terminator('\0')
        .filter(|name| root.join(name).is_file());
    Ok(names.map(str::to_owned).collect())
}

/// The texts among `names`; pictures and the like, which are not UTF-8, are left out.
fn read(root: &Path, names: &BTreeSet<String>) -> BTreeMap<String, String> {
    let text = |name: &String| Some((name.clone(), std::fs::read_to_string(root.join(name)).ok()?));
    names.iter().filter_map(text).collect()
}
