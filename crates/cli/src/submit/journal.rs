//! What was signed and sent from a folder, kept so that a broken connection or a second run sends
//! the *same* statement again and gets the one receipt: never a second copy.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

use evidence_domain::{
    Aside,
    event::Evidence,
    ids::{GrantId, ItemId, RequestId},
};
use evidence_ledger::{Digest, sha256_parts, to_canonical};
use evidence_wire::v1;
use serde::{Deserialize, Serialize};

use crate::{CliError, files, proof::Base64};

pub const NAME: &str = ".evidence-submit.json";

/// How far a document has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Signed and perhaps sent: the gateway may hold it.
    Signed,
    Received,
    /// The gateway keeps nothing of it.
    Refused,
}

/// One document's statement, as it was first signed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub file: String,
    pub item_id: ItemId,
    /// SHA-256 over all that was said about the document.
    pub said: Digest,
    pub state: State,
    pub statement: Base64,
    #[serde(default, skip_serializing_if = "Aside::is_empty")]
    pub aside: Aside,
    /// The intermediary's own statement, where it relays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<Base64>,
}

impl Entry {
    /// What goes to the gateway.
    pub fn push(&self) -> v1::Push {
        let signed = |statement: &Base64, aside: Aside| v1::SignedStatement {
            statement: statement.0.clone(),
            aside,
        };
        v1::Push {
            // The evidence statement's digest is the key.
            request_id: String::new(),
            evidence: Some(signed(&self.statement, self.aside.clone())),
            relay: self.relay.as_ref().map(|relay| signed(relay, Aside::new())),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    format: String,
    /// By document, grant, request and what it supersedes.
    documents: BTreeMap<String, Entry>,
}

const FORMAT: &str = "evidence-submit-1";

/// The journal of one folder. Held locked, so that two runs cannot sign the same document twice.
pub struct Journal {
    path: PathBuf,
    kept: Kept,
    _lock: File,
}

impl Journal {
    pub fn open(path: &Path) -> Result<Self, CliError> {
        let lock_path = files::beside(path, ".lock");
        let lock = File::create(&lock_path).map_err(CliError::io(&lock_path))?;
        lock.try_lock()
            .map_err(|_| CliError::file(path, "is in use by another run. Wait for it to end."))?;
        let kept = match files::read_if_there(path)? {
            None => Kept { format: FORMAT.to_owned(), documents: BTreeMap::new() },
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                CliError::file(path, format!("cannot be read: {error}. Put back a good copy; without it documents may be sent twice."))
            })?,
        };
        if kept.format != FORMAT {
            return Err(CliError::file(
                path,
                format!(
                    "has the format `{}`; this version reads `{FORMAT}`.",
                    kept.format
                ),
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            kept,
            _lock: lock,
        })
    }

    /// Must have been called before anything new is sent.
    pub fn save(&self) -> Result<(), CliError> {
        files::write_json(&self.path, &self.kept)
    }

    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.kept.documents.get(key)
    }

    pub fn put(&mut self, key: String, entry: Entry) {
        self.kept.documents.insert(key, entry);
    }

    pub fn set_state(&mut self, key: &str, state: State) {
        if let Some(entry) = self.kept.documents.get_mut(key) {
            entry.state = state;
        }
    }
}

/// The same document sent for the same reason is one push; for another, another.
pub fn key(
    document: &Digest,
    grant: &GrantId,
    request: Option<&RequestId>,
    supersedes: Option<&ItemId>,
) -> String {
    let request = request.map_or("-", RequestId::as_str);
    format!(
        "{document} {grant} {request} {}",
        supersedes.map_or("-", ItemId::as_str)
    )
}

/// A digest of all that is said, whatever the item's id.
pub fn said(body: &Evidence, aside: &Aside) -> Result<Digest, CliError> {
    let body = Evidence {
        item: ItemId::from_random([0; 16]),
        ..body.clone()
    };
    let encoded = to_canonical(&body).and_then(|body| Ok((body, to_canonical(aside)?)));
    let (body, aside) = encoded.map_err(|error| CliError::Usage(error.to_string()))?;
    Ok(sha256_parts(&[&body, &aside]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::tests::{evidence, texts};

    fn entry() -> Entry {
        Entry {
            file: "letter.pdf".into(),
            item_id: ItemId::from_random([2; 16]),
            said: said(&evidence(b"d"), &texts()).unwrap(),
            state: State::Signed,
            statement: Base64(vec![1, 2, 3]),
            aside: texts(),
            relay: Some(Base64(vec![4])),
        }
    }

    #[test]
    fn what_was_signed_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let mut journal = Journal::open(&path).unwrap();
        journal.put("key".into(), entry());
        journal.save().unwrap();
        journal.set_state("key", State::Received);
        drop(journal);
        // The state was not saved: the statement is sent again, and answered as before.
        let journal = Journal::open(&path).unwrap();
        assert_eq!(journal.get("key"), Some(&entry()));
        let push = journal.get("key").unwrap().push();
        assert_eq!(push.evidence.unwrap().aside, texts());
        assert_eq!(push.relay.unwrap().statement, [4]);
    }

    #[test]
    fn one_run_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let first = Journal::open(&path).unwrap();
        assert!(Journal::open(&path).is_err());
        drop(first);
        assert!(Journal::open(&path).is_ok());
    }

    #[test]
    fn a_damaged_journal_is_never_taken_for_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        for text in [
            "",
            "{",
            "{}",
            r#"{"format": "evidence-submit-9", "documents": {}}"#,
        ] {
            std::fs::write(&path, text).unwrap();
            assert!(Journal::open(&path).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_said_counts_and_the_item_id_does_not() {
        let body = evidence(b"d");
        let other_item = Evidence {
            item: ItemId::from_random([8; 16]),
            ..body.clone()
        };
        let other_kind = Evidence {
            kind: "care-plan".into(),
            ..body.clone()
        };
        let first = said(&body, &texts()).unwrap();
        assert_eq!(said(&other_item, &texts()).unwrap(), first);
        assert_ne!(said(&other_kind, &texts()).unwrap(), first);
        assert_ne!(said(&body, &Aside::new()).unwrap(), first);
    }

    #[test]
    fn another_grant_request_or_predecessor_is_another_push() {
        let (digest, grant) = (evidence_ledger::sha256(b"d"), GrantId::from_random([3; 16]));
        let (request, item) = (
            RequestId::from_random([4; 16]),
            ItemId::from_random([5; 16]),
        );
        let keys = [
            key(&digest, &grant, None, None),
            key(&digest, &grant, Some(&request), None),
            key(&digest, &grant, None, Some(&item)),
            key(&digest, &GrantId::from_random([6; 16]), None, None),
        ];
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }
}
