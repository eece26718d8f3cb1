//! `evidence.toml`: where the gateway is and who we are.

use std::{
    env,
    path::{Path, PathBuf},
};

use evidence_domain::ids::OrgId;
use serde::Deserialize;

use crate::{CliError, files};

/// The configuration file, its paths made absolute (they are written relative to it).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `https://host:port` of the gateway.
    pub endpoint: String,
    /// The name the gateway's certificate carries, where it is not the endpoint's host.
    pub server_name: Option<String>,
    /// The authority that signed the gateway's certificate, PEM.
    pub ca: PathBuf,
    /// This organisation's client certificate and chain, PEM.
    pub certificate: PathBuf,
    /// The certificate's private key, PEM.
    pub key: PathBuf,
    /// This organisation's id in the gateway's directory.
    pub organisation_id: Option<OrgId>,
    /// The private key that signs statements: PKCS#8, PEM or DER.
    pub signing_key: Option<PathBuf>,
    /// The log's public keys, as `evidence ledger keys --output` writes them.
    pub log_keys: Option<PathBuf>,
    /// How long one call may take, seconds.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u64,
    /// How often a call is tried before giving up.
    #[serde(default = "default_attempts")]
    pub attempts: u32,
}

const fn default_timeout() -> u64 {
    60
}

const fn default_attempts() -> u32 {
    5
}

const NAME: &str = "evidence.toml";

impl Config {
    /// Loads the file named by the caller, by `$EVIDENCE_CONFIG`, or the first that is there of
    /// `./evidence.toml` and `~/.config/evidence/evidence.toml`.
    pub fn find(named: Option<&Path>) -> Result<Self, CliError> {
        match locate(
            named,
            env::var_os("EVIDENCE_CONFIG").map(PathBuf::from),
            home(),
        ) {
            Ok(path) => Self::load(&path),
            Err(tried) => Err(CliError::Usage(format!(
                "There is no configuration: looked for {tried}. Write one (docs/api/cli.md), or name it with --config."
            ))),
        }
    }

    pub fn load(path: &Path) -> Result<Self, CliError> {
        let mut config: Self = files::read_structured(path)?;
        let folder = files::parent(path);
        for path in [&mut config.ca, &mut config.certificate, &mut config.key] {
            *path = folder.join(&path);
        }
        for path in [&mut config.signing_key, &mut config.log_keys]
            .into_iter()
            .flatten()
        {
            *path = folder.join(&path);
        }
        if config.timeout_seconds == 0 || config.attempts == 0 {
            return Err(CliError::file(
                path,
                "`timeout_seconds` and `attempts` must be at least 1.",
            ));
        }
        Ok(config)
    }

    pub fn organisation(&self) -> Result<&OrgId, CliError> {
        self.organisation_id
            .as_ref()
            .ok_or_else(|| missing("organisation_id", "the id the operator gave you"))
    }

    pub fn signing_key(&self) -> Result<&Path, CliError> {
        self.signing_key.as_deref().ok_or_else(|| {
            missing(
                "signing_key",
                "the path of a key made with `evidence keys new`",
            )
        })
    }
}

fn missing(field: &str, what: &str) -> CliError {
    CliError::Usage(format!(
        "The configuration has no `{field}`, which this command needs. Add {what}."
    ))
}

/// The file to load; else what was looked for, in words.
fn locate(
    named: Option<&Path>,
    from_env: Option<PathBuf>,
    home: Option<PathBuf>,
) -> Result<PathBuf, String> {
    if let Some(path) = named.map(Path::to_owned).or(from_env) {
        return Ok(path);
    }
    let places = [
        Some(PathBuf::from(NAME)),
        home.map(|home| home.join(".config/evidence").join(NAME)),
    ];
    let places: Vec<PathBuf> = places.into_iter().flatten().collect();
    let list = |places: &[PathBuf]| {
        places
            .iter()
            .map(|p| p.display().to_string())
            .collect::<Vec<_>>()
            .join(", ")
    };
    places
        .iter()
        .find(|path| path.is_file())
        .cloned()
        .ok_or_else(|| list(&places))
}

fn home() -> Option<PathBuf> {
    env::home_dir()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r#"
endpoint = "https://gateway.example:8443"
ca = "ca.pem"
certificate = "tls/certificate.pem"
key = "/etc/evidence/key.pem"
organisation_id = "org_00000000000000000000000000"
signing_key = "signing-key.pem"
"#;

    fn write(folder: &Path, text: &str) -> PathBuf {
        let path = folder.join(NAME);
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::load(&write(folder.path(), SAMPLE)).unwrap();
        assert_eq!(config.ca, folder.path().join("ca.pem"));
        assert_eq!(config.key, Path::new("/etc/evidence/key.pem"));
        assert_eq!(
            config.signing_key().unwrap(),
            folder.path().join("signing-key.pem")
        );
        assert_eq!((config.timeout_seconds, config.attempts), (60, 5));
        assert_eq!(config.log_keys, None);
    }

    #[test]
    fn unknown_and_senseless_values_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for extra in ["endpoit = \"x\"", "attempts = 0", "timeout_seconds = 0"] {
            let path = write(folder.path(), &format!("{SAMPLE}\n{extra}\n"));
            assert_eq!(
                Config::load(&path).unwrap_err().exit(),
                crate::Exit::File,
                "{extra}"
            );
        }
        let path = write(folder.path(), &SAMPLE.replace("org_0", "case_0"));
        assert!(Config::load(&path).unwrap_err().to_string().contains("org"));
    }

    #[test]
    fn what_is_named_comes_first_then_the_environment_then_the_home() {
        let folder = tempfile::tempdir().unwrap();
        let (named, from_env) = (Path::new("named.toml"), PathBuf::from("env.toml"));
        assert_eq!(
            locate(Some(named), Some(from_env.clone()), None).unwrap(),
            named
        );
        assert_eq!(
            locate(None, Some(from_env.clone()), None).unwrap(),
            from_env
        );
        let at_home = folder.path().join(".config/evidence");
        std::fs::create_dir_all(&at_home).unwrap();
        assert!(
            locate(None, None, Some(folder.path().to_owned()))
                .unwrap_err()
                .contains(".config/evidence")
        );
        let path = write(&at_home, SAMPLE);
        assert_eq!(
            locate(None, None, Some(folder.path().to_owned())).unwrap(),
            path
        );
    }

    #[test]
    fn what_a_command_needs_is_named_when_it_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let text = SAMPLE
            .replace("signing_key", "log_keys")
            .replace("organisation_id", "server_name");
        let config = Config::load(&write(folder.path(), &text)).unwrap();
        assert!(
            config
                .signing_key()
                .unwrap_err()
                .to_string()
                .contains("`signing_key`")
        );
        assert!(
            config
                .organisation()
                .unwrap_err()
                .to_string()
                .contains("`organisation_id`")
        );
    }
}
