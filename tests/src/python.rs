//! The Python that the suites run other people's programs with.

use std::path::PathBuf;

use anyhow::{Result, ensure};

/// Names the interpreter with the packages of `tests/python/requirements.txt`.
const PYTHON_VARIABLE: &str = "EVIDENCE_PYTHON";

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(path)
}

/// The interpreter that was set up for the tests.
pub fn interpreter() -> Result<PathBuf> {
    let python = std::env::var_os(PYTHON_VARIABLE)
        .map_or_else(|| repository("target/venv/bin/python"), PathBuf::from);
    ensure!(
        python.is_file(),
        "set up Python for the tests first: scripts/setup-python"
    );
    Ok(python)
}
