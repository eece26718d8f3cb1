//! Real receipts from a real tree, and every way of tampering with one.

use evidence_domain::event::EvidenceRelayed;
use evidence_ledger::{Alg, NoteSigner, SigningKey};
use jiff::civil::date;

use super::*;
use crate::{
    Signer,
    proof::{Document, FORMAT},
    sign::tests::{evidence, rng, signer, texts},
    testlog::{ORIGIN, TestLog, new_key},
};

const DOCUMENT: &[u8] = b"the document";
const NOW: i64 = 1_790_000_000;

/// A log of seven entries, of which the last two are an evidence statement and its relay.
struct World {
    file: ReceiptFile,
    log: TestLog,
    organisation: PublicKey,
    relay: PublicKey,
}

impl World {
    fn new() -> Self {
        let discloser = signer(Alg::Es256);
        let relayer = Signer::new(
            evidence_domain::ids::OrgId::from_random([9; 16]),
            new_key(Alg::EdDsa),
        );
        let body = evidence(DOCUMENT);
        let subject = body.grant.urn();
        let item = body.item.clone();
        let made = discloser
            .sign(&subject, body, texts(), NOW, &rng())
            .unwrap();
        let entry = crate::sign::entry(&made);
        let relay = EvidenceRelayed {
            item: item.clone(),
            evidence: entry,
            delegation: None,
            received_on: date(2026, 3, 2),
        };
        let relay = relayer
            .sign(&subject, relay, Aside::new(), NOW, &rng())
            .unwrap();
        let statements = [made.statement, relay.statement];
        let log = TestLog::of(&statements, &new_key(Alg::Es256), NOW + 2);
        let file = ReceiptFile {
            format: FORMAT.to_owned(),
            item_id: Some(item.to_string()),
            document: Some(Document {
                file: "letter.pdf".into(),
                size: DOCUMENT.len() as u64,
                digest: sha256(DOCUMENT),
            }),
            aside: made.aside,
            receipt: Proof::of(&log.receipts[0]).unwrap(),
            relay_receipt: Some(Proof::of(&log.receipts[1]).unwrap()),
        };
        Self {
            file,
            log,
            organisation: discloser.key().public().clone(),
            relay: relayer.key().public().clone(),
        }
    }

    fn report(&self) -> Report {
        self.report_of(&self.file)
    }

    fn report_of(&self, file: &ReceiptFile) -> Report {
        let keys = [self.organisation.clone(), self.relay.clone()];
        let document = Some(digest(DOCUMENT).unwrap());
        let with = With {
            log_keys: Some(&self.log.keys),
            organisation_keys: &keys,
            document,
            checkpoint: Some(&self.log.note),
        };
        verify(file, &with)
    }
}

/// The names of the checks that found something wrong.
fn wrong(report: &Report) -> Vec<&'static str> {
    let checks = report.checks.iter();
    checks
        .filter(|check| matches!(check.verdict, Verdict::Invalid(_)))
        .map(|check| check.name)
        .collect()
}

#[test]
fn a_real_receipt_holds_and_says_what_was_not_checked() {
    let report = World::new().report();
    assert_eq!(report.exit(), Exit::Done, "{}", report.to_text());
    let open: Vec<_> = report
        .checks
        .iter()
        .filter(|check| check.verdict != Verdict::Valid)
        .map(|c| c.name)
        .collect();
    assert_eq!(open, ["standing"]);
    assert!(report.to_text().contains("not checked"));
}

#[test]
fn the_file_reads_back_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letter.pdf.receipt.json");
    let world = World::new();
    world.file.save(&path).unwrap();
    assert_eq!(ReceiptFile::load(&path).unwrap(), world.file);
    let other = std::fs::read_to_string(&path)
        .unwrap()
        .replace(FORMAT, "evidence-receipt-9");
    std::fs::write(&path, other).unwrap();
    assert_eq!(ReceiptFile::load(&path).unwrap_err().exit(), Exit::File);
}

#[test]
fn every_flipped_bit_of_statement_and_receipt_is_found() {
    let world = World::new();
    for byte in 0..world.file.receipt.statement.0.len() {
        let mut file = world.file.clone();
        file.receipt.statement.0[byte] ^= 1;
        assert_eq!(
            world.report_of(&file).exit(),
            Exit::Invalid,
            "statement byte {byte}"
        );
    }
    for byte in 0..world.file.receipt.receipt.0.len() {
        let mut file = world.file.clone();
        file.receipt.receipt.0[byte] ^= 1;
        // A flipped kid names a key that nobody has: undecided, never valid.
        assert_ne!(
            world.report_of(&file).exit(),
            Exit::Done,
            "receipt byte {byte}"
        );
    }
}

#[test]
fn every_changed_field_of_the_file_is_found_where_it_is() {
    let world = World::new();
    let tampered = |change: &dyn Fn(&mut ReceiptFile)| {
        let mut file = world.file.clone();
        change(&mut file);
        wrong(&world.report_of(&file))
    };
    let other = || sha256(b"other");
    assert_eq!(tampered(&|file| file.receipt.entry = other()), ["entry"]);
    assert_eq!(tampered(&|file| file.receipt.index = 4), ["receipt"]);
    assert_eq!(tampered(&|file| file.receipt.tree_size = 8), ["receipt"]);
    assert_eq!(
        tampered(&|file| file.receipt.received_at = "2026-09-21T14:13:23Z".into()),
        ["receipt"]
    );
    assert_eq!(
        tampered(&|file| file.receipt.received_at.clear()),
        ["receipt"]
    );
    assert_eq!(
        tampered(&|file| drop(file.aside.insert("title".into(), "Other".into()))),
        ["texts"]
    );
    assert_eq!(
        tampered(&|file| drop(file.aside.remove("title"))),
        ["texts"]
    );
    assert_eq!(
        tampered(&|file| file.item_id = Some("item_other".into())),
        ["item"]
    );
    assert_eq!(
        tampered(&|file| file.document.as_mut().unwrap().digest = other()),
        ["item"]
    );
    assert_eq!(
        tampered(&|file| file.document.as_mut().unwrap().size += 1),
        ["item"]
    );
    assert_eq!(
        tampered(&|file| file.receipt.statement.0.clear()),
        ["statement"]
    );
    assert_eq!(
        tampered(&|file| std::mem::swap(&mut file.receipt, file.relay_receipt.as_mut().unwrap()))
            .len(),
        2
    );
}

#[test]
fn another_proofs_receipt_does_not_serve() {
    let world = World::new();
    let mut file = world.file.clone();
    let relay = file.relay_receipt.clone().unwrap();
    file.receipt.receipt = relay.receipt;
    file.receipt.index = relay.index;
    assert_eq!(wrong(&world.report_of(&file)), ["receipt"]);
}

#[test]
fn another_document_is_found() {
    let world = World::new();
    for (found, says) in [(&b"the documenu"[..], "SHA-256"), (b"shorter", "7 bytes")] {
        let with = With {
            log_keys: Some(&world.log.keys),
            document: Some(digest(found).unwrap()),
            ..With::default()
        };
        let report = verify(&world.file, &with);
        assert_eq!(wrong(&report), ["document"]);
        assert!(report.to_text().contains(says), "{}", report.to_text());
    }
}

#[test]
fn without_keys_it_cannot_be_told() {
    let world = World::new();
    let report = verify(&world.file, &With::default());
    assert_eq!(report.exit(), Exit::CannotTell);
    assert_eq!(conclude(&report).unwrap_err().exit(), Exit::CannotTell);
    // The log's keys alone decide about the log; who signed is then listed as not checked.
    let report = verify(
        &world.file,
        &With {
            log_keys: Some(&world.log.keys),
            ..With::default()
        },
    );
    assert_eq!(report.exit(), Exit::Done);
    assert!(report.to_text().contains("--key"));
}

#[test]
fn keys_that_are_not_the_signers_decide_nothing() {
    let world = World::new();
    let strangers = [new_key(Alg::Es256).public().clone()];
    let with = With {
        log_keys: Some(&world.log.keys),
        organisation_keys: &strangers,
        ..With::default()
    };
    assert_eq!(verify(&world.file, &with).exit(), Exit::CannotTell);
    let mut keys = world.log.keys.clone();
    keys.keys[0].key = new_key(Alg::Es256).public().clone();
    // The file's own name for a key counts for nothing.
    assert_eq!(
        verify(
            &world.file,
            &With {
                log_keys: Some(&keys),
                ..With::default()
            }
        )
        .exit(),
        Exit::CannotTell
    );
}

#[test]
fn a_log_that_shows_two_trees_is_convicted() {
    let world = World::new();
    let split = |size: u64, key: SigningKey, origin: &str| {
        let signer = NoteSigner::new(ORIGIN, key).unwrap();
        let verifier_key = signer.verifier().to_string();
        let note = Checkpoint {
            origin: origin.into(),
            size,
            root: sha256(b"another tree"),
        }
        .sign(&signer, &rng());
        let mut keys = world.log.keys.clone();
        keys.keys[2].verifier_key = verifier_key;
        let with = With {
            log_keys: Some(&keys),
            checkpoint: Some(&note),
            ..With::default()
        };
        let report = verify(&world.file, &with);
        report
            .checks
            .into_iter()
            .find(|check| check.name == "checkpoint")
            .unwrap()
            .verdict
    };
    let verdict = split(7, new_key(Alg::EdDsa), ORIGIN);
    assert!(matches!(verdict, Verdict::Invalid(because) if because.contains("convict")));
    assert!(matches!(
        split(9, new_key(Alg::EdDsa), ORIGIN),
        Verdict::CannotTell(_)
    ));
    assert!(matches!(
        split(7, new_key(Alg::EdDsa), "other.example"),
        Verdict::Invalid(_)
    ));
    // Signed by a key that is not the log's.
    let signer = NoteSigner::new(ORIGIN, new_key(Alg::EdDsa)).unwrap();
    let note = Checkpoint {
        origin: ORIGIN.into(),
        size: 7,
        root: sha256(b"x"),
    }
    .sign(&signer, &rng());
    let with = With {
        log_keys: Some(&world.log.keys),
        checkpoint: Some(&note),
        ..With::default()
    };
    assert_eq!(wrong(&verify(&world.file, &with)), ["checkpoint"]);
}

#[test]
fn a_relay_of_other_evidence_is_found() {
    let (world, other) = (World::new(), World::new());
    let mut file = world.file.clone();
    file.relay_receipt = other.file.relay_receipt;
    let found = wrong(&world.report_of(&file));
    assert!(found.contains(&"relay"), "{found:?}");
}
