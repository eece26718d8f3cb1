//! The gateway's configuration: one TOML file, unknown keys refused, secrets only by file.
//!
//! `deploy/` holds two complete samples. Paths that are not absolute are taken from the directory
//! the gateway was started in.

mod check;
mod limits;
mod policies;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::Deserialize;

pub use limits::Limits;
pub use policies::PoliciesConfig;

/// Documents up to this many bytes ride in the database transaction; larger ones go to the
/// document store first. Part of the storage format, so not configurable.
pub const INLINE_BYTES: u64 = 64 * 1024;

/// The most `limits.max_document_bytes` may be set to.
pub const HARD_MAX_DOCUMENT_BYTES: u64 = 1024 * 1024 * 1024;

/// Everything an operator decides. Built by [`Config::load`], which also checks it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub listen: ListenConfig,
    pub tls: TlsConfig,
    #[serde(default)]
    pub limits: Limits,
    pub database: DatabaseConfig,
    pub documents: DocumentsConfig,
    pub keys: KeysConfig,
    pub log: LogConfig,
    #[serde(default)]
    pub policies: PoliciesConfig,
    #[serde(default)]
    pub telemetry: TelemetryConfig,
}

/// Where the gRPC door is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenConfig {
    pub address: SocketAddr,
}

/// Who the gateway is on the wire and whom it believes. All files are read again while it runs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The gateway's certificate chain, leaf first (PEM).
    pub certificate: PathBuf,
    /// Its private key (PEM). Must not be readable by every user.
    pub key: PathBuf,
    /// Authorities whose certificates organisations may present (PEM, one or more in each file).
    pub client_roots: Vec<PathBuf>,
    /// Their revocation lists (PEM or DER). Every root needs one: without it the status of its
    /// certificates is unknown, and unknown is refused.
    pub crls: Vec<PathBuf>,
    /// How often the files are looked at for changes. SIGHUP does it at once.
    #[serde(default = "default_reload_seconds")]
    pub reload_seconds: u64,
}

/// Where state lives.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "engine", rename_all = "lowercase", deny_unknown_fields)]
pub enum DatabaseConfig {
    Sqlite {
        path: PathBuf,
    },
    Postgres {
        /// A file holding the connection URL, because the URL holds the password.
        url_file: PathBuf,
        #[serde(default = "default_max_connections")]
        max_connections: u32,
    },
}

/// Where documents larger than [`INLINE_BYTES`] live, sealed.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum DocumentsConfig {
    Files {
        dir: PathBuf,
    },
    S3 {
        bucket: String,
        region: String,
        /// For S3-compatible stores other than AWS's own.
        #[serde(default)]
        endpoint: Option<String>,
        /// Allows an `http://` endpoint. The bytes are sealed, but their sizes and times are not.
        #[serde(default)]
        allow_http: bool,
        access_key_id_file: PathBuf,
        secret_access_key_file: PathBuf,
        /// Put before every object's name, so that one bucket can serve several gateways.
        #[serde(default)]
        prefix: Option<String>,
    },
}

/// The gateway's own keys, each in its own file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysConfig {
    /// 32 bytes. Wraps every claimant's key: who loses it loses the evidence.
    pub key_encryption_key: PathBuf,
    /// ES256, PKCS #8. Signs the gateway's own statements.
    pub statement_key: PathBuf,
    /// ES256, PKCS #8. Signs receipts.
    pub receipt_key: PathBuf,
    /// Ed25519, PKCS #8. Signs checkpoints.
    pub checkpoint_key: PathBuf,
}

/// The transparency log's name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// First line of every checkpoint, such as `evidence.example.org/log` (C2SP tlog-checkpoint).
    /// It can never change once the log has an entry.
    pub origin: String,
}

/// What the gateway tells its operator about itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    pub logs: LogFormat,
    /// The gateway's own log level. Libraries stay at warnings, whatever this says: their finer
    /// levels print headers and SQL.
    pub level: LogLevel,
    /// Where traces and metrics go by OTLP over gRPC, such as `http://127.0.0.1:4317`.
    pub otlp_endpoint: Option<String>,
    /// Where Prometheus may scrape metrics, such as `127.0.0.1:9464`. Plain HTTP, so keep it on
    /// the loopback or a private network.
    pub prometheus: Option<SocketAddr>,
    pub service_name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Json,
    Text,
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

/// Why a configuration was refused. Nothing has been opened or started yet.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {}: {source}; check the path and that this user may read it", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}line {line}: {problem}; correct that line (deploy/ holds complete samples)", file(path.as_deref()))]
    Syntax {
        path: Option<PathBuf>,
        line: usize,
        problem: String,
    },
    #[error("{}{}", file(path.as_deref()), list(problems))]
    Invalid {
        path: Option<PathBuf>,
        problems: Vec<Problem>,
    },
    #[error("{} {problem}; {remedy}", path.display())]
    Secret {
        path: PathBuf,
        problem: &'static str,
        remedy: &'static str,
    },
}

/// One key that cannot stand as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Such as `limits.max_connections` or `policies.purposes`.
    pub key: String,
    pub problem: String,
    pub remedy: String,
}

impl Config {
    /// Reads and checks the file at `path`.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let config = Self::read(&text, Some(path))?;
        let problems = config.policies.problems()?;
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError::Invalid {
                path: Some(path.to_owned()),
                problems,
            })
        }
    }

    /// Checks a configuration already read. Opens none of the files it names.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        Self::read(text, None)
    }

    fn read(text: &str, path: Option<&Path>) -> Result<Self, ConfigError> {
        let path = path.map(Path::to_owned);
        let config: Self = match toml::from_str(text) {
            Ok(config) => config,
            Err(error) => return Err(syntax(text, path, error)),
        };
        let problems = check::problems(&config);
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError::Invalid { path, problems })
        }
    }
}

/// The secret in the file at `path`, without the newline most editors leave at its end.
///
/// # Errors
/// If it cannot be read, is empty, is not text, or every user of the machine may read it. Group
/// permission is accepted: that is how systemd shows a credential.
pub fn read_secret(path: &Path) -> Result<SecretString, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    };
    if open_to_all(path).map_err(unreadable)? {
        return Err(ConfigError::Secret {
            path: path.to_owned(),
            problem: "holds a secret that every user of this machine can reach",
            remedy: "take that away (chmod o-rwx) and, if others use the machine, replace the secret",
        });
    }
    let mut text = std::fs::read_to_string(path).map_err(unreadable)?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    if text.is_empty() {
        return Err(ConfigError::Secret {
            path: path.to_owned(),
            problem: "is empty",
            remedy: "put the secret in it, on one line",
        });
    }
    Ok(SecretString::from(text))
}

/// Whether users other than a file's owner and group may touch it.
pub(crate) fn open_to_all(path: &Path) -> std::io::Result<bool> {
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o007 != 0)
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            logs: LogFormat::Json,
            level: LogLevel::Info,
            otlp_endpoint: None,
            prometheus: None,
            service_name: "evidence-gateway".into(),
        }
    }
}

fn default_reload_seconds() -> u64 {
    60
}

fn default_max_connections() -> u32 {
    16
}

/// The line and the fault, never the line's text: a password pasted into the wrong place must not
/// be printed back into a log.
fn syntax(text: &str, path: Option<PathBuf>, mut error: toml::de::Error) -> ConfigError {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.unwrap_or_default().matches('\n').count() + 1;
    error.set_input(None);
    ConfigError::Syntax {
        path,
        line,
        problem: error.to_string().trim().replace('\n', " "),
    }
}

fn file(path: Option<&Path>) -> String {
    path.map_or_else(String::new, |path| format!("{}: ", path.display()))
}

fn list(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems
        .iter()
        .map(|p| format!("{} {}; {}", p.key, p.problem, p.remedy))
        .collect();
    lines.join("\n")
}
