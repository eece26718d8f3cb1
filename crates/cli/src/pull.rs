//! Pulling a bundle into a folder: every document checked against its signed statement and the
//! log's receipt before it gets its name; a pull that broke off goes on where it stopped.

mod check;
mod folder;

use std::{
    fs::File,
    io::{Seek as _, SeekFrom, Write as _},
    path::PathBuf,
};

use evidence_ledger::PublicKey;
use evidence_wire::v1::{self, pull_response::Part};
use indicatif::ProgressBar;
use tonic::{Request, Status};

use crate::{CliError, Gateway, error::Failure, files, proof::LogKeys};

pub use check::{chain, check_manifest};
pub use folder::{Asked, Folder, Held, Kept};

/// Pulls what `folder` is for, all of it. Returns what is held, with each document's checks.
pub async fn pull(
    gateway: &Gateway,
    folder: &mut Folder,
    log_keys: &LogKeys,
    progress: &ProgressBar,
) -> Result<(), CliError> {
    let mut backoff = gateway.backoff();
    loop {
        if folder.manifest().is_some() && folder.next_missing()?.is_none() {
            return folder.finish();
        }
        let before = folder.bytes_held()?;
        let failure = match one_stream(gateway, folder, log_keys, progress).await {
            Ok(()) => {
                Failure::Broken("the stream ended before every document was there".to_owned())
            }
            Err(Ended::Error(error)) => return Err(error),
            Err(Ended::Call(failure)) => failure,
        };
        if folder.manifest().is_some() && folder.next_missing()?.is_none() {
            continue;
        }
        if folder.bytes_held()? > before {
            backoff = gateway.backoff();
        }
        let wait = if failure.may_be_tried_again() {
            backoff.next_wait()
        } else {
            None
        };
        match wait {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return Err(ended(failure)),
        }
    }
}

/// A document that is refused under way was withdrawn since the bundle was made.
fn ended(failure: Failure) -> CliError {
    match failure.into_error(true) {
        CliError::UnknownOutcome { detail, .. } => CliError::UnknownOutcome {
            detail,
            again: " with the same --into: it goes on with the same bundle".to_owned(),
        },
        error => error,
    }
}

enum Ended {
    Call(Failure),
    Error(CliError),
}

impl From<Status> for Ended {
    fn from(status: Status) -> Self {
        Self::Call(Failure::of(&status))
    }
}

impl From<CliError> for Ended {
    fn from(error: CliError) -> Self {
        Self::Error(error)
    }
}

async fn one_stream(
    gateway: &Gateway,
    folder: &mut Folder,
    log_keys: &LogKeys,
    progress: &ProgressBar,
) -> Result<(), Ended> {
    let request = Request::new(folder.request()?);
    let mut parts = gateway.bundles().pull(request).await?.into_inner();
    let mut keys = None;
    let mut writing: Option<Writing> = None;
    while let Some(part) = parts.message().await? {
        match part.part {
            Some(Part::Manifest(manifest)) => {
                if folder.manifest().is_none() {
                    check_manifest(&manifest, log_keys)?;
                }
                progress.set_length(
                    manifest
                        .items
                        .iter()
                        .filter_map(|item| item.item.as_ref())
                        .map(|item| item.size)
                        .sum(),
                );
                folder.take_manifest(manifest)?;
                progress.set_position(folder.bytes_held()?);
            }
            Some(Part::Chunk(chunk)) => {
                let mut document = match writing
                    .take()
                    .filter(|document| document.item_id == chunk.item_id)
                {
                    Some(document) => document,
                    None => Writing::start(folder, &chunk)?,
                };
                document.write(&chunk)?;
                progress.inc(chunk.data.len() as u64);
                if chunk.last {
                    if keys.is_none() {
                        keys = Some(organisation_keys(gateway, folder).await?);
                    }
                    document.finish()?;
                    folder.accept(
                        &chunk.item_id,
                        log_keys,
                        keys.as_deref().unwrap_or_default(),
                    )?;
                } else {
                    writing = Some(document);
                }
            }
            None => {}
        }
    }
    Ok(())
}

/// The keys with which the bundle's disclosers and intermediaries sign, from the directory.
async fn organisation_keys(gateway: &Gateway, folder: &Folder) -> Result<Vec<PublicKey>, CliError> {
    let mut keys = Vec::new();
    for organisation_id in folder.organisations() {
        let body = v1::GetOrganisationRequest { organisation_id };
        let found = gateway
            .read(body, |g, r| async move {
                g.directory().get_organisation(r).await
            })
            .await?;
        keys.extend(
            found
                .keys
                .iter()
                .filter_map(|key| PublicKey::from_cose_key(&key.cose_key).ok()),
        );
    }
    Ok(keys)
}

/// A document under way.
struct Writing {
    item_id: String,
    path: PathBuf,
    file: File,
    offset: u64,
}

impl Writing {
    fn start(folder: &Folder, chunk: &v1::DocumentChunk) -> Result<Self, CliError> {
        let path = folder.part_path(&chunk.item_id)?;
        // What was written before a crash beyond the offset asked for is written again.
        let mut file = files::private().open(&path).map_err(CliError::io(&path))?;
        file.seek(SeekFrom::Start(chunk.offset))
            .map_err(CliError::io(&path))?;
        Ok(Self {
            item_id: chunk.item_id.clone(),
            path,
            file,
            offset: chunk.offset,
        })
    }

    fn write(&mut self, chunk: &v1::DocumentChunk) -> Result<(), CliError> {
        if chunk.offset != self.offset {
            return Err(CliError::Invalid(format!(
                "The gateway sent byte {} of {} where {} was due. Pull again.",
                chunk.offset, self.item_id, self.offset
            )));
        }
        self.file
            .write_all(&chunk.data)
            .map_err(CliError::io(&self.path))?;
        self.offset += chunk.data.len() as u64;
        Ok(())
    }

    fn finish(self) -> Result<(), CliError> {
        self.file
            .set_len(self.offset)
            .and_then(|()| self.file.sync_all())
            .map_err(CliError::io(&self.path))
    }
}
