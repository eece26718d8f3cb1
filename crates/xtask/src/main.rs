//! The project's own tooling: `cargo xtask --help`.

mod cargo;
mod run;
mod tidy;

use std::ffi::OsString;
use std::process::{ExitCode, ExitStatus};

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Checks, tests and measures the evidence gateway"
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Check the rules of the house that no compiler knows
    Tidy,
    /// Build the programs, start a throwaway PostgreSQL and run the tests against both
    Test {
        /// For the test runner, as they are: `-p evidence-ledger`, a filter, …
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Build with optimisation, start a throwaway PostgreSQL and run a bench against both
    Bench {
        /// A bench of the tests' package, such as `submit`
        name: String,
        /// For the bench, as they are
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

fn main() -> Result<ExitCode> {
    match Arguments::parse().task {
        Task::Tidy => report(),
        Task::Test { arguments } => run::test(&arguments).map(code),
        Task::Bench { name, arguments } => run::bench(&name, &arguments).map(code),
    }
}

fn report() -> Result<ExitCode> {
    let (files, findings) = tidy::run()?;
    for finding in &findings {
        println!("{finding}");
    }
    println!("tidy: {files} files, {} to mend", findings.len());
    Ok(if findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A child that a signal ended has no code: it failed.
fn code(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}
