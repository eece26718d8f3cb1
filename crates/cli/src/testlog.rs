//! A small log for this crate's tests, with real keys, proofs and signatures.

use evidence_ledger::{
    Alg, Checkpoint, Claims, Digest, Frontier, NoteSigner, PublicKey, SigningKey, encode_receipt,
    seal_batch, sha256,
};
use evidence_wire::v1;

use crate::{
    proof::{LogKey, LogKeys},
    sign::tests::rng,
};

pub const ORIGIN: &str = "log.example";
/// Entries of no interest before those of interest.
const BEFORE: [&[u8]; 5] = [b"0", b"1", b"2", b"3", b"4"];

/// A log right after it committed some statements in one batch.
pub struct TestLog {
    pub keys: LogKeys,
    /// One for each statement.
    pub receipts: Vec<v1::Receipt>,
    /// The checkpoint at the receipts' size.
    pub note: String,
}

pub fn new_key(alg: Alg) -> SigningKey {
    let der = SigningKey::generate_pkcs8(alg, &rng()).unwrap();
    SigningKey::from_pkcs8(alg, &der, &rng()).unwrap()
}

pub fn log_key(purpose: &str, key: &PublicKey, verifier_key: String) -> LogKey {
    LogKey {
        purpose: purpose.to_owned(),
        kid: data_encoding::HEXLOWER.encode(&key.kid()),
        key: key.clone(),
        verifier_key,
    }
}

impl TestLog {
    /// Commits at `now`, half a second past it. `stating` is the key of the log's own statements.
    pub fn of(statements: &[Vec<u8>], stating: &SigningKey, now: i64) -> Self {
        let entries: Vec<Digest> = statements.iter().map(|bytes| sha256(bytes)).collect();
        let mut frontier = Frontier::new();
        let first = frontier.append(&BEFORE.map(sha256)).size;
        let appended = frontier.append(&entries);
        let (size, receipt_key) = (appended.size, new_key(Alg::Es256));
        let claims = Claims {
            iss: "urn:evidence:log".into(),
            sub: "urn:evidence:log".into(),
            iat: now,
        };
        let seal = seal_batch(&claims, size, &appended.root, &receipt_key, &rng()).unwrap();
        let receipt = |(index, (statement, entry)): (u64, (&Vec<u8>, &Digest))| v1::Receipt {
            entry: entry.as_bytes().to_vec(),
            index,
            tree_size: size,
            receipt: encode_receipt(&seal, size, index, &appended.inclusion(index)),
            statement: statement.clone(),
            received_at: Some(prost_types::Timestamp {
                seconds: now,
                nanos: 500_000_000,
            }),
            replay: false,
        };
        let receipts = (first..)
            .zip(statements.iter().zip(&entries))
            .map(receipt)
            .collect();
        let note_key = new_key(Alg::EdDsa);
        let noting = note_key.public().clone();
        let signer = NoteSigner::new(ORIGIN, note_key).unwrap();
        let checkpoint = Checkpoint {
            origin: ORIGIN.into(),
            size,
            root: appended.root,
        };
        let keys = vec![
            log_key("receipt", receipt_key.public(), String::new()),
            log_key("statement", stating.public(), String::new()),
            log_key("checkpoint", &noting, signer.verifier().to_string()),
        ];
        Self {
            keys: LogKeys {
                origin: ORIGIN.into(),
                keys,
            },
            receipts,
            note: checkpoint.sign(&signer, &rng()),
        }
    }
}
