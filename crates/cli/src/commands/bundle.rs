//! `evidence bundle`.

use std::{fmt::Write as _, path::PathBuf};

use clap::Subcommand;
use evidence_domain::{Aside, event::BundleAcknowledged, ids::CaseId};
use evidence_ledger::{Digest, sha256};
use evidence_wire::v1;
use jiff::civil::Date;

use super::{Context, Page};
use crate::{
    CliError,
    client::new_request_id,
    kept::KeptCall,
    pull::{Asked, Folder, pull},
};

#[derive(Debug, Subcommand)]
pub enum Bundle {
    /// Pull everything available for a case and purpose into a folder; run again to go on after a
    /// broken connection. Each document is checked before it gets its name.
    Pull {
        #[arg(long)]
        case: String,
        #[arg(long)]
        purpose: String,
        /// The folder, made if need be.
        #[arg(long, value_name = "FOLDER")]
        into: PathBuf,
        /// The person or system that looks, for the claimant's record of who saw what.
        #[arg(long)]
        actor: String,
    },
    /// Sign for a bundle: your organisation has it, whole.
    Acknowledge {
        /// The folder it was pulled into.
        folder: PathBuf,
        /// The day it was received, YYYY-MM-DD; today when left out.
        #[arg(long)]
        received_on: Option<Date>,
    },
    /// Show one bundle.
    Get { bundle: String },
    /// List a case's bundles.
    List {
        case: String,
        #[command(flatten)]
        page: Page,
    },
}

impl Bundle {
    pub async fn run(self, context: &Context) -> Result<(), CliError> {
        match self {
            Self::Pull {
                case,
                purpose,
                into,
                actor,
            } => {
                let request_id = new_request_id(&**context.rng())?;
                let asked = Asked {
                    request_id,
                    case_id: case,
                    purpose,
                    actor,
                };
                run_pull(context, Folder::begin(&into, asked)?).await
            }
            Self::Acknowledge {
                folder,
                received_on,
            } => acknowledge(context, &Folder::open(&folder)?, received_on).await,
            Self::Get { bundle } => {
                let body = v1::GetBundleRequest { bundle_id: bundle };
                context.show(body, call!(bundles.get_bundle)).await
            }
            Self::List { case, page } => {
                let body = v1::ListBundlesRequest {
                    case_id: case,
                    page_size: page.page_size,
                    page_token: page.page_token,
                };
                context.show(body, call!(bundles.list_bundles)).await
            }
        }
    }
}

async fn run_pull(context: &Context, mut folder: Folder) -> Result<(), CliError> {
    let gateway = context.gateway()?;
    let log_keys = context.log_keys(&gateway).await?;
    let progress = context.progress(0);
    pull(&gateway, &mut folder, &log_keys, &progress).await?;
    progress.finish_and_clear();
    let (manifest, bundle) = folder.complete()?;
    let held = folder.kept();
    context.line(
        || serde_json::json!({ "bundle_id": bundle.bundle_id, "case_id": bundle.case_id, "folder": folder.path(), "documents": held.documents }),
        || {
            let mut words = format!("{} holds {}, whole:\n", folder.path().display(), bundle.bundle_id);
            for document in &held.documents {
                let withheld = if document.withheld { "  WITHHELD FROM THE CLAIMANT" } else { "" };
                let _ = writeln!(words, "  {}{withheld}", document.file);
            }
            if !manifest.adjustments.is_empty() {
                words.push_str("The claimant needs:\n");
                words.extend(manifest.adjustments.iter().map(|each| format!("  {}\n", each.text)));
            }
            format!("{words}Every signature, receipt and digest holds. Next: evidence bundle acknowledge {}", folder.path().display())
        },
    )
}

async fn acknowledge(
    context: &Context,
    folder: &Folder,
    received_on: Option<Date>,
) -> Result<(), CliError> {
    let (manifest, bundle) = folder.complete()?;
    let incomplete = || {
        CliError::Invalid("The bundle's manifest lacks an id or receipt; pull it again.".to_owned())
    };
    let entry = |receipt: Option<&v1::Receipt>| {
        receipt.and_then(|receipt| Digest::try_from(&receipt.entry[..]).ok())
    };
    let case: CaseId = bundle.case_id.parse().map_err(|_| incomplete())?;
    let body = BundleAcknowledged {
        bundle: bundle.bundle_id.parse().map_err(|_| incomplete())?,
        pulled: entry(manifest.receipt.as_ref()).ok_or_else(incomplete)?,
        official: entry(manifest.official_receipt.as_ref()).ok_or_else(incomplete)?,
        received_on: received_on.unwrap_or_else(|| context.today()),
    };
    let signer = context.signer()?;
    let of = sha256(bundle.bundle_id.as_bytes());
    let kept = KeptCall::find_or_make(&folder.path().join(".acknowledgement.json"), of, || {
        let made = signer.sign(
            &case.urn(),
            body,
            Aside::new(),
            context.now(),
            &**context.rng(),
        );
        Ok(v1::AcknowledgeBundleRequest {
            acknowledgement: Some(made?),
        })
    })?;
    let call = kept.call.clone();
    let answer = context
        .gateway()?
        .change(call, call!(bundles.acknowledge))
        .await;
    let answer = kept.conclude(answer)?;
    context.changed(
        Some(&folder.path().join("acknowledgement.receipt.json")),
        "The bundle is acknowledged.",
        &answer,
    )
}
