//! `evidence record`: the claimant's side.

use std::{
    io::{Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use evidence_wire::v1;

use super::{Changing, Context, Page};
use crate::{CliError, Gateway, error::Failure, files};

#[derive(Debug, Subcommand)]
pub enum Record {
    /// What is held, what is awaited and whose turn it is.
    Show {
        #[command(flatten)]
        viewer: Viewer,
    },
    /// Who saw what, when and why.
    Accesses {
        #[command(flatten)]
        viewer: Viewer,
        #[command(flatten)]
        page: Page,
    },
    /// Decisions, and how each item was used.
    Decisions {
        #[command(flatten)]
        viewer: Viewer,
    },
    /// Read a document. The claimant's record says so.
    Read {
        #[command(flatten)]
        viewer: Viewer,
        item: String,
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Add the claimant's own words, as evidence like any other.
    Statement(AddStatement),
    /// Add a note to an item: "this is not what I said".
    Note(AddNote),
    /// State what the claimant needs done differently.
    Adjustment {
        #[command(flatten)]
        viewer: Viewer,
        #[arg(long)]
        text: String,
        #[command(flatten)]
        changing: Changing,
    },
}

/// For whom.
#[derive(Debug, Clone, Args)]
pub struct Viewer {
    #[arg(long)]
    claimant: String,
    /// Set when someone acts for the claimant.
    #[arg(long, default_value = "")]
    representation: String,
}

impl Viewer {
    fn message(self) -> v1::Viewer {
        v1::Viewer {
            claimant_id: self.claimant,
            representation_id: self.representation,
        }
    }
}

impl Record {
    pub async fn run(self, context: &Context) -> Result<(), CliError> {
        match self {
            Self::Show { viewer } => {
                let body = v1::GetRecordRequest {
                    viewer: Some(viewer.message()),
                };
                context.show(body, call!(record.get_record)).await
            }
            Self::Accesses { viewer, page } => {
                let body = v1::ListAccessesRequest {
                    viewer: Some(viewer.message()),
                    page_size: page.page_size,
                    page_token: page.page_token,
                };
                context.show(body, call!(record.list_accesses)).await
            }
            Self::Decisions { viewer } => {
                let body = v1::ListDecisionsRequest {
                    viewer: Some(viewer.message()),
                };
                context.show(body, call!(record.list_decisions)).await
            }
            Self::Read {
                viewer,
                item,
                output,
            } => read(context, &viewer, &item, &output).await,
            Self::Statement(options) => options.run(context).await,
            Self::Note(options) => options.run(context).await,
            Self::Adjustment {
                viewer,
                text,
                changing,
            } => {
                let body = |request_id| v1::StateAdjustmentRequest {
                    request_id,
                    viewer: Some(viewer.message()),
                    text,
                };
                context
                    .change(
                        changing,
                        "Every decision must take account of it.",
                        body,
                        call!(record.state_adjustment),
                    )
                    .await
            }
        }
    }
}

/// `evidence record note`.
#[derive(Debug, Args)]
pub struct AddNote {
    #[command(flatten)]
    viewer: Viewer,
    item: String,
    #[arg(long)]
    text: String,
    #[command(flatten)]
    changing: Changing,
}

impl AddNote {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let Self {
            viewer,
            item,
            text,
            changing,
        } = self;
        let body = |request_id| v1::AddNoteRequest {
            request_id,
            viewer: Some(viewer.message()),
            item_id: item,
            text,
        };
        context
            .change(
                changing,
                "The note goes with the item from now on.",
                body,
                call!(record.add_note),
            )
            .await
    }
}

/// `evidence record statement`.
#[derive(Debug, Args)]
pub struct AddStatement {
    #[command(flatten)]
    viewer: Viewer,
    #[arg(long)]
    grant: String,
    #[arg(long)]
    title: String,
    /// A file with the words, UTF-8.
    #[arg(long, value_name = "FILE")]
    text: PathBuf,
    #[command(flatten)]
    changing: Changing,
}

impl AddStatement {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let Self {
            viewer,
            grant,
            title,
            text,
            changing,
        } = self;
        let text = files::read_text(&text)?;
        let body = |request_id| v1::AddStatementRequest {
            request_id,
            viewer: Some(viewer.message()),
            grant_id: grant,
            title,
            text,
        };
        context
            .change(
                changing,
                "The words are part of the record.",
                body,
                call!(record.add_statement),
            )
            .await
    }
}

/// Reads a document to a file, going on from what is there of it when the stream breaks.
async fn read(
    context: &Context,
    viewer: &Viewer,
    item: &str,
    output: &Path,
) -> Result<(), CliError> {
    if output.exists() {
        return Err(CliError::file(
            output,
            "is there already. Choose another name.",
        ));
    }
    let gateway = context.gateway()?;
    let part = files::beside(output, ".part");
    let mut file = files::private()
        .truncate(true)
        .open(&part)
        .map_err(CliError::io(&part))?;
    let mut backoff = gateway.backoff();
    let mut at = 0;
    while let Err(failure) = read_from(&gateway, viewer, item, &mut at, &mut file).await? {
        match backoff.next_wait().filter(|_| failure.may_be_tried_again()) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return Err(failure.into_error(false)),
        }
    }
    file.sync_all().map_err(CliError::io(&part))?;
    std::fs::rename(&part, output).map_err(CliError::io(output))?;
    context.line(
        || serde_json::json!({ "file": output, "size": at }),
        || format!("The document is in {}.", output.display()),
    )
}

/// The outer error is ours, the inner one the call's.
async fn read_from(
    gateway: &Gateway,
    viewer: &Viewer,
    item: &str,
    at: &mut u64,
    file: &mut std::fs::File,
) -> Result<Result<(), Failure>, CliError> {
    let body = v1::ReadItemRequest {
        viewer: Some(viewer.clone().message()),
        item_id: item.to_owned(),
        from_offset: *at,
    };
    let mut chunks = match gateway.record().read_item(body).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return Ok(Err(Failure::of(&status))),
    };
    loop {
        match chunks.message().await {
            Ok(Some(chunk)) => {
                let written = file
                    .seek(SeekFrom::Start(chunk.offset))
                    .and_then(|_| file.write_all(&chunk.data));
                written.map_err(CliError::io("the document's file"))?;
                *at = chunk.offset + chunk.data.len() as u64;
                if chunk.last {
                    return Ok(Ok(()));
                }
            }
            Ok(None) => {
                return Ok(Err(Failure::Broken(
                    "the stream ended before the document's end".to_owned(),
                )));
            }
            Err(status) => return Ok(Err(Failure::of(&status))),
        }
    }
}
