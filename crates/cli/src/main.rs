//! The `evidence` command.

use std::{process::ExitCode, sync::Arc};

use clap::Parser as _;
use evidence_cli::{CliError, Exit, commands};

fn main() -> ExitCode {
    // Usage errors end here, with code 2.
    let cli = commands::Cli::parse();
    let json = cli.global.json;
    match start(cli) {
        Ok(()) | Err(CliError::Closed) => ExitCode::from(Exit::Done as u8),
        Err(error) => {
            if json {
                eprintln!("{}", error.to_json());
            } else {
                eprintln!("{error}");
            }
            ExitCode::from(error.exit() as u8)
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the clock and makes the random source"
)]
fn start(cli: commands::Cli) -> Result<(), CliError> {
    let (rng, now) = (
        Arc::new(ring::rand::SystemRandom::new()),
        jiff::Timestamp::now(),
    );
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CliError::io("the runtime"))?
        .block_on(commands::run(cli, rng, now))
}
