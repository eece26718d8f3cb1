//! What cargo knows of the workspace.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// The parts of `cargo metadata` (format 1) that the tooling reads.
#[derive(Debug, Deserialize)]
pub struct Metadata {
    pub packages: Vec<Package>,
    /// Ids of packages.
    pub workspace_members: Vec<String>,
    pub workspace_root: PathBuf,
    pub target_directory: PathBuf,
    /// Absent when asked without dependencies.
    pub resolve: Option<Resolve>,
}

#[derive(Debug, Deserialize)]
pub struct Package {
    pub id: String,
    pub name: String,
    pub manifest_path: PathBuf,
    pub dependencies: Vec<Dependency>,
    pub targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
pub struct Dependency {
    pub name: String,
    /// `build` or `dev`; none for what is built in.
    pub kind: Option<String>,
}

impl Dependency {
    /// Whether only the crate's tests have it.
    pub fn is_for_tests(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }
}

#[derive(Debug, Deserialize)]
pub struct Target {
    pub src_path: PathBuf,
}

#[derive(Debug, Deserialize)]
pub struct Resolve {
    pub nodes: Vec<Node>,
}

/// A package with the features that are on.
#[derive(Debug, Deserialize)]
pub struct Node {
    pub id: String,
    pub features: Vec<String>,
}

impl Metadata {
    /// Asks cargo about the workspace around the current directory.
    ///
    /// # Errors
    /// There is none, or cargo cannot resolve its dependencies.
    pub fn load(arguments: &[&str]) -> Result<Self> {
        let mut command = command();
        command
            .args(["metadata", "--format-version", "1"])
            .args(arguments);
        let answer = command.output().context("run cargo metadata")?;
        let said = String::from_utf8_lossy(&answer.stderr);
        ensure!(
            answer.status.success(),
            "cargo metadata failed: {}",
            said.trim()
        );
        serde_json::from_slice(&answer.stdout).context("read the answer of cargo metadata")
    }

    /// The packages of the workspace itself.
    pub fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| self.workspace_members.contains(&package.id))
    }

    /// `path` from the root of the workspace, as git writes it.
    pub fn relative(&self, path: &std::path::Path) -> String {
        let path = path.strip_prefix(&self.workspace_root).unwrap_or(path);
        path.to_string_lossy().into_owned()
    }
}

/// The cargo that runs this program.
pub fn command() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
