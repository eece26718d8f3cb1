//! Checking a receipt offline: what holds, what does not, and what was not looked at.

use std::{fmt::Write as _, io::Read};

use evidence_domain::{Aside, Event, event::typ};
use evidence_ledger::{
    Checkpoint, Digest, Payload, PublicKey, Receipt, Statement, aside_digest, sha256, to_canonical,
};
use serde::Serialize;

use crate::{
    CliError, Exit,
    proof::{LogKeys, Proof, ReceiptFile},
};

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "verdict", content = "because")]
pub enum Verdict {
    Valid,
    Invalid(String),
    /// It could not be decided with what is at hand.
    CannotTell(String),
    NotChecked(String),
}

impl Verdict {
    fn of(holds: bool, because: impl FnOnce() -> String) -> Self {
        if holds {
            Self::Valid
        } else {
            Self::Invalid(because())
        }
    }
}

/// One thing that was, or was not, looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub name: &'static str,
    /// What holding means, in a sentence.
    pub means: String,
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// All checks of one receipt file.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub checks: Vec<Check>,
}

/// What to check with; each part may be absent, and the report then says so.
#[derive(Debug, Default)]
pub struct With<'a> {
    pub log_keys: Option<&'a LogKeys>,
    /// Keys of organisations, from a source other than the gateway's answer.
    pub organisation_keys: &'a [PublicKey],
    /// Size and SHA-256 of the document at hand.
    pub document: Option<(u64, Digest)>,
    /// A checkpoint of the log, as a signed note.
    pub checkpoint: Option<&'a str>,
}

impl Report {
    fn add(&mut self, name: &'static str, means: impl Into<String>, verdict: Verdict) {
        self.checks.push(Check {
            name,
            means: means.into(),
            verdict,
        });
    }

    /// Invalid if anything is; else undecided if anything is.
    pub fn exit(&self) -> Exit {
        let any =
            |matches: fn(&Verdict) -> bool| self.checks.iter().any(|check| matches(&check.verdict));
        if any(|verdict| matches!(verdict, Verdict::Invalid(_))) {
            Exit::Invalid
        } else if any(|verdict| matches!(verdict, Verdict::CannotTell(_))) {
            Exit::CannotTell
        } else {
            Exit::Done
        }
    }

    /// For people: one line a check, then the answer.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for check in &self.checks {
            let (mark, because) = match &check.verdict {
                Verdict::Valid => ("holds        ", String::new()),
                Verdict::Invalid(because) => ("DOES NOT HOLD", format!(" {because}")),
                Verdict::CannotTell(because) => ("cannot tell  ", format!(" {because}")),
                Verdict::NotChecked(because) => ("not checked  ", format!(" {because}")),
            };
            let _ = writeln!(text, "{mark}  {}{because}", check.means);
        }
        text.push_str(match self.exit() {
            Exit::Done => "The receipt holds, as far as it was checked.\n",
            Exit::Invalid => "The receipt does NOT hold. Do not rely on it.\n",
            _ => "It cannot be told whether the receipt holds.\n",
        });
        text
    }
}

/// Size and SHA-256 of what `document` yields.
pub fn digest(mut document: impl Read) -> std::io::Result<(u64, Digest)> {
    let mut hasher = ring::digest::Context::new(&ring::digest::SHA256);
    let mut buffer = vec![0; 256 * 1024];
    let mut size = 0;
    loop {
        let read = document.read(&mut buffer)?;
        if read == 0 {
            let digest = hasher.finish();
            let digest = Digest::try_from(digest.as_ref()).map_err(std::io::Error::other)?;
            return Ok((size, digest));
        }
        hasher.update(&buffer[..read]);
        size += read as u64;
    }
}

/// Checks everything that can be checked without a network.
pub fn verify(file: &ReceiptFile, with: &With<'_>) -> Report {
    let mut report = Report::default();
    let event = statement_checks(
        &mut report,
        "statement",
        &file.receipt,
        Some(&file.aside),
        with,
    );
    if let Some((event, statement)) = &event {
        document_checks(&mut report, file, event, with);
        if let Some(relay) = &file.relay_receipt {
            let relayed = statement_checks(&mut report, "relay", relay, None, with);
            if let Some((relayed, _)) = relayed {
                relay_check(&mut report, event, statement, &relayed);
            }
        }
    }
    checkpoint_check(&mut report, &file.receipt, with);
    report.add(
        "standing",
        "Later events, and the keys' standing, are as they were.",
        Verdict::NotChecked(
            "Whether the item was withdrawn or superseded since, and whether the signer's key was registered and valid then, only the log and the directory can say.".to_owned(),
        ),
    );
    report
}

/// Statement, entry, signature, texts and receipt of one proof. `aside` is what the file holds
/// beside it, if it can hold any.
fn statement_checks(
    report: &mut Report,
    what: &'static str,
    proof: &Proof,
    aside: Option<&Aside>,
    with: &With<'_>,
) -> Option<(Event, Statement)> {
    let read = read_statement(&proof.statement.0);
    let verdict = read
        .as_ref()
        .err()
        .cloned()
        .map_or(Verdict::Valid, Verdict::Invalid);
    report.add(what, format!("The {what} is well formed."), verdict);
    let (statement, payload, event) = read.ok()?;
    let entry = sha256(statement.bytes());
    let verdict = Verdict::of(entry == proof.entry, || {
        format!("The file says {}, the bytes make {entry}.", proof.entry)
    });
    report.add(
        "entry",
        format!(
            "The {what} is the one that the entry names: {}.",
            event.name()
        ),
        verdict,
    );
    let issuer = &statement.claims().iss;
    let means = format!("The {what} was signed with the key of {issuer}.");
    report.add("signature", means, signature(&statement, with));
    if let Some(aside) = aside {
        report.add(
            "texts",
            format!("The texts beside the {what} are those that were signed for."),
            texts(&payload, aside),
        );
    }
    let log = receipt(proof, &entry, with);
    report.add(
        "receipt",
        format!(
            "The log of {} entries holds the {what}, at index {}.",
            proof.tree_size, proof.index
        ),
        log,
    );
    Some((event, statement))
}

fn read_statement(bytes: &[u8]) -> Result<(Statement, Payload, Event), String> {
    if bytes.is_empty() {
        return Err("The file holds no statement.".to_owned());
    }
    let statement = Statement::parse(bytes).map_err(|error| format!("{error}."))?;
    let payload = Payload::decode(statement.payload()).map_err(|error| format!("{error}."))?;
    let event = Event::from_payload(&payload).map_err(|error| format!("{error}."))?;
    if statement.typ() == typ(event.name()) {
        Ok((statement, payload, event))
    } else {
        Err("Its header names another event than its payload.".to_owned())
    }
}

fn signature(statement: &Statement, with: &With<'_>) -> Verdict {
    let kid = statement.kid();
    let ours = with.organisation_keys.iter().find(|key| key.kid() == kid);
    let key = ours.or_else(|| with.log_keys.and_then(|keys| keys.find("statement", kid)));
    match key.map(|key| statement.verify(key)) {
        Some(Ok(())) => Verdict::Valid,
        Some(Err(error)) => Verdict::Invalid(format!("{error}.")),
        None if !with.organisation_keys.is_empty() => Verdict::CannotTell(format!(
            "None of the keys given is the one that signed: kid {}.",
            data_encoding::HEXLOWER.encode(kid)
        )),
        None => Verdict::NotChecked("Give the organisation's public key with --key.".to_owned()),
    }
}

fn texts(payload: &Payload, aside: &Aside) -> Verdict {
    match (payload.aside, aside.is_empty()) {
        (None, true) => Verdict::Valid,
        (None, false) => Verdict::Invalid("The statement commits to no texts.".to_owned()),
        (Some(_), true) => Verdict::NotChecked("The file does not hold them.".to_owned()),
        (Some(signed), false) => {
            match to_canonical(aside).map(|cbor| aside_digest(&payload.salt, &cbor)) {
                Ok(digest) if digest == signed => Verdict::Valid,
                _ => Verdict::Invalid("They were changed.".to_owned()),
            }
        }
    }
}

fn receipt(proof: &Proof, entry: &Digest, with: &With<'_>) -> Verdict {
    let receipt = match Receipt::parse(&proof.receipt.0) {
        Ok(receipt) => receipt,
        Err(error) => return Verdict::Invalid(format!("{error}.")),
    };
    if (receipt.index, receipt.size) != (proof.index, proof.tree_size) {
        return Verdict::Invalid(format!(
            "The receipt itself says place {} of {}.",
            receipt.index, receipt.size
        ));
    }
    // The receipt is signed when the entry is committed or later, in whole seconds.
    let stated: Option<jiff::Timestamp> = proof.received_at.parse().ok();
    if stated.is_none_or(|stated| stated.as_second() > receipt.claims.iat) {
        return Verdict::Invalid(
            "The time of receipt in the file is later than the log signed, or is none.".to_owned(),
        );
    }
    let Some(keys) = with.log_keys else {
        return Verdict::CannotTell("Give the log's keys with --log-keys.".to_owned());
    };
    let Some(key) = keys.find("receipt", &receipt.kid) else {
        return Verdict::CannotTell(
            "The log keys given do not have the one that the receipt names.".to_owned(),
        );
    };
    receipt.verify(entry, key).map_or_else(
        |error| Verdict::Invalid(format!("{error}.")),
        |_| Verdict::Valid,
    )
}

fn document_checks(report: &mut Report, file: &ReceiptFile, event: &Event, with: &With<'_>) {
    let (item, size, digest) = match event {
        Event::Evidence(body) => (&body.item, body.size, body.digest),
        Event::OwnStatement(body) => (&body.item, body.size, body.digest),
        _ => return,
    };
    let same_item = file
        .item_id
        .as_ref()
        .is_none_or(|stated| stated == item.as_str());
    let same_document = file
        .document
        .as_ref()
        .is_none_or(|stated| (stated.size, stated.digest) == (size, digest));
    let verdict = Verdict::of(same_item && same_document, || {
        format!("The statement is about {item}, {size} bytes, SHA-256 {digest}.")
    });
    report.add(
        "item",
        "The file names the item and document that the statement is about.",
        verdict,
    );
    let verdict = match with.document {
        None => Verdict::NotChecked("Give the document with --document.".to_owned()),
        Some(found) if found == (size, digest) => Verdict::Valid,
        Some((found, _)) if found != size => {
            Verdict::Invalid(format!("It has {found} bytes; {size} were signed for."))
        }
        Some(_) => Verdict::Invalid(
            "Its SHA-256 is another: it was changed, or is another document.".to_owned(),
        ),
    };
    report.add(
        "document",
        "The document is, byte for byte, the one that was signed for.",
        verdict,
    );
}

fn relay_check(report: &mut Report, event: &Event, statement: &Statement, relay: &Event) {
    let (Event::Evidence(evidence), Event::EvidenceRelayed(relay)) = (event, relay) else {
        report.add(
            "relay",
            "The relay is about this evidence.",
            Verdict::Invalid("It is no relay of evidence.".to_owned()),
        );
        return;
    };
    let same = relay.item == evidence.item && relay.evidence == statement.entry();
    let verdict = Verdict::of(same, || "It is about other evidence.".to_owned());
    report.add("relay", "The relay is about this evidence.", verdict);
}

fn checkpoint_check(report: &mut Report, proof: &Proof, with: &With<'_>) {
    let means = "The tree is the one that the log showed everybody.";
    let Some(note) = with.checkpoint else {
        let because =
            "Give a checkpoint of the same size, fetched by somebody else, with --checkpoint.";
        report.add("checkpoint", means, Verdict::NotChecked(because.to_owned()));
        return;
    };
    report.add("checkpoint", means, against_checkpoint(note, proof, with));
}

fn against_checkpoint(note: &str, proof: &Proof, with: &With<'_>) -> Verdict {
    let Some(keys) = with.log_keys else {
        return Verdict::CannotTell("Give the log's keys with --log-keys.".to_owned());
    };
    let mut problem = "The log keys given have none for checkpoints.".to_owned();
    let read = keys.checkpoint_verifiers().find_map(|verifier| {
        Checkpoint::parse_verified(note, &verifier)
            .map_err(|error| problem = format!("{error}."))
            .ok()
    });
    let Some(checkpoint) = read else {
        let has_key = keys.checkpoint_verifiers().next().is_some();
        return if has_key {
            Verdict::Invalid(problem)
        } else {
            Verdict::CannotTell(problem)
        };
    };
    if checkpoint.size != proof.tree_size {
        return Verdict::CannotTell(format!(
            "The checkpoint is of {} entries, the receipt of {}: fetch the one of the receipt's size.",
            checkpoint.size, proof.tree_size
        ));
    }
    let root = Receipt::parse(&proof.receipt.0).ok().and_then(|receipt| {
        let key = keys.find("receipt", &receipt.kid)?;
        receipt.verify(&proof.entry, key).ok()
    });
    match root {
        Some(root) if root == checkpoint.root => Verdict::Valid,
        Some(_) => Verdict::Invalid(
            "The log signed two different trees of one size. Keep both: they convict it."
                .to_owned(),
        ),
        None => Verdict::CannotTell("The receipt itself does not hold.".to_owned()),
    }
}

/// The error with which the command ends when the report is not all valid.
pub fn conclude(report: &Report) -> Result<(), CliError> {
    match report.exit() {
        Exit::Done => Ok(()),
        Exit::Invalid => Err(CliError::Invalid("The receipt does not hold.".to_owned())),
        _ => Err(CliError::CannotTell(
            "It cannot be told whether the receipt holds.".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests;
