//! `evidence-gateway`: init, serve, sandbox.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use evidence_gateway::{
    boot::{self, Operator},
    clock::Clock,
    config::Config,
    sandbox, serve,
    telemetry::Telemetry,
};
use evidence_ledger::sha256;
use evidence_store::seal::Rng;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

/// The evidence-exchange gateway.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes keys, database and log for a new gateway. Once.
    Init {
        #[arg(long)]
        config: PathBuf,
        /// The operator's identifier, such as ods:X26.
        #[arg(long)]
        operator_identifier: String,
        #[arg(long)]
        operator_name: String,
        /// The operator's client certificate (PEM).
        #[arg(long)]
        operator_certificate: PathBuf,
    },
    /// Serves until SIGTERM or SIGINT; SIGHUP reads certificates and revocation lists again.
    Serve {
        #[arg(long)]
        config: PathBuf,
    },
    /// Reads a configuration and says what is wrong with it.
    CheckConfig {
        #[arg(long)]
        config: PathBuf,
    },
    /// Everything in one process, with made-up organisations and people.
    Sandbox(sandbox::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("evidence-gateway: cannot start threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(arguments.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("evidence-gateway: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Init {
            config,
            operator_identifier,
            operator_name,
            operator_certificate,
        } => {
            let config = Config::load(&config)?;
            let pem = std::fs::read(&operator_certificate)
                .with_context(|| format!("cannot read {}", operator_certificate.display()))?;
            let certificate = CertificateDer::from_pem_slice(&pem)
                .map_err(|error| anyhow::anyhow!("{}: {error}", operator_certificate.display()))?;
            let operator = Operator {
                identifier: operator_identifier,
                name: operator_name,
                certificate: sha256(&certificate),
            };
            let (store, organisation) =
                boot::init(&config, &Clock::system(), &operator, random()).await?;
            println!(
                "The log `{}` is started. The operator is {organisation}.",
                store.origin()
            );
            store.close().await;
            Ok(())
        }
        Command::Serve { config } => serve_config(&Config::load(&config)?).await,
        Command::CheckConfig { config } => {
            Config::load(&config)?;
            println!("{} is good.", config.display());
            Ok(())
        }
        Command::Sandbox(arguments) => sandbox::run(arguments, random()).await,
    }
}

async fn serve_config(config: &Config) -> anyhow::Result<()> {
    let telemetry = Telemetry::start(&config.telemetry)?;
    let rng = random();
    let store = boot::open(config, Arc::clone(&rng)).await?;
    let running = serve::start(config, store, Clock::system(), rng).await?;
    let outcome = serve::until_signal(running).await;
    telemetry.shutdown().await;
    Ok(outcome?)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one random source of the process"
)]
fn random() -> Arc<Rng> {
    Arc::new(ring::rand::SystemRandom::new())
}
