//! The bytes of documents.
//!
//! A document is a row of parts of [`PART_SIZE`] bytes of plaintext, the last one shorter, each
//! sealed as one frame (see [`crate::seal`]) with the context `document/<id>`, its number as
//! position, and a mark on the last. One of at most [`INLINE_MAX`] bytes is a single part kept in
//! the database; the parts of a larger one are objects `document/<id>/<n>`, durable before the entry
//! that names them is committed. Objects with no entry are what an upload that was never completed
//! left: their key is wrapped nowhere, so nobody can read them, and [`Documents::delete_all`] sweeps
//! them.
mod read;
mod sweep;
mod write;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, RetryConfig};
use secrecy::{ExposeSecret as _, SecretString};

use crate::seal::{DataKey, Rng, SealError};

pub use write::{Body, PartWriter, Written};

/// Plaintext bytes in every part but the last, which has 1 to as many (0 in an empty document).
pub const PART_SIZE: usize = 1024 * 1024;

/// The longest document, in bytes, that is kept in the database.
pub const INLINE_MAX: usize = 64 * 1024;

/// Where the parts are kept.
#[derive(Clone, Debug)]
pub enum DocumentsConfig {
    /// A folder, which must be there already.
    Files { dir: PathBuf },
    /// A bucket of any S3-compatible store. `endpoint`: the store's address where it is not AWS's
    /// own; `allow_http`: let that be plain HTTP; `prefix`: put before every object's name, or "".
    S3 {
        bucket: String,
        region: String,
        endpoint: Option<String>,
        allow_http: bool,
        access_key_id: String,
        secret: SecretString,
        prefix: String,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    #[error("the document store cannot be opened: {0}; correct its configuration")]
    Open(String),
    #[error("part {part} of document {id} is not in the store; restore it from a copy")]
    NotFound { id: String, part: u64 },
    #[error(
        "part {part} of document {id} is there already; resume the upload instead of starting it again"
    )]
    AlreadyExists { id: String, part: u64 },
    /// Altered, moved, cut short, or not of this document.
    #[error("part {part} of document {id} is not what was stored: {cause}")]
    Damaged {
        id: String,
        part: u64,
        cause: SealError,
    },
    #[error(
        "part {part} of document {id} has {found} bytes where {expected} belong; restore it from a copy"
    )]
    Length {
        id: String,
        part: u64,
        expected: u64,
        found: u64,
    },
    #[error("offset {offset} is beyond the document's {size} bytes; ask again from within")]
    OutOfRange { offset: u64, size: u64 },
    #[error("{0:?} cannot name a document; use letters, digits, - and _")]
    Id(String),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("the document store did not answer as it should: {0}; try again later")]
    Store(String),
}

/// The store of document parts. Clones share it.
#[derive(Clone, Debug)]
pub struct Documents {
    store: Arc<dyn ObjectStore>,
    /// The folder, where parts are files.
    dir: Option<PathBuf>,
}

impl Documents {
    /// # Errors
    /// [`DocumentError::Open`] where the folder is missing or the bucket's settings are not whole.
    /// That a bucket answers is for [`Documents::probe`] to tell.
    pub fn open(config: &DocumentsConfig) -> Result<Self, DocumentError> {
        let fault = |cause: object_store::Error| DocumentError::Open(cause.to_string());
        match config {
            DocumentsConfig::Files { dir } => {
                let files = LocalFileSystem::new_with_prefix(dir)
                    .map_err(fault)?
                    .with_fsync(true);
                Ok(Self {
                    store: Arc::new(files),
                    dir: Some(dir.clone()),
                })
            }
            DocumentsConfig::S3 {
                bucket,
                region,
                endpoint,
                allow_http,
                access_key_id,
                secret,
                prefix,
            } => {
                let retry = RetryConfig {
                    max_retries: 3,
                    retry_timeout: Duration::from_secs(30),
                    ..RetryConfig::default()
                };
                let mut builder = AmazonS3Builder::new()
                    .with_bucket_name(bucket)
                    .with_region(region)
                    .with_allow_http(*allow_http)
                    .with_access_key_id(access_key_id)
                    .with_secret_access_key(secret.expose_secret())
                    .with_retry(retry);
                if let Some(endpoint) = endpoint {
                    builder = builder.with_endpoint(endpoint);
                }
                let s3 = builder.build().map_err(fault)?;
                Ok(Self {
                    store: Arc::new(PrefixStore::new(s3, prefix.as_str())),
                    dir: None,
                })
            }
        }
    }

    /// Stores one sealed part; durable on return. Without `overwrite` a part that is there already
    /// stays as it is. Overwriting is for an upload that is resumed and not yet committed, nothing
    /// else.
    pub async fn put_part(
        &self,
        id: &str,
        part: u64,
        sealed: Bytes,
        overwrite: bool,
    ) -> Result<(), DocumentError> {
        let mode = if overwrite {
            PutMode::Overwrite
        } else {
            PutMode::Create
        };
        match self
            .store
            .put_opts(&part_path(id, part)?, sealed.into(), mode.into())
            .await
        {
            Ok(_) => Ok(()),
            Err(object_store::Error::AlreadyExists { .. }) => Err(DocumentError::AlreadyExists {
                id: id.to_owned(),
                part,
            }),
            Err(cause) => Err(cause.into()),
        }
    }

    /// Fetches one part, still sealed.
    pub async fn get_part(&self, id: &str, part: u64) -> Result<Bytes, DocumentError> {
        let path = part_path(id, part)?;
        let found = async { self.store.get(&path).await?.bytes().await };
        found.await.map_err(|cause| match cause {
            object_store::Error::NotFound { .. } => DocumentError::NotFound {
                id: id.to_owned(),
                part,
            },
            cause => cause.into(),
        })
    }

    /// The parts that are stored: part number to sealed size in bytes.
    pub async fn parts(&self, id: &str) -> Result<BTreeMap<u64, u64>, DocumentError> {
        let folder = folder(id)?;
        let mut found = BTreeMap::new();
        let mut objects = self.store.list(Some(&folder));
        while let Some(object) = objects.try_next().await? {
            if let Some(part) = object
                .location
                .filename()
                .and_then(|name| name.parse().ok())
            {
                found.insert(part, object.size);
            }
        }
        Ok(found)
    }

    /// Deletes every part of a document, and what a crash left half-written beside them. It is no
    /// error if there is none.
    pub async fn delete_all(&self, id: &str) -> Result<(), DocumentError> {
        let folder = folder(id)?;
        if let Some(dir) = &self.dir {
            return match tokio::fs::remove_dir_all(dir.join(folder.as_ref())).await {
                Err(cause) if cause.kind() != ErrorKind::NotFound => {
                    Err(DocumentError::Store(cause.to_string()))
                }
                _ => Ok(()),
            };
        }
        let paths = self
            .store
            .list(Some(&folder))
            .map_ok(|object| object.location);
        let mut deleted = self.store.delete_stream(paths.boxed());
        while let Some(answer) = deleted.next().await {
            match answer {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(cause) => return Err(cause.into()),
            }
        }
        Ok(())
    }

    /// Writes, reads back and deletes a small object: can documents be kept at this moment?
    pub async fn probe(&self, rng: &Rng) -> Result<(), DocumentError> {
        let mut body = [0; 16];
        rng.fill(&mut body).map_err(|_| SealError::Random)?;
        let path = Path::from_iter(["probe", &HEXLOWER.encode(&body)]);
        self.store.put(&path, body.to_vec().into()).await?;
        let found = self.store.get(&path).await?.bytes().await?;
        self.store.delete(&path).await?;
        if found == body[..] {
            Ok(())
        } else {
            Err(DocumentError::Store(
                "it gave back other bytes than it was given".to_owned(),
            ))
        }
    }
}

/// Seals a document that is short enough to be kept in the database.
pub fn seal_inline(id: &str, key: &DataKey, plain: &[u8], rng: &Rng) -> Result<Vec<u8>, SealError> {
    key.seal(&context(id), 0, true, plain, rng)
}

/// Opens what [`seal_inline`] made.
pub fn open_inline(id: &str, key: &DataKey, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    key.open(&context(id), 0, true, sealed)
}

impl From<object_store::Error> for DocumentError {
    fn from(cause: object_store::Error) -> Self {
        Self::Store(cause.to_string())
    }
}

/// What each part's frame is sealed for.
pub(crate) fn context(id: &str) -> String {
    format!("document/{id}")
}

fn part_path(id: &str, part: u64) -> Result<Path, DocumentError> {
    Ok(folder(id)?.join(part.to_string()))
}

/// Where a document's parts are. The id becomes part of a path, so it may hold nothing that has a
/// meaning there.
fn folder(id: &str) -> Result<Path, DocumentError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if id.is_empty() || !id.bytes().all(plain) {
        return Err(DocumentError::Id(id.to_owned()));
    }
    Ok(Path::from_iter(["document", id]))
}

#[cfg(test)]
mod tests;
