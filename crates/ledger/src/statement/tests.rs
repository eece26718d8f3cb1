use coset::{CoseSign1, TaggedCborSerializable};

use super::*;
use crate::test_keys::{key, rng};

fn claims() -> Claims {
    Claims {
        iss: "urn:example:org:RAJ".to_owned(),
        sub: "urn:example:case:5f0c".to_owned(),
        iat: 1_790_000_000,
    }
}

fn payload() -> Payload {
    Payload {
        event: "evidence".to_owned(),
        salt: Salt::from([7; 32]),
        aside: None,
        body: Value::Map(vec![
            (Value::from("size"), Value::from(4096)),
            (Value::from("kind"), Value::from("letter")),
        ]),
    }
}

fn signed(key: &SigningKey) -> Statement {
    let payload = payload().encode().unwrap();
    Statement::sign(
        "application/evidence+cbor",
        &claims(),
        &payload,
        key,
        &rng(),
    )
    .unwrap()
}

#[test]
fn signs_parses_and_verifies() {
    for alg in [Alg::Es256, Alg::EdDsa] {
        let key = key(alg);
        let signed = signed(&key);
        let parsed = Statement::parse(signed.bytes()).unwrap();
        assert_eq!(parsed, signed);
        parsed.verify(key.public()).unwrap();
        assert_eq!(parsed.alg(), alg);
        assert_eq!(parsed.kid(), key.public().kid());
        assert_eq!(parsed.typ(), "application/evidence+cbor");
        assert_eq!(parsed.claims(), &claims());
        assert_eq!(Payload::decode(parsed.payload()).unwrap().event, "evidence");
        assert_eq!(parsed.entry(), sha256(signed.bytes()));
    }
}

#[test]
fn another_implementation_reads_and_verifies_it() {
    let key = key(Alg::Es256);
    let statement = signed(&key);
    let other = CoseSign1::from_tagged_slice(statement.bytes()).unwrap();
    assert_eq!(other.protected.header.key_id, key.public().kid());
    other
        .verify_signature(&[], |signature, tbs| key.public().verify(tbs, signature))
        .unwrap();
    assert_eq!(other.to_tagged_vec().unwrap(), statement.bytes());
}

#[test]
fn receipts_ride_along_without_changing_the_entry() {
    let key = key(Alg::Es256);
    let statement = signed(&key);
    let receipts = vec![vec![1, 2, 3], vec![4]];
    let carrying = statement.with_receipts(&receipts);
    let parsed = Statement::parse(&carrying).unwrap();
    assert_eq!(parsed.receipts(), receipts);
    assert_eq!(parsed.bytes(), statement.bytes());
    assert_eq!(parsed.entry(), statement.entry());
    parsed.verify(key.public()).unwrap();
    assert_eq!(parsed.with_receipts(&[]), statement.bytes());
}

#[test]
fn every_single_bit_flip_is_refused() {
    for alg in [Alg::Es256, Alg::EdDsa] {
        let key = key(alg);
        let bytes = signed(&key).bytes().to_vec();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                let read =
                    Statement::parse(&flipped).and_then(|statement| statement.verify(key.public()));
                assert!(read.is_err(), "bit {bit} of byte {at}");
            }
        }
    }
}

#[test]
fn every_shortening_and_lengthening_is_refused() {
    let bytes = signed(&key(Alg::Es256)).bytes().to_vec();
    for length in 0..bytes.len() {
        assert!(Statement::parse(&bytes[..length]).is_err());
    }
    let longer = [&bytes[..], &[0]].concat();
    let refused = Statement::parse(&longer).unwrap_err();
    assert_eq!(refused, StatementError::Cbor(CborError::Trailing(1)));
}

#[test]
fn the_key_decides_the_algorithm() {
    let (es256, eddsa) = (key(Alg::Es256), key(Alg::EdDsa));
    let statement = signed(&es256);
    let refused = statement.verify(eddsa.public()).unwrap_err();
    let expected = StatementError::WrongAlg {
        stated: Alg::Es256,
        key: Alg::EdDsa,
    };
    assert_eq!(refused, expected);
    let refused = statement.verify(key(Alg::Es256).public()).unwrap_err();
    assert_eq!(refused, StatementError::BadSignature);
}

/// The parts of a message, to be spoilt one at a time.
#[derive(Clone)]
struct Parts {
    protected: Vec<(Value, Value)>,
    unprotected: Vec<(Value, Value)>,
    payload: Value,
    signature: Vec<u8>,
}

fn good() -> Parts {
    Parts {
        protected: vec![
            (1.into(), (-7).into()),
            (4.into(), Value::Bytes(vec![9; 32])),
            (15.into(), cose::claims_value(&claims())),
            (16.into(), "application/evidence+cbor".into()),
        ],
        unprotected: Vec::new(),
        payload: Value::Bytes(vec![0xa0]),
        signature: vec![1; 64],
    }
}

impl Parts {
    fn body(self) -> Value {
        Value::Array(vec![
            Value::Bytes(cbor::to_canonical(&Value::Map(self.protected)).unwrap()),
            Value::Map(self.unprotected),
            self.payload,
            Value::Bytes(self.signature),
        ])
    }

    fn parse(self) -> Result<Statement, StatementError> {
        Statement::parse(&cbor::encode(&Value::Tag(18, Box::new(self.body()))))
    }

    fn with(mut self, label: impl Into<Value>, value: impl Into<Value>) -> Self {
        let label = label.into();
        self.protected.retain(|(known, _)| *known != label);
        self.protected.push((label, value.into()));
        self
    }

    fn without(mut self, label: i64) -> Self {
        self.protected.retain(|(known, _)| *known != label.into());
        self
    }
}

#[test]
fn protected_headers_are_exactly_the_known_ones() {
    use StatementError::{HeaderType, MissingHeader, UnknownAlg, UnknownCritical, UnknownHeader};
    assert!(good().parse().is_ok());
    let crit = || Value::Array(vec![Value::from(16)]);
    let no_claims = || Value::Map(Vec::new());
    let mut swapped = cose::claims_value(&claims()).into_map().unwrap();
    swapped[2].0 = 5.into();
    let mut extra = cose::claims_value(&claims()).into_map().unwrap();
    extra.push((7.into(), Value::Bytes(vec![1])));
    for (parts, error) in [
        (good().with(2, crit()), UnknownCritical),
        (good().with(2, crit()).without(1), UnknownCritical),
        (good().with(3, 60), UnknownHeader("3".into())),
        (good().with(33, vec![1u8]), UnknownHeader("33".into())),
        (good().with(395, 1), UnknownHeader("395".into())),
        (good().with(-70_000, 1), UnknownHeader("-70000".into())),
        (
            good().with("note", 1),
            UnknownHeader("that is no integer".into()),
        ),
        (good().without(1), MissingHeader(1)),
        (good().without(4), MissingHeader(4)),
        (good().without(15), MissingHeader(15)),
        (good().without(16), MissingHeader(16)),
        (good().with(1, -35), UnknownAlg(-35)),
        (good().with(1, -9), UnknownAlg(-9)),
        (good().with(1, "ES256"), HeaderType(1)),
        (good().with(1, u64::MAX), HeaderType(1)),
        (good().with(4, "kid"), HeaderType(4)),
        (good().with(4, Value::Bytes(vec![])), HeaderType(4)),
        (good().with(15, no_claims()), HeaderType(15)),
        (good().with(15, "claims"), HeaderType(15)),
        (good().with(15, Value::Map(swapped)), HeaderType(15)),
        (good().with(15, Value::Map(extra)), HeaderType(15)),
        (good().with(16, 60), HeaderType(16)),
    ] {
        assert_eq!(parts.parse(), Err(error));
    }
}

#[test]
fn claims_have_the_right_types() {
    let wrong: [(usize, Value); 4] = [
        (0, 1.into()),
        (1, Value::Null),
        (2, "now".into()),
        (2, u64::MAX.into()),
    ];
    for (at, value) in wrong {
        let mut claims = cose::claims_value(&claims()).into_map().unwrap();
        claims[at].1 = value;
        let refused = good().with(15, Value::Map(claims)).parse();
        assert_eq!(refused, Err(StatementError::HeaderType(15)), "claim {at}");
    }
}

#[test]
fn the_unprotected_header_holds_receipts_or_nothing() {
    use StatementError::{HeaderType, Unprotected};
    let receipt = || Value::Array(vec![Value::Bytes(vec![1])]);
    for (unprotected, error) in [
        (vec![(4.into(), Value::Bytes(vec![1]))], Unprotected(394)),
        (
            vec![(394.into(), receipt()), (396.into(), receipt())],
            Unprotected(394),
        ),
        (vec![(394.into(), Value::Array(vec![]))], HeaderType(394)),
        (vec![(394.into(), Value::Bytes(vec![1]))], HeaderType(394)),
        (
            vec![(394.into(), Value::Array(vec![Value::from(1)]))],
            HeaderType(394),
        ),
    ] {
        let mut parts = good();
        parts.unprotected = unprotected;
        assert_eq!(parts.parse(), Err(error));
    }
}

#[test]
fn other_envelopes_are_refused() {
    use StatementError::{Detached, NotSign1, SignatureLength, TooLarge};
    let mut detached = good();
    detached.payload = Value::Null;
    assert_eq!(detached.parse(), Err(Detached));
    let mut text = good();
    text.payload = Value::from("text");
    assert_eq!(text.parse(), Err(NotSign1));
    for length in [0, 63, 65, 71] {
        let mut parts = good();
        parts.signature = vec![1; length];
        assert_eq!(parts.parse(), Err(SignatureLength(length)));
    }

    let parse = |value: Value| Statement::parse(&cbor::encode(&value));
    assert_eq!(parse(good().body()), Err(NotSign1));
    for tag in [17, 61, 98] {
        let tagged = Value::Tag(tag, Box::new(good().body()));
        assert_eq!(parse(tagged), Err(NotSign1), "tag {tag}");
    }
    let twice = Value::Tag(18, Box::new(Value::Tag(18, Box::new(good().body()))));
    assert_eq!(parse(twice), Err(StatementError::Cbor(CborError::Tag)));
    let mut five = good().body().into_array().unwrap();
    five.push(Value::Null);
    let five = Value::Tag(18, Box::new(Value::Array(five)));
    assert_eq!(parse(five), Err(NotSign1));
    assert_eq!(Statement::parse(&[]), Err(NotSign1));

    let long = Statement::parse(&vec![0; MAX_LEN + 1]);
    assert_eq!(long, Err(TooLarge(MAX_LEN + 1)));
    let key = key(Alg::EdDsa);
    let signed = Statement::sign("t", &claims(), &vec![0; MAX_LEN], &key, &rng());
    assert!(matches!(signed, Err(TooLarge(_))));
}

/// The protected header is a byte string, so its own encoding is checked on its own.
#[test]
fn the_encoding_inside_the_protected_header_counts() {
    let put = |protected: Vec<u8>| {
        let mut parts = good().body().into_array().unwrap();
        parts[0] = Value::Bytes(protected);
        Statement::parse(&cbor::encode(&Value::Tag(
            18,
            Box::new(Value::Array(parts)),
        )))
    };
    let good = cbor::to_canonical(&Value::Map(good().protected)).unwrap();
    assert!(put(good.clone()).is_ok());
    let trailing = put([&good[..], &[0]].concat());
    assert_eq!(trailing, Err(StatementError::Cbor(CborError::Trailing(1))));
    // The first entry, 1: -7, moved to the end.
    let unsorted = put([&good[..1], &good[3..], &good[1..3]].concat());
    assert_eq!(unsorted, Err(StatementError::Cbor(CborError::Unsorted)));
    let long_form = put([&good[..1], &[0x18, 0x01], &good[2..]].concat());
    assert_eq!(long_form, Err(StatementError::Cbor(CborError::NotShortest)));
    let twice = put([&[0xa5], &good[1..3], &good[1..]].concat());
    assert_eq!(twice, Err(StatementError::Cbor(CborError::DuplicateKey)));
    let indefinite = put([&[0xbf], &good[1..], &[0xff]].concat());
    assert_eq!(indefinite, Err(StatementError::Cbor(CborError::Indefinite)));
    assert!(matches!(put(Vec::new()), Err(StatementError::Cbor(_))));
    assert_eq!(put(vec![0x80]), Err(StatementError::NotSign1));
}

#[test]
fn a_payload_reads_back_and_has_one_spelling() {
    let mut with_aside = payload();
    let aside = cbor::to_canonical(&"what is sealed beside it").unwrap();
    with_aside.aside = Some(aside_digest(&with_aside.salt, &aside));
    for payload in [payload(), with_aside] {
        let bytes = payload.encode().unwrap();
        let again = Payload::decode(&bytes).unwrap();
        assert_eq!(again.encode().unwrap(), bytes);
        assert_eq!((again.salt, again.aside), (payload.salt, payload.aside));
    }
    let expected = sha256(&[&[7; 32][..], &aside].concat());
    assert_eq!(aside_digest(&Salt::from([7; 32]), &aside), expected);
}

#[test]
fn payloads_with_other_fields_are_refused() {
    let put = |key: &str, value: Value| {
        let bytes = payload().encode().unwrap();
        let map: Value = cbor::from_canonical(&bytes).unwrap();
        let mut map = map.into_map().unwrap();
        map.retain(|(known, _)| *known != Value::from(key));
        map.push((Value::from(key), value));
        Payload::decode(&cbor::to_canonical(&Value::Map(map)).unwrap())
    };
    assert!(put("event", "evidence".into()).is_ok());
    for (key, value) in [
        ("name", Value::from("somebody")),
        ("aside", Value::Null),
        ("aside", Value::Bytes(vec![0; 31])),
        ("salt", Value::Bytes(vec![0; 31])),
        ("salt", Value::Array(vec![0.into(); 32])),
        ("event", Value::from(1)),
    ] {
        let refused = put(key, value).unwrap_err();
        let expected = matches!(refused, CborError::OtherSpelling | CborError::Type(_));
        assert!(expected, "{key}: {refused}");
    }
    let bare = cbor::to_canonical(&Value::Map(Vec::new())).unwrap();
    assert!(matches!(Payload::decode(&bare), Err(CborError::Type(_))));
}
