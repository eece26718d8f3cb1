//! `evidence ledger`.

use std::path::PathBuf;

use clap::Subcommand;
use evidence_ledger::Digest;
use evidence_wire::v1;

use super::Context;
use crate::{CliError, files, proof::LogKeys};

#[derive(Debug, Subcommand)]
pub enum Ledger {
    /// The receipt of an entry, by its digest.
    Receipt {
        /// 64 hex digits.
        entry: Digest,
    },
    /// The newest checkpoint, or the one of a size.
    Checkpoint {
        #[arg(long, default_value_t = 0)]
        size: u64,
        /// Write the signed note itself here, for `evidence verify --checkpoint`.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// The log's public keys.
    Keys {
        /// Write them here, for `log_keys` in the configuration.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Prove that an entry is in the log.
    Inclusion {
        index: u64,
        /// The newest checkpoint's size when left out.
        #[arg(long, default_value_t = 0)]
        size: u64,
    },
    /// Prove that the log of one size is the beginning of a later one.
    Consistency {
        from_size: u64,
        /// The newest checkpoint's size when left out.
        #[arg(long, default_value_t = 0)]
        to_size: u64,
    },
}

impl Ledger {
    pub async fn run(self, context: &Context) -> Result<(), CliError> {
        match self {
            Self::Receipt { entry } => {
                let body = v1::GetReceiptRequest {
                    entry: entry.as_bytes().to_vec(),
                };
                context.show(body, call!(ledger.get_receipt)).await
            }
            Self::Checkpoint { size, output } => {
                let body = v1::GetCheckpointRequest { size };
                let gateway = context.gateway()?;
                let answer = gateway.read(body, call!(ledger.get_checkpoint)).await?;
                if let Some(path) = output {
                    files::write(&path, answer.note.as_bytes())?;
                }
                context.answer("", &answer)
            }
            Self::Keys { output } => {
                let gateway = context.gateway()?;
                let body = v1::ListLogKeysRequest {};
                let answer = gateway.read(body, call!(ledger.list_log_keys)).await?;
                if let Some(path) = output {
                    files::write_json(&path, &LogKeys::of(&answer)?)?;
                }
                context.answer("", &answer)
            }
            Self::Inclusion { index, size } => {
                let body = v1::GetInclusionProofRequest { index, size };
                context.show(body, call!(ledger.get_inclusion_proof)).await
            }
            Self::Consistency { from_size, to_size } => {
                let body = v1::GetConsistencyProofRequest { from_size, to_size };
                context
                    .show(body, call!(ledger.get_consistency_proof))
                    .await
            }
        }
    }
}
