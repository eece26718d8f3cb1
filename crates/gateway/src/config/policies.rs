//! Where the first policies come from. They go into the log when it is started; after that the
//! directory service changes them, and these files are not read again.

use std::path::PathBuf;

use evidence_domain::policy;
use serde::Deserialize;

use super::{ConfigError, Problem};

/// Policy documents (TOML) for a new log; what is left out is the shipped default.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PoliciesConfig {
    /// What evidence may be used for, with caps. A purpose that serves sanctions or conditionality
    /// is refused.
    pub purposes: Option<PathBuf>,
    /// Who must answer by when.
    pub clocks: Option<PathBuf>,
}

impl PoliciesConfig {
    /// The configured document of this policy, if there is one.
    pub fn document(&self, name: &str) -> Result<Option<String>, ConfigError> {
        let path = match name {
            policy::PURPOSES => &self.purposes,
            _ => &self.clocks,
        };
        path.as_ref()
            .map(|path| {
                std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
                    path: path.clone(),
                    source,
                })
            })
            .transpose()
    }

    /// What the domain's rules say of the documents.
    pub(super) fn problems(&self) -> Result<Vec<Problem>, ConfigError> {
        let mut found = Vec::new();
        for (name, _) in policy::DEFAULTS {
            let checked = self
                .document(name)?
                .map(|document| policy::check(name, &document));
            if let Some(Err(refusal)) = checked {
                found.push(Problem::new(
                    format!("policies.{name}"),
                    refusal.detail.clone(),
                    refusal.reason.next(),
                ));
            }
        }
        Ok(found)
    }
}
