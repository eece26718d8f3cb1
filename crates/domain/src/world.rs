//! The working set: the state rows that a batch of commands needs, loaded by
//! the store, read by the rules, changed only by [`crate::apply`].

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, OnceLock},
};

use evidence_ledger::Digest;

use crate::{
    ids::{CaseId, ClaimantId, OrgId},
    policy::Purposes,
    rows::{
        Access, Adjustment, Bundle, Case, Certificate, Claimant, Decision, Delegation, Grant,
        Identifier, Item, Note, Organisation, OrganisationIdentifier, Policy, Representation,
        Request,
    },
};

/// How the store finds a row other than by its key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Index {
    pub claimant: Option<String>,
    pub case: Option<String>,
    /// The row it belongs to: a request's items, a grant's delegations, an item's notes.
    pub link: Option<String>,
    /// The organisations in whose lists it appears.
    pub parties: BTreeSet<OrgId>,
    /// Entry index of its creation, which orders lists.
    pub entry: u64,
}

/// A state row: what it is called, its key, how it is found.
pub trait Row: Sized {
    const KIND: &'static str;
    /// Unique over all kinds.
    fn key(&self) -> String;
    fn index(&self) -> Index;
    /// Keys of rows that the rules need beside it.
    fn follows(&self) -> Vec<String>;
    fn from_record(record: &Record) -> Option<&Self>;
    fn from_record_mut(record: &mut Record) -> Option<&mut Self>;
    fn into_record(self) -> Record;
    fn owned(record: Record) -> Option<Self>;
}

/// A stored row that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "state row of kind `{kind}` cannot be read: {source}. Run fsck; the statements can rebuild it"
)]
pub struct RecordError {
    pub kind: String,
    pub source: serde_json::Error,
}

macro_rules! records {
    ($($name:ident = $kind:literal, |$row:ident| $key:expr, [$($field:ident: $value:expr),*], parties $parties:expr, follows $follows:expr;)*) => {
        /// Any state row.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Record { $($name($name),)* }

        impl Record {
            pub const KINDS: &'static [&'static str] = &[$($kind,)*];

            pub fn kind(&self) -> &'static str {
                match self { $(Record::$name(_) => $kind,)* }
            }

            pub fn key(&self) -> String {
                match self { $(Record::$name(row) => row.key(),)* }
            }

            pub fn index(&self) -> Index {
                match self { $(Record::$name(row) => row.index(),)* }
            }

            pub fn follows(&self) -> Vec<String> {
                match self { $(Record::$name(row) => row.follows(),)* }
            }

            /// The stored form.
            pub fn to_json(&self) -> Result<String, RecordError> {
                match self { $(Record::$name(row) => serde_json::to_string(row),)* }
                    .map_err(|source| RecordError { kind: self.kind().to_owned(), source })
            }

            pub fn from_json(kind: &str, body: &str) -> Result<Self, RecordError> {
                let read = match kind {
                    $($kind => serde_json::from_str(body).map(Record::$name),)*
                    _ => Err(serde::de::Error::custom("unknown kind")),
                };
                read.map_err(|source| RecordError { kind: kind.to_owned(), source })
            }
        }

        $(impl Row for $name {
            const KIND: &'static str = $kind;
            fn key(&self) -> String { let $row = self; $key }
            #[allow(clippy::needless_update, reason = "some kinds set every column")]
            fn index(&self) -> Index {
                let $row = self;
                Index { parties: $parties, entry: $row.entry, $($field: Some($value.to_string()),)* ..Index::default() }
            }
            fn follows(&self) -> Vec<String> { let $row = self; let _ = $row; $follows }
            fn from_record(record: &Record) -> Option<&Self> {
                match record { Record::$name(row) => Some(row), _ => None }
            }
            fn from_record_mut(record: &mut Record) -> Option<&mut Self> {
                match record { Record::$name(row) => Some(row), _ => None }
            }
            fn into_record(self) -> Record { Record::$name(self) }
            fn owned(record: Record) -> Option<Self> {
                match record { Record::$name(row) => Some(row), _ => None }
            }
        })*
    };
}

fn some(ids: &[&dyn ToString]) -> Vec<String> {
    ids.iter().map(|id| id.to_string()).collect()
}

fn orgs<'a>(ids: impl IntoIterator<Item = &'a OrgId>) -> BTreeSet<OrgId> {
    ids.into_iter().cloned().collect()
}

records! {
    Organisation = "organisation", |row| row.id.to_string(), [], parties orgs([]), follows vec![];
    Certificate = "certificate", |row| certificate_key(&row.fingerprint), [], parties orgs([]), follows some(&[&row.organisation]);
    OrganisationIdentifier = "organisation-identifier", |row| organisation_identifier_key(&row.identifier), [], parties orgs([]), follows some(&[&row.organisation]);
    Policy = "policy", |row| policy_key(&row.name), [], parties orgs([]), follows vec![];
    Claimant = "claimant", |row| row.id.to_string(), [claimant: row.id], parties orgs([]), follows vec![];
    Identifier = "identifier", |row| identifier_key(&row.index), [claimant: row.claimant], parties orgs([]), follows some(&[&row.claimant]);
    Grant = "grant", |row| row.id.to_string(), [claimant: row.claimant], parties orgs(row.disclosers.iter().chain(&row.intermediaries).chain([&row.recipient, &row.captured_by])), follows some(&[&row.claimant]);
    Delegation = "delegation", |row| row.id.to_string(), [claimant: row.claimant, link: row.grant], parties orgs(row.discloser.iter().chain([&row.intermediary, &row.by])), follows some(&[&row.grant]);
    Representation = "representation", |row| row.id.to_string(), [claimant: row.claimant], parties orgs([&row.by]), follows some(&[&row.claimant]);
    Case = "case", |row| row.id.to_string(), [claimant: row.claimant, case: row.id], parties orgs([&row.recipient]), follows some(&[&row.grant]);
    Request = "request", |row| row.id.to_string(), [claimant: row.claimant, case: row.case, link: row.grant], parties orgs(row.intermediaries.iter().chain([&row.recipient, &row.discloser])), follows some(&[&row.case, &row.grant]);
    Item = "item", |row| row.id.to_string(), [claimant: row.claimant, link: row.request.as_ref().map_or_else(|| row.grant.to_string(), ToString::to_string)], parties orgs(row.intermediary.iter().chain([&row.discloser, &row.recipient])),
        follows row.cases.iter().map(ToString::to_string).chain([row.grant.to_string()]).chain(row.request.iter().map(ToString::to_string)).collect();
    Bundle = "bundle", |row| row.id.to_string(), [claimant: row.claimant, case: row.case], parties orgs([&row.recipient]), follows some(&[&row.case]);
    Decision = "decision", |row| row.id.to_string(), [claimant: row.claimant, case: row.case, link: row.bundle], parties orgs([&row.recipient]), follows some(&[&row.case]);
    Note = "note", |row| row.id.to_string(), [claimant: row.claimant, link: row.item], parties orgs([]), follows vec![];
    Adjustment = "adjustment", |row| row.id.to_string(), [claimant: row.claimant], parties orgs([]), follows vec![];
    Access = "access", |row| row.id.to_string(), [claimant: row.claimant], parties orgs([]), follows vec![];
}

pub fn certificate_key(fingerprint: &Digest) -> String {
    format!("certificate_{fingerprint}")
}

/// Spellings that differ only in case name the same organisation.
pub fn organisation_identifier_key(identifier: &str) -> String {
    format!("organisation-identifier_{}", identifier.to_lowercase())
}

pub fn policy_key(name: &str) -> String {
    format!("policy_{name}")
}

pub fn identifier_key(index: &str) -> String {
    format!("identifier_{index}")
}

/// What a command needs loaded before it can be decided.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// Row keys; what they follow is loaded too.
    pub keys: BTreeSet<String>,
    /// Claimants of whom every row is needed.
    pub claimants: BTreeSet<ClaimantId>,
    /// Keys of rows of whose claimant every row is needed.
    pub owners: BTreeSet<String>,
}

impl Needs {
    #[must_use]
    pub fn key(mut self, key: &(impl ToString + ?Sized)) -> Self {
        self.keys.insert(key.to_string());
        self
    }

    #[must_use]
    pub fn keys<K: ToString>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.keys
            .extend(keys.into_iter().map(|key| key.to_string()));
        self
    }

    #[must_use]
    pub fn whole_claimant(mut self, claimant: &ClaimantId) -> Self {
        self.claimants.insert(claimant.clone());
        self.key(claimant)
    }

    /// The row, and everything of the claimant whose it is.
    #[must_use]
    pub fn whole_claimant_of(mut self, key: &impl ToString) -> Self {
        self.owners.insert(key.to_string());
        self.key(key)
    }

    pub fn extend(&mut self, other: Needs) {
        self.keys.extend(other.keys);
        self.claimants.extend(other.claimants);
        self.owners.extend(other.owners);
    }
}

/// The rows loaded, and which of them have changed.
#[derive(Debug, Default, Clone)]
pub struct World {
    records: HashMap<String, Record>,
    changed: BTreeSet<String>,
    /// The purposes policy as read once for all of a batch.
    pub(crate) purposes: OnceLock<Arc<Purposes>>,
}

impl World {
    /// Puts a loaded row in, unless it is there already (and perhaps changed).
    pub fn load(&mut self, record: Record) {
        self.records.entry(record.key()).or_insert(record);
    }

    pub fn contains(&self, key: &str) -> bool {
        self.records.contains_key(key)
    }

    pub fn get<R: Row>(&self, key: impl AsRef<str>) -> Option<&R> {
        self.records.get(key.as_ref()).and_then(R::from_record)
    }

    /// Rows of one kind among those loaded, by key.
    pub fn all<R: Row>(&self) -> Vec<&R> {
        let mut rows: Vec<&R> = self.records.values().filter_map(R::from_record).collect();
        rows.sort_by_key(|row| row.key());
        rows
    }

    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    /// The changed rows, in key order; forgets that they changed.
    pub fn take_changed(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.changed)
            .into_iter()
            .filter_map(|key| self.records.get(&key).cloned())
            .collect()
    }

    pub(crate) fn change<R: Row>(&mut self, key: impl AsRef<str>) -> Option<&mut R> {
        let key = key.as_ref();
        let row = self.records.get_mut(key).and_then(R::from_record_mut)?;
        if !self.changed.contains(key) {
            self.changed.insert(key.to_owned());
        }
        Some(row)
    }

    pub(crate) fn insert<R: Row>(&mut self, row: R) {
        let key = row.key();
        if R::KIND == Policy::KIND {
            self.purposes = OnceLock::new();
        }
        self.changed.insert(key.clone());
        self.records.insert(key, row.into_record());
    }
}

macro_rules! accessors {
    ($($method:ident($id:ident: $id_type:ty) -> $row:ident;)*) => {
        impl World { $(
            pub fn $method(&self, $id: &$id_type) -> Option<&$row> { self.get($id.as_str()) }
        )* }
    };
}

accessors! {
    organisation(id: OrgId) -> Organisation;
    claimant(id: ClaimantId) -> Claimant;
    grant(id: crate::ids::GrantId) -> Grant;
    delegation(id: crate::ids::DelegationId) -> Delegation;
    representation(id: crate::ids::RepresentationId) -> Representation;
    case(id: CaseId) -> Case;
    request(id: crate::ids::RequestId) -> Request;
    item(id: crate::ids::ItemId) -> Item;
    bundle(id: crate::ids::BundleId) -> Bundle;
    decision(id: crate::ids::DecisionId) -> Decision;
}

impl World {
    pub fn policy(&self, name: &str) -> Option<&Policy> {
        self.get(policy_key(name))
    }
}
