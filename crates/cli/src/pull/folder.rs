//! A bundle's folder: what was asked for, the manifest, and each document under a name of its own.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use evidence_ledger::{Digest, PublicKey};
use evidence_wire::v1;
use serde::{Deserialize, Serialize};

use super::check::check_item;
use crate::{
    CliError, Exit, files,
    metadata::RECEIPT,
    proof::LogKeys,
    show,
    verify::{Check, digest},
};

pub const MANIFEST: &str = "manifest.json";
const FORMAT: &str = "evidence-bundle-1";

/// What the folder is for; kept from before the first call, so that a pull whose answer was lost
/// asks for the same bundle and not for a second one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    pub request_id: String,
    pub case_id: String,
    pub purpose: String,
    pub actor: String,
}

/// A document that is there and was checked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    pub item_id: String,
    /// The file's name in the folder.
    pub file: String,
    pub size: u64,
    pub digest: Digest,
    /// Withheld from the claimant: never to be shown to them.
    pub withheld: bool,
    /// Each check's name, with `valid` or why not.
    pub checks: Vec<(String, String)>,
}

/// `manifest.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    pub format: String,
    pub asked: Asked,
    /// The gateway's manifest, in protobuf's JSON mapping.
    #[serde(default)]
    pub manifest: Option<serde_json::Value>,
    pub documents: Vec<Held>,
    /// Whether every document is there.
    pub complete: bool,
}

/// A bundle's folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    kept: Kept,
    manifest: Option<v1::Manifest>,
}

impl Folder {
    /// Opens the folder of an earlier pull.
    pub fn open(path: &Path) -> Result<Self, CliError> {
        let file = path.join(MANIFEST);
        let kept: Kept = files::read_structured(&file)?;
        if kept.format != FORMAT {
            return Err(CliError::file(
                &file,
                format!(
                    "has the format `{}`; this version reads `{FORMAT}`.",
                    kept.format
                ),
            ));
        }
        let manifest = kept.manifest.as_ref().map(show::from_json).transpose()?;
        Ok(Self {
            path: path.to_owned(),
            kept,
            manifest,
        })
    }

    /// Opens the folder of an earlier pull for the same case and purpose, or begins one.
    pub fn begin(path: &Path, asked: Asked) -> Result<Self, CliError> {
        if path.join(MANIFEST).exists() {
            let folder = Self::open(path)?;
            let earlier = &folder.kept.asked;
            if (&earlier.case_id, &earlier.purpose) == (&asked.case_id, &asked.purpose) {
                return Ok(folder);
            }
            return Err(CliError::Usage(format!(
                "{} holds a bundle of {} for {}. Choose another folder.",
                path.display(),
                earlier.case_id,
                earlier.purpose
            )));
        }
        std::fs::create_dir_all(path).map_err(CliError::io(path))?;
        let kept = Kept {
            format: FORMAT.to_owned(),
            asked,
            manifest: None,
            documents: Vec::new(),
            complete: false,
        };
        let folder = Self {
            path: path.to_owned(),
            kept,
            manifest: None,
        };
        folder.save()?;
        Ok(folder)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    pub fn manifest(&self) -> Option<&v1::Manifest> {
        self.manifest.as_ref()
    }

    /// The manifest and bundle of a pull that is complete.
    pub fn complete(&self) -> Result<(&v1::Manifest, &v1::Bundle), CliError> {
        let manifest = self.manifest.as_ref().filter(|_| self.kept.complete);
        let parts = manifest.and_then(|manifest| Some((manifest, manifest.bundle.as_ref()?)));
        parts.ok_or_else(|| {
            CliError::file(
                &self.path,
                "does not hold a whole bundle yet. Run `evidence bundle pull` again.",
            )
        })
    }

    /// What to ask the gateway for: a new bundle, or the rest of this one.
    pub fn request(&self) -> Result<v1::PullRequest, CliError> {
        let bundle = self
            .manifest
            .as_ref()
            .and_then(|manifest| manifest.bundle.as_ref());
        let Some(bundle) = bundle else {
            let asked = self.kept.asked.clone();
            return Ok(v1::PullRequest {
                request_id: asked.request_id,
                case_id: asked.case_id,
                purpose: asked.purpose,
                actor: asked.actor,
                ..v1::PullRequest::default()
            });
        };
        let (from_item_id, from_offset) = self.next_missing()?.unwrap_or_default();
        Ok(v1::PullRequest {
            bundle_id: bundle.bundle_id.clone(),
            from_item_id,
            from_offset,
            ..v1::PullRequest::default()
        })
    }

    /// The first document that is not there, and how many of its bytes are.
    pub fn next_missing(&self) -> Result<Option<(String, u64)>, CliError> {
        let mut items = self.items().map(|item| &item.item_id);
        let Some(missing) =
            items.find(|id| self.kept.documents.iter().all(|held| held.item_id != **id))
        else {
            return Ok(None);
        };
        Ok(Some((missing.clone(), self.part_size(missing)?)))
    }

    pub fn bytes_held(&self) -> Result<u64, CliError> {
        let whole: u64 = self.kept.documents.iter().map(|held| held.size).sum();
        Ok(whole + self.next_missing()?.map_or(0, |(_, part)| part))
    }

    /// Every organisation whose signature is on something here.
    pub fn organisations(&self) -> BTreeSet<String> {
        let signers = self
            .items()
            .flat_map(|item| [item.discloser.clone(), item.intermediary.clone()]);
        signers.filter(|id| !id.is_empty()).collect()
    }

    pub fn take_manifest(&mut self, manifest: v1::Manifest) -> Result<(), CliError> {
        let id = |manifest: &v1::Manifest| {
            manifest
                .bundle
                .as_ref()
                .map(|bundle| bundle.bundle_id.clone())
        };
        if let Some(held) = &self.manifest {
            // The same bundle told again; what was checked and kept first stays.
            return if id(held) == id(&manifest) {
                Ok(())
            } else {
                Err(CliError::Invalid(
                    "The gateway answered with another bundle than the one asked for.".to_owned(),
                ))
            };
        }
        self.kept.manifest = Some(show::to_json(&manifest));
        self.manifest = Some(manifest);
        self.save()
    }

    /// Where a document is gathered until it is whole and checked.
    pub fn part_path(&self, item_id: &str) -> Result<PathBuf, CliError> {
        Ok(self.path.join(format!("{}.part", self.stem(item_id)?)))
    }

    /// Checks a document that came whole, and gives it its name.
    pub fn accept(
        &mut self,
        item_id: &str,
        log_keys: &LogKeys,
        organisation_keys: &[PublicKey],
    ) -> Result<(), CliError> {
        let part = self.part_path(item_id)?;
        let items = self.manifest.iter().flat_map(|manifest| &manifest.items);
        let mut named = items.filter(|item| {
            item.item
                .as_ref()
                .is_some_and(|item| item.item_id == item_id)
        });
        let item = named.next().ok_or_else(|| unknown(item_id))?;
        let media_type = item
            .item
            .as_ref()
            .map_or("", |item| item.media_type.as_str());
        let file = format!("{}.{}", self.stem(item_id)?, extension(media_type));
        let opened = std::fs::File::open(&part).map_err(CliError::io(&part))?;
        let found = digest(opened).map_err(CliError::io(&part))?;
        let (receipt, report) = check_item(item, &file, found, log_keys, organisation_keys)?;
        if report.exit() != Exit::Done {
            // A second pull starts this document anew.
            std::fs::remove_file(&part).map_err(CliError::io(&part))?;
            return Err(CliError::Invalid(format!(
                "{item_id} is not kept:\n{}",
                report.to_text()
            )));
        }
        let withheld = item.withheld;
        let path = self.path.join(&file);
        receipt.save(&files::beside(&path, RECEIPT))?;
        std::fs::rename(&part, &path).map_err(CliError::io(&path))?;
        self.kept.documents.push(Held {
            item_id: item_id.to_owned(),
            file,
            size: found.0,
            digest: found.1,
            withheld,
            checks: report.checks.iter().map(told).collect(),
        });
        self.save()
    }

    pub fn finish(&mut self) -> Result<(), CliError> {
        self.kept.complete = true;
        self.save()
    }

    fn items(&self) -> impl Iterator<Item = &v1::Item> {
        self.manifest
            .iter()
            .flat_map(|manifest| &manifest.items)
            .filter_map(|item| item.item.as_ref())
    }

    /// `01-item_…`: in the manifest's order. Never a name that somebody sent.
    fn stem(&self, item_id: &str) -> Result<String, CliError> {
        let place = self.items().position(|item| item.item_id == item_id);
        let place = place.ok_or_else(|| unknown(item_id))?;
        let id: evidence_domain::ids::ItemId = item_id.parse().map_err(|_| unknown(item_id))?;
        Ok(format!("{:02}-{id}", place + 1))
    }

    fn part_size(&self, item_id: &str) -> Result<u64, CliError> {
        let path = self.part_path(item_id)?;
        match std::fs::metadata(&path) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(CliError::io(path)(error)),
        }
    }

    fn save(&self) -> Result<(), CliError> {
        files::write_json(&self.path.join(MANIFEST), &self.kept)
    }
}

fn unknown(item_id: &str) -> CliError {
    CliError::Invalid(format!(
        "The gateway sent a document that its manifest does not name: {item_id:.64}."
    ))
}

fn told(check: &Check) -> (String, String) {
    let verdict = match &check.verdict {
        crate::verify::Verdict::Valid => "valid".to_owned(),
        crate::verify::Verdict::Invalid(because) => format!("invalid: {because}"),
        crate::verify::Verdict::CannotTell(because) => format!("cannot tell: {because}"),
        crate::verify::Verdict::NotChecked(because) => format!("not checked: {because}"),
    };
    (check.name.to_owned(), verdict)
}

/// A file name's end for the media types that evidence mostly has.
fn extension(media_type: &str) -> &'static str {
    match media_type.split(';').next().unwrap_or_default().trim() {
        "application/pdf" => "pdf",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => "docx",
        "application/msword" => "doc",
        "application/rtf" => "rtf",
        "image/jpeg" => "jpg",
        "image/png" => "png",
        "image/tiff" => "tiff",
        "text/plain" => "txt",
        _ => "bin",
    }
}

#[cfg(test)]
mod tests;
