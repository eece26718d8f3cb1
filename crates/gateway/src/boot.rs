//! First start and every start: keys, store, log.

use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path, sync::Arc};

use evidence_domain::{
    Command, Role,
    command::{AddCertificate, RegisterOrganisation, SetPolicy, StartLog},
    event::LogPolicy,
    ids::OrgId,
    policy,
};
use evidence_ledger::{Alg, Digest, NoteSigner, SigningKey, key::random};
use evidence_store::{
    Attachments, LogKeys, Store, StoreConfig, Submission,
    db::DbConfig,
    documents::DocumentsConfig as StoreDocuments,
    seal::{KeyEncryptionKey, Rng},
};

use secrecy::ExposeSecret as _;

use crate::{
    clock::Clock,
    config::{Config, DatabaseConfig, DocumentsConfig, read_secret},
};

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    #[error(transparent)]
    Store(#[from] evidence_store::StoreError),
    #[error(transparent)]
    Commit(#[from] evidence_store::CommitFailure),
    #[error(transparent)]
    Refused(#[from] evidence_domain::Refusal),
    #[error("the key file {path} cannot be used: {problem}")]
    Key { path: String, problem: String },
    #[error("the log is empty: run `evidence-gateway init` once, or restore the database")]
    NotInitialised,
    #[error("the log has {0} entries already: `init` is for a new one")]
    AlreadyInitialised(u64),
    #[error(
        "the log's first entry names other keys than the configured ones. Configure the keys it was started with"
    )]
    OtherLog,
}

/// The organisation that runs the gateway, for the first start.
pub struct Operator {
    pub identifier: String,
    pub name: String,
    /// SHA-256 of its client certificate's DER.
    pub certificate: Digest,
}

/// Opens the store of an initialised gateway. Creates nothing.
pub async fn open(config: &Config, rng: Arc<Rng>) -> Result<Store, BootError> {
    let store = store(config, false, rng).await?;
    if store.size().await? == 0 {
        return Err(BootError::NotInitialised);
    }
    check_log(&store).await?;
    Ok(store)
}

/// Makes keys that are not there, the database, and a log whose first entries
/// are its policy, the shipped policies and the operator.
pub async fn init(
    config: &Config,
    clock: &Clock,
    operator: &Operator,
    rng: Arc<Rng>,
) -> Result<(Store, OrgId), BootError> {
    let keys = &config.keys;
    if !keys.key_encryption_key.exists() {
        KeyEncryptionKey::generate_file(&keys.key_encryption_key, rng.as_ref())
            .map_err(|error| key_error(&keys.key_encryption_key, error))?;
    }
    for (path, alg) in [
        (&keys.statement_key, Alg::Es256),
        (&keys.receipt_key, Alg::Es256),
        (&keys.checkpoint_key, Alg::EdDsa),
    ] {
        make_key(path, alg, rng.as_ref())?;
    }
    if let DocumentsConfig::Files { dir } = &config.documents {
        std::fs::create_dir_all(dir).map_err(|error| key_error(dir, error))?;
    }
    let store = store(config, true, Arc::clone(&rng)).await?;
    let size = store.size().await?;
    if size > 0 {
        return Err(BootError::AlreadyInitialised(size));
    }
    let bits = random(rng.as_ref()).map_err(|error| key_error(&keys.statement_key, error))?;
    let organisation = OrgId::from_random(bits);
    let mut commands: Vec<Command> = vec![
        StartLog {
            policy: log_policy(&store),
        }
        .into(),
    ];
    for (name, document) in policies(config)? {
        commands.push(SetPolicy { name, document }.into());
    }
    commands.push(
        RegisterOrganisation {
            id: organisation.clone(),
            identifier: operator.identifier.clone(),
            name: operator.name.clone(),
            roles: [Role::Operator].into(),
        }
        .into(),
    );
    commands.push(
        AddCertificate {
            organisation: organisation.clone(),
            fingerprint: operator.certificate,
        }
        .into(),
    );
    run(&store, clock, commands).await?;
    Ok((store, organisation))
}

/// Runs commands as the gateway itself, before it serves: all or none.
pub async fn run(store: &Store, clock: &Clock, commands: Vec<Command>) -> Result<(), BootError> {
    let submissions = commands
        .into_iter()
        .map(|command| Submission {
            caller: store.gateway(),
            idempotency: None,
            command,
            attachments: Attachments::default(),
        })
        .collect();
    for outcome in store.commit(submissions, clock.now().into()).await? {
        outcome?;
    }
    Ok(())
}

/// The policies of a new log: the configured documents, or those shipped.
fn policies(config: &Config) -> Result<Vec<(String, String)>, BootError> {
    policy::DEFAULTS
        .iter()
        .map(|(name, shipped)| {
            let document = config
                .policies
                .document(name)?
                .unwrap_or_else(|| (*shipped).to_owned());
            policy::check(name, &document)?;
            Ok(((*name).to_owned(), document))
        })
        .collect()
}

async fn store(config: &Config, create: bool, rng: Arc<Rng>) -> Result<Store, BootError> {
    let database = match &config.database {
        DatabaseConfig::Sqlite { path } => DbConfig::Sqlite {
            path: path.clone(),
            create,
        },
        DatabaseConfig::Postgres {
            url_file,
            max_connections,
        } => DbConfig::Postgres {
            url: read_secret(url_file)?,
            max_connections: *max_connections,
        },
    };
    let documents = match &config.documents {
        DocumentsConfig::Files { dir } => StoreDocuments::Files { dir: dir.clone() },
        DocumentsConfig::S3 {
            bucket,
            region,
            endpoint,
            allow_http,
            access_key_id_file,
            secret_access_key_file,
            prefix,
        } => StoreDocuments::S3 {
            bucket: bucket.clone(),
            region: region.clone(),
            endpoint: endpoint.clone(),
            allow_http: *allow_http,
            access_key_id: read_secret(access_key_id_file)?.expose_secret().to_owned(),
            secret: read_secret(secret_access_key_file)?,
            prefix: prefix.clone().unwrap_or_default(),
        },
    };
    let keys = &config.keys;
    let kek = KeyEncryptionKey::from_file(&keys.key_encryption_key)
        .map_err(|error| key_error(&keys.key_encryption_key, error))?;
    let checkpoint = read_key(&keys.checkpoint_key, Alg::EdDsa, rng.as_ref())?;
    let log = LogKeys {
        receipt: read_key(&keys.receipt_key, Alg::Es256, rng.as_ref())?,
        statement: read_key(&keys.statement_key, Alg::Es256, rng.as_ref())?,
        checkpoint: NoteSigner::new(&config.log.origin, checkpoint)
            .map_err(|error| key_error(&keys.checkpoint_key, error))?,
    };
    Ok(Store::open(
        &StoreConfig {
            database,
            documents,
        },
        kek,
        log,
        rng,
    )
    .await?)
}

fn log_policy(store: &Store) -> LogPolicy {
    let keys = store.log_keys();
    LogPolicy {
        origin: store.origin().to_owned(),
        receipt_key: keys.receipt.public().clone(),
        statement_key: keys.statement.public().clone(),
        checkpoint_key: keys.checkpoint.verifier().to_string(),
    }
}

/// Entry 0 must name the keys that are configured, or receipts would not verify.
async fn check_log(store: &Store) -> Result<(), BootError> {
    let first = store.opened(0, 1).await?;
    let statement = first
        .first()
        .and_then(|entry| entry.statement.as_deref())
        .unwrap_or_default();
    let named = evidence_ledger::Statement::parse(statement)
        .ok()
        .and_then(|statement| evidence_ledger::Payload::decode(statement.payload()).ok())
        .and_then(|payload| evidence_domain::Event::from_payload(&payload).ok());
    if named == Some(log_policy(store).into()) {
        Ok(())
    } else {
        Err(BootError::OtherLog)
    }
}

fn read_key(path: &Path, alg: Alg, rng: &Rng) -> Result<SigningKey, BootError> {
    let bytes = std::fs::read(path).map_err(|error| key_error(path, error))?;
    SigningKey::from_pkcs8(alg, &bytes, rng).map_err(|error| key_error(path, error))
}

fn make_key(path: &Path, alg: Alg, rng: &Rng) -> Result<(), BootError> {
    if path.exists() {
        return Ok(());
    }
    let pkcs8 = SigningKey::generate_pkcs8(alg, rng).map_err(|error| key_error(path, error))?;
    write_new_secret(path, &pkcs8).map_err(|error| key_error(path, error))
}

/// Writes a new file that its owner alone may read, durably.
pub fn write_new_secret(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn key_error(path: &Path, problem: impl std::fmt::Display) -> BootError {
    BootError::Key {
        path: path.display().to_string(),
        problem: problem.to_string(),
    }
}
