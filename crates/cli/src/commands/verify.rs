//! `evidence verify`.

use std::{fs::File, path::PathBuf};

use clap::Args;
use evidence_ledger::PublicKey;

use super::Context;
use crate::{
    CliError, files, keys,
    proof::{LogKeys, ReceiptFile},
    verify::{With, conclude, digest, verify},
};

/// Needs no network.
#[derive(Debug, Args)]
pub struct Verify {
    /// A receipt file.
    receipt: PathBuf,
    /// The document it is for.
    #[arg(long, value_name = "FILE")]
    document: Option<PathBuf>,
    /// The public key of the organisation that signed; may be given again.
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// The log's keys; those of the configuration when left out.
    #[arg(long, value_name = "FILE")]
    log_keys: Option<PathBuf>,
    /// A checkpoint of the receipt's size, as a signed note.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

impl Verify {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let file = ReceiptFile::load(&self.receipt)?;
        // Without a configuration there is none to take keys from; that is no error here.
        let configured = || context.config().ok().and_then(|config| config.log_keys);
        let log_keys = self
            .log_keys
            .or_else(configured)
            .map(|path| LogKeys::load(&path))
            .transpose()?;
        let public = self
            .key
            .iter()
            .map(|path| keys::public_key(path, &**context.rng()));
        let organisation_keys = public.collect::<Result<Vec<PublicKey>, CliError>>()?;
        let document = self.document.map(|path| {
            let opened = File::open(&path).map_err(CliError::io(&path))?;
            digest(opened).map_err(CliError::io(&path))
        });
        let checkpoint = self
            .checkpoint
            .map(|path| files::read_text(&path))
            .transpose()?;
        let with = With {
            log_keys: log_keys.as_ref(),
            organisation_keys: &organisation_keys,
            document: document.transpose()?,
            checkpoint: checkpoint.as_deref(),
        };
        let report = verify(&file, &with);
        if context.is_json() {
            context.json(
                &serde_json::json!({ "verdict": report.exit().name(), "checks": report.checks }),
            )?;
        } else {
            context.print(&report.to_text())?;
        }
        conclude(&report)
    }
}
