//! The folder that a sandbox keeps everything in.

use std::{
    fs,
    io::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::cast::Member;

/// Says that the folder is a sandbox's, to be removed without asking.
const MARK: &str = ".evidence-sandbox";
const MARK_TEXT: &str =
    "Made by `evidence-gateway sandbox`. With --fresh it removes this whole folder.\n";

/// An absolute path to a folder that is a sandbox's.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// Opens a sandbox's folder or makes a new one. Touches no folder that holds anything else.
    pub fn open(path: &Path, fresh: bool) -> anyhow::Result<Self> {
        let ours = path.join(MARK).is_file();
        let used = path.exists() && (!path.is_dir() || fs::read_dir(path)?.next().is_some());
        anyhow::ensure!(
            ours || !used,
            "{} holds something that is no sandbox's; name a folder of its own with --data",
            path.display()
        );
        if ours && fresh {
            fs::remove_dir_all(path)
                .with_context(|| format!("cannot remove {}", path.display()))?;
        }
        make(path)?;
        let folder = Self(
            path.canonicalize()
                .with_context(|| format!("cannot open {}", path.display()))?,
        );
        write(&folder.path(MARK), MARK_TEXT.as_bytes())?;
        Ok(folder)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A file of an organisation's.
    pub fn of(&self, member: &Member, name: &str) -> PathBuf {
        self.0.join(member.folder).join(name)
    }

    pub fn root(&self) -> &Path {
        &self.0
    }

    /// Removes a file that need not be there.
    pub fn remove(&self, name: &str) -> std::io::Result<()> {
        match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Writes or replaces a file, whole or not at all, for its owner alone: half of what lies here is
/// secret.
pub fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let failed = || format!("cannot write {}", path.display());
    if let Some(parent) = path.parent() {
        make(parent)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .with_context(failed)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .with_context(failed)?;
    fs::rename(&new, path).with_context(failed)
}

/// Where clients reach a gateway that listens on `address`.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let mut reachable = address;
    if address.ip().is_unspecified() {
        reachable.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    reachable
}

/// [`reachable`], as organisations write it.
pub fn endpoint(address: SocketAddr) -> String {
    format!("https://{}", reachable(address))
}

/// The gateway's configuration. `telemetry` is as `--telemetry` was given.
pub fn gateway_toml(
    folder: &Folder,
    address: SocketAddr,
    telemetry: Option<&str>,
    prometheus: &str,
) -> anyhow::Result<String> {
    let mut config = serde_json::json!({
        "listen": { "address": address },
        "tls": {
            "certificate": folder.path("gateway/certificate.pem"),
            "key": folder.path("gateway/key.pem"),
            "client_roots": [folder.path("authority/root.pem")],
            "crls": [folder.path("authority/revoked.crl")],
        },
        "database": { "engine": "sqlite", "path": folder.path("gateway/evidence.sqlite") },
        "documents": { "kind": "files", "dir": folder.path("gateway/documents") },
        "keys": {
            "key_encryption_key": folder.path("gateway/key-encryption-key"),
            "statement_key": folder.path("gateway/statement-key"),
            "receipt_key": folder.path("gateway/receipt-key"),
            "checkpoint_key": folder.path("gateway/checkpoint-key"),
        },
        "log": { "origin": "sandbox.evidence.invalid/log" },
        "telemetry": { "logs": "off" },
    });
    if let Some(url) = telemetry {
        config["telemetry"] = serde_json::json!({ "logs": "text", "prometheus": prometheus });
        if !url.is_empty() {
            config["telemetry"]["otlp_endpoint"] = url.into();
        }
    }
    Ok(toml::to_string(&config)?)
}

fn make(path: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make the folder {}", path.display()))
}
