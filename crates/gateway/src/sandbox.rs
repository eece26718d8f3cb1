//! `evidence-gateway sandbox`: a whole gateway in one process on SQLite and a folder, with its own
//! certificate authority, made-up organisations and people, and a clock that can be moved on.
//!
//! It is set up through the same configuration, first start and API as any other gateway; nothing
//! here writes state. See `docs/sandbox.md`.

mod authority;
mod cast;
mod client;
mod control;
mod folder;
mod next;
mod settle;
#[cfg(test)]
mod tests;

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use evidence_store::seal::Rng;
use jiff::SignedDuration;

use crate::{
    boot::{self, Operator},
    clock::Clock,
    config::Config,
    serve,
    telemetry::Telemetry,
};
use authority::Authority;
use folder::Folder;
use settle::Facts;

/// Where the sandbox keeps everything when nothing else is said.
const DATA: &str = "sandbox";
/// Where `--telemetry` shows metrics.
const PROMETHEUS: &str = "127.0.0.1:9464";

/// How a sandbox is started, and what can be asked of one that runs.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// Where keys, certificates, database and documents are kept. Made if it is not there.
    #[arg(long, default_value = DATA)]
    data: PathBuf,
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:8443")]
    address: SocketAddr,
    /// Shows logs, and metrics at http://127.0.0.1:9464; with a URL such as
    /// http://127.0.0.1:4317 also sends traces and metrics there by OTLP.
    #[arg(long, value_name = "OTLP_URL", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    telemetry: Option<String>,
    /// A folder of documents, for the commands that are printed to try next.
    #[arg(long)]
    files: Option<PathBuf>,
    /// Removes what an earlier sandbox left in the data folder.
    #[arg(long)]
    fresh: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Moves a running sandbox's clock on, by 5d, 36h or 2w.
    Advance {
        #[arg(value_parser = span)]
        by: SignedDuration,
        #[arg(long, default_value = DATA)]
        data: PathBuf,
    },
}

/// Runs the sandbox until SIGINT or SIGTERM, or moves the clock of one that runs.
pub async fn run(arguments: Arguments, rng: Arc<Rng>) -> anyhow::Result<()> {
    match arguments.action {
        Some(Action::Advance { by, data }) => {
            let now = control::advance(&data, by).await?;
            println!("It is now {now} in the sandbox.");
            Ok(())
        }
        None => start(&arguments, rng).await,
    }
}

async fn start(arguments: &Arguments, rng: Arc<Rng>) -> anyhow::Result<()> {
    control::refuse_if_running(&arguments.data).await?;
    let folder = Folder::open(&arguments.data, arguments.fresh)?;
    let config = configure(&folder, arguments)?;
    let telemetry = Telemetry::start(&config.telemetry)?;
    let outcome = serve_folder(&folder, &config, arguments, rng).await;
    telemetry.shutdown().await;
    outcome
}

/// Writes the authority's files and the gateway's configuration, and reads it as `serve` would.
fn configure(folder: &Folder, arguments: &Arguments) -> anyhow::Result<Config> {
    // Certificates live in system time, however far the sandbox's clock is ahead.
    let now = Clock::system().now();
    let authority = Authority::load_or_make(folder, now)?;
    authority.issue_server(folder, arguments.address.ip(), now)?;
    authority.issue_revocation_list(folder, now)?;
    for member in cast::MEMBERS {
        authority.issue_client(folder, member, now)?;
    }
    let text = folder::gateway_toml(
        folder,
        arguments.address,
        arguments.telemetry.as_deref(),
        PROMETHEUS,
    )?;
    let path = folder.path("gateway.toml");
    folder::write(&path, text.as_bytes())?;
    Ok(Config::load(&path)?)
}

async fn serve_folder(
    folder: &Folder,
    config: &Config,
    arguments: &Arguments,
    rng: Arc<Rng>,
) -> anyhow::Result<()> {
    let clock = control::clock(folder)?;
    let known = Facts::load(folder)?;
    let store = if known.is_some() {
        boot::open(config, Arc::clone(&rng)).await?
    } else {
        boot::init(config, &clock, &operator(folder)?, Arc::clone(&rng))
            .await?
            .0
    };
    let running = serve::start(config, store, clock.clone(), Arc::clone(&rng)).await?;
    let endpoint = folder::endpoint(running.address);
    let facts = match known {
        Some(facts) => facts,
        None => settle::settle(folder, running.address, &clock, rng.as_ref())
            .await
            .context("the sandbox could not be set up")?,
    };
    settle::write_client_configs(folder, &facts, &endpoint)?;
    let control = control::listen(folder, clock.clone())?;
    let files = arguments.files.as_deref();
    next::write(&mut std::io::stdout(), folder, &facts, files, &clock)?;
    settle::write_ready(folder, &facts, &endpoint, &clock)?;
    println!("ready {endpoint}");
    let outcome = serve::until_signal(running).await;
    control.close();
    folder.remove("ready.json")?;
    Ok(outcome?)
}

fn operator(folder: &Folder) -> anyhow::Result<Operator> {
    let member = cast::OPERATOR;
    Ok(Operator {
        identifier: member.identifier.to_owned(),
        name: member.name.to_owned(),
        certificate: authority::fingerprint(&folder.of(member, "certificate.pem"))?,
    })
}

/// A span such as 5d; a day is 24 hours.
fn span(text: &str) -> Result<SignedDuration, String> {
    let span: jiff::Span = text
        .parse()
        .map_err(|error| format!("{error}; write it as 5d, 36h or 2w"))?;
    span.to_duration(jiff::SpanRelativeTo::days_are_24_hours())
        .map_err(|error| format!("{error}; write it in weeks, days and hours"))
}
