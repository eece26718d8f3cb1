//! A signed call kept until it is answered: a second run after a broken connection sends the same
//! statement, and the gateway does it once.

use std::path::{Path, PathBuf};

use evidence_ledger::Digest;
use prost::{Message, Name};
use serde::{Deserialize, Serialize};

use crate::{CliError, files, show};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// What the call was made from.
    of: Digest,
    call: serde_json::Value,
}

/// A call and the file it is kept in.
#[derive(Debug)]
pub struct KeptCall<M> {
    pub call: M,
    path: PathBuf,
}

impl<M: Message + Name + Default> KeptCall<M> {
    /// The call kept at `path`, if it was made of the same thing; else a new one, kept from now on.
    pub fn find_or_make(
        path: &Path,
        of: Digest,
        make: impl FnOnce() -> Result<M, CliError>,
    ) -> Result<Self, CliError> {
        if let Some(bytes) = files::read_if_there(path)? {
            let kept: Kept = serde_json::from_slice(&bytes).map_err(|error| {
                CliError::file(
                    path,
                    format!("cannot be read: {error}. Delete it if the call was answered."),
                )
            })?;
            if kept.of == of {
                return Ok(Self {
                    call: show::from_json(&kept.call)?,
                    path: path.to_owned(),
                });
            }
        }
        let call = make()?;
        files::write_json(
            path,
            &Kept {
                of,
                call: show::to_json(&call),
            },
        )?;
        Ok(Self {
            call,
            path: path.to_owned(),
        })
    }

    /// Forgets the call once it has a final answer.
    pub fn conclude<R>(self, answer: Result<R, CliError>) -> Result<R, CliError> {
        let is_final = matches!(&answer, Ok(_) | Err(CliError::Refused(_)));
        if is_final {
            std::fs::remove_file(&self.path).map_err(CliError::io(&self.path))?;
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Refused;
    use evidence_ledger::sha256;
    use evidence_wire::v1::GetBundleRequest as Call;

    fn find(path: &Path, of: &[u8], made: &str) -> KeptCall<Call> {
        KeptCall::find_or_make(path, sha256(of), || {
            Ok(Call {
                bundle_id: made.into(),
            })
        })
        .unwrap()
    }

    #[test]
    fn a_call_without_an_answer_is_made_again_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("call.json");
        let unknown = || CliError::UnknownOutcome {
            detail: String::new(),
            again: String::new(),
        };
        assert!(
            find(&path, b"a", "first")
                .conclude(Err::<(), _>(unknown()))
                .is_err()
        );
        assert_eq!(find(&path, b"a", "second").call.bundle_id, "first");
        assert_eq!(
            find(&path, b"b", "third").call.bundle_id,
            "third",
            "made of something else"
        );
    }

    #[test]
    fn an_answer_ends_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("call.json");
        find(&path, b"a", "first").conclude(Ok(())).unwrap();
        assert!(!path.exists());
        let refused = Refused {
            reason: "already_exists".into(),
            message: String::new(),
            fields: Vec::new(),
        };
        assert!(
            find(&path, b"a", "second")
                .conclude(Err::<(), _>(CliError::Refused(refused)))
                .is_err()
        );
        assert!(!path.exists());
    }
}
