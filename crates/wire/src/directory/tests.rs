use evidence_domain::{Moment, Reason};
use evidence_ledger::Alg;

use super::*;

fn id() -> OrgId {
    OrgId::from_random([1; 16])
}

fn fields(refusal: &Refusal) -> Vec<&str> {
    refusal.fields.iter().map(|v| v.field.as_str()).collect()
}

fn key() -> PublicKey {
    PublicKey::new(Alg::EdDsa, &[7; 32]).expect("32 bytes")
}

#[test]
fn reads_a_registration() {
    let body = v1::RegisterOrganisationRequest {
        request_id: String::new(),
        identifier: "ods:RXX".to_owned(),
        name: "Riverside Trust".to_owned(),
        roles: vec![v1::Role::Discloser.into(), v1::Role::Discloser.into()],
    };
    let command = register_organisation(&body, id()).expect("good");
    assert_eq!(command.identifier, "ods:RXX");
    assert_eq!(command.roles, [Role::Discloser].into());
    let bad = v1::RegisterOrganisationRequest {
        identifier: "RXX".to_owned(),
        name: " ".to_owned(),
        roles: vec![0, 99],
        ..body
    };
    let refusal = register_organisation(&bad, id()).expect_err("nothing is good");
    assert_eq!(fields(&refusal), ["identifier", "name", "roles", "roles"]);
}

#[test]
fn an_update_names_the_organisation_and_its_roles() {
    let body = v1::UpdateOrganisationRequest {
        organisation_id: id().to_string(),
        name: "New".to_owned(),
        roles: vec![v1::Role::Recipient.into()],
        suspended: true,
        ..v1::UpdateOrganisationRequest::default()
    };
    let command = update_organisation(&body).expect("good");
    assert!(command.suspended);
    let refusal =
        update_organisation(&v1::UpdateOrganisationRequest::default()).expect_err("empty");
    assert_eq!(fields(&refusal), ["organisation_id", "name", "roles"]);
}

#[test]
fn a_fingerprint_may_be_written_as_tools_print_it() {
    let digest = Digest::from([0xab; 32]);
    let printed = vec!["AB"; 32].join(":");
    for fingerprint in [digest.to_string(), printed] {
        let body = v1::AddCertificateRequest {
            organisation_id: id().to_string(),
            fingerprint,
            ..v1::AddCertificateRequest::default()
        };
        assert_eq!(add_certificate(&body).expect("good").fingerprint, digest);
    }
    let body = v1::RemoveCertificateRequest {
        organisation_id: id().to_string(),
        fingerprint: "abcd".to_owned(),
        ..v1::RemoveCertificateRequest::default()
    };
    let refusal = remove_certificate(&body).expect_err("short");
    assert_eq!(fields(&refusal), ["fingerprint"]);
}

#[test]
fn a_key_is_a_cose_key_with_a_validity() {
    let at = |seconds: i64| Some(timestamp(Moment::from_micros(seconds * 1_000_000)));
    let body = v1::RegisterKeyRequest {
        organisation_id: id().to_string(),
        cose_key: key().to_cose_key(),
        not_before: at(10),
        not_after: at(20),
        ..v1::RegisterKeyRequest::default()
    };
    let command = register_key(&body).expect("good");
    assert_eq!((command.key, command.not_after.seconds()), (key(), 20));
    let bad = v1::RegisterKeyRequest {
        cose_key: vec![1],
        not_after: None,
        ..body
    };
    let refusal = register_key(&bad).expect_err("no key, no end");
    assert_eq!(fields(&refusal), ["cose_key", "not_after"]);
    let retire = v1::RetireKeyRequest {
        organisation_id: id().to_string(),
        kid: key().kid(),
        not_after: at(15),
        ..v1::RetireKeyRequest::default()
    };
    assert_eq!(
        retire_key(&retire).expect("good").kid.as_bytes()[..],
        key().kid()[..]
    );
    let refusal = retire_key(&v1::RetireKeyRequest::default()).expect_err("empty");
    assert_eq!(fields(&refusal), ["organisation_id", "kid", "not_after"]);
}

#[test]
fn a_policy_has_a_name_and_a_document() {
    let refusal = set_policy(&v1::SetPolicyRequest::default()).expect_err("empty");
    assert_eq!(refusal.reason, Reason::InvalidField);
    assert_eq!(fields(&refusal), ["name", "document"]);
}

#[test]
fn shows_an_organisation_with_its_keys() {
    let kid = Digest::try_from(key().kid().as_slice()).expect("32 bytes");
    let row = Organisation {
        id: id(),
        identifier: "ods:RXX".to_owned(),
        name: "Riverside Trust".to_owned(),
        roles: [Role::Discloser, Role::Intermediary].into(),
        suspended: false,
        keys: vec![OrgKey {
            kid,
            key: key(),
            not_before: Moment::from_micros(0),
            not_after: Moment::from_micros(1_000_000),
        }],
        certificates: [Digest::from([0xab; 32])].into(),
        entry: 3,
    };
    let shown = organisation(&row);
    assert_eq!(shown.issuer, id().urn());
    assert_eq!(shown.certificates, ["ab".repeat(32)]);
    assert_eq!(shown.roles.len(), 2);
    assert_eq!(PublicKey::from_cose_key(&shown.keys[0].cose_key), Ok(key()));
}
