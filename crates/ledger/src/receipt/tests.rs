use coset::{CoseSign1, TaggedCborSerializable};
use proptest::prelude::*;

use super::*;
use crate::cbor::CborError;
use crate::hash::sha256;
use crate::test_keys::{key, rng};
use crate::tree::Frontier;

fn claims() -> Claims {
    Claims {
        iss: "https://log.example".to_owned(),
        sub: "urn:example:log".to_owned(),
        iat: 1_790_000_000,
    }
}

fn entries(count: u32) -> Vec<Digest> {
    (0..count).map(|n| sha256(&n.to_be_bytes())).collect()
}

/// A log of `old` entries and a batch of `new` ones: the root, and each new entry's receipt.
fn issue(key: &SigningKey, old: u32, new: u32) -> (Digest, Vec<Vec<u8>>) {
    let entries = entries(old + new);
    let mut frontier = Frontier::new();
    frontier.append(&entries[..old as usize]);
    let batch = frontier.append(&entries[old as usize..]);
    let seal = seal_batch(&claims(), batch.size, &batch.root, key, &rng()).unwrap();
    let receipt = |index| encode_receipt(&seal, batch.size, index, &batch.inclusion(index));
    (batch.root, (batch.first..batch.size).map(receipt).collect())
}

#[test]
fn one_signature_serves_every_entry_of_a_batch() {
    let key = key(Alg::Es256);
    let (root, receipts) = issue(&key, 100, 156);
    let entries = entries(256);
    let mut signatures = std::collections::HashSet::new();
    for (index, bytes) in (100..).zip(&receipts) {
        let receipt = Receipt::parse(bytes).unwrap();
        assert_eq!((receipt.size, receipt.index), (256, index as u64));
        assert_eq!(receipt.claims, claims());
        assert_eq!(receipt.kid, key.public().kid());
        assert_eq!(receipt.verify(&entries[index], key.public()), Ok(root));
        let other = receipt.verify(&entries[index - 1], key.public());
        assert_eq!(other, Err(ReceiptError::NotProved));
        signatures.insert(receipt.signature);
    }
    assert_eq!(signatures.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn proves_at_any_size(old in 0u32..300, new in 1u32..40) {
        let key = key(Alg::Es256);
        let (root, receipts) = issue(&key, old, new);
        for (entry, receipt) in entries(old + new)[old as usize..].iter().zip(&receipts) {
            let receipt = Receipt::parse(receipt).unwrap();
            prop_assert_eq!(receipt.verify(entry, key.public()), Ok(root));
        }
    }
}

/// The bytes as RFC 9942 lays them out, read by another implementation.
#[test]
fn the_format_is_as_documented() {
    let key = key(Alg::Es256);
    let (root, receipts) = issue(&key, 2, 1);
    let cose = CoseSign1::from_tagged_slice(&receipts[0]).unwrap();
    assert_eq!(cose.payload, None);
    cose.verify_detached_signature(root.as_bytes(), &[], |signature, tbs| {
        key.public().verify(tbs, signature)
    })
    .unwrap();

    let protected = cose.protected.original_data.clone().unwrap();
    let claims_map = Value::Map(vec![
        (1.into(), "https://log.example".into()),
        (2.into(), "urn:example:log".into()),
        (6.into(), 1_790_000_000.into()),
    ]);
    let expected = Value::Map(vec![
        (1.into(), (-7).into()),
        (4.into(), Value::Bytes(key.public().kid())),
        (15.into(), claims_map),
        (395.into(), 1.into()),
        (SIZE_LABEL.into(), 3.into()),
    ]);
    assert_eq!(protected, cbor::to_canonical(&expected).unwrap());

    let appended = Frontier::new().append(&entries(3));
    let path = appended.inclusion(2).into_iter();
    let path = path.map(|hash| Value::Bytes(hash.as_bytes().to_vec()));
    let proof = Value::Array(vec![3.into(), 2.into(), Value::Array(path.collect())]);
    let proofs = vec![Value::Bytes(cbor::to_canonical(&proof).unwrap())];
    let proofs = Value::Map(vec![((-1).into(), Value::Array(proofs))]);
    let label = coset::Label::Int(396);
    assert_eq!(cose.unprotected.rest, vec![(label, proofs)]);
}

#[test]
fn every_single_bit_flip_is_refused() {
    let key = key(Alg::Es256);
    // A lopsided tree, where a promoted node could hide a change of index.
    for (old, entry) in [(4u32, 4usize), (2, 2), (0, 0)] {
        let (_, receipts) = issue(&key, old, 7 - old);
        let entry = entries(7)[entry];
        let bytes = &receipts[0];
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                let proved = Receipt::parse(&flipped)
                    .and_then(|receipt| receipt.verify(&entry, key.public()));
                assert!(proved.is_err(), "bit {bit} of byte {at}");
            }
        }
    }
}

#[test]
fn every_shortening_and_lengthening_is_refused() {
    let (_, receipts) = issue(&key(Alg::Es256), 2, 1);
    let bytes = &receipts[0];
    for length in 0..bytes.len() {
        assert!(Receipt::parse(&bytes[..length]).is_err());
    }
    let longer = Receipt::parse(&[&bytes[..], &[0]].concat());
    let trailing = StatementError::Cbor(CborError::Trailing(1));
    assert_eq!(longer, Err(ReceiptError::Envelope(trailing)));
}

#[test]
fn the_signed_size_binds_the_proof() {
    let key = key(Alg::Es256);
    let batch = Frontier::new().append(&entries(4));
    let seal = seal_batch(&claims(), 4, &batch.root, &key, &rng()).unwrap();
    // Entry 1 of 4 has the same path as entry 1 of 3 with one more level; say it is of 3.
    let lying = encode_receipt(&seal, 3, 1, &batch.inclusion(1));
    let refused = Receipt::parse(&lying).unwrap_err();
    let expected = ReceiptError::Size {
        signed: 4,
        proof: 3,
    };
    assert_eq!(refused, expected);

    let seal = seal_batch(&claims(), 3, &batch.root, &key, &rng()).unwrap();
    let outside = encode_receipt(&seal, 3, 3, &batch.inclusion(1));
    let receipt = Receipt::parse(&outside).unwrap();
    let refused = receipt.verify(&entries(4)[1], key.public());
    let index = VerifyError::Index { index: 3, size: 3 };
    assert_eq!(refused, Err(ReceiptError::Inclusion(index)));
}

#[test]
fn only_the_logs_es256_key_counts() {
    let (log, other) = (key(Alg::Es256), key(Alg::Es256));
    let (_, receipts) = issue(&log, 2, 1);
    let receipt = Receipt::parse(&receipts[0]).unwrap();
    let entry = entries(3)[2];
    let refused = receipt.verify(&entry, other.public());
    assert_eq!(refused, Err(ReceiptError::OtherKey));
    let eddsa = key(Alg::EdDsa);
    let refused = receipt.verify(&entry, eddsa.public());
    let wrong = KeyError::WrongAlg {
        needed: Alg::Es256,
        actual: Alg::EdDsa,
    };
    assert_eq!(refused, Err(ReceiptError::Key(wrong.clone())));
    let refused = seal_batch(&claims(), 3, &entry, &eddsa, &rng());
    assert_eq!(refused, Err(ReceiptError::Key(wrong)));
}

/// A receipt with one part replaced.
fn spoilt(
    spoil: impl Fn(&mut Vec<(Value, Value)>, &mut Vec<(Value, Value)>, &mut Value),
) -> Vec<u8> {
    let (_, receipts) = issue(&key(Alg::Es256), 2, 1);
    let sign1 = Sign1::parse(&receipts[0]).unwrap();
    let protected: Value = cbor::from_canonical(&sign1.protected).unwrap();
    let mut protected = protected.into_map().unwrap();
    let mut unprotected = sign1.unprotected;
    let mut payload = Value::Null;
    spoil(&mut protected, &mut unprotected, &mut payload);
    let protected = cbor::to_canonical(&Value::Map(protected)).unwrap();
    let payload = payload.into_bytes().ok();
    cose::encode(
        &protected,
        unprotected,
        payload.as_deref(),
        &sign1.signature,
    )
}

fn with_proofs(proofs: &Value) -> Vec<u8> {
    let proofs = Value::Map(vec![((-1).into(), proofs.clone())]);
    spoilt(|_, unprotected, _| unprotected[0].1 = proofs.clone())
}

fn with_proof(hex: &str) -> Vec<u8> {
    let proof = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
    with_proofs(&Value::Array(vec![Value::Bytes(proof)]))
}

#[test]
fn other_headers_and_payloads_are_refused() {
    use StatementError::{HeaderType, MissingHeader, UnknownCritical, UnknownHeader, Unprotected};
    let protected =
        |at: usize, value: Value| spoilt(|protected, _, _| protected[at].1 = value.clone());
    let more = |label: i64, value: Value| {
        spoilt(|protected, _, _| protected.push((label.into(), value.clone())))
    };
    let wrong_alg = KeyError::WrongAlg {
        needed: Alg::Es256,
        actual: Alg::EdDsa,
    };
    let attached = spoilt(|_, _, payload| *payload = Value::Bytes(vec![0; 32]));
    assert_eq!(Receipt::parse(&attached), Err(ReceiptError::Attached));
    let eddsa = Receipt::parse(&protected(0, (-8).into()));
    assert_eq!(eddsa, Err(ReceiptError::Key(wrong_alg)));
    let other_tree = Receipt::parse(&protected(3, 2.into()));
    assert_eq!(other_tree, Err(ReceiptError::Tree));
    for (bytes, error) in [
        (protected(4, "3".into()), HeaderType(SIZE_LABEL)),
        (
            spoilt(|protected, _, _| drop(protected.pop())),
            MissingHeader(SIZE_LABEL),
        ),
        (more(16, "t".into()), UnknownHeader("16".into())),
        (more(2, Value::Array(vec![395.into()])), UnknownCritical),
        (
            spoilt(|_, unprotected, _| unprotected.clear()),
            Unprotected(396),
        ),
        (
            spoilt(|_, unprotected, _| unprotected.push((397.into(), Value::Null))),
            Unprotected(396),
        ),
    ] {
        assert_eq!(Receipt::parse(&bytes), Err(ReceiptError::Envelope(error)));
    }
}

#[test]
fn other_proofs_are_refused() {
    let no_map = spoilt(|_, unprotected, _| unprotected[0].1 = Value::Null);
    assert_eq!(Receipt::parse(&no_map), Err(ReceiptError::Proof));
    let proof = || Value::Bytes(vec![0x80]);
    for proofs in [
        Value::Null,
        proof(),
        Value::Array(vec![]),
        Value::Array(vec![proof(), proof()]),
    ] {
        let refused = Receipt::parse(&with_proofs(&proofs));
        assert_eq!(refused, Err(ReceiptError::Proof), "{proofs:?}");
    }
    // [3, 2] with 2 in two bytes; [3, 2]; [3, 2, [], 0]; [3, -1, []]; [3, 2, [h'00']]; {}
    for proof in [
        "8303180280",
        "820302",
        "8403028000",
        "83032080",
        "830302814100",
        "a0",
    ] {
        let refused = Receipt::parse(&with_proof(proof)).unwrap_err();
        let in_cbor = matches!(refused, ReceiptError::Envelope(StatementError::Cbor(_)));
        assert!(in_cbor, "{proof}: {refused}");
    }
    assert!(Receipt::parse(&with_proof("83030280")).is_ok());
}
