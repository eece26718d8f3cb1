//! `evidence decision`.

use std::path::PathBuf;

use clap::Subcommand;
use evidence_domain::ids::DecisionId;
use evidence_ledger::{key::random, sha256};
use evidence_wire::v1;

use super::Context;
use crate::{
    CliError,
    decision::{DecisionFile, template},
    files,
    kept::KeptCall,
    metadata::RECEIPT,
    pull::Folder,
};

#[derive(Debug, Subcommand)]
pub enum Decision {
    /// Write a decision file to fill in, with every item of a pulled bundle.
    Template {
        /// The folder of the bundle.
        #[arg(long, value_name = "FOLDER")]
        bundle: PathBuf,
        #[arg(long, value_name = "FILE", default_value = "decision.toml")]
        output: PathBuf,
    },
    /// Sign and record a decision from a file (TOML or JSON).
    Record {
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// Show one decision.
    Get { decision: String },
    /// How each item was used, in sentences that a letter can quote.
    Uses { decision: String },
}

impl Decision {
    pub async fn run(self, context: &Context) -> Result<(), CliError> {
        match self {
            Self::Template { bundle, output } => {
                write_template(context, &Folder::open(&bundle)?, &output).await
            }
            Self::Record { file } => record(context, &file).await,
            Self::Get { decision } => {
                let body = v1::GetDecisionRequest {
                    decision_id: decision,
                };
                context.show(body, call!(decisions.get_decision)).await
            }
            Self::Uses { decision } => {
                let body = v1::GetUsesRequest {
                    decision_id: decision,
                };
                context.show(body, call!(decisions.get_uses)).await
            }
        }
    }
}

async fn write_template(
    context: &Context,
    folder: &Folder,
    output: &std::path::Path,
) -> Result<(), CliError> {
    let (manifest, bundle) = folder.complete()?;
    let mut overdue = Vec::new();
    let gateway = context.gateway()?;
    let mut page_token = String::new();
    loop {
        let body = v1::ListRequestsRequest {
            case_id: bundle.case_id.clone(),
            page_token,
            ..v1::ListRequestsRequest::default()
        };
        let page = gateway.read(body, call!(requests.list_requests)).await?;
        overdue.extend(page.requests.into_iter().filter(|request| request.overdue));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let bits = random(&**context.rng()).map_err(|error| CliError::CannotTell(error.to_string()))?;
    let text = template(manifest, &DecisionId::from_random(bits), &overdue)?;
    files::write_new(output, text.as_bytes())?;
    context.line(
        || serde_json::json!({ "file": output }),
        || {
            format!(
                "Fill in {0}, then: evidence decision record --file {0}",
                output.display()
            )
        },
    )
}

async fn record(context: &Context, path: &std::path::Path) -> Result<(), CliError> {
    let text = files::read_text(path)?;
    let file: DecisionFile = files::parse_structured(path, &text)?;
    let signer = context.signer()?;
    let kept = KeptCall::find_or_make(
        &files::beside(path, ".call.json"),
        sha256(text.as_bytes()),
        || file.sign(&signer, context.now(), &**context.rng()),
    )?;
    let call = kept.call.clone();
    let answer = context
        .gateway()?
        .change(call, call!(decisions.record))
        .await;
    let answer = kept.conclude(answer)?;
    context.changed(
        Some(&files::beside(path, RECEIPT)),
        "The decision is recorded.",
        &answer,
    )
}
