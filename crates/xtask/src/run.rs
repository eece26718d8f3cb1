//! Runs the suites and the benches against everything they need, real: the built programs and a
//! throwaway PostgreSQL.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use xtask::postgres::{Cluster, SERVER_VARIABLE};

use crate::cargo::{self, Metadata};

/// Where the built programs are, for the suites that start them.
const PROGRAMS_VARIABLE: &str = "EVIDENCE_BIN_DIR";
/// The interpreter with the packages of `tests/python/requirements.txt`, once those are set up.
const PYTHON_VARIABLE: &str = "EVIDENCE_PYTHON";

/// Runs the tests with cargo-nextest, or with `cargo test` where that is not installed.
/// `arguments` go to it as they are; without any, documentation tests run as well.
///
/// # Errors
/// Something the tests need cannot be built or started. Failing tests are a status, not an error.
pub fn test(arguments: &[OsString]) -> Result<ExitStatus> {
    let metadata = Metadata::load(&["--no-deps"])?;
    if wants_programs(arguments) {
        build(&metadata, "dev")?;
    }
    let cluster = Cluster::start()?;
    let nextest = cargo::command()
        .args(["nextest", "--version"])
        .stdout(Stdio::null())
        .status();
    let has_nextest = nextest.is_ok_and(|status| status.success());
    if has_nextest && arguments.is_empty() {
        // nextest leaves these out.
        let mut examples = cargo::command();
        examples.args(["test", "--workspace", "--doc", "--quiet"]);
        let status = surround(&mut examples, &metadata, "debug", &cluster).status()?;
        if !status.success() {
            return Ok(status);
        }
    }
    let mut tests = cargo::command();
    tests.args(if has_nextest {
        ["nextest", "run"].as_slice()
    } else {
        &["test"]
    });
    if !names_package(arguments) {
        tests.arg("--workspace");
    }
    surround(tests.args(arguments), &metadata, "debug", &cluster)
        .status()
        .context("run cargo")
}

/// Runs the bench `name` of the tests' package, built with optimisation, as are the programs.
///
/// # Errors
/// Something the bench needs cannot be built or started.
pub fn bench(name: &str, arguments: &[OsString]) -> Result<ExitStatus> {
    let metadata = Metadata::load(&["--no-deps"])?;
    build(&metadata, "release")?;
    let cluster = Cluster::start()?;
    let mut bench = cargo::command();
    bench.args([
        "bench",
        "--locked",
        "--package",
        "evidence-tests",
        "--bench",
        name,
        "--",
    ]);
    surround(bench.args(arguments), &metadata, "release", &cluster)
        .status()
        .context("run cargo")
}

fn build(metadata: &Metadata, profile: &str) -> Result<()> {
    let mut build = cargo::command();
    build.args([
        "build",
        "--locked",
        "--workspace",
        "--bins",
        "--profile",
        profile,
    ]);
    let status = build
        .current_dir(&metadata.workspace_root)
        .status()
        .context("run cargo build")?;
    if !status.success() {
        bail!("the programs do not build: mend what cargo says above");
    }
    Ok(())
}

/// Tells `command` where the things are that tests may use.
fn surround<'a>(
    command: &'a mut Command,
    metadata: &Metadata,
    folder: &str,
    cluster: &Cluster,
) -> &'a mut Command {
    command
        .env(SERVER_VARIABLE, cluster.url())
        .env(PROGRAMS_VARIABLE, metadata.target_directory.join(folder));
    let python = metadata
        .workspace_root
        .join(Path::new("target/venv/bin/python"));
    if python.exists() {
        command.env(PYTHON_VARIABLE, python);
    }
    command
}

/// Only the suites in the tests' package start the programs: a run of other packages can do
/// without the wait.
fn wants_programs(arguments: &[OsString]) -> bool {
    !names_package(arguments)
        || arguments
            .iter()
            .any(|argument| argument == "evidence-tests")
}

fn names_package(arguments: &[OsString]) -> bool {
    arguments
        .iter()
        .any(|argument| argument == "-p" || argument == "--package")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn programs_are_built_for_what_may_start_them() {
        for line in [
            "",
            "journey",
            "-p evidence-tests",
            "-p xtask -p evidence-tests crash",
        ] {
            assert!(wants_programs(&arguments(line)), "{line}");
        }
        for line in ["-p evidence-ledger", "--package evidence-store seal"] {
            assert!(!wants_programs(&arguments(line)), "{line}");
        }
    }
}
