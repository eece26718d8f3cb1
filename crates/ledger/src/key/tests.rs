use data_encoding::HEXLOWER;

use super::*;
use crate::cbor::{from_canonical, to_canonical};
use crate::test_keys::{key, rng};

fn hex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).unwrap()
}

/// The example key of RFC 9679 §6.
fn rfc9679_key() -> PublicKey {
    let point = concat!(
        "04",
        "65eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d",
        "1e52ed75701163f7f9e40ddf9f341b3dc9ba860af7e0ca7ca7e9eecd0084d19c",
    );
    PublicKey::new(Alg::Es256, &hex(point)).unwrap()
}

#[test]
fn kid_is_the_thumbprint_of_rfc_9679() {
    assert_eq!(
        HEXLOWER.encode(&rfc9679_key().kid()),
        "496bd8afadf307e5b08c64b0421bf9dc01528a344a43bda88fadd1669da253ec"
    );
}

/// The required parameters, encoded by the library instead of by hand.
#[test]
fn kid_hashes_the_deterministic_encoding() {
    let ed25519 = key(Alg::EdDsa).public().clone();
    let required = Value::Map(vec![
        (Value::from(1), Value::from(1)),
        (Value::from(-1), Value::from(6)),
        (Value::from(-2), Value::Bytes(ed25519.as_bytes().to_vec())),
    ]);
    let encoded = to_canonical(&required).unwrap();
    assert_eq!(ed25519.kid(), sha256(&[&encoded]));
}

#[test]
fn signs_and_refuses() {
    for alg in [Alg::Es256, Alg::EdDsa] {
        let signer = key(alg);
        let signature = signer.sign(b"message", &rng());
        assert_eq!(signature.len(), SIGNATURE_LEN);
        let public = signer.public();
        public.verify(b"message", &signature).unwrap();
        let refused = |key: &PublicKey, message: &[u8], signature: &[u8]| {
            assert_eq!(key.verify(message, signature), Err(KeyError::BadSignature));
        };
        refused(public, b"massage", &signature);
        refused(key(alg).public(), b"message", &signature);
        refused(public, b"message", &signature[..63]);
        refused(public, b"message", &[]);
        refused(public, b"message", &[&signature[..], &[0]].concat());
    }
}

/// RFC 8032 §7.1, test 2.
#[test]
fn ed25519_vector() {
    let key = hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    let signature = hex(concat!(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da",
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ));
    let key = PublicKey::new(Alg::EdDsa, &key).unwrap();
    key.verify(&[0x72], &signature).unwrap();
}

#[test]
fn a_public_key_survives_each_encoding() {
    for public in [
        key(Alg::Es256).public().clone(),
        key(Alg::EdDsa).public().clone(),
    ] {
        let cose = public.to_cose_key();
        assert_eq!(PublicKey::from_cose_key(&cose).unwrap(), public);
        let der = public.to_spki_der();
        assert_eq!(PublicKey::from_spki_der(&der).unwrap(), public);
        let cbor = to_canonical(&public).unwrap();
        assert_eq!(from_canonical::<PublicKey>(&cbor).unwrap(), public);
        let json = serde_json::to_string(&public).unwrap();
        assert_eq!(serde_json::from_str::<PublicKey>(&json).unwrap(), public);
    }
}

/// RFC 8410 §10.1 and §10.3: a private key without its public key, as OpenSSL writes them.
#[test]
fn ed25519_keys_of_rfc_8410() {
    let base64 = |text: &str| data_encoding::BASE64.decode(text.as_bytes()).unwrap();
    let private = base64("MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC");
    let public = base64("MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=");
    let key = SigningKey::from_pkcs8(Alg::EdDsa, &private, &rng()).unwrap();
    assert_eq!(key.public().to_spki_der(), public);
}

fn cose(entries: &[(i64, Value)]) -> Result<PublicKey, KeyError> {
    let entries = entries.iter().map(|(k, v)| (Value::from(*k), v.clone()));
    let bytes = to_canonical(&Value::Map(entries.collect())).unwrap();
    PublicKey::from_cose_key(&bytes)
}

#[test]
fn odd_cose_keys_are_refused() {
    let public = rfc9679_key();
    let x = Value::Bytes(public.as_bytes()[1..33].to_vec());
    let y = Value::Bytes(public.as_bytes()[33..].to_vec());
    let required = [(1, Value::from(2)), (-1, Value::from(1)), (-2, x), (-3, y)];
    assert_eq!(cose(&required).unwrap(), public);

    let with = |more: (i64, Value)| cose(&[&required[..], &[more]].concat());
    assert_eq!(with((3, Value::from(-7))).unwrap(), public);
    assert_eq!(with((2, Value::Bytes(public.kid()))).unwrap(), public);
    for more in [
        (3, Value::from(-8)),
        (2, Value::Bytes(vec![1])),
        (4, Value::Array(vec![Value::from(2)])),
        (5, Value::Bytes(vec![1])),
        (-4, Value::Bytes(vec![1; 32])), // the private part
        (99, Value::from(1)),
    ] {
        assert_eq!(with(more.clone()), Err(KeyError::CoseKey), "{more:?}");
    }
    let put = |at: usize, value: Value| {
        let mut entries = required.clone();
        entries[at].1 = value;
        cose(&entries)
    };
    for (at, value) in [
        (0, Value::from(1)),
        (1, Value::from(2)),
        (2, Value::Bytes(vec![0; 31])),
        (3, Value::Bool(true)),
    ] {
        assert_eq!(put(at, value), Err(KeyError::CoseKey), "part {at}");
    }
    let short = put(3, Value::Bytes(vec![0; 31]));
    assert_eq!(short, Err(KeyError::PublicBytes(Alg::Es256)));
    let mut trailing = public.to_cose_key();
    trailing.push(0);
    let refused = PublicKey::from_cose_key(&trailing);
    assert_eq!(refused, Err(KeyError::Cbor(CborError::Trailing(1))));
}

#[test]
fn other_public_bytes_are_refused() {
    let public = rfc9679_key();
    let mut compressed = public.as_bytes()[..33].to_vec();
    compressed[0] = 2;
    for bytes in [&compressed[..], &public.as_bytes()[1..], &[]] {
        let refused = PublicKey::new(Alg::Es256, bytes);
        assert_eq!(refused, Err(KeyError::PublicBytes(Alg::Es256)));
    }
    assert!(PublicKey::new(Alg::EdDsa, &[0; 33]).is_err());
    let der = public.to_spki_der();
    assert_eq!(PublicKey::from_spki_der(&der[1..]), Err(KeyError::Spki));
    assert!(PublicKey::from_spki_der(&der[..90]).is_err());
    assert!(PublicKey::from_spki_der(&[&der[..], &[0]].concat()).is_err());
}

#[test]
fn a_private_key_is_bound_to_its_algorithm_and_keeps_silent() {
    let rng = rng();
    let der = SigningKey::generate_pkcs8(Alg::Es256, &rng).unwrap();
    let refused = SigningKey::from_pkcs8(Alg::EdDsa, &der, &rng).unwrap_err();
    assert_eq!(refused, KeyError::Pkcs8(Alg::EdDsa));
    assert!(SigningKey::from_pkcs8(Alg::Es256, &der[1..], &rng).is_err());

    let key = SigningKey::from_pkcs8(Alg::Es256, &der, &rng).unwrap();
    let kid = HEXLOWER.encode(&key.public().kid());
    let shown = format!("{key:?}");
    assert_eq!(shown, format!("SigningKey(PublicKey(ES256, kid {kid}))"));
}
