//! Durable state: the database, the sealing of what is kept in it, and the bytes of documents.
//!
//! Rows come out [`evidence_domain::Guarded`]; document bytes flow only against a [`evidence_domain::Permit`]. State changes only
//! through [`Store::commit`].

pub mod db;
pub mod documents;
pub mod seal;

mod commit;
mod entries;
mod error;
mod keys;
mod log;
mod schema;
mod state;
mod uploads;

use std::sync::Arc;

use evidence_domain::{
    Caller, Command,
    ids::{ClaimantId, DocumentId, ItemId, OrgId, UploadId},
    receipt::Issued,
};
use evidence_ledger::{Claims, Digest, NoteSigner, SigningKey, sha256};
use tokio::sync::watch;

use crate::{
    db::{Db, DbConfig},
    documents::{Documents, DocumentsConfig},
    keys::KeyRing,
    seal::{BlindIndexKey, KeyEncryptionKey, Rng},
};

pub use commit::CommitFailure;
pub use entries::{FeedEntry, OpenedEntry};
pub use error::StoreError;
pub use log::StoredCheckpoint;
pub use state::{By, Listed, Page};
pub use uploads::{Upload, UploadWriter};

/// The log's name and the keys that speak for it. Three keys, three uses.
pub struct LogKeys {
    /// Signs receipts. ES256.
    pub receipt: SigningKey,
    /// Signs what the gateway states. ES256.
    pub statement: SigningKey,
    /// Signs checkpoints; its name is the log's origin.
    pub checkpoint: NoteSigner,
}

/// What to open.
pub struct StoreConfig {
    pub database: DbConfig,
    pub documents: DocumentsConfig,
}

/// The open store. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    db: Db,
    documents: Documents,
    keys: KeyRing,
    blind: BlindIndexKey,
    log: LogKeys,
    rng: Arc<Rng>,
    /// The log's size after each commit made here.
    committed: watch::Sender<u64>,
}

/// A command on its way to the journal.
#[derive(Debug, Clone)]
pub struct Submission {
    pub caller: Caller,
    pub idempotency: Option<Idempotency>,
    pub command: Command,
    pub attachments: Attachments,
}

/// The caller's key for a call, and a digest of what it asked with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    pub key: String,
    pub fingerprint: Digest,
}

/// What is written with a command's outcome, in the same transaction, if it is accepted.
#[derive(Debug, Clone, Default)]
pub struct Attachments {
    /// A new claimant's wrapped key.
    pub claimant_key: Option<(ClaimantId, Vec<u8>)>,
    pub document: Option<NewDocument>,
    pub finished_upload: Option<UploadId>,
}

/// A document that belongs to the pushed item.
#[derive(Debug, Clone)]
pub struct NewDocument {
    pub item: ItemId,
    pub document: DocumentId,
    /// The document's key, wrapped by its claimant's.
    pub wrapped_key: Vec<u8>,
    /// Plaintext bytes.
    pub size: u64,
    /// The sealed bytes of a small document; a larger one is in the document store already.
    pub inline: Option<Vec<u8>>,
}

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The id of what was made or changed.
    pub resource: String,
    /// One for each statement, in order; none where it was so already.
    pub receipts: Vec<Issued>,
    /// The answer to an earlier, identical call.
    pub replay: bool,
}

impl Done {
    /// The receipt of the statement that the command is about.
    pub fn receipt(&self) -> Option<&Issued> {
        self.receipts.first()
    }
}

impl Store {
    /// Opens the database (bringing its schema up to date) and the document store.
    pub async fn open(
        config: &StoreConfig,
        kek: KeyEncryptionKey,
        log: LogKeys,
        rng: Arc<Rng>,
    ) -> Result<Self, StoreError> {
        let db = Db::open(&config.database).await?;
        db.migrate(schema::MIGRATIONS).await?;
        let documents = Documents::open(&config.documents)?;
        let blind = kek.blind_index_key();
        let (committed, _) = watch::channel(0);
        let store = Self(Arc::new(Inner {
            db,
            documents,
            keys: KeyRing::new(kek),
            blind,
            log,
            rng,
            committed,
        }));
        let size = store.size().await?;
        store.0.committed.send_replace(size);
        Ok(store)
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        self.0.log.checkpoint.verifier().name()
    }

    /// The URN under which the gateway issues statements and receipts.
    pub fn log_urn(&self) -> String {
        format!("urn:evidence:log:{}", self.origin())
    }

    pub fn log_keys(&self) -> &LogKeys {
        &self.0.log
    }

    /// The gateway itself, as the caller of what nobody else asked for.
    pub fn gateway(&self) -> Caller {
        let mut bits = [0; 16];
        bits.copy_from_slice(&sha256(self.origin().as_bytes()).as_bytes()[..16]);
        Caller {
            org: OrgId::from_random(bits),
            roles: [evidence_domain::Role::Operator].into(),
        }
    }

    /// The log's size, after each commit made by this process.
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.0.committed.subscribe()
    }

    pub fn documents(&self) -> &Documents {
        &self.0.documents
    }

    pub fn engine(&self) -> db::Engine {
        self.0.db.engine()
    }

    /// The keyed digest by which a sealed identifier is found.
    pub fn blind_index(&self, kind: &str, value: &str) -> String {
        self.0.blind.index(kind, value)
    }

    /// Waits for what is under way and closes.
    pub async fn close(&self) {
        self.0.db.close().await;
    }

    fn db(&self) -> &Db {
        &self.0.db
    }

    fn rng(&self) -> &Rng {
        self.0.rng.as_ref()
    }

    fn claims(&self, sub: String, at: evidence_domain::Moment) -> Claims {
        Claims {
            iss: self.log_urn(),
            sub,
            iat: at.seconds(),
        }
    }
}
