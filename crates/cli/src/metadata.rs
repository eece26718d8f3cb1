//! What is said about a document: by options on the command line, by a file beside it
//! (`letter.pdf.toml`), or by a manifest of many.

use std::{
    collections::BTreeMap,
    io::Read as _,
    path::{Path, PathBuf},
};

use evidence_domain::{
    Aside,
    event::{CertifiedCopy, Disclosure, Evidence},
    ids::{DelegationId, GrantId, ItemId, OrgId, RequestId},
    time::Period,
};
use evidence_ledger::Digest;
use jiff::civil::Date;
use serde::{Deserialize, Deserializer, de};

use crate::{CliError, files, package::Source};

/// Everything that may be said about one document. The more particular source wins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, clap::Args)]
#[serde(deny_unknown_fields, default)]
pub struct Details {
    /// The grant under which it is sent. Taken from the request when one is named.
    #[arg(long)]
    pub grant: Option<GrantId>,
    /// The request it answers.
    #[arg(long)]
    pub request: Option<RequestId>,
    /// The URN the statement names as its subject, where the gateway cannot be asked.
    #[arg(long)]
    pub subject: Option<String>,
    /// The kind of evidence, such as clinical-letter.
    #[arg(long)]
    pub kind: Option<String>,
    /// Found out from the contents when left out.
    #[arg(long)]
    pub media_type: Option<String>,
    /// The first day the evidence is about, YYYY-MM-DD.
    #[arg(long)]
    #[serde(deserialize_with = "day")]
    pub period_from: Option<Date>,
    /// The last day the evidence is about.
    #[arg(long)]
    #[serde(deserialize_with = "day")]
    pub period_to: Option<Date>,
    /// The day it was written.
    #[arg(long)]
    #[serde(deserialize_with = "day")]
    pub written_on: Option<Date>,
    /// The author's profession, such as occupational-therapist.
    #[arg(long)]
    pub profession: Option<String>,
    /// `withheld` only where a professional expects serious harm if the claimant sees it.
    #[arg(long, value_parser = disclosure)]
    pub disclosure: Option<Disclosure>,
    /// This document completes the answer to the request.
    #[arg(long, num_args = 0, default_missing_value = "true")]
    pub completes: Option<bool>,
    /// The item that this one replaces.
    #[arg(long)]
    pub supersedes: Option<ItemId>,
    /// It is a certified copy of paper, made by `scan` or `photograph`.
    #[arg(long)]
    pub copy_method: Option<String>,
    /// The registered organisation that wrote the paper.
    #[arg(long)]
    pub copy_origin: Option<OrgId>,
    /// The delegation under which the copy is certified.
    #[arg(long)]
    pub copy_delegation: Option<DelegationId>,
    #[arg(long)]
    pub title: Option<String>,
    #[arg(long)]
    pub author: Option<String>,
    /// The author's registration, such as an NMC pin.
    #[arg(long)]
    pub author_registration: Option<String>,
}

macro_rules! fill {
    ($own:ident, $other:ident: $($field:ident),* $(,)?) => {
        Details { $($field: $own.$field.or_else(|| $other.$field.clone()),)* }
    };
}

impl Details {
    /// These details, and `other`'s where these say nothing.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        fill!(self, other:
            grant, request, subject, kind, media_type, period_from, period_to, written_on, profession,
            disclosure, completes, supersedes, copy_method, copy_origin, copy_delegation, title, author,
            author_registration,
        )
    }

    /// The body of the evidence statement and the texts beside it. `item` is a new id.
    pub fn statement(
        &self,
        document: &Facts,
        grant: &GrantId,
        item: ItemId,
    ) -> Result<(Evidence, Aside), CliError> {
        let missing: Vec<&str> = [
            ("kind", self.kind.is_none()),
            ("written_on", self.written_on.is_none()),
            ("profession", self.profession.is_none()),
        ]
        .into_iter()
        .filter_map(|(name, missing)| missing.then_some(name))
        .collect();
        let (Some(kind), Some(written_on), Some(profession)) =
            (&self.kind, self.written_on, &self.profession)
        else {
            return Err(CliError::Usage(format!(
                "{}: nothing says its {}. Give it as an option, in {}.toml beside it, or in a manifest.",
                document.name,
                missing.join(", "),
                document.name
            )));
        };
        let copy = self.copy_method.as_ref().map(|method| CertifiedCopy {
            method: method.clone(),
            origin: self.copy_origin.clone(),
            delegation: self.copy_delegation.clone(),
        });
        let body = Evidence {
            item,
            grant: grant.clone(),
            request: self.request.clone(),
            kind: kind.clone(),
            media_type: self
                .media_type
                .clone()
                .unwrap_or_else(|| document.media_type.clone()),
            size: document.size,
            digest: document.digest,
            period: Period {
                from: self.period_from,
                to: self.period_to,
            },
            written_on,
            profession: profession.clone(),
            certified_copy: copy,
            completes: self.completes.unwrap_or(false),
            supersedes: self.supersedes.clone(),
            disclosure: self.disclosure.unwrap_or(Disclosure::Open),
        };
        let texts = [
            ("title", self.title.clone()),
            ("author", self.author.clone()),
            ("author_registration", self.author_registration.clone()),
            ("filename", Some(document.name.clone())),
        ];
        let aside = texts
            .into_iter()
            .filter_map(|(name, text)| Some((name.to_owned(), text?)));
        Ok((body, aside.collect()))
    }
}

/// What a document says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its file name.
    pub name: String,
    pub size: u64,
    pub digest: Digest,
    pub media_type: String,
}

impl Facts {
    /// Reads the whole document.
    pub fn of(source: &Source) -> Result<Self, CliError> {
        let (size, digest) =
            crate::verify::digest(source.open(0)?).map_err(CliError::io(&source.path))?;
        let mut start = Vec::new();
        source
            .open(0)?
            .take(8192)
            .read_to_end(&mut start)
            .map_err(CliError::io(&source.path))?;
        let name = source
            .path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Ok(Self {
            name,
            size,
            digest,
            media_type: media_type(&start),
        })
    }
}

/// By content; a name can say anything.
fn media_type(start: &[u8]) -> String {
    if let Some(found) = infer::get(start) {
        return found.mime_type().to_owned();
    }
    // The last character may have been cut through.
    let is_text = match std::str::from_utf8(start) {
        Ok(text) => !text.contains('\0'),
        Err(error) => error.error_len().is_none() && error.valid_up_to() > 0,
    };
    if is_text && !start.is_empty() {
        "text/plain; charset=utf-8"
    } else {
        "application/octet-stream"
    }
    .to_owned()
}

/// A document to send and what was said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    pub path: PathBuf,
    pub details: Details,
}

/// Describes each file; of a folder, each document in it. `options` come from the command line.
pub fn describe(paths: &[PathBuf], options: &Details) -> Result<Vec<Described>, CliError> {
    let mut found = Vec::new();
    for path in paths {
        let is_folder = std::fs::metadata(path)
            .map_err(CliError::io(path))?
            .is_dir();
        let documents = if is_folder {
            documents_in(path)?
        } else {
            vec![path.clone()]
        };
        for path in documents {
            let sidecar = files::beside(&path, SIDECAR);
            let own = match files::read_if_there(&sidecar)? {
                Some(_) => files::read_structured::<Details>(&sidecar)?,
                None => Details::default(),
            };
            found.push(Described {
                path,
                details: own.or(options),
            });
        }
    }
    if found.is_empty() {
        return Err(CliError::Usage(
            "There is no document to send there.".to_owned(),
        ));
    }
    Ok(found)
}

/// A manifest: what holds for all, and each document by its path relative to the manifest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    #[serde(default)]
    defaults: Details,
    items: BTreeMap<PathBuf, Details>,
}

/// Describes exactly the documents that a manifest names.
pub fn manifest(path: &Path, options: &Details) -> Result<Vec<Described>, CliError> {
    let manifest: Manifest = files::read_structured(path)?;
    let folder = files::parent(path);
    let described = manifest.items.into_iter().map(|(name, details)| Described {
        path: folder.join(name),
        details: details.or(&manifest.defaults).or(options),
    });
    Ok(described.collect())
}

const SIDECAR: &str = ".toml";
/// What the tool itself writes beside documents.
pub const RECEIPT: &str = ".receipt.json";
pub const PACKAGE: &str = ".evidence";

/// The documents of a folder, by name. Hidden files and the tool's own are none; a folder within
/// is an error, so that nothing is left out without a word.
fn documents_in(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let mut documents = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(CliError::io(folder))? {
        let path = entry.map_err(CliError::io(folder))?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.starts_with('.')
            || [SIDECAR, RECEIPT, PACKAGE]
                .iter()
                .any(|own| name.ends_with(own))
        {
            continue;
        }
        if std::fs::metadata(&path)
            .map_err(CliError::io(&path))?
            .is_dir()
        {
            return Err(CliError::file(
                &path,
                "is a folder within the folder. Send it by itself.",
            ));
        }
        documents.push(path);
    }
    documents.sort();
    Ok(documents)
}

/// `open` or `withheld`, on the command line.
pub fn disclosure(text: &str) -> Result<Disclosure, String> {
    match text {
        "open" => Ok(Disclosure::Open),
        "withheld" => Ok(Disclosure::Withheld),
        _ => Err("must be open or withheld".to_owned()),
    }
}

/// A day as text, or as TOML's own kind of date.
fn day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Day {
        Text(String),
        Toml(toml::value::Datetime),
    }
    let text = match Option::<Day>::deserialize(deserializer)? {
        None => return Ok(None),
        Some(Day::Text(text)) => text,
        Some(Day::Toml(date)) => date.to_string(),
    };
    text.parse()
        .map(Some)
        .map_err(|_| de::Error::custom(format!("`{text}` is no day; write YYYY-MM-DD")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Exit;
    use evidence_ledger::sha256;
    use jiff::civil::date;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, contents) in files {
            std::fs::write(folder.path().join(name), contents).unwrap();
        }
        folder
    }

    #[test]
    fn a_folder_is_its_documents_with_their_own_details_before_the_options() {
        let folder = folder(&[
            ("b.txt", "b"),
            ("a.txt", "a"),
            (
                "a.txt.toml",
                "kind = \"care-plan\"\nwritten_on = 2026-03-01\nperiod_to = \"2026-02-01\"",
            ),
            ("a.txt.receipt.json", "{}"),
            ("a.txt.evidence", ""),
            (".evidence-submit.json", "{}"),
        ]);
        let options = Details {
            kind: Some("clinical-letter".into()),
            profession: Some("nurse".into()),
            ..Details::default()
        };
        let found = describe(&[folder.path().to_owned()], &options).unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|each| each.path.file_name().unwrap().to_str().unwrap())
            .collect();
        assert_eq!(names, ["a.txt", "b.txt"]);
        let a = &found[0].details;
        assert_eq!(
            (a.kind.as_deref(), a.profession.as_deref()),
            (Some("care-plan"), Some("nurse"))
        );
        assert_eq!(
            (a.written_on, a.period_to),
            (Some(date(2026, 3, 1)), Some(date(2026, 2, 1)))
        );
        assert_eq!(found[1].details, options);
    }

    #[test]
    fn nothing_is_left_out_without_a_word() {
        let folder = folder(&[("a.txt", "a")]);
        std::fs::create_dir(folder.path().join("more")).unwrap();
        let refused = describe(&[folder.path().to_owned()], &Details::default()).unwrap_err();
        assert!(refused.to_string().contains("more"));
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(
            describe(&[empty.path().to_owned()], &Details::default())
                .unwrap_err()
                .exit(),
            Exit::Usage
        );
    }

    #[test]
    fn a_misspelt_field_or_day_is_refused() {
        for sidecar in [
            "kindd = \"x\"",
            "written_on = \"1 March\"",
            "disclosure = \"secret\"",
            "grant = \"case_1\"",
        ] {
            let folder = folder(&[("a.txt", "a"), ("a.txt.toml", sidecar)]);
            let refused =
                describe(&[folder.path().join("a.txt")], &Details::default()).unwrap_err();
            assert_eq!(refused.exit(), Exit::File, "{sidecar}");
            assert!(refused.to_string().contains("a.txt.toml"));
        }
    }

    #[test]
    fn a_manifest_names_exactly_what_is_sent() {
        let folder = folder(&[
            ("a.txt", "a"),
            ("b.txt", "b"),
            (
                "m.toml",
                "[defaults]\nkind = \"care-plan\"\n[items.\"b.txt\"]\nprofession = \"nurse\"\ncompletes = true\n",
            ),
            (
                "m.json",
                r#"{"items": {"a.txt": {"written_on": "2026-01-02", "disclosure": "withheld"}}}"#,
            ),
        ]);
        let toml = manifest(&folder.path().join("m.toml"), &Details::default()).unwrap();
        assert_eq!(toml.len(), 1);
        assert_eq!(toml[0].path, folder.path().join("b.txt"));
        assert_eq!(
            (toml[0].details.kind.as_deref(), toml[0].details.completes),
            (Some("care-plan"), Some(true))
        );
        let json = manifest(&folder.path().join("m.json"), &Details::default()).unwrap();
        assert_eq!(json[0].details.disclosure, Some(Disclosure::Withheld));
    }

    #[test]
    fn what_a_document_is_comes_from_its_contents() {
        let folder = folder(&[
            ("letter.docx", "%PDF-1.7\n%"),
            ("note", "Zo\u{eb}"),
            ("blob", "\u{0}\u{1}"),
        ]);
        let facts =
            |name: &str| Facts::of(&Source::of_file(&folder.path().join(name)).unwrap()).unwrap();
        assert_eq!(facts("letter.docx").media_type, "application/pdf");
        assert_eq!(facts("note").media_type, "text/plain; charset=utf-8");
        assert_eq!(facts("blob").media_type, "application/octet-stream");
        assert_eq!(
            (facts("note").size, facts("note").digest),
            (4, sha256("Zo\u{eb}".as_bytes()))
        );
    }

    #[test]
    fn all_that_is_missing_is_named_at_once() {
        let folder = folder(&[("a.txt", "a")]);
        let facts = Facts::of(&Source::of_file(&folder.path().join("a.txt")).unwrap()).unwrap();
        let (grant, item) = (GrantId::from_random([1; 16]), ItemId::from_random([2; 16]));
        let refused = Details::default()
            .statement(&facts, &grant, item.clone())
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("kind, written_on, profession"),
            "{refused}"
        );
        let details = Details {
            kind: Some("care-plan".into()),
            written_on: Some(date(2026, 1, 2)),
            profession: Some("nurse".into()),
            copy_method: Some("scan".into()),
            author: Some("A. Nurse".into()),
            ..Details::default()
        };
        let (body, aside) = details.statement(&facts, &grant, item).unwrap();
        assert_eq!(
            (body.size, body.disclosure, body.completes),
            (1, Disclosure::Open, false)
        );
        assert_eq!(body.certified_copy.unwrap().method, "scan");
        assert_eq!(aside.keys().collect::<Vec<_>>(), ["author", "filename"]);
    }
}
