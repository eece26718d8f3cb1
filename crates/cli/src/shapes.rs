//! Holds what the code encodes against `proto/cddl`: every event, key by key, and the envelope.

mod samples;

use std::collections::BTreeSet;

use cddl_cat::{cbor::validate_cbor, context::BasicContext, flatten::flatten_from_str};
use ciborium::Value;
use evidence_domain::{Aside, Event, event::typ};
use evidence_ledger::{
    Alg, Claims, Frontier, Payload, Salt, Statement, encode_receipt, seal_batch, sha256,
};

use crate::sign::tests::{evidence, rng, signer, texts};

const COMMON: &str = include_str!("../../../proto/cddl/common.cddl");
const ENVELOPE: &str = include_str!("../../../proto/cddl/envelope.cddl");
const EVENTS: [&str; 8] = [
    include_str!("../../../proto/cddl/evidence.cddl"),
    include_str!("../../../proto/cddl/bundle.cddl"),
    include_str!("../../../proto/cddl/decision.cddl"),
    include_str!("../../../proto/cddl/consent.cddl"),
    include_str!("../../../proto/cddl/request.cddl"),
    include_str!("../../../proto/cddl/directory.cddl"),
    include_str!("../../../proto/cddl/record.cddl"),
    include_str!("../../../proto/cddl/log.cddl"),
];

/// The rules of the common file and one more.
fn rules(file: &str) -> BasicContext {
    let rules = flatten_from_str(&format!("{COMMON}\n{file}"));
    BasicContext::new(rules.unwrap_or_else(|error| panic!("{error}\n{file}")))
}

/// The rules of the file in which an event's rule is.
fn rules_of(event: &str) -> BasicContext {
    let has_rule = |file: &&&str| {
        file.lines()
            .any(|line| line.starts_with(&format!("{event} = ")))
    };
    let files: Vec<_> = EVENTS.iter().filter(has_rule).collect();
    assert_eq!(files.len(), 1, "one file describes `{event}`");
    rules(files[0])
}

fn holds(rules: &BasicContext, rule: &str, value: &Value) -> bool {
    let node = rules
        .rules
        .get(rule)
        .unwrap_or_else(|| panic!("no rule {rule}"));
    validate_cbor(node, value, rules).is_ok()
}

/// Whether the code itself reads this as the event's body.
fn is_read(event: &str, body: &Value) -> bool {
    let payload = Payload {
        event: event.to_owned(),
        salt: Salt::from([0; 32]),
        aside: None,
        body: body.clone(),
    };
    Event::from_payload(&payload).is_ok()
}

fn entries(body: &Value) -> Vec<(Value, Value)> {
    body.as_map().expect("a body is a map").clone()
}

#[test]
fn there_is_a_sample_of_every_event() {
    let sampled: BTreeSet<&str> = samples::all().iter().map(Event::name).collect();
    assert_eq!(sampled, Event::NAMES.iter().copied().collect());
}

#[test]
fn every_event_is_as_its_cddl_says() {
    for event in samples::all() {
        let (name, body) = (event.name(), event.body().unwrap());
        assert!(holds(&rules_of(name), name, &body), "{name}: {body:?}");
    }
}

#[test]
fn the_same_fields_are_needed_and_no_others_allowed() {
    for event in samples::all() {
        let (name, body) = (event.name(), event.body().unwrap());
        let rules = rules_of(name);
        let whole = entries(&body);
        for without in 0..whole.len() {
            let mut fields = whole.clone();
            let (removed, _) = fields.remove(without);
            let body = Value::Map(fields);
            assert_eq!(
                holds(&rules, name, &body),
                is_read(name, &body),
                "{name} without {removed:?}"
            );
        }
        let surplus = Value::Map([&whole[..], &[("surplus".into(), 1.into())]].concat());
        assert!(
            !holds(&rules, name, &surplus) && !is_read(name, &surplus),
            "{name} with a surplus field"
        );
    }
}

#[test]
fn the_same_types_are_taken() {
    let others = [
        Value::Null,
        Value::from(-1),
        Value::Bytes(vec![1]),
        Value::Bytes(vec![1; 32]),
        Value::from(true),
        Value::from("?"),
        Value::Array(Vec::new()),
        Value::Array(vec![Value::Null]),
        Value::Map(Vec::new()),
        Value::Map(vec![(Value::from(1), Value::from(1))]),
    ];
    for event in samples::all() {
        let (name, body) = (event.name(), event.body().unwrap());
        let rules = rules_of(name);
        for at in 0..entries(&body).len() {
            for other in &others {
                let mut fields = entries(&body);
                fields[at].1 = other.clone();
                let field = fields[at].0.clone();
                let body = Value::Map(fields);
                let (holds, is_read) = (holds(&rules, name, &body), is_read(name, &body));
                // Codes are texts to the decoder; the rules check them later.
                let is_text = other.is_text();
                assert!(
                    holds == is_read || is_text && is_read,
                    "{name}, {field:?}: {other:?}"
                );
            }
        }
    }
}

/// The envelope's rules for what is inside the tag: cddl-cat knows no tags.
fn envelope() -> BasicContext {
    let untagged = ENVELOPE.lines().filter(|line| !line.contains("#6.18("));
    rules(&untagged.collect::<Vec<_>>().join("\n"))
}

fn untagged(bytes: &[u8]) -> Value {
    let rest = bytes.strip_prefix(&[0xd2]).expect("tag 18");
    ciborium::from_reader(rest).unwrap()
}

#[test]
fn statements_and_receipts_are_as_the_envelope_says() {
    let rules = envelope();
    for alg in [Alg::Es256, Alg::EdDsa] {
        for aside in [texts(), Aside::new()] {
            let made = signer(alg)
                .sign(
                    "urn:evidence:case_1",
                    evidence(b"d"),
                    aside.clone(),
                    5,
                    &rng(),
                )
                .unwrap();
            assert!(holds(&rules, "statement-parts", &untagged(&made.statement)));
            let statement = Statement::parse(&made.statement).unwrap();
            assert_eq!(statement.typ(), typ("evidence"));
            let with_receipts = statement.with_receipts(&[vec![1], vec![2]]);
            assert!(holds(&rules, "statement-parts", &untagged(&with_receipts)));
            assert!(holds(
                &rules,
                "aside-texts",
                &Value::serialized(&aside).unwrap()
            ));
        }
    }
    let appended = Frontier::new().append(&[sha256(b"a"), sha256(b"b"), sha256(b"c")]);
    let claims = Claims {
        iss: "urn:a".into(),
        sub: "urn:a".into(),
        iat: 1,
    };
    let key = signer(Alg::Es256);
    let seal = seal_batch(&claims, 3, &appended.root, key.key(), &rng()).unwrap();
    let receipt = untagged(&encode_receipt(&seal, 3, 1, &appended.inclusion(1)));
    assert!(holds(&rules, "receipt-parts", &receipt));
    assert!(!holds(&rules, "statement-parts", &receipt));
}
