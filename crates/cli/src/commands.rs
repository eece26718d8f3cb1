//! The command line: what there is to call, and how each call is made and shown.

/// One call of one service, for [`Context::show`] and [`Context::change`]: `call!(ledger.get_receipt)`.
macro_rules! call {
    ($service:ident.$call:ident) => {
        |gateway: $crate::Gateway, request| async move { gateway.$service().$call(request).await }
    };
}

mod bundle;
mod choices;
mod consent;
mod context;
mod decision;
mod directory;
mod evidence;
mod keys;
mod ledger;
mod record;
mod request;
mod verify;

use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::{CliError, client::Rng};

pub use context::Context;

/// Sends, receives and proves evidence for benefit decisions.
#[derive(Debug, Parser)]
#[command(
    name = "evidence",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(
    after_help = "Exit codes: 0 done, 1 refused by the gateway, 2 usage, 3 gateway not reached, \
    4 not authenticated, 5 verification failed, 6 cannot tell, 7 a local file, \
    8 outcome unknown (run again)."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The configuration file. Else $EVIDENCE_CONFIG, ./evidence.toml, ~/.config/evidence/evidence.toml.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print one JSON document (JSON lines where things come one by one); errors too, on standard error.
    #[arg(long, global = true)]
    pub json: bool,
    /// No progress bars.
    #[arg(long, global = true)]
    pub quiet: bool,
    /// Sign as of this moment instead of the system clock's, for a sandbox whose clock was set.
    #[arg(long, global = true, value_name = "RFC3339")]
    pub now: Option<jiff::Timestamp>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make and show keys, and ask for a certificate.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Register a claimant.
    #[command(subcommand)]
    Claimant(consent::Claimant),
    /// A claimant's consent: who may give what to whom, for what, until when.
    #[command(subcommand)]
    Grant(consent::Grant),
    /// Let an intermediary act under a grant.
    #[command(subcommand)]
    Delegation(consent::Delegation),
    /// Who helps a claimant, or stands in their place in law.
    #[command(subcommand)]
    Representative(consent::Representative),
    /// One assessment of one claimant.
    #[command(subcommand)]
    Case(request::Case),
    /// Questions to disclosers, and their answers.
    #[command(subcommand)]
    Request(request::Request),
    /// Follow everything that concerns your organisation.
    Watch(request::Watch),
    /// Send evidence: check, sign, submit, relay, withdraw, declare.
    #[command(subcommand)]
    Evidence(evidence::Evidence),
    /// Pull everything available for a case, with proofs.
    #[command(subcommand)]
    Bundle(bundle::Bundle),
    /// Record how evidence was used.
    #[command(subcommand)]
    Decision(decision::Decision),
    /// A claimant's own view, for an organisation with the portal role.
    #[command(subcommand)]
    Record(record::Record),
    /// Receipts, checkpoints and proofs from the log.
    #[command(subcommand)]
    Ledger(ledger::Ledger),
    /// Organisations, their certificates and keys, and policies.
    #[command(subcommand)]
    Directory(directory::Directory),
    /// Check a receipt offline, and say what was not checked.
    Verify(verify::Verify),
    /// Print a shell's completion script.
    Completions { shell: Shell },
}

/// Runs one command. `now` is the system clock's time, and `rng` the system's random source.
pub async fn run(cli: Cli, rng: Rng, now: jiff::Timestamp) -> Result<(), CliError> {
    let context = Context::new(cli.global, rng, now);
    match cli.command {
        Command::Keys(command) => command.run(&context),
        Command::Claimant(command) => command.run(&context).await,
        Command::Grant(command) => command.run(&context).await,
        Command::Delegation(command) => command.run(&context).await,
        Command::Representative(command) => command.run(&context).await,
        Command::Case(command) => command.run(&context).await,
        Command::Request(command) => command.run(&context).await,
        Command::Watch(command) => command.run(&context).await,
        Command::Evidence(command) => command.run(&context).await,
        Command::Bundle(command) => command.run(&context).await,
        Command::Decision(command) => command.run(&context).await,
        Command::Record(command) => command.run(&context).await,
        Command::Ledger(command) => command.run(&context).await,
        Command::Directory(command) => command.run(&context).await,
        Command::Verify(command) => command.run(&context),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "evidence", &mut script);
            context.print(&String::from_utf8_lossy(&script))
        }
    }
}

/// How much of a list to show.
#[derive(Debug, Clone, Args)]
pub struct Page {
    /// At most so many; 0 leaves it to the gateway.
    #[arg(long, default_value_t = 0)]
    page_size: i32,
    /// Go on where an earlier list stopped: its `next_page_token`.
    #[arg(long, default_value = "")]
    page_token: String,
}

/// Options of every command that changes something.
#[derive(Debug, Clone, Args)]
pub struct Changing {
    /// The call's key: the same one again is the same call. One is made up when left out.
    #[arg(long, value_name = "KEY")]
    request_id: Option<String>,
    /// Keep the receipt in this file, to be checked with `evidence verify`.
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
}

#[cfg(test)]
mod tests;
